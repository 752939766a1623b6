package copies

import (
	"math"
	"testing"
)

func series(start int64, values ...float64) []Sample {
	var out []Sample
	for i, v := range values {
		out = append(out, Sample{At: start + int64(i)*60, Digest: Digest(v)})
	}
	return out
}

func TestFind(t *testing.T) {
	rule := Rule{Run: 4, Different: 3}
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
		got := Find(rule, tt.series, nil)
		for i := range tt.want {
			if got[i] != tt.want[i] {
				t.Errorf("%s: series %d is %+v, want %+v", tt.name, i, got[i], tt.want[i])
			}
		}
	}
}

func TestDigest(t *testing.T) {
	if Digest(1, math.NaN()) == Digest(1, 0) || Digest(1.001) != Digest(1) || Digest(1.01) == Digest(1) {
		t.Error("want values told apart to the hundredth, and a missing one from 0")
	}
}
