package weather

import (
	"fmt"
	"math"
	"testing"

	"github.com/grange-network/grange/vertical/sensing/beijing"
)

// heated is the last of a day's honest stations with 8 K more than it measured.
func heated(all []*beijing.Station, day int) []actor {
	a := honest(all, day)
	last := &a[len(a)-1]
	for k := range last.records {
		if last.records[k].Name == "temperature" {
			last.records[k].Value += 8
		}
	}
	return a
}

// Three helpers among six honest neighbours must not make the deviation of all so
// large that everybody agrees, be what they send a temperature that there is or not.
func TestHelpersConfirmNobody(t *testing.T) {
	all := distinct(t)
	for _, value := range []float64{50, -40, 1e6, 1e200, math.MaxFloat64} {
		worst, least := 0.0, 1.0
		for day := range 5 {
			n := len(all)
			a := heated(all, day)
			for i := range 3 {
				helper := actorOf(700+i, all[n-1], day*48)
				helper.owner = fmt.Sprintf("helper-%d", i)
				for k := range helper.records {
					if helper.records[k].Name == "temperature" {
						helper.records[k].Value = value * (1 - float64(i)/10)
					}
				}
				a = append(a, helper)
			}
			weights := weigh(t, a...)
			worst = max(worst, float64(weights[n-1])/full)
			for _, w := range weights[:n-1] {
				least = min(least, float64(w)/full)
			}
		}
		t.Logf("helpers at %g °C: heated by 8 K earns at most %.2f, an honest neighbour at least %.2f", value, worst, least)
		if worst > 0.3 || least < 0.85 {
			t.Errorf("helpers at %g °C: heated by 8 K earns %.2f, an honest neighbour %.2f; want at most 0.3 and at least 0.85", value, worst, least)
		}
	}
}
