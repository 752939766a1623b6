package qod

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// expected is what the reference made of a station's day.
type expected struct {
	StationType    string              `json:"station_type"`
	Day            string              `json:"day"`
	Score          float64             `json:"qod_score"`
	VariableScores map[string]float64  `json:"daily_variable_scores"`
	Annotations    map[string][][2]any `json:"daily_annotations"`
	Hourly         []struct {
		Hour        int                 `json:"hour"`
		Score       float64             `json:"hourly_score"`
		Scores      map[string]float64  `json:"scores"`
		Annotations map[string][][2]any `json:"annotations"`
	} `json:"hourly"`
	Samples  map[string][][]any `json:"samples"`
	Averages map[string]struct {
		Period  int        `json:"period_min"`
		Slots   int        `json:"slots"`
		Invalid int        `json:"invalid_slots"`
		Runs    [][]any    `json:"runs"`
		Values  []*float64 `json:"values"`
	} `json:"averages"`
}

// vectors are the station days in testdata and, when present, the whole set
// beside the project.
func vectors(t testing.TB) []string {
	t.Helper()
	var out []string
	for _, dir := range []string{"testdata", "../../../../../shared/data/weather/qod"} {
		found, err := filepath.Glob(filepath.Join(dir, "*.expected.json"))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, found...)
	}
	if len(out) == 0 {
		t.Fatal("no vectors in testdata")
	}
	return out
}

func load(t testing.TB, path string) (e expected, samples []Sample) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(strings.TrimSuffix(path, ".expected.json") + ".csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if samples, err = ReadCSV(z); err != nil {
		t.Fatal(err)
	}
	return e, samples
}

func check(t testing.TB, e expected, samples []Sample) *Result {
	t.Helper()
	st, err := StationNamed(e.StationType)
	if err != nil {
		t.Fatal(err)
	}
	day, err := time.Parse(time.DateOnly, e.Day)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Check(st, day, samples)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func near(a, b, eps float64) bool { return math.Abs(a-b) <= eps }

func TestReference(t *testing.T) {
	for _, path := range vectors(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".expected.json"), func(t *testing.T) {
			e, samples := load(t, path)
			compare(t, e, check(t, e, samples).Report())
		})
	}
}

func compare(t *testing.T, e expected, r Report) {
	t.Helper()
	if !near(r.Score, e.Score, 1e-9) {
		t.Errorf("score %.12f, want %.12f", r.Score, e.Score)
	}
	for v, want := range e.VariableScores {
		if !near(r.VariableScores[v], want, 1e-9) {
			t.Errorf("%s: score %.12f, want %.12f", v, r.VariableScores[v], want)
		}
	}
	for v, want := range e.Annotations {
		sameFindings(t, v+" of the day", r.Annotations[v], want)
	}
	for i, h := range e.Hourly {
		if !near(r.Hourly[i].Score, h.Score, 1e-9) {
			t.Errorf("hour %d: score %.12f, want %.12f", i, r.Hourly[i].Score, h.Score)
		}
		for v, want := range h.Scores {
			if !near(r.Hourly[i].Scores[v], want, 1e-9) {
				t.Errorf("hour %d %s: score %.12f, want %.12f", i, v, r.Hourly[i].Scores[v], want)
			}
			sameFindings(t, v, r.Hourly[i].Annotations[v], h.Annotations[v])
		}
	}
	for v, want := range e.Samples {
		sameRuns(t, v+" samples", r.Samples[v], want)
	}
	for v, want := range e.Averages {
		got := r.Averages[v]
		if got.PeriodMinutes != want.Period || got.Slots != want.Slots || got.Invalid != want.Invalid {
			t.Errorf("%s averages: %d min, %d slots, %d invalid, want %d, %d, %d", v, got.PeriodMinutes, got.Slots, got.Invalid, want.Period, want.Slots, want.Invalid)
		}
		sameRuns(t, v+" averages", got.Runs, want.Runs)
		for i, w := range want.Values {
			g := got.Values[i]
			if (g == nil) != (w == nil) || g != nil && !near(*g, *w, 0.011) {
				t.Errorf("%s average %d: %v, want %v", v, i, show(g), show(w))
			}
		}
	}
}

func show(p *float64) any {
	if p == nil {
		return nil
	}
	return *p
}

func sameFindings(t *testing.T, what string, got []Finding, want [][2]any) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: findings %v, want %v", what, got, want)
		return
	}
	for i, w := range want {
		if got[i].Name != w[0] || !near(got[i].Percent, w[1].(float64), 1e-9) {
			t.Errorf("%s: findings %v, want %v", what, got, want)
			return
		}
	}
}

func sameRuns(t *testing.T, what string, got []Run, want [][]any) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			raw, err := json.Marshal(sorted(got[i]))
			if err != nil {
				t.Fatal(err)
			}
			g = string(raw)
		}
		if i < len(want) {
			raw, err := json.Marshal(ordered(want[i]))
			if err != nil {
				t.Fatal(err)
			}
			w = string(raw)
		}
		if g != w {
			t.Errorf("%s: run %d of %d: %s, want %s (of %d)", what, i, len(got), g, w, len(want))
			return
		}
	}
}

func sorted(r Run) []any {
	names := r.Codes.Names()
	slices.Sort(names)
	out := []any{r.From, r.To, names}
	if r.Invalid != nil {
		n := 0.0
		if *r.Invalid {
			n = 1
		}
		out = append(out, n)
	}
	return out
}

func ordered(want []any) []any {
	out := slices.Clone(want)
	names := slices.Clone(out[2].([]any))
	slices.SortFunc(names, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	out[2] = names
	return out
}

func BenchmarkCheck(b *testing.B) {
	for _, path := range vectors(b) {
		b.Run(strings.TrimSuffix(filepath.Base(path), ".expected.json"), func(b *testing.B) {
			e, samples := load(b, path)
			b.ReportAllocs()
			for b.Loop() {
				check(b, e, samples)
			}
		})
	}
}
