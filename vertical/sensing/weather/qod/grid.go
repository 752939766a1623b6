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
		if !(math.Abs(v) <= math.MaxFloat64) { // NaN too
			return false
		}
	}
	return true
}

// grid puts samples on the station's slots from RunUp before the day to its
// end. A slot takes its earliest sample; where two different samples claim the
// same moment neither counts. Slots without a sample have no data, and those
// that begin a gap carry the last value before it.
func (d *day) grid(begins time.Time, samples []Sample) error {
	if len(samples) > maxSamples {
		return fmt.Errorf("%d samples for one day, want at most %d", len(samples), maxSamples)
	}
	start := begins.Add(-RunUp).Unix()
	samples = inOrder(samples)
	next, slot, until := 0, 0, d.st.Step // first slot without a sample; slot of the newest, and its end
	last := -1
	for i := 0; i < len(samples); {
		s := &samples[i]
		contradicted := false
		for i++; i < len(samples) && samples[i].Time.Equal(s.Time); i++ {
			contradicted = contradicted || !equal(&samples[i], s)
		}
		second := s.Time.Unix() - start
		if second < 0 || second >= int64(length/time.Second) {
			continue
		}
		for at := time.Duration(second)*time.Second + time.Duration(s.Time.Nanosecond()); at >= until; until += d.st.Step {
			slot++
		}
		if slot == last || slot >= d.samples() {
			continue
		}
		last = slot
		if contradicted || !s.whole() {
			continue
		}
		d.gap(next, slot)
		for v := range d.x {
			d.x[v][slot] = s.Value[v]
		}
		next = slot + 1
		d.present++
	}
	d.gap(next, d.samples())
	return nil
}

// gap marks the slots without a sample and carries the last value over the first
// of them.
func (d *day) gap(from, to int) {
	if from == to {
		return
	}
	for v, x := range d.x {
		last := math.NaN()
		if from > 0 {
			last = x[from-1]
		}
		for i := from; i < to; i++ {
			d.code[v][i] = NoData
			if i-from == d.st.fill {
				last = math.NaN()
			}
			x[i] = last
		}
	}
}

// inOrder returns the samples in the order of time: themselves if they are.
func inOrder(samples []Sample) []Sample {
	for i := 1; i < len(samples); i++ {
		if samples[i].Time.Before(samples[i-1].Time) {
			samples = slices.Clone(samples)
			slices.SortStableFunc(samples, func(a, b Sample) int { return a.Time.Compare(b.Time) })
			return samples
		}
	}
	return samples
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
