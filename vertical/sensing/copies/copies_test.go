package copies

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func series(start int64, values ...float64) []Sample {
	var out []Sample
	for i, v := range values {
		out = append(out, Sample{At: start + int64(i)*60, Digest: Digest(v)})
	}
	return out
}

func TestFind(t *testing.T) {
	rule := Rule{Run: 4, Different: 3, Among: 1}
	one := []float64{1, 2, 3, 4, 5, 6}
	for _, tt := range []struct {
		name   string
		series [][]Sample
		want   []Verdict
	}{
		{"different", [][]Sample{series(0, one...), series(0, 9, 8, 7, 6, 5, 4)}, []Verdict{{Devices: 1}, {Devices: 1}}},
		{"the same at the same time", [][]Sample{series(0, one...), series(0, one...)}, []Verdict{{Devices: 2}, {Devices: 2}}},
		{"the same an hour later", [][]Sample{series(3600, one...), series(0, one...)}, []Verdict{{Devices: 2}, {Devices: 2}}},
		{"a part of it", [][]Sample{series(0, one...), series(120, 3, 4, 5, 6, 1, 1)}, []Verdict{{Devices: 2}, {Devices: 2}}},
		{"repeats itself", [][]Sample{series(0, 1, 2, 3, 4, 1, 2, 3, 4)}, []Verdict{{Devices: 1, Repeats: true}}},
		{"constant", [][]Sample{series(0, 1, 1, 1, 1, 1, 1, 1), series(0, 1, 1, 1, 1, 1, 1, 1)}, []Verdict{{Devices: 1}, {Devices: 1}}},
		{"too short", [][]Sample{series(0, 1, 2, 3), series(0, 1, 2, 3)}, []Verdict{{Devices: 1}, {Devices: 1}}},
		{"copied twice, later", [][]Sample{series(0, one...), series(60, one...), series(60, one...)}, []Verdict{{Devices: 3}, {Devices: 3}, {Devices: 3}}},
	} {
		got := Find(runsOf(rule, tt.series), nil)
		for i := range tt.want {
			if got[i] != tt.want[i] {
				t.Errorf("%s: series %d is %+v, want %+v", tt.name, i, got[i], tt.want[i])
			}
		}
	}
}

func runsOf(rule Rule, series [][]Sample) [][]Run {
	out := make([][]Run, len(series))
	for i, s := range series {
		out[i] = rule.Runs(s)
	}
	return out
}

// TestWinnowed: what two series have in common is found from Run+Among-1 samples
// on, wherever it is in them, by a fraction of the runs.
func TestWinnowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := Rule{Run: rapid.IntRange(2, 12).Draw(t, "run"), Among: rapid.IntRange(1, 12).Draw(t, "among")}
		rule.Different = rapid.IntRange(1, rule.Run).Draw(t, "different")
		number := int64(0)
		draw := func(n int, name string) []Sample {
			out := make([]Sample, rapid.IntRange(n, n+30).Draw(t, name))
			for i := range out {
				number++
				out[i] = Sample{At: number, Digest: Digest(float64(number))}
			}
			return out
		}
		common := draw(rule.Run+rule.Among-1, "common")
		one := slices.Concat(draw(0, "before"), common, draw(0, "behind"))
		other := slices.Concat(draw(0, "other before"), common, draw(0, "other behind"))
		runs := runsOf(rule, [][]Sample{one, other})
		if got := Find(runs, nil); got[0].Devices != 2 || got[1].Devices != 2 || got[0].Repeats || got[1].Repeats {
			t.Fatalf("%d samples in common of %d and %d: %+v", len(common), len(one), len(other), got)
		}
		if all := len(one) - rule.Run + 1; len(runs[0]) > all {
			t.Fatalf("%d runs of %d", len(runs[0]), all)
		}
		if got := Find(runsOf(rule, [][]Sample{one, draw(0, "third")}), nil); got[0].Devices != 1 {
			t.Fatalf("nothing in common: %+v", got)
		}
	})
}

func TestDigest(t *testing.T) {
	if Digest(1, math.NaN()) == Digest(1, 0) || Digest(1.001) != Digest(1) || Digest(1.01) == Digest(1) {
		t.Error("want values told apart to the hundredth, and a missing one from 0")
	}
}
