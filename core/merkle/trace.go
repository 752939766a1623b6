package merkle

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// sumStepSize is the length of an encoded SumStep: sibling ‖ sum u64.
const sumStepSize = sumNodeSize + 8

// MaxSumTraceSize is the length in bytes of the longest encoded SumTrace.
const MaxSumTraceSize = 24 + MaxPath*sumStepSize

// SumTrace is the path of a leaf with every sum on it as the tree's nodes state
// them. Where a SumProof computes the sums, and so cannot lead to the root of a
// tree that states wrong ones, a trace leads there and shows them.
type SumTrace struct {
	Index uint64
	Size  uint64
	Sum   uint64 // of the leaf's node
	Path  []SumStep
}

// SumStep is one sibling on the way up and the sum stated for the parent.
type SumStep struct {
	Sibling SumNode
	Sum     uint64
}

// Trace is the trace of leaf in a tree whose sums are right.
func (p SumProof) Trace(leaf SumLeaf) SumTrace {
	t := SumTrace{Index: p.Index, Size: p.Size, Sum: leaf.Amount}
	sum := leaf.Amount
	for _, n := range p.Path {
		sum += n.Sum
		t.Path = append(t.Path, SumStep{Sibling: n, Sum: sum})
	}
	return t
}

// Verify checks that the trace leads from leaf to root and returns what root
// commits to. Fault names the first sum that does not follow from what is below
// it, nil if all do. A trace that leads elsewhere is ErrProof: then fault says
// nothing.
func (t SumTrace) Verify(root Hash, leaf SumLeaf) (full SumRoot, fault, err error) {
	turns, err := walk(t.Index, t.Size, len(t.Path))
	if err != nil {
		return SumRoot{}, nil, err
	}
	at := leaf.node()
	if at.Sum != t.Sum {
		fault = fmt.Errorf("leaf %d states %d, its amount is %d: %w", t.Index, t.Sum, at.Sum, ErrSum)
	}
	at.Sum = t.Sum
	for i, step := range t.Path {
		left, right := at, step.Sibling
		if turns.left(i) {
			left, right = right, left
		}
		sum, carry := bits.Add64(left.Sum, right.Sum, 0)
		if fault == nil && (carry != 0 || sum != step.Sum) {
			fault = fmt.Errorf("node %d above leaf %d states %d for %d and %d: %w", i+1, t.Index, step.Sum, left.Sum, right.Sum, ErrSum)
		}
		at = SumNode{Hash: joinSum(left, right).Hash, Sum: step.Sum}
	}
	if got := sumRootHash(t.Size, at); got != root {
		return SumRoot{}, nil, fmt.Errorf("trace key %x: computed %s, want %s: %w", leaf.Key, got, root, ErrProof)
	}
	return SumRoot{Hash: root, Size: t.Size, Total: at.Sum}, fault, nil
}

// Encode returns index u64 ‖ size u64 ‖ sum u64 ‖ path of (hash ‖ sum u64 ‖
// parent's sum u64), big endian.
func (t SumTrace) Encode() []byte {
	b := make([]byte, 0, 24+len(t.Path)*sumStepSize)
	for _, n := range []uint64{t.Index, t.Size, t.Sum} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	for _, s := range t.Path {
		b = append(b, s.Sibling.Hash[:]...)
		b = binary.BigEndian.AppendUint64(b, s.Sibling.Sum)
		b = binary.BigEndian.AppendUint64(b, s.Sum)
	}
	return b
}

// DecodeSumTrace reads what Encode wrote and refuses anything else.
func DecodeSumTrace(b []byte) (SumTrace, error) {
	if len(b) < 24 || len(b) > MaxSumTraceSize {
		return SumTrace{}, fmt.Errorf("decode sum trace: length %d, want 24 to %d", len(b), MaxSumTraceSize)
	}
	t := SumTrace{Index: binary.BigEndian.Uint64(b), Size: binary.BigEndian.Uint64(b[8:]), Sum: binary.BigEndian.Uint64(b[16:])}
	b = b[24:]
	if len(b)%sumStepSize != 0 {
		return SumTrace{}, fmt.Errorf("decode sum trace: path of %d bytes is not whole steps of %d", len(b), sumStepSize)
	}
	if _, err := walk(t.Index, t.Size, len(b)/sumStepSize); err != nil {
		return SumTrace{}, fmt.Errorf("decode sum trace: %w", err)
	}
	for ; len(b) > 0; b = b[sumStepSize:] {
		sibling := SumNode{Hash: Hash(b[:HashSize]), Sum: binary.BigEndian.Uint64(b[HashSize:])}
		t.Path = append(t.Path, SumStep{Sibling: sibling, Sum: binary.BigEndian.Uint64(b[sumNodeSize:])})
	}
	return t, nil
}
