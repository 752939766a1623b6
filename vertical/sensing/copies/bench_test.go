package copies

import (
	"math/rand/v2"
	"testing"
)

// A hundred series of a sample each 16 s for 30 hours.
func BenchmarkFind(b *testing.B) {
	rng := rand.New(rand.NewPCG(3, 3))
	all := make([][]Sample, 100)
	for i := range all {
		for k := range 6750 {
			all[i] = append(all[i], Sample{At: int64(16 * k), Digest: rng.Uint64()})
		}
	}
	rule := Rule{Run: 40, Different: 10, Among: 9}
	b.ReportAllocs()
	for b.Loop() {
		runs := make([][]Run, len(all))
		for i, s := range all {
			runs[i] = rule.Runs(s)
		}
		Find(runs, NewLikeness(make([]int64, len(all))))
	}
}
