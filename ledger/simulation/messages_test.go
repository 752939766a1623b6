package simulation

import (
	"encoding/hex"
	"slices"

	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/creditpb"
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
	{2, (*world).announce}, {2, (*world).takeOver}, {1, (*world).object}, {2, (*world).attest}, {1, (*world).revoke},
	{6, (*world).postOffer}, {3, (*world).changeOffer}, {8, (*world).accept}, {8, (*world).auction},
	{4, (*world).fund}, {3, (*world).closeLease}, {24, (*world).settle}, {14, (*world).stand},
	{12, (*world).prove}, {8, (*world).claim}, {6, (*world).challenge},
	{3, (*world).buy}, {3, (*world).redeem}, {1, (*world).cancel}, {4, (*world).send}, {3, (*world).delegate},
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

// prove answers the challenges of a device that has any.
func (w *world) prove(v view) sdk.Msg {
	if v.epoch.Status != oraclepb.EPOCH_STATUS_DECIDED {
		return nil
	}
	for _, i := range w.rng.Perm(len(v.devices)) {
		r, err := oracle.NewQueryServer(w.app.Ours.Oracle).Challenges(v.ctx, &oraclepb.QueryChallengesRequest{Device: v.devices[i].Id})
		w.must(err)
		if len(r.Challenges) > 0 && !r.Proven || w.chance(1) {
			return w.proofOf(v.devices[i].Id, r)
		}
	}
	return nil
}

func (w *world) proofOf(device string, r *oraclepb.QueryChallengesResponse) sdk.Msg {
	id, err := hex.DecodeString(device)
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

// delegate stakes with a validator, or takes a part back.
func (w *world) delegate(v view) sdk.Msg {
	to, _ := pick(w, w.validators)
	amount := sdk.NewInt64Coin(money.GrainDenom, 1+w.rng.Int64N(100*grain))
	all, err := w.app.Standard.Staking.GetAllDelegations(v.ctx)
	w.must(err)
	if d, ok := pick(w, all); ok && w.chance(50) && w.isPerson(d.DelegatorAddress) {
		return stakingtypes.NewMsgUndelegate(d.DelegatorAddress, d.ValidatorAddress, amount)
	}
	return stakingtypes.NewMsgDelegate(w.someone().address, to.operator(), amount)
}

func (w *world) isPerson(address string) bool {
	return slices.ContainsFunc(w.people, func(p person) bool { return p.address == address })
}
