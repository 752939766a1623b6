package merkle

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sort"
)

// Errors of the sum tree that callers tell apart.
var (
	ErrSum       = errors.New("sum exceeds its bound")
	ErrDuplicate = errors.New("duplicate key")
	ErrNotFound  = errors.New("not in the tree")
)

// SumLeaf is one entry of a sum tree.
type SumLeaf struct {
	Key    [32]byte
	Amount uint64
}

// SumRoot commits to a sum tree: to the hash of its nodes, its number of leaves
// and the sum of their amounts. Hash covers the other two.
type SumRoot struct {
	Hash  Hash
	Size  uint64
	Total uint64
}

// SumNode is the root of a subtree: its hash and the sum of its amounts.
type SumNode struct {
	Hash Hash
	Sum  uint64
}

// SumTree holds all levels of a sum tree over leaves sorted by key. It is
// immutable once built.
type SumTree struct {
	leaves []SumLeaf
	starts []uint64 // starts[i] is the sum of the amounts before leaf i
	levels [][]SumNode
	root   SumRoot
}

// NewSumTree builds the tree over leaves in any order. It refuses a key that
// occurs twice (ErrDuplicate) and a total above limit (ErrSum); it does not
// change leaves. No leaves make a valid tree with total 0.
func NewSumTree(leaves []SumLeaf, limit uint64) (*SumTree, error) {
	t := &SumTree{leaves: slices.Clone(leaves), starts: make([]uint64, len(leaves))}
	slices.SortFunc(t.leaves, func(a, b SumLeaf) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	var total uint64
	for i, leaf := range t.leaves {
		if i > 0 && t.leaves[i-1].Key == leaf.Key {
			return nil, fmt.Errorf("add key %x: %w", leaf.Key, ErrDuplicate)
		}
		t.starts[i] = total
		sum, carry := bits.Add64(total, leaf.Amount, 0)
		if carry != 0 || sum > limit {
			return nil, fmt.Errorf("add %d of key %x to %d, limit %d: %w", leaf.Amount, leaf.Key, total, limit, ErrSum)
		}
		total = sum
	}
	t.root = SumRoot{Size: uint64(len(t.leaves)), Total: total}
	t.build()
	return t, nil
}

func (t *SumTree) build() {
	level := make([]SumNode, len(t.leaves))
	for i, leaf := range t.leaves {
		level[i] = leaf.node()
	}
	var top SumNode
	for len(level) > 0 {
		t.levels = append(t.levels, slices.Clone(level))
		if len(level) == 1 {
			top = level[0]
			break
		}
		level = fold(level, joinSum)
	}
	t.root.Hash = sumRootHash(t.root.Size, top)
}

// Root is the commitment to the whole tree.
func (t *SumTree) Root() SumRoot { return t.root }

// Leaves returns the leaves sorted by key. The caller must not change them.
func (t *SumTree) Leaves() []SumLeaf { return t.leaves }

// Prove returns the leaf of key and its proof, or ErrNotFound.
func (t *SumTree) Prove(key [32]byte) (SumLeaf, SumProof, error) {
	i, found := slices.BinarySearchFunc(t.leaves, key, func(l SumLeaf, k [32]byte) int {
		return bytes.Compare(l.Key[:], k[:])
	})
	if !found {
		return SumLeaf{}, SumProof{}, fmt.Errorf("prove key %x: %w", key, ErrNotFound)
	}
	return t.leaves[i], t.prove(uint64(i)), nil
}

// ProveOffset returns the leaf whose amount covers offset when all amounts are
// laid end to end in key order, and its proof; ErrNotFound when offset is not
// below the total. A proof that verifies with start s covers [s, s+amount).
func (t *SumTree) ProveOffset(offset uint64) (SumLeaf, SumProof, error) {
	if offset >= t.root.Total {
		return SumLeaf{}, SumProof{}, fmt.Errorf("prove offset %d of %d: %w", offset, t.root.Total, ErrNotFound)
	}
	// The last leaf that starts at or before offset: leaves of amount 0 share
	// their start with the next one and are skipped.
	i := sort.Search(len(t.starts), func(i int) bool { return t.starts[i] > offset }) - 1
	return t.leaves[i], t.prove(uint64(i)), nil
}

func (t *SumTree) prove(index uint64) SumProof {
	p := SumProof{Index: index, Size: t.root.Size}
	for at, level := index, 0; len(t.levels[level]) > 1; at, level = at/2, level+1 {
		if sibling := at ^ 1; sibling < uint64(len(t.levels[level])) {
			p.Path = append(p.Path, t.levels[level][sibling])
		}
	}
	return p
}

// node is the leaf's node: SHA-256(0x02 ‖ key ‖ amount u64).
func (l SumLeaf) node() SumNode {
	var b [1 + 32 + 8]byte
	b[0] = prefixSumLeaf
	copy(b[1:], l.Key[:])
	binary.BigEndian.PutUint64(b[33:], l.Amount)
	return SumNode{Hash: sha256.Sum256(b[:]), Sum: l.Amount}
}

// joinSum is SHA-256(0x03 ‖ left hash ‖ left sum ‖ right hash ‖ right sum). The
// caller has checked that the sums add without overflow.
func joinSum(left, right SumNode) SumNode {
	var b [1 + 2*(HashSize+8)]byte
	b[0] = prefixSumNode
	copy(b[1:], left.Hash[:])
	binary.BigEndian.PutUint64(b[33:], left.Sum)
	copy(b[41:], right.Hash[:])
	binary.BigEndian.PutUint64(b[73:], right.Sum)
	return SumNode{Hash: sha256.Sum256(b[:]), Sum: left.Sum + right.Sum}
}

// sumRootHash is SHA-256(0x04 ‖ size u64 ‖ total u64 ‖ top hash); the top hash
// of an empty tree is zero.
func sumRootHash(size uint64, top SumNode) Hash {
	var b [1 + 8 + 8 + HashSize]byte
	b[0] = prefixSumRoot
	binary.BigEndian.PutUint64(b[1:], size)
	binary.BigEndian.PutUint64(b[9:], top.Sum)
	copy(b[17:], top.Hash[:])
	return sha256.Sum256(b[:])
}
