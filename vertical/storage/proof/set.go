package proof

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"slices"

	"github.com/grange-network/grange/vertical/storage/piece"
)

var (
	// ErrPresent is wrapped when a piece to add is already in the set.
	ErrPresent = errors.New("piece is already in the set")
	// ErrAbsent is wrapped when a piece to remove is not in the set.
	ErrAbsent = errors.New("piece is not in the set")
)

// MaxDepth is the longest path of a set. Roots are hashes, so a path of more than
// about log2(n)+10 levels needs as many hash evaluations as 2 to its length.
const MaxDepth = 64

// Piece is an element of a set: a piece's root and its length in bytes,
// 1..piece.MaxSize.
type Piece struct {
	Root piece.Root
	Size int64
}

func (p Piece) check() error {
	if p.Size < 1 || p.Size > piece.MaxSize {
		return fmt.Errorf("check piece %v: size %d outside 1..%d", p.Root, p.Size, piece.MaxSize)
	}
	return nil
}

// Set is an immutable set of pieces. Add and Remove return a new set and leave the
// old one valid; both share most of their memory. The zero value is the empty set.
// It is safe for concurrent use.
type Set struct {
	top *node
}

// node is a leaf, where left is nil and piece counts, or an inner node.
type node struct {
	hash        [32]byte
	sum         uint64
	count       int
	bit         uint8
	piece       Piece
	left, right *node
}

func leaf(p Piece) *node {
	return &node{hash: leafHash(p), sum: uint64(p.Size), count: 1, piece: p}
}

func inner(bit uint8, l, r *node) *node {
	return &node{
		hash: innerHash(bit, l.hash, l.sum, r.hash, r.sum),
		sum:  l.sum + r.sum, count: l.count + r.count, bit: bit, left: l, right: r,
	}
}

func leafHash(p Piece) [32]byte {
	var b [1 + 32 + 8]byte
	copy(b[1:], p.Root[:])
	binary.BigEndian.PutUint64(b[33:], uint64(p.Size))
	return sha256.Sum256(b[:])
}

func innerHash(bit uint8, l [32]byte, lsum uint64, r [32]byte, rsum uint64) [32]byte {
	var b [2 + 40 + 40]byte
	b[0], b[1] = 1, bit
	copy(b[2:], l[:])
	binary.BigEndian.PutUint64(b[34:], lsum)
	copy(b[42:], r[:])
	binary.BigEndian.PutUint64(b[74:], rsum)
	return sha256.Sum256(b[:])
}

// bitAt reports whether the bit, counted from the most significant, is set.
func bitAt(r piece.Root, bit uint8) bool { return r[bit/8]&(0x80>>(bit%8)) != 0 }

// firstDifference returns the first bit in which a and b, which differ, do so.
func firstDifference(a, b piece.Root) uint8 {
	for i := range a {
		if x := a[i] ^ b[i]; x != 0 {
			return uint8(8*i + bits.LeadingZeros8(x))
		}
	}
	panic("compare a root with itself")
}

// NewSet returns the set of the given pieces, in any order. It fails on a size out
// of range and on a piece given twice (ErrPresent). It takes O(n) hashes.
func NewSet(pieces []Piece) (Set, error) {
	if len(pieces) == 0 {
		return Set{}, nil
	}
	sorted := slices.SortedFunc(slices.Values(pieces), func(a, b Piece) int { return bytes.Compare(a.Root[:], b.Root[:]) })
	for i, p := range sorted {
		if err := p.check(); err != nil {
			return Set{}, err
		}
		if i > 0 && sorted[i-1].Root == p.Root {
			return Set{}, fmt.Errorf("add piece %v: %w", p.Root, ErrPresent)
		}
	}
	return Set{build(sorted)}, nil
}

func build(sorted []Piece) *node {
	if len(sorted) == 1 {
		return leaf(sorted[0])
	}
	bit := firstDifference(sorted[0].Root, sorted[len(sorted)-1].Root)
	mid, _ := slices.BinarySearchFunc(sorted, true, func(p Piece, _ bool) int {
		if bitAt(p.Root, bit) {
			return 1
		}
		return -1
	})
	return inner(bit, build(sorted[:mid]), build(sorted[mid:]))
}

// Root returns the set's root; it binds every piece, every size and the total.
func (s Set) Root() [32]byte {
	if s.top == nil {
		return [32]byte{}
	}
	return s.top.hash
}

// Units returns the total of the pieces' sizes in bytes.
func (s Set) Units() uint64 {
	if s.top == nil {
		return 0
	}
	return s.top.sum
}

// Len returns the number of pieces.
func (s Set) Len() int {
	if s.top == nil {
		return 0
	}
	return s.top.count
}

// nearest returns the leaf a search for the root ends in; the set is not empty.
func (s Set) nearest(r piece.Root) *node {
	n := s.top
	for n.left != nil {
		if bitAt(r, n.bit) {
			n = n.right
		} else {
			n = n.left
		}
	}
	return n
}

