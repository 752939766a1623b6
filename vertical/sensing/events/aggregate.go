package events

import (
	"cmp"
	"slices"
	"time"

	"github.com/grange-network/grange/h3"
)

// Quorum is how many owners must have seen a class in a cell and hour before its
// count is told. Devices of one owner count as one.
const Quorum = 3

// Late is how old an event may be when it arrives; then its hour is closed.
const Late = 72 * time.Hour

// Sighting is an event with who saw it.
type Sighting struct {
	Owner string
	Event
}

// Count is what may be told: how often a class was seen in a cell and hour.
type Count struct {
	Cell  h3.Cell
	Hour  time.Time
	Class Class
	Count uint64
}

// Closed is the end of the hours that nothing can be added to at a time.
func Closed(now time.Time) time.Time { return now.Add(-Late).Truncate(time.Hour) }

// Aggregate counts the sightings of hours that ended before closed, sorted by
// cell, hour and class.
//
// A class that fewer than Quorum owners saw in a cell and hour is left out. So
// that no two answers differ by what was left out, there is one resolution, one
// length of time and no total, and an hour is told when it cannot change any
// more: sums for larger areas are sums of what is here. The part of each owner in a
// count is not bounded: two who know their own counts know the third's.
func Aggregate(closed time.Time, seen []Sighting) []Count {
	type key struct {
		place
		class Class
	}
	events := map[key]map[sight]bool{}
	owners := map[key]map[string]bool{}
	for _, s := range seen {
		k := key{placeOf(s.Event), s.Class}
		if k.end().After(closed) {
			continue
		}
		if events[k] == nil {
			events[k], owners[k] = map[sight]bool{}, map[string]bool{}
		}
		events[k][sightOf(s.Event)] = true
		owners[k][s.Owner] = true
	}
	var out []Count
	for k, all := range events {
		if len(owners[k]) >= Quorum {
			out = append(out, Count{k.cell, time.Unix(k.hour*3600, 0).UTC(), k.class, uint64(len(all))})
		}
	}
	slices.SortFunc(out, func(a, b Count) int {
		return cmp.Or(cmp.Compare(a.Cell, b.Cell), a.Hour.Compare(b.Hour), cmp.Compare(a.Class, b.Class))
	})
	return out
}

func (p place) end() time.Time { return time.Unix((p.hour+1)*3600, 0) }
