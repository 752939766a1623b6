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
		got := Find(runsOf(rule, tt.series), NewLikeness(make([]int64, len(tt.series))))
		for i := range tt.want {
			if got[i].Runs = 0; got[i] != tt.want[i] {
				t.Errorf("%s: series %d is %+v, want %+v", tt.name, i, got[i], tt.want[i])
			}
		}
	}
}

// Who was registered first has what several signed, and whoever signs it again
// neither takes of it nor makes one of those whom he copies.
func TestOldest(t *testing.T) {
	rule := Rule{Run: 4, Different: 3, Among: 1}
	one, two := series(0, 1, 2, 3, 4, 5, 6, 7), series(0, 9, 8, 7, 6, 5, 4, 3)
	half := slices.Concat(series(0, 11, 12, 13, 14), one[3:])
	term := func(value, of uint64) [2]uint64 { return [2]uint64{value, of} }
	for _, tt := range []struct {
		name   string
		series [][]Sample
		ages   []int64
		want   [][2]uint64
	}{
		{"a copy", [][]Sample{one, one}, []int64{9, 2}, [][2]uint64{term(0, 4), term(1, 1)}},
		{"copies of one age", [][]Sample{one, one, one}, []int64{2, 9, 9}, [][2]uint64{term(1, 1), term(0, 4), term(0, 4)}},
		{"of one age with the oldest", [][]Sample{one, one, one}, []int64{2, 2, 9}, [][2]uint64{term(1, 2), term(1, 2), term(0, 4)}},
		{"a copy of two", [][]Sample{one, slices.Concat(one, two), two}, []int64{1, 3, 2}, [][2]uint64{term(1, 1), term(3, 11), term(1, 1)}},
		{"a part", [][]Sample{one, half}, []int64{1, 2}, [][2]uint64{term(1, 1), term(4, 5)}},
		{"nothing in common", [][]Sample{one, two}, []int64{1, 2}, [][2]uint64{term(1, 1), term(1, 1)}},
	} {
		for i, v := range Find(runsOf(rule, tt.series), NewLikeness(tt.ages)) {
			if got := v.Term(); got.Value != tt.want[i][0] || got.Of != tt.want[i][1] {
				t.Errorf("%s: series %d has %d/%d, want %v (%+v)", tt.name, i, got.Value, got.Of, tt.want[i], v)
			}
		}
	}
	l := NewLikeness([]int64{1, 2, 2, 3})
	for _, pair := range [][2]int{{1, 0}, {1, 2}, {3, 2}} {
		if l.Told(pair[0], pair[1]) {
			t.Errorf("%v is told before", pair)
		}
		if l.Join(pair[0], pair[1]); !l.Told(pair[1], pair[0]) {
			t.Errorf("%v is not told behind", pair)
		}
	}
	for i, v := range Find(make([][]Run, 4), l) {
		if got, want := v.Term(), [][2]uint64{{1, 1}, {0, 1}, {1, 2}, {0, 1}}[i]; got.Value != want[0] || got.Of != want[1] {
			t.Errorf("alike: %d has %d/%d, want %v", i, got.Value, got.Of, want)
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
		if got := Find(runs, NewLikeness(make([]int64, 2))); got[0].Devices != 2 || got[1].Devices != 2 || got[0].Repeats || got[1].Repeats {
			t.Fatalf("%d samples in common of %d and %d: %+v", len(common), len(one), len(other), got)
		}
		if all := len(one) - rule.Run + 1; len(runs[0]) > all {
			t.Fatalf("%d runs of %d", len(runs[0]), all)
		}
		if got := Find(runsOf(rule, [][]Sample{one, draw(0, "third")}), NewLikeness(make([]int64, 2))); got[0].Devices != 1 {
			t.Fatalf("nothing in common: %+v", got)
		}
	})
}

func TestDigest(t *testing.T) {
	if Digest(1, math.NaN()) == Digest(1, 0) || Digest(1.001) != Digest(1) || Digest(1.01) == Digest(1) {
		t.Error("want values told apart to the hundredth, and a missing one from 0")
	}
}
