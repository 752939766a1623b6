package weather

import (
	"math"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical"
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
	runs       = copies.Rule{Run: 40, Different: 10}
	runsHourly = copies.Rule{Run: 12, Different: 3}
)

// repeated says for each station how many devices signed its series: the same
// values in the same order, at the same time or later, or the same but for a
// little noise. All that share one count as one. One that repeats itself counts
// for nothing.
func repeated(all []*record) []vertical.Term {
	sets := copies.NewSets(len(all))
	alike(all, sets)
	fast, slow := make([][]copies.Sample, len(all)), make([][]copies.Sample, len(all))
	for i, r := range all {
		if r.fast() {
			fast[i] = r.series()
		} else {
			slow[i] = r.series()
		}
	}
	byRun := copies.Find(runs, fast, sets)
	out := make([]vertical.Term, len(all))
	for i, v := range copies.Find(runsHourly, slow, sets) {
		v.Repeats = v.Repeats || byRun[i].Repeats
		out[i] = v.Term()
	}
	return out
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
func alike(all []*record, same copies.Sets) {
	groups := map[h3.Cell][]int{}
	for i, r := range all {
		if r.Cell != 0 {
			groups[region(r)] = append(groups[region(r)], i)
		}
	}
	for _, group := range groups { // groups do not touch each other
		series := make([]map[int64][3]float64, len(group))
		for k, i := range group {
			series[k] = moments(all[i])
			for j := range k {
				if same.Find(i) != same.Find(group[j]) && close(series[k], series[j]) {
					same.Join(i, group[j])
				}
			}
		}
	}
}

// moments are the last samples of every ten minutes.
func moments(r *record) map[int64][3]float64 {
	out := make(map[int64][3]float64, 200)
	for i := range r.samples {
		v := &r.samples[i].Value
		out[r.samples[i].Time.Unix()/600] = [3]float64{v[qod.Temperature], v[qod.Humidity], v[qod.Pressure]}
	}
	return out
}

// close compares two series at the moments that both have.
func close(a, b map[int64][3]float64) bool {
	var n float64
	var sum, square, own, ownSquare [3]float64
	for at, x := range a { // the order does not matter: sums are exact
		y, both := b[at]
		if !both || !sane(x) || !sane(y) {
			continue
		}
		n++
		for i := range x {
			// Whole thousandths add up the same in any order.
			d, v := math.Round(1000*(x[i]-y[i])), math.Round(1000*x[i])
			sum[i], square[i] = sum[i]+d, square[i]+float64(d*d)
			own[i], ownSquare[i] = own[i]+v, ownSquare[i]+float64(v*v)
		}
	}
	if n < leastCommon {
		return false
	}
	for i, limit := range [3]float64{alikeT, alikeRH, alikeP} {
		if variance(n, sum[i], square[i]) > float64(float64(1e6*limit)*limit) {
			return false
		}
	}
	return variance(n, own[0], ownSquare[0]) > 1e6*leastSpread*leastSpread
}

// sane reports whether a sample is whole and small enough for exact sums.
func sane(x [3]float64) bool {
	return math.Abs(x[0]) < 2000 && math.Abs(x[1]) < 2000 && math.Abs(x[2]) < 2000 // false for NaN
}

func variance(n, sum, square float64) float64 {
	return float64(square/n) - float64(float64(sum/n)*float64(sum/n))
}

// region is the cell of resolution 3, about 12,000 km², that a station is in.
func region(r *record) h3.Cell { return h3.Cell(r.Cell).Parent(3) }
