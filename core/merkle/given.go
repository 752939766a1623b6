package merkle

import (
	"math/bits"
	"slices"
)

// GivenSumTree is the tree over leaves exactly as they are: in their order, with
// keys that occur twice, with sums that wrap. It is what shows others where a
// tree that somebody made is wrong; to make one, use NewSumTree. Of the finders
// only ProveAt is right for leaves in any order.
func GivenSumTree(leaves []SumLeaf) *SumTree {
	t := &SumTree{leaves: slices.Clone(leaves), starts: make([]uint64, len(leaves))}
	for i, leaf := range t.leaves {
		t.starts[i] = t.root.Total
		t.root.Total += leaf.Amount
	}
	t.root.Size = uint64(len(t.leaves))
	t.build()
	return t
}

// ProveAt returns the leaf at an index, which is below the tree's size, and its
// proof.
func (t *SumTree) ProveAt(index uint64) (SumLeaf, SumProof) {
	return t.leaves[index], t.prove(index)
}

// Wraps returns a leaf below a node whose sum does not fit 64 bits, if there is
// one: the trace of that leaf shows it.
func (t *SumTree) Wraps() (index uint64, found bool) {
	for height, level := range t.levels {
		for i := 0; i+1 < len(level); i += 2 {
			if _, carry := bits.Add64(level[i].Sum, level[i+1].Sum, 0); carry != 0 {
				return uint64(i) << height, true
			}
		}
	}
	return 0, false
}
