package live

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/score"
	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

// Bonus are the terms of a device's bonus in an ended epoch.
type Bonus struct {
	Price     string `json:"price_ucredit"`
	Stale     bool   `json:"stale"`
	Released  string `json:"released_ugrain"`
	Pool      string `json:"pool_ugrain"` // for usage
	Rebate    uint32 `json:"rebate_bps"`
	Burned    string `json:"burned_ugrain"`
	BurnedAll string `json:"burned_all_ugrain"`
	Cap       string `json:"cap_ugrain"`
	ProRata   string `json:"pro_rata_ugrain"`
	Bonus     string `json:"bonus_ugrain"`
	Formula   string `json:"formula"`
}

// formula of core/score, in words.
const formula = "bonus = min(rebate × burned, pool × burned / burned by all)"

// Bonus computes the bonus of a device with the rules that verifiers use, from the
// ledger's record of an ended epoch. It is client.ErrNotFound when the ledger no
// longer keeps the record.
func (l *Ledger) Bonus(ctx context.Context, vertical, device string, epoch uint64) (Bonus, error) {
	r, err := l.c.Credit.EpochPrice(ctx, &creditpb.QueryEpochPriceRequest{Epoch: epoch})
	if err != nil {
		return Bonus{}, fmt.Errorf("read record of epoch %d: %w", epoch, err)
	}
	used, err := l.c.Market.Usage(ctx, &marketpb.QueryUsageRequest{Epoch: epoch})
	if err != nil {
		return Bonus{}, fmt.Errorf("read usage of epoch %d: %w", epoch, err)
	}
	k := &r.Record
	terms := score.Terms{
		Vertical: vertical, Epoch: epoch, Pool: money.Grain(k.DemandPool),
		Rebate: money.BPS(k.RebateBps), Price: k.Quote.High,
	}
	usage := make([]score.Usage, 0, len(used.Usage))
	for _, u := range used.Usage {
		if len(u.Device) != 32 {
			return Bonus{}, fmt.Errorf("read usage of epoch %d: device %x has %d bytes, want 32", epoch, u.Device, len(u.Device))
		}
		usage = append(usage, score.Usage{Device: [32]byte(u.Device), Epoch: u.Epoch, Burned: money.Credit(u.Burned)})
	}
	all, err := score.Compute(terms, usage)
	if err != nil {
		return Bonus{}, fmt.Errorf("compute bonuses of epoch %d: %w", epoch, err)
	}
	b := Bonus{
		Price: decimal(k.Quote.High), Stale: k.Stale, Released: decimal(k.Released), Pool: decimal(k.DemandPool), Rebate: k.RebateBps,
		Burned: "0", Cap: "0", ProRata: "0", Bonus: "0", Formula: formula,
	}
	var sum uint64
	for _, x := range all {
		burned := grains(x.Burned, k.Quote.High)
		sum += burned
		if hex.EncodeToString(x.Device[:]) == device {
			b.Burned, b.Cap, b.ProRata, b.Bonus = decimal(burned), decimal(x.Cap), decimal(x.Share), decimal(x.Amount)
		}
	}
	b.BurnedAll = decimal(sum)
	return b, nil
}

func grains(c money.Credit, price uint64) uint64 {
	if price == 0 {
		return 0
	}
	g, _, err := money.MulDiv(uint64(c), 1_000_000, price)
	if err != nil {
		return 0
	}
	return g
}
