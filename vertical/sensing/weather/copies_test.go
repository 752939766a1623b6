package weather

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/grange-network/grange/vertical/sensing/senml"
)

// Eight who sign a station's series again, at once, later or with a little noise,
// take nothing of what it earns if they were registered behind it.
func TestYoungerCopiesTakeNothing(t *testing.T) {
	all := distinct(t)
	for _, tt := range []struct {
		name  string
		later time.Duration
		noise float64
	}{{"at once", 0, 0}, {"six hours later", 6 * time.Hour, 0}, {"with noise of 0.02 K", 0, 0.02}} {
		t.Run(tt.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			a := honest(all, 0)
			quiet := weigh(t, a...)
			for i := range 8 {
				b := a[0]
				b.key, b.owner, b.late, b.records = newSigner(900+i), fmt.Sprintf("copier-%d", i), 1, slices.Clone(a[0].records)
				last := b.records[len(b.records)-1].Time
				for k := range b.records {
					if b.records[k].Time = b.records[k].Time.Add(tt.later); b.records[k].Name == "temperature" {
						b.records[k].Value += tt.noise * rng.NormFloat64()
					}
				}
				b.records = slices.DeleteFunc(b.records, func(r senml.Record) bool { return r.Time.After(last) })
				a = append(a, b)
			}
			weights := weigh(t, a...)
			taken := uint64(0)
			for _, w := range weights[len(quiet):] {
				taken += w
			}
			t.Logf("copied by eight it weighs %d, %d without; they weigh %d together", weights[0], quiet[0], taken)
			if weights[0] < quiet[0] || float64(taken) > 0.01*full {
				t.Errorf("copied by eight it weighs %d, %d without; they weigh %d together, want nothing", weights[0], quiet[0], taken)
			}
		})
	}
}
