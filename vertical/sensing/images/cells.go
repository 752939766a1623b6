package images

import (
	"time"

	"github.com/grange-network/grange/h3"
)

// sums are millionths of fresh cells.
type sums struct{ seen, alone uint64 }

// credit is what a station has for one image of a cell.
type credit struct {
	station int
	worth   uint64
}

// cellState is what is known of a cell while images are gone through.
type cellState struct {
	last    time.Time
	owners  map[string]bool // that have a picture of their own
	credits []credit
}

// settle pays each picture by the age of the image before it in its cell, whoever
// made that: what is paid for a cell is at most 1 and the part of a week between
// its first and last image, by however many devices. Owners who have the same
// picture share what it is worth, and vouch for nobody.
func settle(all []shot, groups []*group, stations int) []sums {
	cells := map[h3.Cell]*cellState{}
	for _, g := range groups { // in the order of time
		first := &all[g.shots[0]]
		c := first.cell()
		s := cells[c]
		if s == nil {
			s = &cellState{owners: map[string]bool{}}
			cells[c] = s
		}
		worth := freshness(s.last, first.Time) / uint64(len(g.shots))
		s.last = first.Time
		for _, i := range g.shots {
			s.credits = append(s.credits, credit{all[i].station, worth})
		}
		if len(g.shots) == 1 {
			s.owners[first.owner] = true
		}
	}
	out := make([]sums, stations)
	for _, s := range cells { // sums of integers: their order does not matter
		for _, x := range s.credits {
			if len(s.owners) > 1 {
				out[x.station].seen += x.worth
			} else {
				out[x.station].alone += x.worth
			}
		}
	}
	return out
}

// freshness is what a new image of a cell is worth, in millionths: the part of a
// week that nobody made one. Without an earlier one in the window it is 1.
func freshness(before, now time.Time) uint64 {
	if before.IsZero() {
		return whole
	}
	return min(whole, uint64(now.Sub(before).Milliseconds())*whole/uint64(span.Milliseconds()))
}
