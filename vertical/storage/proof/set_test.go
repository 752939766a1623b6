package proof

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/vertical/storage/piece"
)

func rootOf(i int) piece.Root {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(i))
	return piece.Root(sha256.Sum256(b[:]))
}

// A set is a function of its contents: any order of adding and removing gives the
// root and the order of a set built at once, and older versions stay as they were.
func TestSetIsHistoryIndependent(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		model := map[piece.Root]int64{}
		var s Set
		for range rapid.IntRange(0, 60).Draw(rt, "steps") {
			r := rootOf(rapid.IntRange(0, 30).Draw(rt, "piece"))
			size := rapid.Int64Range(1, piece.MaxSize).Draw(rt, "size")
			before, root := s, s.Root()
			var err error
			if _, in := model[r]; in && rapid.Bool().Draw(rt, "remove") {
				s, err = s.Remove(r)
				delete(model, r)
			} else if in {
				if _, err := s.Add(Piece{r, size}); !errors.Is(err, ErrPresent) {
					rt.Fatalf("add twice: %v", err)
				}
			} else {
				s, err = s.Add(Piece{r, size})
				model[r] = size
			}
			if err != nil {
				rt.Fatal(err)
			}
			if before.Root() != root {
				rt.Fatal("older version changed")
			}
		}
		var all []Piece
		var units uint64
		for r, size := range model {
			all = append(all, Piece{r, size})
			units += uint64(size)
		}
		want, err := NewSet(all)
		if err != nil {
			rt.Fatal(err)
		}
		got := slices.Collect(s.All())
		if s.Root() != want.Root() || s.Units() != units || s.Len() != len(model) || len(got) != len(model) {
			rt.Fatalf("root %x units %d len %d, want %x %d %d", s.Root(), s.Units(), s.Len(), want.Root(), units, len(model))
		}
		if !slices.IsSortedFunc(got, func(a, b Piece) int { return bytes.Compare(a.Root[:], b.Root[:]) }) {
			rt.Fatal("pieces are not in order")
		}
		for r, size := range model {
			if g, ok := s.Size(r); !ok || g != size {
				rt.Fatalf("size of %v: %d %v", r, g, ok)
			}
		}
	})
}

// Every byte opens to the piece that holds it when pieces are laid end to end.
func TestOpenEveryByte(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(rt, "n")
		var pieces []Piece
		for i := range n {
			pieces = append(pieces, Piece{rootOf(i), rapid.Int64Range(1, 30).Draw(rt, "size")})
		}
		s, err := NewSet(pieces)
		if err != nil {
			rt.Fatal(err)
		}
		off := uint64(0)
		for p := range s.All() {
			for i := range p.Size {
				o, within, err := s.Open(off)
				if err != nil || o.Piece != p || within != i {
					rt.Fatalf("open %d: piece %v at %d, want %v at %d: %v", off, o.Piece, within, p, i, err)
				}
				if w, err := o.verify(s.Root(), s.Units(), off); err != nil || w != i {
					rt.Fatalf("verify %d: %d, %v", off, w, err)
				}
				off++
			}
		}
		if _, _, err := s.Open(off); err == nil {
			rt.Fatal("opened past the end")
		}
	})
}

// Two dishonest sides may sign any tree. A tree that reaches one piece by two
// paths, so that one stored copy would answer for twice its bytes, must not prove
// at more than one of them.
func TestPieceCannotBeCountedTwice(t *testing.T) {
	p := Piece{rootOf(1), 1000}
	l, r := leaf(p), leaf(p)
	for bit := range 256 {
		top := inner(uint8(bit), l, r)
		proven := 0
		for side, sib := range []*node{r, l} {
			o := Opening{Piece: p, Path: []Level{{uint8(bit), sib.hash, sib.sum}}}
			if _, err := o.verify(top.hash, top.sum, uint64(side)*1000); err == nil {
				proven++
			}
		}
		if proven != 1 {
			t.Fatalf("bit %d: proven at %d places", bit, proven)
		}
	}
	deep := inner(5, inner(5, leaf(p), leaf(Piece{rootOf(2), 1})), leaf(Piece{rootOf(3), 1}))
	o := Opening{Piece: p, Path: []Level{{5, leaf(Piece{rootOf(2), 1}).hash, 1}, {5, leaf(Piece{rootOf(3), 1}).hash, 1}}}
	if _, err := o.verify(deep.hash, deep.sum, 0); err == nil {
		t.Error("a bit decided twice on one path")
	}
}

func TestSumsCannotWrap(t *testing.T) {
	p := Piece{rootOf(1), 10}
	o := Opening{Piece: p, Path: []Level{{3, [32]byte{1}, ^uint64(0) - 5}}}
	if _, err := o.verify([32]byte{}, 4, 0); err == nil {
		t.Error("wrapped sum accepted")
	}
}

func TestSetRefusals(t *testing.T) {
	one, _ := NewSet([]Piece{{rootOf(1), 5}})
	if _, err := one.Remove(rootOf(2)); !errors.Is(err, ErrAbsent) {
		t.Errorf("remove absent: %v", err)
	}
	if _, err := (Set{}).Remove(rootOf(2)); !errors.Is(err, ErrAbsent) {
		t.Errorf("remove from empty: %v", err)
	}
	if _, err := NewSet([]Piece{{rootOf(1), 5}, {rootOf(1), 6}}); !errors.Is(err, ErrPresent) {
		t.Errorf("twice: %v", err)
	}
	for _, size := range []int64{0, -1, piece.MaxSize + 1} {
		if _, err := one.Add(Piece{rootOf(3), size}); err == nil {
			t.Errorf("size %d accepted", size)
		}
	}
	empty, err := one.Remove(rootOf(1))
	if err != nil || empty.Root() != [32]byte{} || empty.Units() != 0 {
		t.Errorf("empty set: root %x, %v", empty.Root(), err)
	}
}

func TestPathsStayShort(t *testing.T) {
	var pieces []Piece
	for i := range 100_000 {
		pieces = append(pieces, Piece{rootOf(i), 1})
	}
	s, err := NewSet(pieces)
	if err != nil {
		t.Fatal(err)
	}
	longest := 0
	for off := range s.Units() {
		o, _, err := s.Open(off)
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, len(o.Path))
	}
	if longest > 40 {
		t.Errorf("longest path %d of 100000 pieces", longest)
	}
}

func BenchmarkSetAddTo100k(b *testing.B) {
	var pieces []Piece
	for i := range 100_000 {
		pieces = append(pieces, Piece{rootOf(i), 1 << 20})
	}
	s, _ := NewSet(pieces)
	i := 100_000
	for b.Loop() {
		if _, err := s.Add(Piece{rootOf(i), 5}); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
