package gnss

import (
	"cmp"
	"math"
	"slices"

	"github.com/grange-network/grange/vertical/sensing/gnss/orbit"
	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

const (
	// sameCode is the spread of differences of code ranges, in metres, that two
	// receivers do not reach: their noise is ten times as much. Ranges rounded by
	// MSM4 differ by 0.005.
	sameCode = 0.03
	// inCommon is how many satellites make a comparison.
	inCommon = 5
	// copied is in how many minutes observations must be the same.
	copied = 3
	// close is how far apart bases are compared satellite by satellite, metres.
	closeBy = 50_000
	// cluster is within which bases are one (GEODNET), metres.
	cluster = 100
)

// older orders bases by who was first.
func older(a, b *base) int {
	return cmp.Or(cmp.Compare(a.Moved, b.Moved), cmp.Compare(a.Registered, b.Registered), slices.Compare(a.ID[:], b.ID[:]))
}

// findCopies notes for each base the older one whose stream it sends. A base that
// is worth nothing by itself, since its coordinates are another's, takes nothing
// from the one it copies.
func findCopies(all []*base) {
	order := slices.DeleteFunc(slices.SortedFunc(slices.Values(all), older), func(b *base) bool { return value(b.terms) == 0 })
	printed := map[[32]byte]*base{}
	for i, b := range order {
		same := map[*base]int{}
		for _, s := range b.samples {
			for _, p := range s.prints {
				if first := printed[p]; first == nil {
					printed[p] = b
				} else if first != b {
					same[first]++
				}
			}
		}
		for _, first := range order[:i] {
			if same[first] >= copied || b.placed && first.placed && orbit.Distance(b.at, first.at) < closeBy && alike(b.view, first.view) {
				b.copyOf = first
				break
			}
		}
	}
}

// alike reports whether two streams hold the same observations, however framed.
func alike(a, b *view) bool {
	n := 0
	for i, k := 0, 0; i < len(a.samples) && k < len(b.samples); {
		x, y := &a.samples[i], &b.samples[k]
		switch {
		case x.start < y.start:
			i++
		case x.start > y.start:
			k++
		default:
			if x.ofWeek == y.ofWeek && sameRanges(x.sights, y.sights) {
				if n++; n >= copied {
					return true
				}
			}
			i, k = i+1, k+1
		}
	}
	return false
}

// sameRanges compares the code ranges of two epochs less what their clocks differ
// by, which is the median.
func sameRanges(a, b []sight) bool {
	var d []float64
	for i, k := 0, 0; i < len(a) && k < len(b); {
		switch c := cmp.Or(cmp.Compare(a[i].system, b[k].system), cmp.Compare(a[i].id, b[k].id)); {
		case c < 0:
			i++
		case c > 0:
			k++
		default:
			if v := a[i].code - b[k].code; !math.IsNaN(v) && a[i].system != rtcm.GLONASS {
				d = append(d, v)
			}
			i, k = i+1, k+1
		}
	}
	if len(d) < inCommon {
		return false
	}
	slices.Sort(d)
	middle := d[len(d)/2]
	for i := range d {
		d[i] = math.Abs(d[i] - middle)
	}
	slices.Sort(d)
	return d[len(d)/2] < sameCode
}
