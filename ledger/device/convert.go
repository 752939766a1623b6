package device

import (
	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/devicepb"
)

// publicKey reads a key as messages and state carry it.
func publicKey(t devicepb.KeyType, raw []byte) (device.PublicKey, error) {
	if t < 0 || t > 0xff {
		t = 0
	}
	k, err := device.NewPublicKey(device.KeyType(t), raw)
	if err != nil {
		return k, ErrKey.Wrap(err.Error())
	}
	return k, nil
}

func splitsFrom(in []devicepb.PayoutSplit) []device.Split {
	out := make([]device.Split, 0, len(in))
	for _, s := range in {
		out = append(out, device.Split{
			To: s.To, Share: money.BPS(s.Bps), Denom: s.Denom, Cap: s.Cap, Paid: s.Paid, Lien: s.Lien,
		})
	}
	return out
}

func splitsTo(in []device.Split) []devicepb.PayoutSplit {
	out := make([]devicepb.PayoutSplit, 0, len(in))
	for _, s := range in {
		out = append(out, devicepb.PayoutSplit{
			To: s.To, Bps: uint32(s.Share), Denom: s.Denom, Cap: s.Cap, Paid: s.Paid, Lien: s.Lien,
		})
	}
	return out
}
