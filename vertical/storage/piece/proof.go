package piece

import (
	"errors"
	"fmt"
	"io"
)

// MaxSiblings is the longest path from a chunk to the root of a piece of MaxSize.
const MaxSiblings = 15

// Proof shows one chunk of a piece: its bytes and the chaining values beside its
// path, from the chunk up to the root.
type Proof struct {
	Chunk    []byte // 1..ChunkSize bytes, all of the chunk that holds the offset
	Siblings [][32]byte
}

// step is one parent on the path to a chunk: which side the path takes.
type step struct {
	right bool
}

// pathTo returns the chunk of size bytes that holds off and the sides taken from
// the root down to it.
func pathTo(size, off int64) (pos, length int64, steps []step) {
	length = size
	for length > ChunkSize {
		mid := split(length)
		if off < pos+mid {
			length = mid
			steps = append(steps, step{right: false})
		} else {
			pos, length = pos+mid, length-mid
			steps = append(steps, step{right: true})
		}
	}
	return pos, length, steps
}

// Verify reports whether the proof shows the chunk that holds byte off of the piece
// named root, size bytes long. It is deterministic and bounded: at most one chunk
// and MaxSiblings parents are hashed. Failures wrap ErrInvalid.
func Verify(root Root, size, off int64, p Proof) error {
	if err := checkRange(size, off, 1); err != nil {
		return errors.Join(err, ErrInvalid)
	}
	pos, length, steps := pathTo(size, off)
	if int64(len(p.Chunk)) != length || len(p.Siblings) != len(steps) {
		return fmt.Errorf("verify piece %v at %d: chunk of %d bytes and %d siblings, want %d and %d: %w",
			root, off, len(p.Chunk), len(p.Siblings), length, len(steps), ErrInvalid)
	}
	c := chunkCV(p.Chunk, pos, len(steps) == 0)
	for i, sib := range p.Siblings {
		s := cvOf(sib[:])
		isRoot := i == len(steps)-1
		if steps[len(steps)-1-i].right {
			c = parent(s, c, isRoot)
		} else {
			c = parent(c, s, isRoot)
		}
	}
	if Root(c.bytes()) != root {
		return fmt.Errorf("verify piece %v at %d: path leads to %v: %w", root, off, Root(c.bytes()), ErrInvalid)
	}
	return nil
}

// Prove makes the proof for the chunk that holds byte off. It reads one group of
// data and the nodes above it from the outboard. Nothing is verified: stored bytes
// that went bad give a proof that Verify rejects.
func Prove(data, outboard io.ReaderAt, size, off int64) (Proof, error) {
	if err := checkRange(size, off, 1); err != nil {
		return Proof{}, err
	}
	var down [][32]byte
	pos, length, node := int64(0), size, int64(headerSize)
	for length > GroupSize {
		var pair [parentSize]byte
		if err := readFull(outboard, pair[:], node); err != nil {
			return Proof{}, fmt.Errorf("read outboard at %d: %w", node, err)
		}
		mid := split(length)
		if off < pos+mid {
			down = append(down, [32]byte(pair[cvSize:]))
			length, node = mid, node+parentSize
		} else {
			down = append(down, [32]byte(pair[:cvSize]))
			pos, length, node = pos+mid, length-mid, node+parentSize+nodesLen(mid)
		}
	}
	var buf [GroupSize]byte
	if err := readFull(data, buf[:length], pos); err != nil {
		return Proof{}, fmt.Errorf("read piece at %d: %w", pos, err)
	}
	chunk, inner := proveInGroup(buf[:length], pos, off)
	down = append(down, inner...)
	p := Proof{Chunk: append([]byte(nil), chunk...)}
	for i := len(down) - 1; i >= 0; i-- {
		p.Siblings = append(p.Siblings, down[i])
	}
	return p, nil
}

// proveInGroup returns the chunk that holds off and the siblings from the group's
// node down to it. group starts at pos of the piece.
func proveInGroup(group []byte, pos, off int64) (chunk []byte, down [][32]byte) {
	for len(group) > ChunkSize {
		mid := split(int64(len(group)))
		l, r := group[:mid], group[mid:]
		if off < pos+mid {
			down = append(down, subtreeCV(r, pos+mid).bytes())
			group = l
		} else {
			down = append(down, subtreeCV(l, pos).bytes())
			group, pos = r, pos+mid
		}
	}
	return group, down
}

// subtreeCV hashes a subtree of at most one group that is not the root.
func subtreeCV(p []byte, pos int64) cv {
	var buf [GroupSize]byte
	copy(buf[:], p)
	return groupCV(&buf, len(p), pos, false)
}

func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
