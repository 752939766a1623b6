package merkle

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// sumNodeSize is the length of an encoded SumNode: hash ‖ sum u64.
const sumNodeSize = HashSize + 8

// MaxSumProofSize is the length in bytes of the longest encoded SumProof.
const MaxSumProofSize = 16 + MaxPath*sumNodeSize

// SumProof shows that one leaf is at Index of a sum tree of Size leaves, and
// what the amounts around it sum to. Path holds the siblings from the leaf up.
type SumProof struct {
	Index uint64
	Size  uint64
	Path  []SumNode
}

// Verify checks that leaf is in the tree that root commits to and returns the
// sum of the amounts before it in key order. Amounts that overflow or exceed
// root.Total are refused (ErrSum), so no leaf and no prefix can claim more than
// the total. A proof that leads elsewhere is ErrProof.
//
// A proof says nothing of other leaves: that keys are unique and sorted is what
// a builder of the tree guarantees and whoever recomputes the root checks.
func (p SumProof) Verify(root SumRoot, leaf SumLeaf) (start uint64, err error) {
	top, start, err := p.climb(leaf)
	if err != nil {
		return 0, err
	}
	if top.Sum != root.Total || p.Size != root.Size {
		return 0, fmt.Errorf("verify key %x: %d leaves with total %d, want %d with %d: %w",
			leaf.Key, p.Size, top.Sum, root.Size, root.Total, ErrProof)
	}
	if got := sumRootHash(p.Size, top); got != root.Hash {
		return 0, fmt.Errorf("verify key %x: computed %s, want %s: %w", leaf.Key, got, root.Hash, ErrProof)
	}
	return start, nil
}

// VerifyHash is Verify for a caller that holds only the root's hash: it returns
// the size and total that the hash commits to as well.
func (p SumProof) VerifyHash(root Hash, leaf SumLeaf) (full SumRoot, start uint64, err error) {
	top, start, err := p.climb(leaf)
	if err != nil {
		return SumRoot{}, 0, err
	}
	if got := sumRootHash(p.Size, top); got != root {
		return SumRoot{}, 0, fmt.Errorf("verify key %x: computed %s, want %s: %w", leaf.Key, got, root, ErrProof)
	}
	return SumRoot{Hash: root, Size: p.Size, Total: top.Sum}, start, nil
}

// climb computes the top node of the tree and the sum to the left of the leaf.
func (p SumProof) climb(leaf SumLeaf) (top SumNode, start uint64, err error) {
	turns, err := walk(p.Index, p.Size, len(p.Path))
	if err != nil {
		return SumNode{}, 0, err
	}
	top = leaf.node()
	for i, sibling := range p.Path {
		if _, carry := bits.Add64(top.Sum, sibling.Sum, 0); carry != 0 {
			return SumNode{}, 0, fmt.Errorf("verify key %x: add %d and %d: %w", leaf.Key, top.Sum, sibling.Sum, ErrSum)
		}
		if turns.left(i) {
			start += sibling.Sum // below the sum just checked
			top = joinSum(sibling, top)
		} else {
			top = joinSum(top, sibling)
		}
	}
	return top, start, nil
}

// Encode returns index u64 ‖ size u64 ‖ path of (hash ‖ sum u64), big endian.
func (p SumProof) Encode() []byte {
	b := make([]byte, 0, 16+len(p.Path)*sumNodeSize)
	b = binary.BigEndian.AppendUint64(b, p.Index)
	b = binary.BigEndian.AppendUint64(b, p.Size)
	for _, n := range p.Path {
		b = append(b, n.Hash[:]...)
		b = binary.BigEndian.AppendUint64(b, n.Sum)
	}
	return b
}

// DecodeSumProof reads what Encode wrote and refuses anything else.
func DecodeSumProof(b []byte) (SumProof, error) {
	if len(b) < 16 || len(b) > MaxSumProofSize {
		return SumProof{}, fmt.Errorf("decode sum proof: length %d, want 16 to %d", len(b), MaxSumProofSize)
	}
	p := SumProof{Index: binary.BigEndian.Uint64(b), Size: binary.BigEndian.Uint64(b[8:])}
	b = b[16:]
	if len(b)%sumNodeSize != 0 {
		return SumProof{}, fmt.Errorf("decode sum proof: path of %d bytes is not whole nodes of %d", len(b), sumNodeSize)
	}
	if _, err := walk(p.Index, p.Size, len(b)/sumNodeSize); err != nil {
		return SumProof{}, fmt.Errorf("decode sum proof: %w", err)
	}
	if len(b) > 0 {
		p.Path = make([]SumNode, 0, len(b)/sumNodeSize)
	}
	for ; len(b) > 0; b = b[sumNodeSize:] {
		p.Path = append(p.Path, SumNode{Hash: Hash(b[:HashSize]), Sum: binary.BigEndian.Uint64(b[HashSize:])})
	}
	return p, nil
}
