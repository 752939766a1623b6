package qod

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// RunUp is how long before the day the moving windows begin.
const RunUp = 6 * time.Hour

const length = RunUp + 24*time.Hour

// maxSamples bounds the work of one check: a sample each second.
const maxSamples = int(length / time.Second)

// Sample is one reading of all variables; NaN for what is missing.
type Sample struct {
	Time  time.Time
	Value [Variables]float64
}

// whole reports whether nothing is missing. The method counts a sample with a
// missing variable as missing altogether.
func (s *Sample) whole() bool {
	for _, v := range s.Value {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

// grid puts samples on the station's slots from RunUp before the day to its
// end. A slot takes its earliest sample; where two different samples claim the
// same moment neither counts. Slots without a sample are NaN.
func grid(st *Station, day time.Time, samples []Sample) ([Variables][]float64, error) {
	n := int(length / st.Step)
	var out [Variables][]float64
	all := make([]float64, Variables*n)
	for i := range all {
		all[i] = math.NaN()
	}
	for v := range out {
		out[v] = all[v*n : (v+1)*n]
	}
	if len(samples) > maxSamples {
		return out, fmt.Errorf("%d samples for one day, want at most %d", len(samples), maxSamples)
	}
	start := day.Add(-RunUp)
	byTime := func(a, b Sample) int { return a.Time.Compare(b.Time) }
	if !slices.IsSortedFunc(samples, byTime) {
		samples = slices.Clone(samples)
		slices.SortStableFunc(samples, byTime)
	}
	last := -1
	for i := 0; i < len(samples); {
		same := i + 1
		contradicted := false
		for same < len(samples) && samples[same].Time.Equal(samples[i].Time) {
			contradicted = contradicted || !equal(&samples[same], &samples[i])
			same++
		}
		s := &samples[i]
		i = same
		d := s.Time.Sub(start)
		slot := int(d / st.Step)
		if d < 0 || slot >= n || slot == last {
			continue
		}
		last = slot
		if contradicted || !s.whole() {
			continue
		}
		for v := range out {
			out[v][slot] = s.Value[v]
		}
	}
	return out, nil
}

func equal(a, b *Sample) bool {
	for v := range a.Value {
		x, y := a.Value[v], b.Value[v]
		if x != y && !(math.IsNaN(x) && math.IsNaN(y)) {
			return false
		}
	}
	return true
}

// fill carries the last value over the first missing samples of a gap.
func fill(x []float64, most int) []float64 {
	out := make([]float64, len(x))
	last, gap := math.NaN(), 0
	for i, v := range x {
		switch {
		case !math.IsNaN(v):
			last, gap = v, 0
			out[i] = v
		case gap < most:
			gap++
			out[i] = last
		default:
			out[i] = math.NaN()
		}
	}
	return out
}