// Size returns the size of the piece, and whether it is in the set.
func (s Set) Size(r piece.Root) (int64, bool) {
	if s.top == nil {
		return 0, false
	}
	if n := s.nearest(r); n.piece.Root == r {
		return n.piece.Size, true
	}
	return 0, false
}

// All yields the pieces in the order of their roots.
func (s Set) All() iter.Seq[Piece] {
	return func(yield func(Piece) bool) {
		if s.top != nil {
			s.top.walk(yield)
		}
	}
}

func (n *node) walk(yield func(Piece) bool) bool {
	if n.left == nil {
		return yield(n.piece)
	}
	return n.left.walk(yield) && n.right.walk(yield)
}

// Add returns the set with the piece in it. It fails on a size out of range and
// with ErrPresent.
func (s Set) Add(p Piece) (Set, error) {
	if err := p.check(); err != nil {
		return s, err
	}
	if s.top == nil {
		return Set{leaf(p)}, nil
	}
	near := s.nearest(p.Root)
	if near.piece.Root == p.Root {
		return s, fmt.Errorf("add piece %v: %w", p.Root, ErrPresent)
	}
	return Set{insert(s.top, p, firstDifference(near.piece.Root, p.Root))}, nil
}

// insert puts the piece where its first differing bit belongs.
func insert(n *node, p Piece, bit uint8) *node {
	if n.left != nil && n.bit < bit {
		if bitAt(p.Root, n.bit) {
			return inner(n.bit, n.left, insert(n.right, p, bit))
		}
		return inner(n.bit, insert(n.left, p, bit), n.right)
	}
	if bitAt(p.Root, bit) {
		return inner(bit, n, leaf(p))
	}
	return inner(bit, leaf(p), n)
}

// Remove returns the set without the piece. It fails with ErrAbsent.
func (s Set) Remove(r piece.Root) (Set, error) {
	if _, ok := s.Size(r); !ok {
		return s, fmt.Errorf("remove piece %v: %w", r, ErrAbsent)
	}
	return Set{without(s.top, r)}, nil
}

func without(n *node, r piece.Root) *node {
	if n.left == nil {
		return nil
	}
	l, rt := n.left, n.right
	if bitAt(r, n.bit) {
		rt = without(rt, r)
	} else {
		l = without(l, r)
	}
	switch {
	case l == nil:
		return rt
	case rt == nil:
		return l
	}
	return inner(n.bit, l, rt)
}

// Level is one step of a path: the bit that decides there and the subtree beside
// the path.
type Level struct {
	Bit  uint8
	Hash [32]byte
	Sum  uint64 // bytes below Hash
}

// Opening shows which piece holds a byte of the set.
type Opening struct {
	Piece Piece
	Path  []Level // from the piece up to the root
}

// Open returns the piece that holds byte off of the pieces laid end to end in the
// order of their roots, its path, and the byte's offset within the piece. It fails
// when off is not below Units.
func (s Set) Open(off uint64) (o Opening, within int64, err error) {
	if off >= s.Units() {
		return Opening{}, 0, fmt.Errorf("open set %x at %d: has %d bytes", s.Root(), off, s.Units())
	}
	n := s.top
	for n.left != nil {
		l, r := n.left, n.right
		if off < l.sum {
			o.Path = append(o.Path, Level{n.bit, r.hash, r.sum})
			n = l
		} else {
			o.Path = append(o.Path, Level{n.bit, l.hash, l.sum})
			off -= l.sum
			n = r
		}
	}
	if len(o.Path) > MaxDepth {
		return Opening{}, 0, fmt.Errorf("open set %x: path of %d levels, at most %d", s.Root(), len(o.Path), MaxDepth)
	}
	slices.Reverse(o.Path)
	o.Piece = n.piece
	return o, int64(off), nil
}

// verify checks the opening against a set's root and bytes and returns off's place
// within the piece.
func (o Opening) verify(root [32]byte, units, off uint64) (within int64, err error) {
	if err := o.Piece.check(); err != nil {
		return 0, err
	}
	hash, sum, before, below := leafHash(o.Piece), uint64(o.Piece.Size), uint64(0), 256
	for i, l := range o.Path {
		if int(l.Bit) >= below {
			return 0, fmt.Errorf("level %d decides on bit %d below bit %d", i, l.Bit, below)
		}
		below = int(l.Bit)
		total, carry := bits.Add64(sum, l.Sum, 0)
		if carry != 0 {
			return 0, fmt.Errorf("level %d sums %d and %d beyond 64 bits", i, sum, l.Sum)
		}
		if bitAt(o.Piece.Root, l.Bit) {
			hash = innerHash(l.Bit, l.Hash, l.Sum, hash, sum)
			before += l.Sum
		} else {
			hash = innerHash(l.Bit, hash, sum, l.Hash, l.Sum)
		}
		sum = total
	}
	if hash != root || sum != units {
		return 0, fmt.Errorf("path leads to set %x of %d bytes, want %x of %d", hash, sum, root, units)
	}
	if off < before || off-before >= uint64(o.Piece.Size) {
		return 0, fmt.Errorf("piece %v holds bytes %d+%d, want %d", o.Piece.Root, before, o.Piece.Size, off)
	}
	return int64(off - before), nil
}
