package weather

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math"

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

	leastCommon = 20  // moments at which two series are compared
	leastSpread = 0.5 // K, standard deviation: what stands still is judged elsewhere

	// Standard deviations of the difference of two series that count as one.
	alikeT  = 0.15 // K
	alikeRH = 1.5  // %
	alikeP  = 0.15 // hPa
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

// alike finds series that are equal but for a little noise. Two honest stations
// are as alike only where they stand side by side, and then the second is worth
// nothing more.
func alike(all []*record, same sets) {
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
				if same.find(i) != same.find(group[j]) && close(series[k], series[j]) {
					same.join(i, group[j])
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
