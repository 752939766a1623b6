package qod

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A window that moves holds what sorting the values it covers gives.
func TestWindowIsSorted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.Just(math.NaN()), rapid.SampledFrom([]float64{-1, 0, math.Copysign(0, -1), 2}), rapid.Float64Range(-9, 9))
		x := rapid.SliceOfN(value, 1, 60).Draw(t, "x")
		w := window{x: x, n: rapid.IntRange(1, 20).Draw(t, "n")}
		for i := range x {
			if rapid.IntRange(0, 2).Draw(t, "leave out") == 0 {
				continue
			}
			want := slices.DeleteFunc(slices.Clone(x[max(0, i+1-w.n):i+1]), math.IsNaN)
			slices.Sort(want)
			if got := w.until(i); !slices.Equal(got, want) {
				t.Fatalf("until %d of %v: %v, want %v", i, x, got, want)
			}
		}
	})
}

// What a check of a made-up day may cost at most: of values that all jump, and of
// sensors that stand still in air that is now on this side of a limit, now on that.
func BenchmarkWorst(b *testing.B) {
	jumps, still := weather(&WS1000), weather(&WS1000)
	for i := range jumps {
		for v := range Precipitation {
			jumps[i].Value[v] = WS1000.bounds[v][0] + float64(i%2)*(WS1000.bounds[v][1]-WS1000.bounds[v][0])
		}
		still[i].Value = [Variables]float64{float64(i%2*10 - 5), 84 + 2*float64(i%2), 0, 90, 1000, 0, 0}
	}
	for _, c := range []struct {
		name    string
		samples []Sample
	}{{"jumps", jumps}, {"still", still}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				scoreOf(b, &WS1000, c.samples)
			}
		})
	}
}
