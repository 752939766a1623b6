package images

import (
	"crypto/sha256"
	"math"
	"time"

	"github.com/grange-network/grange/vertical/sensing/images/picture"
	"github.com/grange-network/grange/vertical/sensing/track"
)

// Parameters of the search for pictures that were used before.
const (
	alike   = 6                // bits in which the hashes of one picture may differ
	certain = 2                // bits that differ only by compression: it is no new view
	within  = 1000.0           // metres
	newView = 45.0             // degrees between the headings of two views of one place
	place   = 30.0             // metres
	revisit = 10 * time.Minute // after which one comes by again

	bands   = alike + 1 // one of so many parts of two alike hashes is equal
	maxBand = 512       // pictures of a square that are known by one part
)

// group is one picture: the first shot of it, and the first of each owner who has
// it.
type group struct {
	shots  []int
	owners map[string]bool
}

// duplicates finds pictures that were used before within a kilometre, or the very
// same file anywhere. Groups are in the order of their first shots. It also says
// how many shots of each station count for nothing.
func duplicates(all []shot) (groups []*group, refused map[int]int) {
	ix := index{byBand: map[band][]known{}, byFile: map[[sha256.Size]byte]int{}}
	refused = map[int]int{}
	of := map[int]*group{} // by first shot
	for i := range all {
		first, again := ix.find(all, i)
		if !again {
			ix.add(all, i)
			of[i] = &group{[]int{i}, map[string]bool{all[i].owner: true}}
			groups = append(groups, of[i])
			continue
		}
		g := of[first]
		if g.owners[all[i].owner] {
			refused[all[i].station]++
			continue
		}
		g.shots, g.owners[all[i].owner] = append(g.shots, i), true
	}
	return groups, refused
}

// index finds shots by parts of their hashes, of which one is equal in two that
// differ in at most six bits, and by squares of about a kilometre.
type index struct {
	byBand map[band][]known
	byFile map[[sha256.Size]byte]int
}

// known is one of a shot's hashes.
type known struct {
	shot int
	hash picture.Hash
}

type band struct {
	row, column int32
	which       uint8
	bits        uint16
}

// bandOf is part k of a hash: nine bits, ten of the last.
func (s square) bandOf(h picture.Hash, k int) band {
	const size = 9
	bits := uint64(h) >> (size * k)
	if k < bands-1 {
		bits &= 1<<size - 1
	}
	return band{s.row, s.column, uint8(k), uint16(bits)}
}

// square is a part of a grid whose squares are 1.1 km high and at least as wide.
type square struct{ row, column int32 }

const step = 0.01 // degrees of latitude

func squareOf(p track.Point, row int32) square {
	wide := step / max(0.01, math.Cos(float64((math.Abs(float64(row))+1)*step)*math.Pi/180))
	return square{row, int32(math.Floor(p.Lon / wide))}
}

func rowOf(p track.Point) int32 { return int32(math.Floor(p.Lat / step)) }

// around are the squares in which a point's neighbours are.
func around(p track.Point) []square {
	out := make([]square, 0, 9)
	for row := rowOf(p) - 1; row <= rowOf(p)+1; row++ {
		mid := squareOf(p, row)
		for column := mid.column - 1; column <= mid.column+1; column++ {
			out = append(out, square{row, column})
		}
	}
	return out
}

// add makes a shot known by all of its hashes, and in a mirror.
func (x *index) add(all []shot, i int) {
	x.byFile[all[i].SHA256] = i
	p := all[i].point()
	at := squareOf(p, rowOf(p))
	h := all[i].Seen.Hashes
	for _, one := range append(h[:], h[0].Mirrored()) {
		for k := range bands {
			b := at.bandOf(one, k)
			if list := x.byBand[b]; len(list) < maxBand {
				x.byBand[b] = append(list, known{i, one})
			}
		}
	}
}

// find returns the first of the known shots that a shot is the same picture as.
func (x *index) find(all []shot, i int) (first int, ok bool) {
	if file, ok := x.byFile[all[i].SHA256]; ok {
		return file, true
	}
	first = len(all)
	for _, at := range around(all[i].point()) {
		for _, one := range all[i].Seen.Hashes {
			for k := range bands {
				for _, c := range x.byBand[at.bandOf(one, k)] {
					if c.shot >= first {
						break // they are in order
					}
					if picture.Distance(c.hash, one) <= alike && same(&all[c.shot], &all[i]) {
						first = c.shot
					}
				}
			}
		}
	}
	return first, first < len(all)
}

// same reports whether two shots are one picture. What looks alike a street further
// on is; in the same place it may be a second visit, of the same car or of
// another one, and has to be nearly equal. A new view of a place is a picture of
// its own.
func same(a, b *shot) bool {
	differ := picture.Between(a.Seen.Hashes, b.Seen.Hashes)
	if differ > alike {
		return false
	}
	apart := track.Distance(a.point(), b.point())
	visit := a.owner != b.owner || b.Time.Sub(a.Time).Abs() > revisit
	switch {
	case apart > within:
		return false
	case differ <= certain:
		return true
	case apart <= place && visit:
		return false
	case a.Heading == NoHeading || b.Heading == NoHeading:
		return true
	}
	return track.Apart(a.point().Heading, b.point().Heading) <= newView
}
