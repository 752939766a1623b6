package spots

import (
	"math/rand/v2"
	"testing"
)

func visitors(owners ...string) []Visitor {
	var out []Visitor
	for i, o := range owners {
		out = append(out, Visitor{Owner: o, ID: [32]byte{byte(i / 256), byte(i)}})
	}
	return out
}

func TestShare(t *testing.T) {
	for _, tt := range []struct {
		name   string
		owners []string
		visits []Visit[int]
		want   []uint64
	}{
		{"alone", []string{"a"}, []Visit[int]{{1, 0, 5, Whole}, {2, 0, 6, Whole}}, []uint64{2 * Whole}},
		{"a spot twice", []string{"a"}, []Visit[int]{{1, 0, 5, Whole}, {1, 0, 6, Whole}}, []uint64{Whole}},
		{"the second gets a half", []string{"a", "b"}, []Visit[int]{{1, 1, 5, Whole}, {1, 0, 6, Whole}}, []uint64{Whole / 2, Whole}},
		{"the third a third", []string{"a", "b", "c"}, []Visit[int]{{1, 0, 5, Whole}, {1, 1, 6, Whole}, {1, 2, 7, Whole}}, []uint64{Whole, Whole / 2, Whole / 3}},
		{"two of one owner", []string{"a", "a"}, []Visit[int]{{1, 0, 5, Whole}, {1, 1, 6, Whole}}, []uint64{Whole, 0}},
		{"worth nothing", []string{"a", "b"}, []Visit[int]{{1, 0, 5, 0}, {1, 1, 6, Whole}}, []uint64{0, Whole}},
	} {
		for range 5 {
			rand.Shuffle(len(tt.visits), func(i, k int) { tt.visits[i], tt.visits[k] = tt.visits[k], tt.visits[i] })
			got := Share(visitors(tt.owners...), tt.visits)
			for i := range got {
				if got[i] != tt.want[i] {
					t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
				}
			}
		}
	}
}

func TestTogether(t *testing.T) {
	walk := func(start uint64, n int) []Place {
		var out []Place
		for i := range n {
			out = append(out, Place{int64(i), start + uint64(i)})
		}
		return out
	}
	part := append(walk(0, 10), walk(500, 30)[10:]...)
	many, accounts := make([]string, 100), make([][]Place, 100)
	for i := range many {
		many[i], accounts[i] = string(rune('a'+i)), walk(0, 30)
	}
	for _, tt := range []struct {
		name   string
		owners []string
		places [][]Place
		sets   int
		size   uint64 // of the first device's company
	}{
		{"the same way", []string{"a", "b"}, [][]Place{walk(0, 30), walk(0, 30)}, 1, 2},
		{"other ways", []string{"a", "b"}, [][]Place{walk(0, 30), walk(100, 30)}, 2, 1},
		{"a short way together", []string{"a", "b"}, [][]Place{walk(0, 30), part}, 2, 1},
		{"too short to say", []string{"a", "b"}, [][]Place{walk(0, 9), walk(0, 9)}, 2, 1},
		{"a hundred accounts", many, accounts, 1, 100},
	} {
		company := Together(visitors(tt.owners...), tt.places)
		roots := map[int]bool{}
		for i := range tt.owners {
			roots[company.Sets.Find(i)] = true
		}
		if of := company.Term(0).Of; len(roots) != tt.sets || of < tt.size || of > tt.size+2 {
			t.Errorf("%s: %d sets and a company of %d, want %d and %d", tt.name, len(roots), of, tt.sets, tt.size)
		}
	}
}
