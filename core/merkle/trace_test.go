package merkle

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// rootOf is the root that a trace leads to, whatever its sums.
func rootOf(t SumTrace, leaf SumLeaf) Hash {
	at := SumNode{Hash: leaf.node().Hash, Sum: t.Sum}
	turns, _ := walk(t.Index, t.Size, len(t.Path))
	for i, s := range t.Path {
		left, right := at, s.Sibling
		if turns.left(i) {
			left, right = right, left
		}
		at = SumNode{Hash: joinSum(left, right).Hash, Sum: s.Sum}
	}
	return sumRootHash(t.Size, at)
}

// No trace shows a fault in a tree that was built right, and one that leads to
// the root of a tree with one wrong sum shows it.
func TestTracesShowWrongSumsAndNoOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := sumTree(t, drawSumLeaves(t, 1))
		leaf, proof, err := tree.Prove(rapid.SampledFrom(tree.Leaves()).Draw(t, "leaf").Key)
		if err != nil {
			t.Fatal(err)
		}
		trace := proof.Trace(leaf)
		if full, fault, err := trace.Verify(tree.Root().Hash, leaf); err != nil || fault != nil || full != tree.Root() {
			t.Fatalf("right tree: %+v, fault %v (%v)", full, fault, err)
		}
		at := rapid.IntRange(0, len(trace.Path)).Draw(t, "wrong sum")
		by := rapid.Uint64Min(1).Draw(t, "by")
		if at == 0 {
			trace.Sum += by
		} else {
			trace.Path[at-1].Sum += by
		}
		if _, _, err := trace.Verify(tree.Root().Hash, leaf); !errors.Is(err, ErrProof) {
			t.Fatalf("a wrong sum leads to the right root: %v", err)
		}
		if _, fault, err := trace.Verify(rootOf(trace, leaf), leaf); err != nil || !errors.Is(fault, ErrSum) {
			t.Fatalf("wrong tree: fault %v (%v)", fault, err)
		}
	})
}

func TestTraceSeesSumsThatOverflow(t *testing.T) {
	leaf := SumLeaf{Key: key(1), Amount: ^uint64(0)}
	trace := SumTrace{Size: 2, Sum: leaf.Amount, Path: []SumStep{{Sibling: SumNode{Sum: 1}, Sum: 0}}}
	if _, fault, err := trace.Verify(rootOf(trace, leaf), leaf); err != nil || !errors.Is(fault, ErrSum) {
		t.Fatalf("fault %v (%v)", fault, err)
	}
}

func FuzzDecodeSumTrace(f *testing.F) {
	f.Add(SumTrace{Size: 1, Sum: 7}.Encode())
	f.Add(SumTrace{Index: 1, Size: 2, Sum: 7, Path: []SumStep{{Sum: 9}}}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		trace, err := DecodeSumTrace(b)
		if err == nil && !bytes.Equal(trace.Encode(), b) {
			t.Fatalf("decoded %x to %+v", b, trace)
		}
		_, _, _ = trace.Verify(Hash{}, SumLeaf{})
	})
}
