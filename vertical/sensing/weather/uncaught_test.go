package weather

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/grange-network/grange/vertical/sensing/senml"
)

// drifting adds to each variable what wanders slowly: a random walk of so many K
// and hPa an hour, and of ten times as many percent.
func drifting(r *rand.Rand, in []senml.Record, step float64) []senml.Record {
	out, off := slices.Clone(in), map[string]float64{}
	steps := map[string]float64{"temperature": step, "dew_point": step, "pressure": step, "humidity": 10 * step}
	for i := range out {
		x := &out[i]
		off[x.Name] += steps[x.Name] * r.NormFloat64()
		x.Value = math.Round(100*(x.Value+off[x.Name])) / 100
	}
	return out
}

// alternating takes the readings of two stations by turns of so many hours.
func alternating(a, b []senml.Record, turn int) []senml.Record {
	var out []senml.Record
	for k, of := range [][]senml.Record{a, b} {
		for _, x := range of {
			if x.Time.Hour()/turn%2 == k {
				out = append(out, x)
			}
		}
	}
	slices.SortStableFunc(out, func(x, y senml.Record) int { return x.Time.Compare(y.Time) })
	return out
}

// middle is the mean of what stations measured; of wind it is the first one's.
func middle(of ...actor) []senml.Record {
	type key struct {
		name string
		at   int64
	}
	sum, n := map[key]float64{}, map[key]float64{}
	for _, a := range of {
		for _, x := range a.records {
			k := key{x.Name, x.Time.Unix()}
			sum[k], n[k] = sum[k]+x.Value, n[k]+1
		}
	}
	out := slices.Clone(of[0].records)
	for i, x := range out {
		if k := (key{x.Name, x.Time.Unix()}); x.Name != "wind_direction" {
			out[i].Value = math.Round(10*sum[k]/n[k]) / 10
		}
	}
	return out
}

// TestNotCaught measures what cheats earn that follow real stations and are not
// found: never more than as many honest stations would, which have to share the
// seats of the cell.
func TestNotCaught(t *testing.T) {
	all, r := distinct(t), rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct {
		name string
		keys func(a []actor) [][]senml.Record
	}{
		{"a neighbour's series with a drift of 0.05 K/h", func(a []actor) [][]senml.Record { return [][]senml.Record{drifting(r, a[0].records, 0.05)} }},
		{"a neighbour's series with a drift of 0.1 K/h", func(a []actor) [][]senml.Record { return [][]senml.Record{drifting(r, a[0].records, 0.1)} }},
		{"the mean of three neighbours with a drift of 0.1 K/h", func(a []actor) [][]senml.Record { return [][]senml.Record{drifting(r, middle(a[:3]...), 0.1)} }},
		{"two neighbours hour by hour", func(a []actor) [][]senml.Record {
			return [][]senml.Record{alternating(a[0].records, a[1].records, 1)}
		}},
		{"two neighbours, six hours each", func(a []actor) [][]senml.Record {
			return [][]senml.Record{alternating(a[0].records, a[1].records, 6)}
		}},
		{"a neighbour's series an hour late with a drift of 0.1 K/h", func(a []actor) [][]senml.Record {
			out, end := drifting(r, a[0].records, 0.1), a[0].records[len(a[0].records)-1].Time
			for i := range out {
				out[i].Time = out[i].Time.Add(time.Hour)
			}
			return [][]senml.Record{slices.DeleteFunc(out, func(x senml.Record) bool { return x.Time.After(end) })}
		}},
		{"an own series under five keys and owners with a drift of 0.12 K/h", func(a []actor) (out [][]senml.Record) {
			for range 5 {
				out = append(out, drifting(r, a[len(a)-1].records, 0.12))
			}
			return out
		}},
	} {
		const days = 10
		sum, most := 0.0, 0.0
		var keys int
		for d := range days {
			a := honest(all, d)
			series := c.keys(a)
			mine, others := a[len(a)-1], a[:len(a)-1]
			for i, records := range series {
				others = append(others, actor{newSigner(500 + i), fmt.Sprint("shell ", i), mine.cell, records, 0})
			}
			got := 0.0
			for _, w := range weigh(t, others...)[len(a)-1:] {
				got += float64(w) / full
			}
			sum, most, keys = sum+got, math.Max(most, got), len(series)
		}
		t.Logf("%-65s earns %.2f, at most %.2f", c.name, sum/days, most)
		if most > 1.001*float64(keys) {
			t.Errorf("%s: %d keys earn %.2f", c.name, keys, most)
		}
	}
}
