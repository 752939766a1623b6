package spatial

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The median is that of sorted values, and half of them are not above it.
func TestMedian(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.SliceOfN(rapid.OneOf(rapid.Float64Range(-50, 50), rapid.SampledFrom([]float64{0, 1, 1e300, -1e300})), 1, 200).Draw(t, "values")
		sorted := slices.Sorted(slices.Values(x))
		want := float64((sorted[(len(x)-1)/2] + sorted[len(x)/2]) / 2)
		if got := median(x); got != want {
			t.Fatalf("median %v, want %v", got, want)
		}
		if slices.Sort(x); !slices.Equal(x, sorted) {
			t.Fatal("other values than before")
		}
	})
}
