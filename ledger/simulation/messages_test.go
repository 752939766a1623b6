package simulation

import (
	"crypto/ed25519"
	"encoding/hex"

	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	coredevice "github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/oracle"
)

// actions make messages that are valid in themselves, by how often they come;
// nil for nothing to do. What state makes of them is another matter.
var actions = []struct {
	weight int
	make   func(*world, view) sdk.Msg
}{
	{5, (*world).register}, {4, (*world).update}, {2, (*world).transfer}, {1, (*world).release},
	{6, (*world).postOffer}, {3, (*world).changeOffer}, {8, (*world).accept}, {8, (*world).auction},
	{4, (*world).fund}, {3, (*world).closeLease}, {24, (*world).settle}, {14, (*world).stand},
	{12, (*world).prove}, {8, (*world).claim}, {6, (*world).challenge},
	{3, (*world).buy}, {3, (*world).redeem}, {1, (*world).cancel}, {4, (*world).send},
}

// traffic is what people send in one block; a fifth of it is damaged.
func (w *world) traffic(v view) (msgs []sdk.Msg) {
	total := 0
	for _, a := range actions {
		total += a.weight
	}
	for range w.rng.IntN(7) {
		n := w.rng.IntN(total)
		for _, a := range actions {
			if n -= a.weight; n < 0 {
				if m := a.make(w, v); m != nil {
					msgs = append(msgs, m)
				}
				break
			}
		}
	}
	for i := range msgs {
		if w.chance(20) {
			msgs[i] = w.mutate(msgs[i])
		}
	}
	return msgs
}

func (w *world) register(view) sdk.Msg {
	u, _ := pick(w, w.units)
	owner := w.someone()
	nonce := 1 + w.rng.Uint64N(3)
	message, err := coredevice.RegisterBytes(chainID, owner.Address(), nonce)
	w.must(err)
	return &devicepb.MsgRegister{Owner: owner.address, KeyType: devicepb.KEY_TYPE_ED25519, PublicKey: u.key.Public().(ed25519.PublicKey), Nonce: nonce,
		Signature: ed25519.Sign(u.key, message), Profile: w.profile(0)}
}

func (w *world) profile(cell uint64) devicepb.Profile {
	p := devicepb.Profile{Class: devicepb.CLASS_DRN, Capabilities: []string{"storage-node"}, Cell: cell, Status: devicepb.STATUS_ACTIVE}
	if w.chance(25) {
		p.Class, p.Cell = devicepb.CLASS_PRN, 0x8a2a1072b59ffff+w.rng.Uint64N(3)<<15
	}
	if w.chance(5) {
		p.Status = devicepb.STATUS_PAUSED
	}
	return p
}

func (w *world) update(v view) sdk.Msg {
	d, ok := pick(w, v.devices)
	if !ok {
		return nil
	}
	msg := &devicepb.MsgUpdate{Owner: d.Owner, Device: d.Id}
	if w.chance(50) {
		p := w.profile(d.Profile.Cell)
		msg.Profile = &p
		return msg
	}
	msg.Payouts = &devicepb.Payouts{}
	for range w.rng.IntN(3) {
		s := devicepb.PayoutSplit{To: w.someone().address, Bps: w.rng.Uint32N(6_000)}
		if w.chance(40) {
			s.Lien, s.Cap, s.Denom = true, 1+w.rng.Uint64N(100_000), money.CreditDenom
		}
		msg.Payouts.Splits = append(msg.Payouts.Splits, s)
	}
	return msg
}

func (w *world) transfer(v view) sdk.Msg {
	d, ok := pick(w, v.devices)
	u, known := w.unitByText(d.Id)
	if !ok || !known {
		return nil
	}
	to := w.someone()
	nonce := d.Nonce + w.rng.Uint64N(3)
	message, err := coredevice.TransferBytes(chainID, u.id, to.Address(), nonce)
	w.must(err)
	return &devicepb.MsgUpdate{Owner: d.Owner, Device: d.Id, Transfer: &devicepb.Transfer{NewOwner: to.address, Nonce: nonce, Signature: ed25519.Sign(u.key, message)}}
}

func (w *world) release(v view) sdk.Msg {
	for _, d := range v.devices {
		for _, p := range d.Payouts {
			if p.Lien && w.chance(30) {
				return &devicepb.MsgReleaseLien{Beneficiary: p.To, Device: d.Id}
			}
		}
	}
	return nil
}

// prove answers a device's challenges, if it has any.
func (w *world) prove(v view) sdk.Msg {
	d, ok := pick(w, v.devices)
	if !ok || v.epoch.Status != oraclepb.EPOCH_STATUS_DECIDED {
		return nil
	}
	r, err := oracle.NewQueryServer(w.app.Ours.Oracle).Challenges(v.ctx, &oraclepb.QueryChallengesRequest{Device: d.Id})
	w.must(err)
	if len(r.Challenges) == 0 && !w.chance(5) {
		return nil
	}
	id, err := hex.DecodeString(d.Id)
	w.must(err)
	msg := &oraclepb.MsgProve{Signer: w.someone().address, Device: id, Epoch: r.Epoch}
	for _, c := range r.Challenges {
		h := r.Heads[c.Head]
		msg.Proofs = append(msg.Proofs, answer(oracle.Head{Lease: [32]byte(h.Lease), Root: [32]byte(h.Root), Units: h.Units}, oracle.Challenge{Head: int(c.Head), Offset: c.Offset}))
	}
	return msg
}

func (w *world) buy(view) sdk.Msg {
	return &creditpb.MsgBuy{Buyer: w.someone().address, Ugrain: w.rng.Uint64N(100 * grain)}
}

func (w *world) redeem(view) sdk.Msg {
	return &creditpb.MsgRedeem{Holder: w.someone().address, Ucredit: 10_000 + w.rng.Uint64N(200_000_000)}
}

func (w *world) cancel(v view) sdk.Msg {
	r, ok := pick(w, v.redemptions)
	if !ok {
		return nil
	}
	return &creditpb.MsgCancelRedeem{Holder: r.Holder, Id: r.Id}
}

// send moves ugrain, or tries to move credits, which it must not.
func (w *world) send(view) sdk.Msg {
	denom := money.GrainDenom
	if w.chance(30) {
		denom = money.CreditDenom
	}
	coins := sdk.NewCoins(sdk.NewInt64Coin(denom, 1+w.rng.Int64N(1000*grain)))
	return banktypes.NewMsgSend(w.someone().Address(), w.someone().Address(), coins)
}
