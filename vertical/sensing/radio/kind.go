package radio

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/copies"
	"github.com/grange-network/grange/vertical/sensing/spots"
	"github.com/grange-network/grange/vertical/sensing/track"
)

// Parameters of the kind.
const (
	// Rate is the weight of a spot and hour in which one network was heard first. An
	// hour's drive through a town is some 400 of them, or about half a weather
	// station's hour; most of it is soon driven by others.
	Rate = 1
	// Resolution of spots (about 130 m across), and of the cells in which a network
	// that nobody else heard earns a bounty.
	Resolution       = 10
	BountyResolution = 8
	// Bounty is the factor for the first in such a cell; Alone the divisor of a
	// scan in which nothing was heard that another owner heard too.
	Bounty = 2
	Alone  = 2

	hours      = 24
	maxScans   = hours * 3600
	pointsName = "wifi"
)

// moving are the limits of a phone's track: Ichnaea's speed, beyond which nothing
// is heard well.
var moving = track.Limits{Speed: worstSpeed, Acceleration: 8, GapMetres: worstSpeed * 60, GapSeconds: 60, Least: 1}

// Kind is the radio kind.
type Kind struct{}

var _ sensing.Kind = Kind{}

// Info implements sensing.Kind.
func (Kind) Info() sensing.KindInfo {
	return sensing.KindInfo{Name: "radio", Format: Format{}, Span: hours * time.Hour, Use: "row", Hold: "hex-hour"}
}

// phone is what a device scanned in a window.
type phone struct {
	visitor spots.Visitor
	scans   []Report // those of a track that can be, in order
	faults  [track.Faults]uint64
	tooMany bool
}

// spot is where a network was heard in an hour.
type spot struct {
	cell    h3.Cell
	hour    int64
	network string
}

