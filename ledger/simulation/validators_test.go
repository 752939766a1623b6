package simulation

import (
	"encoding/hex"
	"slices"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
)

func (w *world) unitByText(id string) (unit, bool) {
	raw, err := hex.DecodeString(id)
	if err != nil {
		return unit{}, false
	}
	return w.unitOf(raw)
}

func (w *world) budgets(v view) (out []oraclepb.Budget) {
	w.must(w.app.Ours.Oracle.Budgets.Walk(v.ctx, nil, func(key collections.Pair[string, uint64], total uint64) (bool, error) {
		out = append(out, oraclepb.Budget{Vertical: key.K1(), Epoch: key.K2(), Total: total})
		return false, nil
	}))
	return out
}

// duties are what validators send: keys, reveals, prices and reports, mostly
// honest and mostly in time.
func (w *world) duties(v view) (msgs []sdk.Msg) {
	for i, p := range w.validators {
		msgs = append(msgs, w.beaconDuty(v, i, p)...)
		if w.chance(40) {
			price := 900_000 + w.rng.Uint64N(200_000)
			if w.chance(3) {
				price = w.rng.Uint64()
			}
			msgs = append(msgs, &creditpb.MsgPrice{Validator: p.operator(), MicroUsdPerGrain: price})
		}
		if w.chance(30) {
			msgs = append(msgs, w.vote(v, p)...)
		}
		if w.chance(3) {
			msgs = append(msgs, slashingtypes.NewMsgUnjail(p.operator()))
		}
	}
	return msgs
}

func (w *world) beaconDuty(v view, i int, p person) []sdk.Msg {
	has, err := w.app.Ours.Oracle.Keys.Has(v.ctx, sdk.ValAddress(p.Address()))
	w.must(err)
	if !has || w.chance(1) {
		public := p.beacon.Public()
		proof, err := p.beacon.Prove(chainID, sdk.ValAddress(p.Address()))
		w.must(err)
		return []sdk.Msg{&oraclepb.MsgRegisterKey{Validator: p.operator(), PublicKey: public[:], Possession: proof[:]}}
	}
	if v.epoch.Status != oraclepb.EPOCH_STATUS_REVEALING {
		return nil
	}
	done, err := w.app.Ours.Oracle.Reveals.Has(v.ctx, collections.Join(v.epoch.Number, []byte(p.Address())))
	w.must(err)
	// The last validator withholds most of the time, and is jailed for it.
	if done && !w.chance(2) || !w.chance(70) || i == validators-1 && !w.chance(20) {
		return nil
	}
	signature := p.beacon.Sign(chainID, v.epoch.Number)
	return []sdk.Msg{&oraclepb.MsgReveal{Validator: p.operator(), Epoch: v.epoch.Number, Signature: signature[:]}}
}

// vote reports the newest epoch that is over, or lies about it.
func (w *world) vote(v view, p person) []sdk.Msg {
	if v.epoch.Number < 2 {
		return nil
	}
	epoch := v.epoch.Number - 1
	done, err := w.app.Ours.Oracle.Votes.Has(v.ctx, collections.Join3(epoch, "storage", []byte(p.Address())))
	w.must(err)
	if done && !w.chance(3) {
		return nil
	}
	content := w.propose(v, epoch).content
	if w.chance(4) {
		lie := merkle.Root([][]byte{seedOf("lie", w.rng.IntN(3))})
		content.InputsRoot = lie[:]
	}
	return []sdk.Msg{&oraclepb.MsgReport{Validator: p.operator(), Epoch: epoch, Vertical: "storage", Content: content}}
}

// claim takes up to four leaves of a report, mostly of the newest.
func (w *world) claim(v view) sdk.Msg {
	r, ok := pick(w, v.reports)
	if !ok {
		return nil
	}
	tree := w.memory.trees[string(r.Content.RewardRoot)]
	if tree == nil || len(tree.Leaves()) == 0 {
		return nil
	}
	msg := &oraclepb.MsgClaim{Signer: w.someone().address, Vertical: r.Vertical, Epoch: r.Epoch}
	for range 1 + w.rng.IntN(4) {
		leaf, _ := pick(w, tree.Leaves())
		taken := slices.ContainsFunc(msg.Claims, func(c oraclepb.DeviceClaim) bool { return [32]byte(c.Device) == leaf.Key })
		if taken && !w.chance(5) {
			continue
		}
		msg.Claims = append(msg.Claims, w.leafOf(tree, leaf.Key))
	}
	return msg
}

func (w *world) leafOf(tree *merkle.SumTree, device [32]byte) oraclepb.DeviceClaim {
	leaf, proof, err := tree.Prove(device)
	w.must(err)
	return oraclepb.DeviceClaim{Device: leaf.Key[:], Lifetime: leaf.Amount, Proof: proof.Encode()}
}

// challenge refutes a fraud, or accuses an honest report.
func (w *world) challenge(v view) sdk.Msg {
	for _, r := range v.reports {
		if p := w.memory.proposals[r.Epoch]; p.fraud != nil && v.epoch.Number < r.PayableEpoch {
			msg := *p.fraud
			msg.Challenger, msg.Vertical, msg.Epoch = w.someone().address, r.Vertical, r.Epoch
			return &msg
		}
	}
	r := v.newest()
	tree := w.memory.trees[string(r.Content.RewardRoot)]
	if tree == nil || len(tree.Leaves()) == 0 || !w.chance(20) {
		return nil
	}
	a, _ := pick(w, tree.Leaves())
	b, _ := pick(w, tree.Leaves())
	msg := &oraclepb.MsgChallenge{Challenger: w.someone().address, Vertical: r.Vertical, Epoch: r.Epoch, Leaves: []oraclepb.DeviceClaim{w.leafOf(tree, a.Key)}}
	switch w.rng.IntN(4) {
	case 0:
		msg.Fraud = oraclepb.FRAUD_FALLING
	case 1:
		msg.Fraud, msg.Leaves = oraclepb.FRAUD_ORDER, append(msg.Leaves, w.leafOf(tree, b.Key))
	case 2:
		msg.Fraud, msg.Device = oraclepb.FRAUD_MISSING, b.Key[:]
	default:
		leaf, proof, err := tree.Prove(a.Key)
		w.must(err)
		msg.Fraud, msg.Trace = oraclepb.FRAUD_SUM, proof.Trace(leaf).Encode()
	}
	return msg
}
