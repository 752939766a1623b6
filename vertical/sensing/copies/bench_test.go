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
	b.ReportAllocs()
	for b.Loop() {
		Find(Rule{Run: 40, Different: 10}, all, nil)
	}
}
