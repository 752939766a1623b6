package images

import (
	"cmp"
	"slices"
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
func (k Kind) settle(all []shot, groups []*group, stations int) []sums {
	cells := map[h3.Cell]*cellState{}
	for _, g := range groups { // in the order of time
		first := &all[g.shots[0]]
		c := first.cell()
		s := cells[c]
		if s == nil {
			s = &cellState{owners: map[string]bool{}}
			cells[c] = s
		}
		worth := freshness(s.last, first.Time) * k.bounty(c) / hundred / uint64(len(g.shots))
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

// bounty is what a cell counts in hundredths.
func (k Kind) bounty(c h3.Cell) uint64 {
	best := uint64(hundred)
	for _, b := range k.Bounties {
		if c.Parent(b.Area.Resolution()) == b.Area {
			best = max(best, min(b.Hundredths, maxBounty))
		}
	}
	return best
}

// Owned is a frame with whose it is.
type Owned struct {
	Owner string
	Frame
}

// Hex is what is known of a cell in a week; it is the unit that imagery is sold in.
type Hex struct {
	Cell          h3.Cell
	Images        int
	Owners        int
	First, Newest Owned
	// Age is how old the newest image is when the week ends.
	Age time.Duration
}

// Coverage lists the cells of Resolution of which there are images in the week
// before ended, by cell. area limits it to what lies in a coarser cell, 0 to
// nothing. It takes frames as they come, believed or not.
func Coverage(ended time.Time, area h3.Cell, frames []Owned) []Hex {
	type state struct {
		Hex
		owners map[string]bool
	}
	cells := map[h3.Cell]*state{}
	for _, f := range frames {
		c := f.cell()
		if f.Time.Before(ended.Add(-span)) || !f.Time.Before(ended) || area != 0 && c.Parent(area.Resolution()) != area {
			continue
		}
		s := cells[c]
		if s == nil {
			s = &state{Hex{Cell: c, First: f, Newest: f}, map[string]bool{}}
			cells[c] = s
		}
		s.Images++
		s.owners[f.Owner] = true
		if f.before(s.First) {
			s.First = f
		}
		if s.Newest.before(f) {
			s.Newest = f
		}
	}
	out := make([]Hex, 0, len(cells))
	for _, s := range cells {
		s.Owners, s.Age = len(s.owners), ended.Sub(s.Newest.Time)
		out = append(out, s.Hex)
	}
	slices.SortFunc(out, func(a, b Hex) int { return cmp.Compare(a.Cell, b.Cell) })
	return out
}

func (f Owned) before(g Owned) bool {
	return cmp.Or(f.Time.Compare(g.Time), slices.Compare(f.SHA256[:], g.SHA256[:]), cmp.Compare(f.Key, g.Key)) < 0
}
