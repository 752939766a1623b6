package noise

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
	// Rate is the weight of a hexagon and hour measured first. An hour's walk passes
	// some 300 of them: about half a weather station's hour.
	Rate = 2
	// Resolution of hexagons, as Silencio has them: about 7 m across.
	Resolution = 13

	hours      = 24
	maxSamples = hours * 3600

	// Levels that differ by more from what leastOwners others measured in the same
	// cell and hour are not believed.
	mostApart       = 20.0 // dB
	leastOwners     = 3
	minutes         = 60_000 // ms
	meetingTogether = 10     // resolution at which devices that travel together meet
)

// Kind is the noise kind.
type Kind struct{}

var _ sensing.Kind = Kind{}

// Info implements sensing.Kind.
func (Kind) Info() sensing.KindInfo {
	return sensing.KindInfo{Name: "noise", Variables: []string{"laeq"}, Span: hours * time.Hour, Use: "row", Hold: "hex-hour"}
}

// ear is what a device measured in a window.
type ear struct {
	visitor spots.Visitor
	good    []Sample // in order
	faults  [faults]int
	tooMany bool
}

// Weigh implements sensing.Kind. A device is paid for each hexagon and hour that
// it was first to walk through and measure as a walker does.
func (Kind) Weigh(ctx context.Context, w sensing.Window, stations []sensing.Station) ([][]vertical.Part, error) {
	ears, visitors := make([]*ear, len(stations)), make([]spots.Visitor, len(stations))
	places, series := make([][]spots.Place, len(stations)), make([][]copies.Run, len(stations))
	for i, s := range stations {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		e := earOf(w, s)
		ears[i], visitors[i], places[i], series[i] = e, e.visitor, e.places(), repeated.Runs(e.series())
	}
	together := spots.Together(visitors, places)
	same := copies.Find(series, copies.NewLikeness(sensing.Ages(stations)))
	compare(ears, together.Sets)
	var visits []spots.Visit[hex]
	for i, e := range ears {
		visits = append(visits, e.visits(i)...)
	}
	earned := spots.Share(visitors, visits)
	out := make([][]vertical.Part, len(ears))
	for i, e := range ears {
		out[i] = e.parts(earned[i], same[i].Term(), together.Term(i))
	}
	return out, nil
}

func earOf(w sensing.Window, s sensing.Station) *ear {
	e := &ear{visitor: spots.Visitor{Owner: s.Owner, ID: s.ID}}
	all := samplesOf(w, s)
	if e.tooMany = len(all) > maxSamples; e.tooMany {
		return e
	}
	for i, f := range judge(all) {
		if f == fine {
			e.good = append(e.good, all[i])
		} else {
			e.faults[f]++
		}
	}
	return e
}

// samplesOf puts the readings of one time together. A level without a place is of
// the middle of the device's cell, if it has one.
func samplesOf(w sensing.Window, s sensing.Station) []Sample {
	at := map[int64]*Sample{}
	for b := range s.Batches {
		for _, r := range b.Records {
			if !w.Holds(r.Time) {
				continue
			}
			t := r.Time.UnixMilli()
			x := at[t]
			if x == nil {
				x = &Sample{Device: s.ID, Time: t, Lat: math.NaN(), Lon: math.NaN(), Level: math.NaN(), Accuracy: math.NaN(), Speed: math.NaN()}
				at[t] = x
			}
			x.set(r.Name, r.Value)
		}
	}
	lat, lon := math.NaN(), math.NaN()
	if s.Cell != 0 {
		lat, lon = h3.Cell(s.Cell).Centre()
	}
	var out []Sample
	for _, x := range at {
		if math.IsNaN(x.Lat) || math.IsNaN(x.Lon) {
			x.Lat, x.Lon, x.estimated = lat, lon, true
		}
		if !math.IsNaN(x.Level) && math.Abs(x.Lat) <= 90 && math.Abs(x.Lon) <= 180 {
			out = append(out, *x)
		}
	}
	slices.SortFunc(out, func(a, b Sample) int { return int(a.Time - b.Time) })
	return out
}

