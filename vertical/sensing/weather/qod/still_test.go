package qod

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Counting tells the same of a moving median as sorting does.
func TestMedianIsThatOfSorting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.Just(math.NaN()), rapid.SampledFrom([]float64{-1, 84.9, 85, math.Nextafter(85, 0), 85.1, 120}), rapid.Float64Range(-100, 200))
		x := rapid.SliceOfN(value, 1, 30).Draw(t, "x")
		n := rapid.IntRange(1, len(x)).Draw(t, "n")
		m := median{x: x, n: n, limit: rapid.SampledFrom([]float64{thaw, calmDamp}).Draw(t, "limit"), from: -1}
		for i := range len(x) - n + 1 {
			if rapid.IntRange(0, 9).Draw(t, "leave out") == 0 {
				continue
			}
			sorted := slices.DeleteFunc(slices.Clone(x[i:i+n]), math.IsNaN)
			slices.Sort(sorted)
			below, above := false, false
			if len(sorted) > 0 {
				below = middle(sorted) < m.limit
				above = !below
			}
			if m.below(i) != below || m.above(i) != above {
				t.Fatalf("of %v: below %v, above %v, want %v and %v", x[i:i+n], m.below(i), m.above(i), below, above)
			}
		}
	})
}

// A day is judged the same whatever was judged before it.
func TestDaysShareNothing(t *testing.T) {
	e, samples := load(t, vectors(t)[1])
	want := check(t, e, samples)
	gaps := slices.Clone(samples)
	for i := range gaps {
		gaps[i].Value[Humidity] = math.NaN()
	}
	for _, between := range [][]Sample{nil, gaps, samples[:100]} {
		check(t, e, between)
		if got := check(t, e, samples); got.Score != want.Score || !reflect.DeepEqual(got.Report(), want.Report()) {
			t.Fatalf("score %v, was %v", got.Score, want.Score)
		}
	}
}
