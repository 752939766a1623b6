package weather

import (
	"fmt"
	"math"
	"math/rand/v2"
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

// Eight stations of one owner have one voice: they neither confirm a station whose
// readings are of another place, nor shout an honest one down.
func TestOwnersHaveOneVoice(t *testing.T) {
	all := distinct(t)
	n, rng := len(all), rand.New(rand.NewPCG(1, 2))
	shouting := func(a []actor, by float64) []actor {
		for i := range 8 {
			helper := actorOf(800+i, all[n-1], 0)
			helper.owner = "shouter"
			for k := range helper.records {
				if r := &helper.records[k]; r.Name == "temperature" {
					r.Value += by + rng.NormFloat64()
				} else if r.Name == "pressure" { // no copy: that is looked for elsewhere
					r.Value += rng.NormFloat64()
				}
			}
			a = append(a, helper)
		}
		return a
	}
	quiet, loud := weigh(t, honest(all, 0)...), weigh(t, shouting(honest(all, 0), 8)...)
	for i := range n {
		if float64(loud[i]) < 0.95*float64(quiet[i]) {
			t.Errorf("honest station %d weighs %d among shouters, %d without", i, loud[i], quiet[i])
		}
	}
	if w := weigh(t, shouting(heated(all, 0), 8)...)[n-1]; float64(w) > 0.3*full {
		t.Errorf("eight stations of one owner raise one that is heated by 8 K to %d of %v", w, full)
	}
}