func (s *Sample) set(name string, v float64) {
	switch name {
	case "laeq":
		s.Level = v
	case "latitude":
		s.Lat = v
	case "longitude":
		s.Lon = v
	case "accuracy":
		s.Accuracy = v
	case "speed":
		s.Speed = v
	}
}

func (e *ear) places() []spots.Place {
	var out []spots.Place
	for _, s := range e.good {
		p := spots.Place{Slot: s.Time / minutes, Cell: uint64(h3.At(s.Lat, s.Lon, meetingTogether))}
		if n := len(out); n == 0 || out[n-1].Slot != p.Slot {
			out = append(out, p)
		}
	}
	return out
}

// repeated is a run of samples that nobody measures twice.
var repeated = copies.Rule{Run: 20, Different: 8, Among: 1}

func (e *ear) series() []copies.Sample {
	out := make([]copies.Sample, len(e.good))
	for i, s := range e.good {
		out[i] = copies.Sample{At: s.Time, Digest: copies.Digest(s.Level, s.Lat*1e3, s.Lon*1e3)}
	}
	return out
}

// compare drops what differs from what several others measured in the same cell
// and hour, after everybody's offset. Devices that travel together are one voice.
func compare(ears []*ear, together copies.Sets) {
	var all []Sample
	voice := map[[32]byte]int{}
	for i, e := range ears {
		voice[e.visitor.ID] = together.Find(i)
		all = append(all, e.good...)
	}
	by := levelsOf(all, meeting)
	offsets := by.offsets()
	for i, e := range ears {
		own, verdicts := together.Find(i), map[hex]bool{}
		e.good = slices.DeleteFunc(e.good, func(s Sample) bool {
			h := s.hex(meeting)
			bad, judged := verdicts[h]
			if !judged {
				bad = differs(by[h], s.Device, own, voice, offsets)
				verdicts[h] = bad
			}
			if bad {
				e.faults[unlike]++
			}
			return bad
		})
	}
}

// differs reports whether a device's level is far from the median of the others'
// in the same cell and hour, when there are enough of them.
func differs(here map[[32]byte]float64, device [32]byte, own int, voice map[[32]byte]int, offsets map[[32]byte]float64) bool {
	heard := map[int][]float64{}
	for d, level := range here {
		if voice[d] != own {
			heard[voice[d]] = append(heard[voice[d]], level+offsets[d])
		}
	}
	if len(heard) < leastOwners {
		return false
	}
	others := make([]float64, 0, len(heard))
	for _, x := range heard {
		others = append(others, median(x))
	}
	return math.Abs(here[device]+offsets[device]-median(others)) > mostApart
}

// visits are the hexagons that a device walked through: where it stands, the
// receiver's jitter is no way.
func (e *ear) visits(i int) []spots.Visit[hex] {
	var out []spots.Visit[hex]
	var last track.Point
	var here h3.Cell
	seen := map[hex]bool{}
	for _, s := range e.good {
		p := track.Point{Lat: s.Lat, Lon: s.Lon}
		if here == 0 || track.Distance(last, p) > stride {
			last, here = p, h3.At(s.Lat, s.Lon, Resolution)
		}
		h := hex{here, s.Time / 3_600_000}
		if !seen[h] {
			seen[h] = true
			out = append(out, spots.Visit[hex]{Spot: h, Device: i, At: s.Time / 1000, Worth: spots.Whole})
		}
	}
	return out
}

func (e *ear) parts(earned uint64, same, company vertical.Term) []vertical.Part {
	terms := []vertical.Term{{Name: "rate", Value: Rate}, {Name: "hexagons and hours, the n-th visitor 1/n", Value: earned, Of: spots.Whole}, same, company}
	if e.tooMany {
		terms = []vertical.Term{{Name: "no more samples than one a second", Value: 0, Of: 1}}
	}
	out := []vertical.Part{{Name: "noise", Terms: terms}}
	for f, n := range e.faults {
		if n > 0 {
			out = append(out, vertical.Part{Name: fmt.Sprintf("noise, %d samples refused", n), Terms: []vertical.Term{{Name: fault(f).String(), Value: 0, Of: 1}}})
		}
	}
	return out
}
