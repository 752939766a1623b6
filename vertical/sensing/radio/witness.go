package radio

import (
	"math"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing/copies"
)

// extent is where one visitor saw a transmitter.
type extent struct {
	south, north, west, east float64
}

func (e extent) with(lat, lon float64) extent {
	return extent{min(e.south, lat), max(e.north, lat), min(e.west, lon), max(e.east, lon)}
}

func (e extent) across() float64 { return h3.Distance(e.south, e.west, e.north, e.east) }

func (e extent) middle() (lat, lon float64) { return (e.south + e.north) / 2, (e.west + e.east) / 2 }

// witnesses say who saw which transmitter where.
type witnesses struct {
	phones   []*phone
	together copies.Sets
	seen     map[transmitter]map[int]extent // by transmitter and set of phones that are one
}

func witnessesOf(phones []*phone, together copies.Sets) *witnesses {
	w := &witnesses{phones, copies.NewSets(len(phones)), map[transmitter]map[int]extent{}}
	first := map[string]int{}
	for i, p := range phones {
		w.together.Join(i, together.Find(i))
		if k, again := first[p.visitor.Owner]; again {
			w.together.Join(i, k)
		} else {
			first[p.visitor.Owner] = i
		}
	}
	for i, p := range phones {
		set := w.together.Find(i)
		for _, r := range p.scans {
			for _, t := range r.Towers {
				w.note(t.key(), set, r.Position)
			}
			for _, a := range r.Points {
				w.note(transmitter{name: a.Address}, set, r.Position)
			}
		}
	}
	return w
}

func (w *witnesses) note(of transmitter, set int, at Position) {
	if w.seen[of] == nil {
		w.seen[of] = map[int]extent{}
	}
	e, again := w.seen[of][set]
	if !again {
		e = extent{math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)}
	}
	w.seen[of][set] = e.with(at.Latitude, at.Longitude)
}

// verdict of others about a transmitter at a place.
type verdict int

const (
	unknown   verdict = iota // nobody else heard it
	confirmed                // another did, near
	denied                   // it moves, or two others heard it far away and none near
)

// ask what others say. A transmitter that the phone itself saw too far apart moves;
// another that claims so is no witness, or one could deny what all the rest hear.
func (w *witnesses) ask(of transmitter, set int, at Position, reach float64) verdict {
	far := 0
	out := unknown
	for other, e := range w.seen[of] {
		lat, lon := e.middle()
		switch {
		case other == set && e.across() > reach:
			return denied
		case other == set, e.across() > reach:
		case h3.Distance(at.Latitude, at.Longitude, lat, lon) <= reach:
			out = confirmed
		default:
			far++
		}
	}
	if out == unknown && far >= 2 {
		return denied
	}
	return out
}

// value of a scan for one network.
type value struct {
	weight       float64 // 0 to 1
	corroborated bool
}

// worth is what a report says about each network that it heard.
func (w *witnesses) worth(i int, r Report) map[string]value {
	set := w.together.Find(i)
	out := map[string]value{}
	if r.Position.Source == "manual" {
		return out
	}
	add := func(network string, weight float64, v verdict) {
		if v == denied || weight == 0 {
			return
		}
		was := out[network]
		out[network] = value{max(was.weight, weight), was.corroborated || v == confirmed}
	}
	for _, t := range r.Towers {
		add(t.network(), r.Position.weight(t.Age, worstOfTower), w.ask(t.key(), set, r.Position, ReachOfTower))
	}
	still := 0
	for _, a := range r.Points {
		if w.ask(transmitter{name: a.Address}, set, r.Position, ReachOfPoint) != denied {
			still++
		}
	}
	for _, a := range r.Points {
		if still >= 2 {
			add(pointsName, r.Position.weight(a.Age, worstOfPoint), w.ask(transmitter{name: a.Address}, set, r.Position, ReachOfPoint))
		}
	}
	return out
}
