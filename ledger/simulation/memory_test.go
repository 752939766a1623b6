package simulation

import (
	"bytes"
	"slices"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// memory is what actors remember that the ledger does not tell.
type memory struct {
	trees      map[string]*merkle.SumTree   // of reports, by root
	proposals  map[uint64]proposal          // of reports, by epoch
	statements map[string][]*merkle.SumTree // of standing leases, by id
	served     map[string]uint64            // units by standing lease and device
	papers     []marketpb.DisputeItem       // receipts of standing leases
	settled    []*marketpb.MsgSettle        // accepted once
}

// proposal is what the validators would report of an epoch.
type proposal struct {
	after   uint64 // epoch of the report it adds to
	content oraclepb.Content
	fraud   *oraclepb.MsgChallenge // what is wrong with it, nil for nothing
}

func newMemory() memory {
	return memory{
		trees: map[string]*merkle.SumTree{}, proposals: map[uint64]proposal{},
		statements: map[string][]*merkle.SumTree{}, served: map[string]uint64{},
	}
}

// learn keeps messages that were accepted, to send them again.
func (m *memory) learn(_ *world, b block) {
	for _, s := range b.txs {
		if msg, ok := s.msg.(*marketpb.MsgSettle); ok && s.result.Code == 0 {
			m.settled = append(m.settled[max(len(m.settled)-20, 0):], msg)
		}
	}
}

// propose makes the report of an epoch: some devices earned something, within
// what the budgets allow. One in eight is a fraud of all validators.
func (w *world) propose(v view, epoch uint64) proposal {
	last := v.newest()
	if p, known := w.memory.proposals[epoch]; known && p.after == last.Epoch {
		return p
	}
	var leaves []merkle.SumLeaf
	if tree := w.memory.trees[string(last.Content.RewardRoot)]; tree != nil {
		leaves = slices.Clone(tree.Leaves())
	}
	room := w.room(v, epoch, last)
	for _, d := range v.devices {
		n := w.rng.Uint64N(room/2 + 1)
		if u, known := w.unitByText(d.Id); known && n > 0 {
			leaves, room = earn(leaves, u.id, n), room-n
		}
	}
	p := proposal{after: last.Epoch}
	if w.chance(12) {
		leaves, p.fraud = w.defraud(v, leaves)
	}
	tree, err := merkle.NewSumTree(leaves, ^uint64(0))
	w.must(err)
	root := tree.Root()
	inputs := merkle.Root([][]byte{root.Hash[:]})
	p.content = oraclepb.Content{RewardRoot: root.Hash[:], InputsRoot: inputs[:], Total: root.Total, Leaves: root.Size}
	w.memory.trees[string(root.Hash[:])] = tree
	if p.fraud == nil && w.chance(5) && len(leaves) > 0 && root.Total > last.Content.Total {
		p.content.Total-- // another total than the tree's
		leaf, proof, err := tree.Prove(leaves[0].Key)
		w.must(err)
		p.fraud = &oraclepb.MsgChallenge{Fraud: oraclepb.FRAUD_SUM, Trace: proof.Trace(leaf).Encode(),
			Leaves: []oraclepb.DeviceClaim{{Device: leaf.Key[:], Lifetime: leaf.Amount}}}
	}
	if p.fraud != nil && p.fraud.Fraud == oraclepb.FRAUD_FALLING {
		leaf, proof, err := tree.Prove([32]byte(p.fraud.Leaves[0].Device))
		w.must(err)
		p.fraud.Leaves[0] = oraclepb.DeviceClaim{Device: leaf.Key[:], Lifetime: leaf.Amount, Proof: proof.Encode()}
	}
	w.memory.proposals[epoch] = p
	return p
}

// room is what the total of a report may still grow by.
func (w *world) room(v view, epoch uint64, last oraclepb.Report) uint64 {
	var budget uint64
	for _, b := range w.budgets(v) {
		if b.Epoch <= epoch {
			budget = max(budget, b.Total)
		}
	}
	return budget - min(budget, last.Budget)
}

func earn(leaves []merkle.SumLeaf, device [32]byte, n uint64) []merkle.SumLeaf {
	i := slices.IndexFunc(leaves, func(l merkle.SumLeaf) bool { return l.Key == device })
	if i < 0 {
		return append(leaves, merkle.SumLeaf{Key: device, Amount: n})
	}
	leaves[i].Amount += n
	return leaves
}

// defraud takes something from a device that was paid and gives it to another.
func (w *world) defraud(v view, leaves []merkle.SumLeaf) ([]merkle.SumLeaf, *oraclepb.MsgChallenge) {
	for i, victim := range leaves {
		if paid := v.claimed[string(victim.Key[:])]; paid > 1 {
			moved := victim.Amount - paid + 1
			leaves[i].Amount -= moved
			leaves[(i+1)%len(leaves)].Amount += moved
			if len(leaves) == 1 {
				return leaves, nil
			}
			return leaves, &oraclepb.MsgChallenge{Fraud: oraclepb.FRAUD_FALLING, Leaves: []oraclepb.DeviceClaim{{Device: bytes.Clone(victim.Key[:])}}}
		}
	}
	return leaves, nil
}

// accepted says whether a message of the last block was.
func (s sent) accepted() bool { return s.result.Code == 0 }

// sentBy lists the accepted messages of a type in the last block.
func sentBy[T sdk.Msg](b block) (out []T) {
	for _, s := range b.txs {
		if m, ok := s.msg.(T); ok && s.accepted() {
			out = append(out, m)
		}
	}
	return out
}
