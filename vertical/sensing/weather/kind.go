package weather

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/copies"
	"github.com/grange-network/grange/vertical/sensing/weather/qod"
)

// Parameters of the kind.
const (
	// Rate is the weight of a station-hour with perfect data; the other kinds are
	// weighed against it.
	Rate = 1000
	// Resolution and Seats of cells, as WeatherXM has them: about 5 km².
	Resolution = 7
	Seats      = 10

	hours      = 24
	maxSamples = 30 * 3600
	whole      = 1_000_000 // parts per million
)

// Kind is the weather kind.
type Kind struct{}

var _ sensing.Kind = Kind{}

// Info implements sensing.Kind. A thermometer alone is a weather station, of which a
// third of the values are there; so is an air sensor that has one.
func (Kind) Info() sensing.KindInfo {
	return sensing.KindInfo{
		Name:      "weather",
		Variables: []string{"temperature", "humidity", "wind_speed", "wind_direction", "precipitation_accumulated", precipitation, "illuminance", "pressure"},
		Span:      hours * time.Hour,
		Cells:     sensing.Cells{Resolution: Resolution, Seats: Seats},
		Use:       "row", Hold: "station-hour",
	}
}

// Weigh implements sensing.Kind. A station's weight is the product of its hours,
// the quality of its own series, how far its neighbours agree, whether it stands
// outdoors, and its share of a series that several devices signed.
func (Kind) Weigh(ctx context.Context, w sensing.Window, stations []sensing.Station) ([][]vertical.Part, error) {
	all := make([]*course, len(stations))
	err := sensing.Each(ctx, len(stations), func(i int) (err error) {
		all[i], err = courseOf(w, recordOf(w, stations[i]))
		return err
	})
	if err != nil {
		return nil, err
	}
	same, copied := repeated(all)
	agree, err := neighbours(ctx, all, copied)
	if err != nil {
		return nil, err
	}
	out := make([][]vertical.Part, len(stations))
	for i, c := range all {
		out[i] = []vertical.Part{{Name: "weather", Terms: append(c.terms, agree[i], c.outdoors, same[i])}}
	}
	return out, nil
}

// course is what is kept of a record for the comparison with others, a hundredth of
// it, and how it was judged by itself.
type course struct {
	owner      string
	registered int64 // height
	cell       h3.Cell
	lat, lon   float64
	terms      []vertical.Term
	outdoors   vertical.Term
	hourly     []float64 // mean temperature of each hour of the window; NaN for none
	moments    *moments  // nil without a cell
	fast       bool
	runs       []copies.Run
}

func courseOf(w sensing.Window, r *record) (*course, error) {
	q, err := quality(w, r)
	if err != nil {
		return nil, err
	}
	c := &course{
		owner: r.Owner, registered: r.Registered, cell: h3.Cell(r.Cell), lat: r.lat, lon: r.lon, fast: r.fast(),
		terms:    []vertical.Term{{Name: "rate", Value: Rate}, {Name: "hours", Value: hours}, q},
		outdoors: outdoors(w, r), hourly: r.hourlyMeans(w, qod.Temperature), moments: momentsOf(w, r),
	}
	if !c.fast {
		c.terms = append(c.terms, vertical.Term{Name: "reports by the hour only", Value: 1, Of: 2})
	}
	c.runs = ruleOf(c.fast).Runs(r.series())
	return c, nil
}

// record is what a station measured, from the run-up of the window to its end.
type record struct {
	sensing.Station
	lat, lon float64 // middle of its cell; NaN without one
	samples  []qod.Sample
	rain     []float64 // mm since the last sample, of stations that count so; NaN: missing
	step     time.Duration
}

// precipitation is the rain since the last reading, which some stations report in
// place of a counter.
const precipitation = "precipitation"

var variable = func() map[string]qod.Variable {
	m := map[string]qod.Variable{}
	for v := range qod.Variable(qod.Variables) {
		m[v.String()] = v
	}
	return m
}()

func recordOf(w sensing.Window, s sensing.Station) *record {
	r := &record{Station: s, lat: math.NaN(), lon: math.NaN()}
	if s.Cell != 0 {
		r.lat, r.lon = h3.Cell(s.Cell).Centre()
	}
	from, to := w.Began.Add(-qod.RunUp).Unix(), w.Ended.Unix() // whole hours
	at := map[int64]int{}
	newest, i := int64(math.MinInt64), 0 // readings of one moment mostly come together
	for b := range s.Batches {
		for k := range b.Records {
			x := &b.Records[k]
			v, known := variable[x.Name]
			second := x.Time.Unix()
			if second < from || second >= to || !known && x.Name != precipitation {
				continue
			}
			if second != newest {
				newest = second
				have := false
				if i, have = at[second]; !have {
					i = len(r.samples)
					at[second] = i
					r.samples, r.rain = append(r.samples, empty(x.Time.Truncate(time.Second))), append(r.rain, math.NaN())
				}
			}
			if known {
				r.samples[i].Value[v] = x.Value
			} else {
				r.rain[i] = x.Value
			}
		}
	}
	r.sort()
	r.step = cadence(r.samples)
	return r
}

func empty(t time.Time) qod.Sample {
	s := qod.Sample{Time: t}
	for v := range s.Value {
		s.Value[v] = math.NaN()
	}
	return s
}

func (r *record) sort() {
	byTime := func(a, b qod.Sample) int { return a.Time.Compare(b.Time) }
	if slices.IsSortedFunc(r.samples, byTime) {
		return
	}
	order := make([]int, len(r.samples))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return byTime(r.samples[a], r.samples[b]) })
	samples, rain := make([]qod.Sample, len(order)), make([]float64, len(order))
	for i, k := range order {
		samples[i], rain[i] = r.samples[k], r.rain[k]
	}
	r.samples, r.rain = samples, rain
}

// cadence is the median time between samples, 0 with fewer than three.
func cadence(samples []qod.Sample) time.Duration {
	if len(samples) < 3 {
		return 0
	}
	gaps := make([]time.Duration, 0, len(samples)-1)
	for i := range samples[1:] {
		gaps = append(gaps, samples[i+1].Time.Sub(samples[i].Time))
	}
	slices.Sort(gaps)
	return gaps[len(gaps)/2]
}

// slowest is the longest time between samples for which the published method has
// parameters.
const slowest = 10 * time.Minute

// fast reports whether the published method applies.
func (r *record) fast() bool { return r.step > 0 && r.step <= slowest }

// quality judges a station by its own series: by the published method where the
// station samples often enough for it, by the hour otherwise.
func quality(w sensing.Window, r *record) (vertical.Term, error) {
	if !r.fast() {
		good, of := hourly(w, r)
		return vertical.Term{Name: "good hourly values", Value: good, Of: of}, nil
	}
	if len(r.samples) > maxSamples {
		return vertical.Term{Name: "no more samples than one a second", Value: 0, Of: 1}, nil
	}
	kind := &qod.WS2000
	if r.step <= time.Minute {
		kind = &qod.WS1000
	}
	got, err := qod.Check(kind, w.Began, r.samples)
	if err != nil {
		return vertical.Term{}, err
	}
	return vertical.Term{Name: "quality of data", Value: uint64(math.Round(got.Score * whole)), Of: whole}, nil
}
