package air

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/senml"
)

// values changes the readings of some variables.
func values(in []senml.Record, change func(r senml.Record) float64) []senml.Record {
	out := slices.Clone(in)
	for i, r := range out {
		out[i].Value = math.Round(max(0, change(r))*10) / 10
		if r.Name == "temperature" {
			out[i].Value = math.Round(change(r)*10) / 10
		}
	}
	return out
}

func shifted(in []senml.Record, by time.Duration) []senml.Record {
	out := slices.Clone(in)
	for i := range out {
		out[i].Time = out[i].Time.Add(by)
	}
	return out
}

// cheat makes what a cheater signs instead of what his station measured; several
// are several keys of his.
type cheat struct {
	name     string
	detected float64 // the least part of days on which he gets less than half of what is honest
	make     func(b beijing, day time.Time, mine []senml.Record, rng *rand.Rand) [][]senml.Record
}

var cheats = []cheat{
	{"invented, a random walk", 0.5, func(_ beijing, _ time.Time, mine []senml.Record, rng *rand.Rand) [][]senml.Record {
		level := math.Log(60)
		return [][]senml.Record{values(mine, func(r senml.Record) float64 {
			if r.Name != "pm2_5" {
				return r.Value
			}
			level += 0.2 * rng.NormFloat64()
			return math.Exp(level)
		})}
	}},
	{"own data of the day before", 0.35, func(b beijing, day time.Time, _ []senml.Record, _ *rand.Rand) [][]senml.Record {
		return [][]senml.Record{shifted(b[day.AddDate(0, 0, -1)][cheater], 24*time.Hour)}
	}},
	{"a neighbour's data an hour later", 0.85, func(b beijing, day time.Time, _ []senml.Record, _ *rand.Rand) [][]senml.Record {
		return [][]senml.Record{shifted(b[day][victim], time.Hour)}
	}},
	{"one sensor, five keys", 0.95, func(_ beijing, _ time.Time, mine []senml.Record, _ *rand.Rand) [][]senml.Record {
		return [][]senml.Record{mine, mine, mine, mine, mine}
	}},
	{"one sensor, five keys, 1 % noise", 0.9, func(_ beijing, _ time.Time, mine []senml.Record, rng *rand.Rand) [][]senml.Record {
		var out [][]senml.Record
		for range 5 {
			out = append(out, values(mine, func(r senml.Record) float64 { return r.Value * (1 + 0.01*rng.NormFloat64()) }))
		}
		return out
	}},
	{"indoors", 0.85, func(_ beijing, _ time.Time, mine []senml.Record, rng *rand.Rand) [][]senml.Record {
		return [][]senml.Record{values(mine, func(r senml.Record) float64 {
			switch r.Name {
			case "temperature":
				return 22 + 0.4*rng.NormFloat64()
			case "pm2_5", "pm10":
				return r.Value * 0.4
			}
			return r.Value
		})}
	}},
	{"a sensor that stands still", 0.95, func(_ beijing, _ time.Time, mine []senml.Record, _ *rand.Rand) [][]senml.Record {
		return [][]senml.Record{values(mine, func(senml.Record) float64 { return 42 })}
	}},
	// What nothing here finds: the mean of what neighbours published.
	{"mean of the neighbours, 10 % noise", 0, func(b beijing, day time.Time, mine []senml.Record, rng *rand.Rand) [][]senml.Record {
		return [][]senml.Record{values(mine, func(r senml.Record) float64 {
			var sum, n float64
			for _, name := range []string{"Guanyuan", "Tiantan", victim} {
				for _, x := range b[day][name] {
					if x.Name == r.Name && x.Time.Equal(r.Time) {
						sum, n = sum+x.Value, n+1
					}
				}
			}
			if r.Name != "pm2_5" || n == 0 {
				return r.Value
			}
			return sum / n * (1 + 0.1*rng.NormFloat64())
		})}
	}},
}

const (
	cheater = "Dongsi"
	victim  = "Nongzhanguan"
)

// Every cheat is put into every day of the real data in place of one station. He
// is caught when all his keys together get less than half of what his honest
// station would have got.
func TestCheats(t *testing.T) {
	b := load(t)
	for _, c := range cheats {
		rng := rand.New(rand.NewPCG(1, 2))
		caught, days := 0, 0
		var earned, fair uint64
		for day := range inDays(b) {
			honest, _ := weigh(t, day, b.stations(day))
			if honest[cheater] == 0 || len(b[day.AddDate(0, 0, -1)]) == 0 {
				continue
			}
			stations := slices.DeleteFunc(b.stations(day), func(s sensing.Station) bool { return s.Owner == cheater })
			keys := c.make(b, day, b[day][cheater], rng)
			for i, r := range keys {
				stations = append(stations, station(fmt.Sprintf("cheat %d", i), places[cheater], r))
			}
			got, _ := weigh(t, day, stations)
			var most, sum uint64
			for i := range keys {
				w := got[fmt.Sprintf("cheat %d", i)]
				most, sum = max(most, w), sum+w
			}
			days++
			earned, fair = earned+sum, fair+honest[cheater]
			// Of several keys together: no more than a tenth above one honest station.
			if len(keys) == 1 && 2*most <= honest[cheater] || len(keys) > 1 && 10*sum <= 11*honest[cheater] {
				caught++
			}
		}
		rate := float64(caught) / float64(days)
		t.Logf("%s: caught on %d of %d days (%.0f %%), earns %.2f of an honest station", c.name, caught, days, 100*rate, float64(earned)/float64(fair))
		if rate < c.detected {
			t.Errorf("%s: caught on %.2f of the days, want %.2f", c.name, rate, c.detected)
		}
	}
}

func inDays(b beijing) func(yield func(time.Time) bool) {
	return func(yield func(time.Time) bool) {
		days := make([]time.Time, 0, len(b))
		for d := range b {
			days = append(days, d)
		}
		slices.SortFunc(days, time.Time.Compare)
		for _, d := range days {
			if !yield(d) {
				return
			}
		}
	}
}

// Clean real data loses little: what is counted against it is missing hours.
func TestCleanData(t *testing.T) {
	b := load(t)
	days, suspected := 0, 0
	for day := range b {
		_, terms := weigh(t, day, b.stations(day))
		for owner, all := range terms {
			days++
			for _, x := range all[4:7] { // neighbours, outdoors, copies
				if x.Of > 0 && 2*x.Value < x.Of {
					suspected++
					t.Logf("%s, %s: %+v", day.Format(time.DateOnly), owner, x)
				}
			}
		}
	}
	t.Logf("%d of %d station-days suspected", suspected, days)
	if 50*suspected > days {
		t.Errorf("%d of %d clean station-days are suspected, want at most 2 %%", suspected, days)
	}
}
