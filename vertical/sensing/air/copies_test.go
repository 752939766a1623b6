package air

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/grange-network/grange/vertical/sensing/senml"
)

// Who was registered behind a sensor and signs its readings again, later or with a
// little noise, takes nothing of it.
func TestYoungerCopiesTakeNothing(t *testing.T) {
	b := load(t)
	for _, tt := range []struct {
		name  string
		later time.Duration
		noise float64
	}{{"at once", 0, 0}, {"an hour later", time.Hour, 0}, {"with 1 % noise", 0, 0.01}} {
		rng := rand.New(rand.NewPCG(1, 2))
		var before, after, taken uint64
		for day := range inDays(b) {
			quiet, _ := weigh(t, day, b.stations(day))
			stations := b.stations(day)
			for i := range 4 {
				again := slices.Clone(b[day][victim])
				for k := range again {
					again[k].Time = again[k].Time.Add(tt.later)
					again[k].Value *= 1 + tt.noise*rng.NormFloat64()
				}
				again = slices.DeleteFunc(again, func(r senml.Record) bool { return !r.Time.Before(day.AddDate(0, 0, 1)) })
				s := station(fmt.Sprint("copier ", i), places[cheater], again)
				s.Registered++
				stations = append(stations, s)
			}
			got, _ := weigh(t, day, stations)
			before, after = before+quiet[victim], after+got[victim]
			for i := range 4 {
				taken += got[fmt.Sprint("copier ", i)]
			}
		}
		t.Logf("%s: copied by four it weighs %d, %d without; they weigh %d together", tt.name, after, before, taken)
		if float64(after) < 0.95*float64(before) || taken*20 > before {
			t.Errorf("%s: copied by four it weighs %d, %d without; they weigh %d together", tt.name, after, before, taken)
		}
	}
}
