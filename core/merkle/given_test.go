package merkle

import (
	"errors"
	"math/bits"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestGivenTreeOfRightLeavesIsTheRightTree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := sumTree(t, drawSumLeaves(t, 0))
		given := GivenSumTree(tree.Leaves())
		if _, wraps := given.Wraps(); given.Root() != tree.Root() || wraps {
			t.Fatalf("root %+v, want %+v; wraps %t", given.Root(), tree.Root(), wraps)
		}
	})
}

// Leaves in any order, twice, and of any amounts: each is proven as it is, and
// where sums wrap a trace shows it.
func TestGivenTreeProvesWhatIsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.OneOf(rapid.Uint64Max(9), rapid.Uint64())
		leaves := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) SumLeaf {
			return SumLeaf{Key: key(rapid.ByteMax(5).Draw(t, "key")), Amount: amount.Draw(t, "amount")}
		}), 1, 40).Draw(t, "leaves")
		tree := GivenSumTree(leaves)
		if !slices.Equal(tree.Leaves(), leaves) {
			t.Fatalf("leaves %v became %v", leaves, tree.Leaves())
		}
		carried := false
		for sum, i := uint64(0), 0; i < len(leaves); i++ {
			var carry uint64
			sum, carry = bits.Add64(sum, leaves[i].Amount, 0)
			carried = carried || carry != 0
		}
		at, wraps := tree.Wraps()
		if wraps != carried {
			t.Fatalf("wraps %t, the amounts exceed 64 bits: %t", wraps, carried)
		}
		for i := range leaves {
			leaf, proof := tree.ProveAt(uint64(i))
			full, fault, err := proof.Trace(leaf).Verify(tree.Root().Hash, leaf)
			if err != nil || full != tree.Root() {
				t.Fatalf("leaf %d: %+v, want %+v (%v)", i, full, tree.Root(), err)
			}
			if uint64(i) == at && errors.Is(fault, ErrSum) != wraps {
				t.Fatalf("trace of leaf %d: fault %v, wraps %t", i, fault, wraps)
			}
			if _, err := proof.Verify(tree.Root(), leaf); !wraps && err != nil {
				t.Fatal(err)
			}
		}
	})
}
