package verify

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// mostAsked is for how many devices of one report the ledger is asked what they
// were paid: those that lose the most.
const mostAsked = 256

// suspect is an accepted report with the leaves that were published behind it.
type suspect struct {
	report oraclepb.Report
	tree   *merkle.SumTree
	total  uint64 // that the root states, right or wrong
}

// newSuspect builds the tree of a published file just as its leaves are: out of
// order, twice, with any sums.
func newSuspect(r oraclepb.Report, p Published) (suspect, error) {
	var leaves []merkle.SumLeaf
	for _, l := range p.Leaves {
		device, err := deviceOf(l.Device)
		if err != nil {
			return suspect{}, err
		}
		leaves = append(leaves, merkle.SumLeaf{Key: device, Amount: l.Lifetime})
	}
	s := suspect{report: r, tree: merkle.GivenSumTree(leaves)}
	root := merkle.Hash(r.Content.RewardRoot)
	for _, s.total = range []uint64{s.tree.Root().Total, p.Total, r.Content.Total} {
		if s.leadsTo(root) {
			return s, nil
		}
	}
	return s, fmt.Errorf("published leaves of %s, epoch %d make root %s, accepted is %s", r.Vertical, r.Epoch, s.tree.Root().Hash, root)
}

// leadsTo says whether the root is that of the leaves with the total of s in
// place of their sum.
func (s suspect) leadsTo(root merkle.Hash) bool {
	if s.tree.Root().Size == 0 {
		return s.tree.Root().Hash == root
	}
	leaf, trace := s.trace(0)
	_, _, err := trace.Verify(root, leaf)
	return err == nil
}

// trace is the path of a leaf, which ends in the total that the root states.
func (s suspect) trace(index uint64) (merkle.SumLeaf, merkle.SumTrace) {
	leaf, proof := s.tree.ProveAt(index)
	t := proof.Trace(leaf)
	if n := len(t.Path); n > 0 {
		t.Path[n-1].Sum = s.total
	} else {
		t.Sum = s.total
	}
	return leaf, t
}

// charges are the challenges that may refute the report, those that need no
// payments first. before are leaves that all were paid at most.
func (s suspect) charges(before []merkle.SumLeaf) (all []*oraclepb.MsgChallenge) {
	leaves := s.tree.Leaves()
	if len(leaves) == 0 {
		return nil
	}
	wraps, _ := s.tree.Wraps()
	leaf, trace := s.trace(wraps)
	all = append(all, s.charge(oraclepb.FRAUD_SUM, oraclepb.DeviceClaim{Device: leaf.Key[:], Lifetime: leaf.Amount}))
	all[0].Trace = trace.Encode()
	for i := 1; i < len(leaves); i++ {
		if bytes.Compare(leaves[i-1].Key[:], leaves[i].Key[:]) >= 0 {
			return append(all, s.charge(oraclepb.FRAUD_ORDER, s.claim(i-1), s.claim(i)))
		}
	}
	for _, lost := range s.losers(before) {
		all = append(all, s.short(lost.Key))
	}
	return all
}

// losers are the leaves of before that the report lowers or lacks, those that
// lose the most first.
func (s suspect) losers(before []merkle.SumLeaf) []merkle.SumLeaf {
	has := make(map[[32]byte]uint64, len(before))
	for _, l := range s.tree.Leaves() {
		has[l.Key] = l.Amount
	}
	var lost []merkle.SumLeaf
	for _, l := range before {
		if now := has[l.Key]; now < l.Amount {
			lost = append(lost, merkle.SumLeaf{Key: l.Key, Amount: l.Amount - now})
		}
	}
	slices.SortStableFunc(lost, func(a, b merkle.SumLeaf) int { return cmp.Compare(b.Amount, a.Amount) })
	return lost[:min(len(lost), mostAsked)]
}

// short shows what a device has in the sorted tree, or that it has no leaf.
func (s suspect) short(device [32]byte) *oraclepb.MsgChallenge {
	leaves := s.tree.Leaves()
	i, found := slices.BinarySearchFunc(leaves, device, func(l merkle.SumLeaf, d [32]byte) int { return bytes.Compare(l.Key[:], d[:]) })
	if found {
		return s.charge(oraclepb.FRAUD_FALLING, s.claim(i))
	}
	var around []oraclepb.DeviceClaim
	for at := max(i-1, 0); at <= min(i, len(leaves)-1); at++ {
		around = append(around, s.claim(at))
	}
	m := s.charge(oraclepb.FRAUD_MISSING, around...)
	m.Device = device[:]
	return m
}

func (s suspect) charge(f oraclepb.Fraud, leaves ...oraclepb.DeviceClaim) *oraclepb.MsgChallenge {
	return &oraclepb.MsgChallenge{Vertical: s.report.Vertical, Epoch: s.report.Epoch, Fraud: f, Leaves: leaves}
}

func (s suspect) claim(i int) oraclepb.DeviceClaim {
	leaf, proof := s.tree.ProveAt(uint64(i))
	return oraclepb.DeviceClaim{Device: leaf.Key[:], Lifetime: leaf.Amount, Proof: proof.Encode()}
}

// contentOfPublished is what a file says was to be reported.
func contentOfPublished(p Published) (c oraclepb.Content, err error) {
	c.Total, c.Leaves = p.Total, uint64(len(p.Leaves))
	if c.RewardRoot, err = hex.DecodeString(p.RewardRoot); err == nil {
		c.InputsRoot, err = hex.DecodeString(p.InputsRoot)
	}
	return c, err
}
