package events

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/track"
)

// Parameters of the kind.
const (
	// Rate is the weight of a cell in an hour that was seen well and that others
	// saw too. A weather station has 1,000 for an hour; a car passes through some
	// forty cells in one, most of them unseen by others.
	Rate = 100
	// Resolution of cells is that of what is published.
	Resolution = h3.PublishedResolution
	// Enough events in a cell and hour; more earn nothing.
	Enough = 10

	leastConfidence = 300 // thousandths
	maxEvents       = 200_000
	hours           = 24
	whole           = 1_000_000 // parts per million
)

// Kind is the kind of event records.
type Kind struct{}

var _ sensing.Kind = Kind{}

// Info implements sensing.Kind.
func (Kind) Info() sensing.KindInfo {
	return sensing.KindInfo{Name: "events", Format: Format{}, Span: hours * time.Hour, Use: "row", Hold: "cell-hour"}
}

// Weigh implements sensing.Kind. What an owner's devices saw in a cell and hour
// is worth a first part and 1/2, 1/3 … of it for each event more and for each hour
// more in the cell, the owners share at most one whole, and what nobody else saw
// counts half.
func (Kind) Weigh(ctx context.Context, w sensing.Window, stations []sensing.Station) ([][]vertical.Part, error) {
	b := newBook()
	out := make([][]vertical.Part, len(stations))
	for i, s := range stations {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		seen, why := sightings(w, s)
		out[i] = why
		for _, e := range seen {
			b.enter(i, s.Owner, e)
		}
	}
	for i, sum := range b.settle(len(stations)) {
		if sum.seen > 0 {
			out[i] = append(out[i], part("cell-hours that others saw too", sum.seen, 0))
		}
		if sum.alone > 0 {
			out[i] = append(out[i], part("cell-hours that nobody else saw", sum.alone, 2))
		}
		if len(out[i]) == 0 {
			out[i] = []vertical.Part{refused("an event in the window", 1)}
		}
	}
	return out, nil
}

func part(name string, millionths uint64, of uint64) vertical.Part {
	p := vertical.Part{Name: "events", Terms: []vertical.Term{{Name: "rate", Value: Rate}, {Name: name, Value: millionths, Of: whole}}}
	if of > 1 {
		p.Terms = append(p.Terms, vertical.Term{Name: "seen by one owner only", Value: 1, Of: of})
	}
	return p
}

// sightings are a device's events of the window that can be believed; why says
// how many cannot, and for what reason.
func sightings(w sensing.Window, s sensing.Station) (good []Event, why []vertical.Part) {
	all := eventsOf(w, s)
	if len(all) > maxEvents {
		return nil, []vertical.Part{refused("not more than two events a second", len(all))}
	}
	points, at := pointsOf(all)
	var count [track.Faults]int
	for i, f := range track.Check(points, track.Sparse) {
		for _, e := range all[at[i]:at[i+1]] {
			count[f]++
			if f == track.Fine {
				good = append(good, e)
			}
		}
	}
	for f, n := range count {
		if n > 0 && track.Fault(f) != track.Fine {
			why = append(why, refused(track.Fault(f).String(), n))
		}
	}
	return good, why
}

func refused(missing string, events int) vertical.Part {
	return vertical.Part{Name: "events refused", Terms: []vertical.Term{{Name: missing, Value: 0, Of: uint64(events)}}}
}

// eventsOf lists a device's events in the order of time, each once.
func eventsOf(w sensing.Window, s sensing.Station) []Event {
	var all []Event
	for b := range s.Batches {
		if b.Content != Content {
			continue
		}
		list, err := Decode(b.Payload)
		if err != nil {
			continue // published by somebody whose gateway does not check
		}
		for _, e := range list {
			if w.Holds(e.Time) && e.Confidence >= leastConfidence {
				all = append(all, e)
			}
		}
	}
	slices.SortFunc(all, compare)
	return slices.CompactFunc(all, func(a, b Event) bool { return compare(a, b) == 0 })
}

func compare(a, b Event) int {
	return cmp.Or(
		a.Time.Compare(b.Time), cmp.Compare(a.Pose.Lat, b.Pose.Lat), cmp.Compare(a.Pose.Lon, b.Pose.Lon),
		cmp.Compare(a.Pose.Heading, b.Pose.Heading), cmp.Compare(a.Class, b.Class),
		cmp.Compare(a.Box.Left, b.Box.Left), cmp.Compare(a.Box.Top, b.Box.Top),
		cmp.Compare(a.Box.Right, b.Box.Right), cmp.Compare(a.Box.Bottom, b.Box.Bottom),
	)
}

// pointsOf is the track of events; those of point i are at[i] to at[i+1].
func pointsOf(all []Event) (points []track.Point, at []int) {
	for i, e := range all {
		if i > 0 && e.Time.Equal(all[i-1].Time) && e.Pose.Lat == all[i-1].Pose.Lat && e.Pose.Lon == all[i-1].Pose.Lon {
			continue
		}
		at = append(at, i)
		points = append(points, track.Point{
			Time: e.Time.UnixMilli(), Lat: degrees(e.Pose.Lat), Lon: degrees(e.Pose.Lon), Heading: float64(e.Pose.Heading) / 10,
		})
	}
	return points, append(at, len(all))
}

func degrees(e7 int32) float64 { return float64(e7) / 1e7 }

func cellOf(p Pose) h3.Cell { return h3.At(degrees(p.Lat), degrees(p.Lon), Resolution) }
