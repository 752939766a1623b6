package weather

import (
	"math"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/copies"
	"github.com/grange-network/grange/vertical/sensing/weather/qod"
)

// Parameters of the search for series that several devices signed, or one device
// twice.
const (
	leastCommon = 20  // moments at which two series are compared
	leastSpread = 0.5 // K, standard deviation: what stands still is judged elsewhere

	// Standard deviations of the difference of two series that count as one.
	alikeT  = 0.15 // K
	alikeRH = 1.5  // %
	alikeP  = 0.15 // hPa
)

// Samples in a row that do not come twice by chance.
var (
	runs       = copies.Rule{Run: 40, Different: 10, Among: 9}
	runsHourly = copies.Rule{Run: 12, Different: 3, Among: 1}
)

func ruleOf(fast bool) copies.Rule {
	if fast {
		return runs
	}
	return runsHourly
}

// repeated says for each station whether others signed its series: the same values
// in the same order, at the same time or later, or the same but for a little noise.
// The oldest has its worth; one that repeats itself has none. It also says who copied.
func repeated(all []*course) (terms []vertical.Term, copied []bool) {
	series, ages := make([][]copies.Run, len(all)), make([]int64, len(all))
	for i, c := range all {
		series[i], ages[i] = c.runs, c.registered
	}
	same := copies.NewLikeness(ages)
	alike(all, same)
	for _, v := range copies.Find(series, same) {
		terms, copied = append(terms, v.Term()), append(copied, v.Copied())
	}
	return terms, copied
}

// series is what makes a sample equal to another: temperature, humidity and
// pressure to the hundredth.
func (r *record) series() []copies.Sample {
	out := make([]copies.Sample, len(r.samples))
	for i := range r.samples {
		v := &r.samples[i].Value
		out[i] = copies.Sample{At: r.samples[i].Time.Unix(), Digest: copies.Digest(v[qod.Temperature], v[qod.Humidity], v[qod.Pressure])}
	}
	return out
}

// alike finds series that are equal but for a little noise. Two honest stations
// are as alike only where they stand side by side, and then the second is worth
// nothing more.
func alike(all []*course, same *copies.Likeness) {
	groups := map[h3.Cell][]int{}
	for i, c := range all {
		if c.moments != nil {
			groups[region(c)] = append(groups[region(c)], i)
		}
	}
	for _, group := range groups { // groups do not touch each other
		for k, i := range group {
			for j := range k {
				if !same.Told(i, group[j]) && close(all[i].moments, all[group[j]].moments) {
					same.Join(i, group[j])
				}
			}
		}
	}
}

// moments are the last samples of every ten minutes: temperature, humidity and
// pressure, all NaN where one is missing or no weather. They are not in the order
// of time: neighbours in the list are hours apart, so that a few of them show
// whether two series are alike.
type moments [3][every]float64

const (
	every = int((qod.RunUp + hours*time.Hour) / moment)
	apart = 77 // moments between neighbours in the list; it has no divisor in common with every

	moment = 10 * time.Minute
)

func momentsOf(w sensing.Window, r *record) *moments {
	if r.Cell == 0 {
		return nil
	}
	m := new(moments)
	for v := range m {
		for k := range m[v] {
			m[v][k] = math.NaN()
		}
	}
	from := w.Began.Add(-qod.RunUp).Unix()
	for i := range r.samples {
		at := int(r.samples[i].Time.Unix()-from) / int(moment/time.Second)
		for v, of := range [3]qod.Variable{qod.Temperature, qod.Humidity, qod.Pressure} {
			m[v][at*apart%every] = r.samples[i].Value[of]
		}
	}
	for k := range every {
		for v := range m {
			if !(math.Abs(m[v][k]) < 2000) { // sums of more are not exact
				m[0][k], m[1][k], m[2][k] = math.NaN(), math.NaN(), math.NaN()
			}
		}
	}
	return m
}

// close compares two series at the moments that both have.
func close(a, b *moments) bool {
	for v, limit := range [3]float64{alikeT, alikeRH, alikeP} {
		if !steady(&a[v], &b[v], float64(1e6*limit)*limit) {
			return false
		}
	}
	var n, sum, square float64
	for k, x := range a[0] {
		if !math.IsNaN(x) && !math.IsNaN(b[0][k]) {
			t := math.Round(1000 * x)
			n, sum, square = n+1, sum+t, square+float64(t*t)
		}
	}
	return n >= leastCommon && variance(n, sum, square) > 1e6*leastSpread*leastSpread
}

// steady reports whether the difference of two series has at most this variance,
// in square thousandths. Whole thousandths add up the same in any order.
func steady(a, b *[every]float64, most float64) bool {
	var n, sum, square float64
	for k, x := range a {
		d := math.Round(1000 * (x - b[k]))
		if math.IsNaN(d) {
			continue
		}
		n, sum, square = n+1, sum+d, square+float64(d*d)
		// What differs so much stays so, however equal the others are.
		if square-float64(sum*sum)/n > 1.001*float64(every)*most {
			return false
		}
	}
	return n > 0 && variance(n, sum, square) <= most
}

func variance(n, sum, square float64) float64 {
	return float64(square/n) - float64(float64(sum/n)*float64(sum/n))
}

// region is the cell of resolution 3, about 12,000 km², that a station is in.
func region(c *course) h3.Cell { return c.cell.Parent(3) }
