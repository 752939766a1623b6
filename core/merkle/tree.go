package merkle

import (
	"crypto/sha256"
	"encoding/hex"
)

// HashSize is the length of a Hash in bytes.
const HashSize = sha256.Size

// Prefixes that keep the kinds of node apart (0x00 and 0x01: RFC 6962 §2.1).
const (
	prefixLeaf    = 0x00
	prefixNode    = 0x01
	prefixSumLeaf = 0x02
	prefixSumNode = 0x03
	prefixSumRoot = 0x04
)

// Hash is a SHA-256 digest.
type Hash [HashSize]byte

// String is the hash in lower hex.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// LeafHash is the hash of a leaf of the history tree: SHA-256(0x00 ‖ leaf).
func LeafHash(leaf []byte) Hash {
	h := sha256.New()
	h.Write([]byte{prefixLeaf})
	h.Write(leaf)
	var out Hash
	h.Sum(out[:0])
	return out
}

// EmptyRoot is the root of a history tree without leaves: SHA-256 of nothing.
func EmptyRoot() Hash { return sha256.Sum256(nil) }

// nodeHash is an inner node of the history tree: SHA-256(0x01 ‖ left ‖ right).
func nodeHash(left, right Hash) Hash {
	var b [1 + 2*HashSize]byte
	b[0] = prefixNode
	copy(b[1:], left[:])
	copy(b[1+HashSize:], right[:])
	return sha256.Sum256(b[:])
}

// Root is the Merkle tree hash of the leaves in order (RFC 6962 §2.1).
func Root(leaves [][]byte) Hash {
	var log Log
	for _, leaf := range leaves {
		log.Append(leaf)
	}
	return log.Root()
}

// Prove returns the proof that leaves[index] is in the tree over leaves. It
// hashes all leaves; a service that proves often keeps the levels itself.
func Prove(leaves [][]byte, index uint64) (Proof, error) {
	size := uint64(len(leaves))
	if err := checkIndex(index, size); err != nil {
		return Proof{}, err
	}
	level := make([]Hash, len(leaves))
	for i, leaf := range leaves {
		level[i] = LeafHash(leaf)
	}
	p := Proof{Index: index, Size: size}
	for at := index; len(level) > 1; at /= 2 {
		if sibling := at ^ 1; sibling < uint64(len(level)) {
			p.Path = append(p.Path, level[sibling])
		}
		level = fold(level, nodeHash)
	}
	return p, nil
}

// fold hashes one level of a tree into the next in place. A last node without
// a sibling moves up unchanged, which gives exactly the shape of RFC 6962: the
// left subtree is always the largest power of two smaller than the size.
func fold[N any](level []N, join func(left, right N) N) []N {
	next := level[:0]
	for i := 0; i+1 < len(level); i += 2 {
		next = append(next, join(level[i], level[i+1]))
	}
	if len(level)%2 == 1 {
		next = append(next, level[len(level)-1])
	}
	return next
}
