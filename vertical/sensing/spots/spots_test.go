package spots

import (
	"math/rand/v2"
	"testing"

	"github.com/grange-network/grange/vertical/sensing/copies"
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
		joined [][2]int
		visits []Visit[int]
		want   []uint64
	}{
		{"alone", []string{"a"}, nil, []Visit[int]{{1, 0, 5, Whole}, {2, 0, 6, Whole}}, []uint64{2 * Whole}},
		{"a spot twice", []string{"a"}, nil, []Visit[int]{{1, 0, 5, Whole}, {1, 0, 6, Whole}}, []uint64{Whole}},
		{"the second gets a half", []string{"a", "b"}, nil, []Visit[int]{{1, 1, 5, Whole}, {1, 0, 6, Whole}}, []uint64{Whole / 2, Whole}},
		{"the third a third", []string{"a", "b", "c"}, nil, []Visit[int]{{1, 0, 5, Whole}, {1, 1, 6, Whole}, {1, 2, 7, Whole}}, []uint64{Whole, Whole / 2, Whole / 3}},
		{"two of one owner", []string{"a", "a"}, nil, []Visit[int]{{1, 0, 5, Whole}, {1, 1, 6, Whole}}, []uint64{Whole, 0}},
		{"two accounts, one phone", []string{"a", "b"}, [][2]int{{0, 1}}, []Visit[int]{{1, 0, 5, Whole}, {1, 1, 5, Whole}}, []uint64{Whole, 0}},
		{"worth nothing", []string{"a", "b"}, nil, []Visit[int]{{1, 0, 5, 0}, {1, 1, 6, Whole}}, []uint64{0, Whole}},
	} {
		sets := copies.NewSets(len(tt.owners))
		for _, j := range tt.joined {
			sets.Join(j[0], j[1])
		}
		for range 5 {
			rand.Shuffle(len(tt.visits), func(i, k int) { tt.visits[i], tt.visits[k] = tt.visits[k], tt.visits[i] })
			got := Share(visitors(tt.owners...), sets, tt.visits)
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
	half := append(walk(0, 10), walk(500, 30)[10:]...)
	many, accounts := make([]string, 100), make([][]Place, 100)
	for i := range many {
		many[i], accounts[i] = string(rune('a'+i)), walk(0, 30)
	}
	for _, tt := range []struct {
		name   string
		owners []string
		places [][]Place
		sets   int
	}{
		{"the same way", []string{"a", "b"}, [][]Place{walk(0, 30), walk(0, 30)}, 1},
		{"other ways", []string{"a", "b"}, [][]Place{walk(0, 30), walk(100, 30)}, 2},
		{"a short way together", []string{"a", "b"}, [][]Place{walk(0, 30), half}, 2},
		{"too short to say", []string{"a", "b"}, [][]Place{walk(0, 9), walk(0, 9)}, 2},
		{"a hundred accounts", many, accounts, 1},
	} {
		sets := Together(visitors(tt.owners...), tt.places)
		roots := map[int]bool{}
		for i := range tt.owners {
			roots[sets.Find(i)] = true
		}
		if len(roots) != tt.sets {
			t.Errorf("%s: %d sets, want %d", tt.name, len(roots), tt.sets)
		}
	}
}