// Weigh implements sensing.Kind. A phone is paid for each spot, hour and network
// that it was first to scan, by how well it knew where it was and whether others
// heard the same transmitters.
func (Kind) Weigh(ctx context.Context, w sensing.Window, stations []sensing.Station) ([][]vertical.Part, error) {
	phones, visitors := make([]*phone, len(stations)), make([]spots.Visitor, len(stations))
	for i, s := range stations {
		phones[i] = phoneOf(w, s)
		visitors[i] = phones[i].visitor
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	places := make([][]spots.Place, len(phones))
	for i, p := range phones {
		places[i] = p.places()
	}
	together := spots.Together(visitors, places)
	visits := visitsOf(phones, together.Sets)
	earned := spots.Share(visitors, visits)
	series := make([][]copies.Run, len(phones))
	for i, p := range phones {
		series[i] = repeated.Runs(p.series())
	}
	same := copies.Find(series, copies.NewLikeness(sensing.Ages(stations)))
	out := make([][]vertical.Part, len(phones))
	for i, p := range phones {
		out[i] = p.parts(earned[i], same[i].Term(), together.Term(i))
	}
	return out, nil
}

// repeated is a run of scans that no phone makes twice, and no two make: places
// to the metre and signals, along a way.
var repeated = copies.Rule{Run: 10, Different: 5, Among: 1}

func (p *phone) series() []copies.Sample {
	out := make([]copies.Sample, len(p.scans))
	for i, r := range p.scans {
		var signals float64
		for _, t := range r.Towers {
			signals += signal(t.Strength)
		}
		for _, a := range r.Points {
			signals += signal(a.Strength)
		}
		out[i] = copies.Sample{At: r.Timestamp, Digest: copies.Digest(r.Position.Latitude*1e3, r.Position.Longitude*1e3, signals)}
	}
	return out
}

func signal(dBm *float64) float64 {
	if dBm == nil {
		return 0
	}
	return *dBm
}

func phoneOf(w sensing.Window, s sensing.Station) *phone {
	p := &phone{visitor: spots.Visitor{Owner: s.Owner, ID: s.ID}}
	var all []Report
	for b := range s.Batches {
		if b.Content != Content {
			continue
		}
		reports, err := Parse(b.Payload)
		if err != nil {
			continue
		}
		for _, r := range reports {
			if w.Holds(r.Time()) {
				all = append(all, r)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Report) int { return int(a.Timestamp - b.Timestamp) })
	all = slices.CompactFunc(all, func(a, b Report) bool { return a.Timestamp == b.Timestamp })
	if p.tooMany = len(all) > maxScans; p.tooMany {
		return p
	}
	points := make([]track.Point, len(all))
	for i, r := range all {
		points[i] = track.Point{Time: r.Timestamp, Lat: r.Position.Latitude, Lon: r.Position.Longitude, Heading: math.NaN()}
	}
	for i, f := range track.Check(points, moving) {
		if f == track.Fine {
			p.scans = append(p.scans, all[i])
		} else {
			p.faults[f]++
		}
	}
	return p
}

// places are where the phone was in each minute.
func (p *phone) places() []spots.Place {
	var out []spots.Place
	for _, r := range p.scans {
		here := spots.Place{Slot: r.Timestamp / 60_000, Cell: uint64(r.cell(Resolution))}
		if n := len(out); n == 0 || out[n-1].Slot != here.Slot {
			out = append(out, here)
		}
	}
	return out
}

func (r Report) cell(resolution int) h3.Cell {
	return h3.At(r.Position.Latitude, r.Position.Longitude, resolution)
}

// claim is what one scan says of one network.
type claim struct {
	device int
	at     int64 // Unix seconds
	cell   h3.Cell
	of     string
	value
}

// visitsOf are the visits of all phones, the best of each to a spot.
func visitsOf(phones []*phone, together copies.Sets) []spots.Visit[spot] {
	claims, crowds := claimsOf(phones, witnessesOf(phones, together))
	type key struct {
		device int
		spot
	}
	best := map[key]int{}
	var out []spots.Visit[spot]
	for _, c := range claims {
		worth := c.weight
		switch {
		case !c.corroborated:
			worth /= Alone
		case len(crowds[spot{cell: c.cell.Parent(BountyResolution), network: c.of}]) == 1:
			worth *= Bounty
		}
		v := spots.Visit[spot]{Spot: spot{c.cell, c.at / 3600, c.of}, Device: c.device, At: c.at, Worth: uint64(math.Round(worth * spots.Whole))}
		if k, again := best[key{c.device, v.Spot}]; again {
			out[k].Worth = max(out[k].Worth, v.Worth)
			continue
		}
		best[key{c.device, v.Spot}] = len(out)
		out = append(out, v)
	}
	return out
}

// claimsOf are the claims of all scans, and the owners that heard each network in
// each of the cells in which there are bounties.
func claimsOf(phones []*phone, known *witnesses) ([]claim, map[spot]map[string]bool) {
	var out []claim
	crowds := map[spot]map[string]bool{}
	for i, p := range phones {
		for _, r := range p.scans {
			cell := r.cell(Resolution)
			for network, v := range known.worth(i, r) { // each claims for itself
				out = append(out, claim{i, r.Timestamp / 1000, cell, network, v})
				s := spot{cell: cell.Parent(BountyResolution), network: network}
				if crowds[s] == nil {
					crowds[s] = map[string]bool{}
				}
				crowds[s][p.visitor.Owner] = true
			}
		}
	}
	return out, crowds
}

// parts explain what a phone earned.
func (p *phone) parts(earned uint64, same, company vertical.Term) []vertical.Part {
	terms := []vertical.Term{{Name: "rate", Value: Rate}, {Name: "spots and hours, the n-th visitor 1/n", Value: earned, Of: spots.Whole}, same, company}
	if p.tooMany {
		terms = []vertical.Term{{Name: "no more scans than one a second", Value: 0, Of: 1}}
	}
	out := []vertical.Part{{Name: "radio", Terms: terms}}
	for f, n := range p.faults {
		if n > 0 {
			out = append(out, vertical.Part{Name: fmt.Sprintf("radio, %d scans refused", n), Terms: []vertical.Term{{Name: track.Fault(f).String(), Value: 0, Of: 1}}})
		}
	}
	return out
}
