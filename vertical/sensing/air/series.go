package air

import (
	"math"
	"slices"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/copies"
)

// variable is one that a station may measure.
type variable struct {
	name        string
	least, most float64
	jump        float64 // a lone sample that is farther from both its neighbours is no measurement; 0: any
	still       int     // hours of one value; 0: any number
	moving      float64 // above which standing still counts
}

// Indices of variables. Those before temperature are what a station is for.
const (
	pm1 = iota
	pm25
	pm10
	no2
	o3
	co
	co2
	tvoc
	temperature
	humidity
	pm25b // the second channel
	count
)

// variables: ranges are those of common sensors, particles in µg/m³, gases in the
// unit they come with. How long a value may stand still is judged above a level at
// which sensors that round show one value for hours.
var variables = [count]variable{
	pm1:         {"pm1_0", 0, 1000, 400, 8, 3},
	pm25:        {"pm2_5", 0, 1000, 400, 8, 3},
	pm10:        {"pm10", 0, 2000, 800, 8, 6},
	no2:         {"no2", 0, 5000, 1000, 8, 5},
	o3:          {"o3", 0, 2000, 500, 8, 5},
	co:          {"co", 0, 100_000, 20_000, 0, 0},
	co2:         {"co2", 300, 10_000, 5000, 8, 450},
	tvoc:        {"tvoc", 0, 60_000, 30_000, 8, 50},
	temperature: {"temperature", -50, 60, 10, 8, -50},
	humidity:    {"humidity", 0, 100, 40, 0, 0},
	pm25b:       {"pm2_5_b", 0, 1000, 400, 8, 3},
}

var byName = func() map[string]int {
	m := map[string]int{}
	for i, v := range variables {
		m[v.name] = i
	}
	return m
}()

// maxSamples of a variable in a window: one a second.
const maxSamples = hours * 3600

// sample is a value at a time.
type sample struct {
	at    int64 // Unix seconds
	value float64
}

// record is what a station showed in a window, without the samples.
type record struct {
	vertical.Device
	lat, lon float64 // middle of its cell; NaN without one
	began    int64
	measured [count]int // seconds with a sample
	good     [count][hours]bool
	mean     [count][hours]float64 // of the hour's good samples; NaN for none
	runs     []copies.Run
}

func recordOf(w sensing.Window, s sensing.Station) *record {
	r := &record{Device: s.Device, lat: math.NaN(), lon: math.NaN(), began: w.Began.Unix()}
	if s.Cell != 0 {
		r.lat, r.lon = h3.Cell(s.Cell).Centre()
	}
	var samples [count][]sample
	for b := range s.Batches {
		for _, x := range b.Records {
			if v, known := byName[x.Name]; known && w.Holds(x.Time) {
				samples[v] = append(samples[v], sample{x.Time.Unix(), x.Value})
			}
		}
	}
	for v := range samples {
		samples[v] = inOrder(samples[v])
		r.measured[v] = len(samples[v])
		r.judge(v, samples[v])
	}
	r.runs = runsOf(series(&samples, r.main()))
	return r
}

// inOrder sorts by time and keeps one sample of each second: that of the batch
// signed last.
func inOrder(all []sample) []sample {
	slices.Reverse(all) // behind a stable sort the last one signed is the first of its second
	slices.SortStableFunc(all, func(a, b sample) int { return int(a.at - b.at) })
	return slices.CompactFunc(all, func(a, b sample) bool { return a.at == b.at })
}

// judge marks the hours in which a variable was measured well: in range, without
// lone jumps, not standing still, and with two thirds of the samples that the
// station's own cadence gives.
func (r *record) judge(v int, all []sample) {
	rule := variables[v]
	var sum, n [hours]float64
	for i, s := range all {
		if s.value >= rule.least && s.value <= rule.most && !lone(all, i, rule.jump) {
			h := (s.at - r.began) / 3600
			sum[h] += s.value
			n[h]++
		}
	}
	expected := 3600 / max(1, cadence(all).Seconds())
	still := r.standing(v, all)
	for h := range hours {
		r.mean[v][h] = math.NaN()
		if n[h] > 0 {
			r.mean[v][h] = sum[h] / n[h]
		}
		r.good[v][h] = n[h] > 0 && float64(3*n[h]) >= float64(2*min(expected, 3600)) && !still[h]
	}
}

// lone reports whether a sample is farther than jump from both that are beside it.
func lone(all []sample, i int, jump float64) bool {
	if jump == 0 || i == 0 || i == len(all)-1 {
		return false
	}
	before, after := all[i].value-all[i-1].value, all[i].value-all[i+1].value
	return math.Abs(before) > jump && math.Abs(after) > jump && before*after > 0
}

// cadence is the median time between samples; an hour with fewer than three.
func cadence(all []sample) time.Duration {
	if len(all) < 3 {
		return time.Hour
	}
	gaps := make([]int64, len(all)-1)
	for i := range gaps {
		gaps[i] = all[i+1].at - all[i].at
	}
	slices.Sort(gaps)
	return min(time.Hour, time.Duration(gaps[len(gaps)/2])*time.Second)
}

// standing are the hours that lie in a run of one value longer than may be.
func (r *record) standing(v int, all []sample) (out [hours]bool) {
	rule := variables[v]
	if rule.still == 0 {
		return out
	}
	for from := 0; from < len(all); {
		to := from
		for to+1 < len(all) && all[to+1].value == all[from].value {
			to++
		}
		if all[from].value > rule.moving && all[to].at-all[from].at >= int64(rule.still)*3600 {
			for h := (all[from].at - r.began) / 3600; h <= (all[to].at-r.began)/3600; h++ {
				out[h] = true
			}
		}
		from = to + 1
	}
	return out
}

// measures reports whether a station sends a variable.
func (r *record) measures(v int) bool { return r.measured[v] > 0 }

// series is what makes a station's samples equal to another's: particles or gas,
// temperature and humidity of each moment.
func series(samples *[count][]sample, main int) []copies.Sample {
	out := make([]copies.Sample, 0, len(samples[main]))
	t, h := math.NaN(), math.NaN()
	it, ih := 0, 0
	for _, s := range samples[main] {
		t, it = newest(samples[temperature], it, s.at, t)
		h, ih = newest(samples[humidity], ih, s.at, h)
		out = append(out, copies.Sample{At: s.at, Digest: copies.Digest(s.value, t, h)})
	}
	return out
}

// newest is the last value until a time, and where the next ones begin.
func newest(all []sample, i int, at int64, v float64) (float64, int) {
	for ; i < len(all) && all[i].at <= at; i++ {
		v = all[i].value
	}
	return v, i
}
