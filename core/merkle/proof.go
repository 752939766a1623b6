package merkle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// MaxPath is the longest path of a proof in this package, in nodes: a tree has
// fewer than 2^63 leaves.
const MaxPath = 63

// MaxProofSize is the length in bytes of the longest encoded Proof.
const MaxProofSize = 16 + MaxPath*HashSize

// ErrProof is returned when a well-formed proof does not lead to the root.
var ErrProof = errors.New("proof does not lead to the root")

// Proof shows that one leaf is at Index of a history tree of Size leaves. Path
// holds the siblings from the leaf up.
type Proof struct {
	Index uint64
	Size  uint64
	Path  []Hash
}

// Verify reports whether leaf is at p.Index of the tree of p.Size leaves with
// the given root. The root of the history tree does not commit to the size: a
// caller that relies on Index or Size compares p.Size with the size it trusts.
// The error is ErrProof, or names what is malformed.
func (p Proof) Verify(root Hash, leaf []byte) error { return p.verify(root, LeafHash(leaf)) }

func (p Proof) verify(root, leafHash Hash) error {
	turns, err := walk(p.Index, p.Size, len(p.Path))
	if err != nil {
		return err
	}
	got := leafHash
	for i, sibling := range p.Path {
		if turns.left(i) {
			got = nodeHash(sibling, got)
		} else {
			got = nodeHash(got, sibling)
		}
	}
	if got != root {
		return fmt.Errorf("verify leaf %d of %d: computed %s, want %s: %w", p.Index, p.Size, got, root, ErrProof)
	}
	return nil
}

// Encode returns index u64 ‖ size u64 ‖ path, big endian. The length of the
// path follows from the other two, so it is not written.
func (p Proof) Encode() []byte {
	b := make([]byte, 0, 16+len(p.Path)*HashSize)
	b = binary.BigEndian.AppendUint64(b, p.Index)
	b = binary.BigEndian.AppendUint64(b, p.Size)
	for _, h := range p.Path {
		b = append(b, h[:]...)
	}
	return b
}

// DecodeProof reads what Encode wrote and refuses anything else: wrong lengths,
// an index outside the tree, trailing bytes.
func DecodeProof(b []byte) (Proof, error) {
	if len(b) < 16 || len(b) > MaxProofSize {
		return Proof{}, fmt.Errorf("decode proof: length %d, want 16 to %d", len(b), MaxProofSize)
	}
	p := Proof{Index: binary.BigEndian.Uint64(b), Size: binary.BigEndian.Uint64(b[8:])}
	b = b[16:]
	if len(b)%HashSize != 0 {
		return Proof{}, fmt.Errorf("decode proof: path of %d bytes is not whole hashes of %d", len(b), HashSize)
	}
	if _, err := walk(p.Index, p.Size, len(b)/HashSize); err != nil {
		return Proof{}, fmt.Errorf("decode proof: %w", err)
	}
	for ; len(b) > 0; b = b[HashSize:] {
		p.Path = append(p.Path, Hash(b[:HashSize]))
	}
	return p, nil
}

// turns says for each step of a path whether the sibling is on the left.
type turns uint64

func (t turns) left(i int) bool { return t>>i&1 == 1 }

// walk checks the shape of a proof and returns its turns. Below the level where
// index and the last leaf part every level has a sibling; above it only the
// levels where the last subtree is a right child do.
func walk(index, size uint64, pathLen int) (turns, error) {
	if err := checkIndex(index, size); err != nil {
		return 0, err
	}
	inner := bits.Len64(index ^ (size - 1))
	border := bits.OnesCount64(index >> inner)
	if want := inner + border; pathLen != want {
		return 0, fmt.Errorf("check proof of leaf %d of %d: path of %d nodes, want %d", index, size, pathLen, want)
	}
	t := index & (1<<inner - 1)
	t |= (1<<border - 1) << inner
	return turns(t), nil
}

func checkIndex(index, size uint64) error {
	if size >= 1<<MaxPath {
		return fmt.Errorf("check proof: size %d, want less than 2^%d", size, MaxPath)
	}
	if index >= size {
		return fmt.Errorf("check proof: index %d outside a tree of %d leaves", index, size)
	}
	return nil
}
