package merkle

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// MaxLogSize is the length in bytes of the longest encoded Log.
const MaxLogSize = 8 + MaxPath*HashSize

// Log is an append-only history tree that remembers only its frontier: the
// roots of the perfect subtrees its size divides into, largest first, at most
// MaxPath of them. The zero Log is empty and ready. Copy one with Clone.
type Log struct {
	size     uint64
	frontier []Hash
}

// Size is the number of leaves appended.
func (l *Log) Size() uint64 { return l.size }

// Append adds a leaf. It costs one hash of the leaf and, amortised, one more.
func (l *Log) Append(leaf []byte) { l.AppendHash(LeafHash(leaf)) }

// AppendHash adds a leaf by its LeafHash.
func (l *Log) AppendHash(h Hash) {
	for carry := l.size; carry&1 == 1; carry >>= 1 {
		last := len(l.frontier) - 1
		h = nodeHash(l.frontier[last], h)
		l.frontier = l.frontier[:last]
	}
	l.frontier = append(l.frontier, h)
	l.size++
}

// Root is the Merkle tree hash of all leaves so far, EmptyRoot for none.
func (l *Log) Root() Hash {
	if l.size == 0 {
		return EmptyRoot()
	}
	root := l.frontier[len(l.frontier)-1]
	for i := len(l.frontier) - 2; i >= 0; i-- {
		root = nodeHash(l.frontier[i], root)
	}
	return root
}

// Clone returns an independent copy.
func (l *Log) Clone() Log {
	return Log{size: l.size, frontier: append([]Hash(nil), l.frontier...)}
}

// Encode returns size u64 big endian ‖ frontier, largest subtree first.
func (l *Log) Encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(l.frontier)*HashSize), l.size)
	for _, h := range l.frontier {
		b = append(b, h[:]...)
	}
	return b
}

// DecodeLog reads what Encode wrote; the size fixes the length exactly.
func DecodeLog(b []byte) (Log, error) {
	if len(b) < 8 {
		return Log{}, fmt.Errorf("decode log: length %d, want at least 8", len(b))
	}
	l := Log{size: binary.BigEndian.Uint64(b)}
	if l.size >= 1<<MaxPath {
		return Log{}, fmt.Errorf("decode log: %d leaves, want less than 2^%d", l.size, MaxPath)
	}
	if want := 8 + bits.OnesCount64(l.size)*HashSize; len(b) != want {
		return Log{}, fmt.Errorf("decode log of %d leaves: length %d, want %d", l.size, len(b), want)
	}
	for b = b[8:]; len(b) > 0; b = b[HashSize:] {
		l.frontier = append(l.frontier, Hash(b[:HashSize]))
	}
	return l, nil
}
