package events

import (
	"slices"
	"time"

	"github.com/grange-network/grange/h3"
)

// place is a cell in an hour.
type place struct {
	cell h3.Cell
	hour int64 // Unix hours
}

func placeOf(e Event) place {
	return place{cellOf(e.Pose), e.Time.Unix() / int64(time.Hour/time.Second)}
}

// sight is what makes an event the same as another: nobody else sees the same
// box at the same millisecond.
type sight struct {
	at    int64 // ms
	class Class
	box   Box
}

func sightOf(e Event) sight { return sight{e.Time.UnixMilli(), e.Class, e.Box} }

// book holds what was seen where.
type book struct {
	hours  map[visit][]int64                  // in which an owner's devices saw a cell, sorted
	places map[place]map[string]map[sight]int // by owner; the device that has it
	copies map[sight]map[string]bool          // owners that say they saw it
}

func newBook() *book {
	return &book{map[visit][]int64{}, map[place]map[string]map[sight]int{}, map[sight]map[string]bool{}}
}

// visit is an owner in a cell.
type visit struct {
	cell  h3.Cell
	owner string
}

// enter notes an event of a device. What two devices of an owner saw is one.
func (b *book) enter(device int, owner string, e Event) {
	at, s := placeOf(e), sightOf(e)
	if b.places[at] == nil {
		b.places[at] = map[string]map[sight]int{}
	}
	if b.places[at][owner] == nil {
		b.places[at][owner] = map[sight]int{}
		v := visit{at.cell, owner}
		k, _ := slices.BinarySearch(b.hours[v], at.hour)
		b.hours[v] = slices.Insert(b.hours[v], k, at.hour)
	}
	if _, twice := b.places[at][owner][s]; !twice {
		b.places[at][owner][s] = device
	}
	if b.copies[s] == nil {
		b.copies[s] = map[string]bool{}
	}
	b.copies[s][owner] = true
}

// sums are millionths of cell-hours.
type sums struct{ seen, alone uint64 }

// settle shares the places among the devices. All sums are of integers, so the
// order of places and owners does not matter.
func (b *book) settle(devices int) []sums {
	out := make([]sums, devices)
	for at, owners := range b.places {
		b.share(at, owners, out)
	}
	return out
}

// share divides one place. The second hour of an owner in a cell is worth a half,
// the third a third: who stays at a corner sees the same again.
func (b *book) share(at place, owners map[string]map[sight]int, out []sums) {
	classes := map[Class]int{} // owners that saw each, copies aside
	worth := map[string]uint64{}
	total := uint64(0)
	for owner, seen := range owners {
		original := map[Class]bool{}
		events := uint64(0)
		for s := range seen {
			events += b.part(s)
			if len(b.copies[s]) == 1 {
				original[s.class] = true
			}
		}
		for c := range original {
			classes[c]++
		}
		worth[owner] = diminished(events)
		total += worth[owner]
	}
	for owner, seen := range owners {
		by := map[int]*sums{} // millionths of events by device
		events := uint64(0)
		for s, device := range seen {
			if by[device] == nil {
				by[device] = &sums{}
			}
			if classes[s.class] > 1 && len(b.copies[s]) == 1 {
				by[device].seen += b.part(s)
			} else {
				by[device].alone += b.part(s)
			}
			events += b.part(s)
		}
		before, _ := slices.BinarySearch(b.hours[visit{at.cell, owner}], at.hour)
		share := worth[owner] * whole / max(total, whole) / uint64(before+1)
		for device, n := range by {
			out[device].seen += share * n.seen / max(events, 1)
			out[device].alone += share * n.alone / max(events, 1)
		}
	}
}

// part is the part of an event that an owner has, in millionths: those who say
// that they saw the very same share it.
func (b *book) part(s sight) uint64 { return whole / uint64(len(b.copies[s])) }

// diminished is 1 + 1/2 + 1/3 … for so many millionths of events, as millionths
// of what Enough give.
func diminished(events uint64) uint64 {
	var sum, all uint64
	for i := uint64(1); i <= Enough; i++ {
		all += whole / i
		sum += min(events, whole) / i
		events -= min(events, whole)
	}
	return sum * whole / all
}
