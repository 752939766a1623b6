package weather

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Looking at a part of two series first never changes what the whole says.
func TestSteadyIsTheVarianceOfAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		level := rapid.SampledFrom([]float64{0.05, 0.15, 0.2, 3}).Draw(t, "noise")
		noise := rapid.SliceOfN(rapid.Float64Range(-2*level, 2*level), every, every).Draw(t, "differences")
		missing := rapid.SliceOfN(rapid.IntRange(0, 9), every, every).Draw(t, "missing")
		var a, b [every]float64
		var n, sum, square float64
		for k := range a {
			a[k] = math.Round(10*math.Sin(float64(k))) / 10
			b[k] = a[k] - noise[k]
			if missing[k] == 0 {
				b[k] = math.NaN()
				continue
			}
			d := math.Round(1000 * (a[k] - b[k]))
			n, sum, square = n+1, sum+d, square+d*d
		}
		const most = 1e6 * alikeT * alikeT
		if got, want := steady(&a, &b, most), n > 0 && variance(n, sum, square) <= most; got != want {
			t.Fatalf("steady %v, want %v: variance %v of at most %v", got, want, variance(n, sum, square), most)
		}
	})
}
