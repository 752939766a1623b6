package piece

import (
	"encoding/binary"
	"math/bits"

	"lukechampine.com/blake3/guts"
)

// cv is a BLAKE3 chaining value.
type cv [8]uint32

func (c cv) bytes() (b [cvSize]byte) {
	for i, w := range c {
		binary.LittleEndian.PutUint32(b[4*i:], w)
	}
	return b
}

func cvOf(b []byte) (c cv) {
	_ = b[cvSize-1]
	for i := range c {
		c[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return c
}

// split returns the length of the left subtree of length > unit bytes, unit being
// a power of two: the largest power of two below length (BLAKE3 section 2.1).
func split(length int64) int64 {
	return 1 << (bits.Len64(uint64(length-1)) - 1)
}

func rootFlag(isRoot bool) uint32 {
	if isRoot {
		return guts.FlagRoot
	}
	return 0
}

func parent(l, r cv, isRoot bool) cv {
	return guts.ChainingValue(guts.ParentNode(l, r, &guts.IV, rootFlag(isRoot)))
}

// groupCV hashes the first n bytes of a group that starts at pos of the piece.
func groupCV(buf *[GroupSize]byte, n int, pos int64, isRoot bool) cv {
	node := guts.CompressBuffer(buf, n, &guts.IV, uint64(pos/ChunkSize), 0)
	node.Flags |= rootFlag(isRoot)
	return guts.ChainingValue(node)
}

func chunkCV(chunk []byte, pos int64, isRoot bool) cv {
	node := guts.CompressChunk(chunk, &guts.IV, uint64(pos/ChunkSize), 0)
	node.Flags |= rootFlag(isRoot)
	return guts.ChainingValue(node)
}

func groups(length int64) int64 { return (length + GroupSize - 1) / GroupSize }

// nodesLen returns the length of the outboard of a subtree over length bytes.
func nodesLen(length int64) int64 { return (groups(length) - 1) * parentSize }

// OutboardSize returns the length in bytes of the outboard of a piece of size
// bytes: an 8-byte little-endian size and 64 bytes per parent node.
func OutboardSize(size int64) int64 { return headerSize + nodesLen(size) }
