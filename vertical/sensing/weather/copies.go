package weather

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing/weather/qod"
)

// Parameters of the search for series that several devices signed, or one device
// twice.
const (
	gram        = 40 // samples in a row that do not come twice by chance
	gramHourly  = 12
	leastChange = 4 // a gram has at least gram/leastChange different samples

	leastCommon = 20    // moments at which two residuals are compared
	leastGroup  = 5     // stations whose median is taken off
	tooAlike    = 0.999 // correlation of residuals
)

// copies says for each station how many devices signed its series: the same
// values in the same order, at the same time or later, or the same but for a
// little noise. All that share one count as one. One that repeats itself counts
// for nothing.
func copies(all []*record) []vertical.Term {
	sets := newSets(len(all))
	repeats := make([]bool, len(all))
	repeated(all, sets, repeats)
	alike(all, sets)
	size := map[int]uint64{}
	for i := range all {
		size[sets.find(i)]++
	}
	out := make([]vertical.Term, len(all))
	for i := range all {
		out[i] = vertical.Term{Name: "one of the devices with this series", Value: 1, Of: size[sets.find(i)]}
		if repeats[i] {
			out[i] = vertical.Term{Name: "series does not repeat itself", Value: 0, Of: 1}
		}
	}
	return out
}

// sets are disjoint sets of stations.
type sets []int

func newSets(n int) sets {
	s := make(sets, n)
	for i := range s {
		s[i] = i
	}
	return s
}

func (s sets) find(i int) int {
	for s[i] != i {
		s[i] = s[s[i]]
		i = s[i]
	}
	return i
}

func (s sets) join(i, j int) { s[s.find(i)] = s.find(j) }

// place is where a gram was seen first.
type place struct {
	station int
	at      int64 // Unix seconds of its first sample
}

// triple is temperature, humidity and pressure in hundredths: what makes a sample
// equal to another.
type triple [3]int32

// repeated finds equal runs of samples.
func repeated(all []*record, same sets, repeats []bool) {
	seen := map[[sha256.Size]byte]place{}
	var b []byte
	for i, r := range all {
		n := gram
		if !r.fast() {
			n = gramHourly
		}
		b = b[:0]
		for k := range r.samples {
			for _, x := range tripleOf(&r.samples[k]) {
				b = binary.LittleEndian.AppendUint32(b, uint32(x))
			}
		}
		const size = 12 // bytes of a triple
		for k := 0; k+n <= len(r.samples); k++ {
			run := b[k*size : (k+n)*size]
			if different(run, size) < n/leastChange {
				continue
			}
			key := sha256.Sum256(run)
			first, again := seen[key]
			at := r.samples[k].Time.Unix()
			switch {
			case !again:
				seen[key] = place{i, at}
			case first.station != i:
				same.join(i, first.station)
			case first.at != at:
				repeats[i] = true
			}
		}
	}
}

func tripleOf(s *qod.Sample) (t triple) {
	for i, v := range []qod.Variable{qod.Temperature, qod.Humidity, qod.Pressure} {
		x := math.Round(s.Value[v] * 100)
		if !(math.Abs(x) < math.MaxInt32) {
			x = math.MinInt32
		}
		t[i] = int32(x)
	}
	return t
}

// different counts the changes in a run, and one.
func different(run []byte, size int) int {
	n := 1
	for i := size; i < len(run); i += size {
		if !bytes.Equal(run[i-size:i], run[i:i+size]) {
			n++
		}
	}
	return n
}

// alike finds series that are equal but for noise: what is left of temperature,
// humidity and pressure when the median of the stations nearby is taken off goes
// together to more than neighbours' ever does.
func alike(all []*record, same sets) {
	groups := map[h3.Cell][]int{}
	for i, r := range all {
		if r.Cell != 0 {
			groups[region(r)] = append(groups[region(r)], i)
		}
	}
	for _, group := range groups { // groups do not touch each other
		if len(group) >= leastGroup {
			alikeIn(all, group, same)
		}
	}
}

func alikeIn(all []*record, group []int, same sets) {
	residuals := make([][]float64, len(group))
	for _, v := range []qod.Variable{qod.Temperature, qod.Humidity, qod.Pressure} {
		for k, r := range residualsOf(all, group, v) {
			residuals[k] = append(residuals[k], r...)
		}
	}
	for a := range group {
		for b := range a {
			if same.find(group[a]) != same.find(group[b]) && correlation(residuals[a], residuals[b]) > tooAlike {
				same.join(group[a], group[b])
			}
		}
	}
}

// residualsOf are the differences to the group's median at every ten minutes of
// the series, standardised; NaN for none.
func residualsOf(all []*record, group []int, v qod.Variable) [][]float64 {
	const every = 600 // seconds
	low, high := int64(math.MaxInt64), int64(math.MinInt64)
	for _, i := range group {
		if n := len(all[i].samples); n > 0 {
			low, high = min(low, all[i].samples[0].Time.Unix()/every), max(high, all[i].samples[n-1].Time.Unix()/every)
		}
	}
	out := make([][]float64, len(group))
	if low > high {
		return out
	}
	for k, i := range group {
		out[k] = slices.Repeat([]float64{math.NaN()}, int(high-low+1))
		for s := range all[i].samples {
			out[k][all[i].samples[s].Time.Unix()/every-low] = all[i].samples[s].Value[v]
		}
	}
	var column []float64
	for t := range out[0] {
		column = column[:0]
		for k := range out {
			if x := out[k][t]; !math.IsNaN(x) {
				column = append(column, x)
			}
		}
		slices.Sort(column)
		for k := range out {
			if len(column) < leastGroup {
				out[k][t] = math.NaN()
			} else {
				out[k][t] -= column[len(column)/2]
			}
		}
	}
	for k := range out {
		standardise(out[k])
	}
	return out
}

// region is the cell of resolution 3, about 12,000 km², that a station is in.
func region(r *record) h3.Cell { return h3.Cell(r.Cell).Parent(3) }

// standardise brings a series to mean 0 and deviation 1; a constant one to
// nothing.
func standardise(x []float64) {
	var n, mean, square float64
	for _, v := range x {
		if !math.IsNaN(v) {
			n++
			mean += v
		}
	}
	mean /= n
	for _, v := range x {
		if !math.IsNaN(v) {
			square += float64((v - mean) * (v - mean))
		}
	}
	deviation := math.Sqrt(square / n)
	for i := range x {
		if x[i] = (x[i] - mean) / deviation; math.IsInf(x[i], 0) {
			x[i] = math.NaN()
		}
	}
}

func correlation(a, b []float64) float64 {
	var n, sa, sb, aa, bb, ab float64
	for i := range min(len(a), len(b)) {
		x, y := a[i], b[i]
		if math.IsNaN(x) || math.IsNaN(y) {
			continue
		}
		n++
		sa, sb = sa+x, sb+y
		aa, bb, ab = aa+float64(x*x), bb+float64(y*y), ab+float64(x*y)
	}
	if n < leastCommon {
		return 0
	}
	return (float64(n*ab) - float64(sa*sb)) / math.Sqrt(float64((float64(n*aa)-float64(sa*sa))*(float64(n*bb)-float64(sb*sb))))
}
