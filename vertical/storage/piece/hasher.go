package piece

import (
	"encoding/binary"
	"errors"
	"fmt"

	"lukechampine.com/blake3/guts"
)

// ErrTooLarge is wrapped when a piece exceeds MaxSize.
var ErrTooLarge = errors.New("piece too large")

// Hasher computes the root and the outboard of a piece while its bytes are
// written. It keeps one group and 32 bytes per finished group, at most 80 KiB. The
// zero value is ready. It is not safe for concurrent use.
type Hasher struct {
	size int64
	buf  [GroupSize]byte
	used int
	cvs  []cv
}

// Write implements io.Writer. It fails without taking anything when the piece
// would exceed MaxSize.
func (h *Hasher) Write(p []byte) (int, error) {
	if int64(len(p)) > MaxSize-h.size {
		return 0, fmt.Errorf("hash piece: %d bytes after %d exceed %d: %w", len(p), h.size, MaxSize, ErrTooLarge)
	}
	n := len(p)
	for len(p) > 0 {
		if h.used == GroupSize {
			h.group(&h.buf)
			h.used = 0
		}
		if h.used == 0 && len(p) > GroupSize { // not the last group: no copy
			h.group((*[GroupSize]byte)(p))
			p = p[GroupSize:]
			continue
		}
		c := copy(h.buf[h.used:], p)
		h.used += c
		p = p[c:]
	}
	h.size += int64(n)
	return n, nil
}

// group hashes a full group that is not the last.
func (h *Hasher) group(g *[GroupSize]byte) {
	h.cvs = append(h.cvs, groupCV(g, GroupSize, int64(len(h.cvs))*GroupSize, false))
}

// Size returns the number of bytes written.
func (h *Hasher) Size() int64 { return h.size }

// Root returns the BLAKE3 hash of the bytes written so far.
func (h *Hasher) Root() Root {
	root, _ := h.finish(nil)
	return root
}

// Outboard returns the root and the Bao outboard of the bytes written so far.
func (h *Hasher) Outboard() (Root, []byte) {
	out := make([]byte, headerSize, OutboardSize(max(h.size, 1)))
	binary.LittleEndian.PutUint64(out, uint64(h.size))
	return h.finish(out)
}

// finish hashes the pending group and the parents, appending the parents to out in
// pre-order unless out is nil.
func (h *Hasher) finish(out []byte) (Root, []byte) {
	if len(h.cvs) == 0 {
		buf := h.buf
		c := groupCV(&buf, h.used, 0, true)
		return Root(c.bytes()), out
	}
	last := h.buf
	all := append(h.cvs[:len(h.cvs):len(h.cvs)], groupCV(&last, h.used, int64(len(h.cvs))*GroupSize, false))
	t := treeBuilder{leaves: all, out: out}
	c := t.build(h.size, true)
	return Root(c.bytes()), t.out
}

// treeBuilder folds group values into the root, left to right.
type treeBuilder struct {
	leaves []cv
	out    []byte
}

func (t *treeBuilder) build(length int64, isRoot bool) cv {
	if length <= GroupSize {
		c := t.leaves[0]
		t.leaves = t.leaves[1:]
		return c
	}
	at := len(t.out)
	if t.out != nil {
		t.out = append(t.out, make([]byte, parentSize)...)
	}
	mid := split(length)
	l := t.build(mid, false)
	r := t.build(length-mid, false)
	if t.out != nil {
		lb, rb := l.bytes(), r.bytes()
		copy(t.out[at:], lb[:])
		copy(t.out[at+cvSize:], rb[:])
	}
	return cv(guts.ChainingValue(guts.ParentNode(l, r, &guts.IV, rootFlag(isRoot))))
}

// Sum returns the root of data.
func Sum(data []byte) (Root, error) {
	var h Hasher
	if _, err := h.Write(data); err != nil {
		return Root{}, err
	}
	return h.Root(), nil
}
