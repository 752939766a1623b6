package gnss

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

// Parameters of the kind.
const (
	// Rate is the weight of an hour of a perfect base: four weather stations', since
	// it costs as much more and its stream is sold by the second.
	Rate = 4000
	// Resolution of the cells that bases share, about 250 km² (GEODNET).
	Resolution = 5
	// Steady is the availability, ppm, from which on the oldest base of a cell leads
	// it.
	Steady = 980_000

	hours    = 24
	maxViews = 3 // witnesses of a base that are heard
)

// Kind is the GNSS kind. The zero value is that of every network.
type Kind struct {
	span time.Duration // in place of 24 h, for tests
}

var _ sensing.Kind = Kind{}

// Info implements sensing.Kind. Cells are shared by Weigh, which knows leads and
// clusters.
func (k Kind) Info() sensing.KindInfo {
	return sensing.KindInfo{Name: "gnss", Format: Format{}, Span: cmp.Or(k.span, hours*time.Hour), Use: "second of a stream", Hold: "station-hour"}
}

// base is a station with the view of it that counts.
type base struct {
	*view
	at     [3]float64 // earth-centred metres
	placed bool
	terms  []vertical.Term
	copyOf *base
}

// Weigh implements sensing.Kind. A base's weight is the product of its hours and
// availability; constellations, bands and strong satellites; age of epochs and
// steadiness of coordinates; whether it stands in its cell, where its own ranges
// put it, under the satellites that it observes, with signals as under a sky;
// whether its stream is its own; and its share of its cell.
func (Kind) Weigh(ctx context.Context, w sensing.Window, stations []sensing.Station) ([][]vertical.Part, error) {
	// Streams are read twice, for the orbits of all and then for themselves: together
	// they are too large to be held.
	orbits, err := orbitsOf(ctx, w, stations)
	if err != nil {
		return nil, err
	}
	all := make([]*base, len(stations))
	err = sensing.Each(ctx, len(stations), func(i int) error {
		for _, v := range viewsOf(w, stations[i], func(rtcm.Ephemeris) {}) {
			b := judge(w, v, orbits)
			v.keep()
			if all[i] == nil || value(b.terms) > value(all[i].terms) {
				all[i] = b
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	findCopies(all)
	for _, b := range all {
		b.terms = append(b.terms, yes("stream of its own, not of an older base", b.copyOf == nil))
	}
	share(all)
	out := make([][]vertical.Part, len(stations))
	for i, b := range all {
		out[i] = []vertical.Part{{Name: "gnss", Terms: b.terms}}
	}
	return out, nil
}

// orbitsOf collects the orbits in all streams.
func orbitsOf(ctx context.Context, w sensing.Window, stations []sensing.Station) (almanac, error) {
	found := make([][]rtcm.Ephemeris, len(stations))
	err := sensing.Each(ctx, len(stations), func(i int) error {
		known := map[rtcm.Ephemeris]bool{}
		viewsOf(w, stations[i], func(e rtcm.Ephemeris) {
			if !known[e] {
				known[e] = true
				found[i] = append(found[i], e)
			}
		})
		return nil
	})
	orbits := almanac{}
	for i, s := range stations {
		for _, e := range found[i] {
			orbits.add(s.Owner, e)
		}
	}
	return orbits, err
}

// viewsOf reads what a base signed, or else what witnesses did.
func viewsOf(w sensing.Window, s sensing.Station, publish func(rtcm.Ephemeris)) []*view {
	own := read(w, s, s.Batches, false, publish)
	if len(own.samples)+own.unread > 0 || len(s.Seen) == 0 {
		return []*view{own}
	}
	var signers [][32]byte
	by := map[[32]byte][]*sensing.Batch{}
	for _, b := range s.Seen {
		if by[b.Device] == nil {
			signers = append(signers, b.Device)
		}
		by[b.Device] = append(by[b.Device], b)
	}
	slices.SortStableFunc(signers, func(a, b [32]byte) int { return len(by[b]) - len(by[a]) })
	var out []*view
	for _, id := range signers[:min(len(signers), maxViews)] {
		out = append(out, read(w, s, slices.Values(by[id]), true, publish))
	}
	return out
}

func value(terms []vertical.Term) uint64 {
	v, _ := vertical.Part{Terms: terms}.Value() // a sum too large is refused where it is paid
	return v
}

// judge makes the terms of a stream by itself.
func judge(w sensing.Window, v *view, orbits almanac) *base {
	b := &base{view: v}
	systems, banded, satellites := v.sky()
	b.terms = []vertical.Term{
		{Name: "rate", Value: Rate}, {Name: "hours", Value: hours},
		ppm("seconds with an epoch of their own time", v.available(w)),
		ppm("constellations", systems), ppm("bands", banded), ppm("satellites of 32 dB-Hz, 26 to 29", satellites),
		ppm("epochs in time", v.timely()),
	}
	if v.witness {
		b.terms = append(b.terms, vertical.Term{Name: "a caster signed for it", Value: 4, Of: 5})
	}
	if b.at, b.placed = v.place(); !b.placed {
		b.terms = append(b.terms, yes("coordinates in its stream", false))
		return b
	}
	b.terms = append(b.terms, ppm("coordinates steady", v.steady(b.at)), yes("coordinates in its cell on the ledger", v.registered(b.at)))
	if good, of := v.own(orbits, b.at); of > 0 {
		b.terms = append(b.terms, vertical.Term{Name: "hours its ranges meet at its coordinates", Value: good, Of: of})
	} else {
		b.terms = append(b.terms, yes("no orbits of other owners to compare its place with", true))
	}
	good, of := v.risen(orbits, b.at)
	b.terms = append(b.terms, yes("satellites above its horizon", tolerated*(of-good) <= of), yes("signals as strong and weak as under a sky", v.lively()))
	return b
}
