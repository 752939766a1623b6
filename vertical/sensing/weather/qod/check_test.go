package qod

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var someDay = time.Date(2024, 6, 12, 0, 0, 0, 0, time.UTC)

// weather is a plausible day with its run-up: nothing to find in it.
func weather(st *Station) []Sample {
	r := rand.New(rand.NewPCG(1, 2))
	var out []Sample
	for t := someDay.Add(-RunUp); t.Before(someDay.Add(24 * time.Hour)); t = t.Add(st.Step) {
		at := 2 * math.Pi * t.Sub(someDay).Hours() / 24
		out = append(out, Sample{t, [Variables]float64{
			15 - 5*math.Cos(at) + 0.1*r.Float64(), 60 + math.Round(10*math.Cos(at)+r.Float64()), 2 + r.Float64(),
			math.Floor(180 + 20*r.Float64()), 1010 + 2*math.Sin(at) + 0.1*r.Float64(), max(0, -40000*math.Cos(at)) + r.Float64(), 5,
		}})
	}
	return out
}

func scoreOf(t testing.TB, st *Station, samples []Sample) float64 {
	t.Helper()
	r, err := Check(st, someDay, samples)
	if err != nil {
		t.Fatal(err)
	}
	return r.Score
}

// What makes the published program fail, or score what is not there, costs here.
func TestMissingRowsLowerTheScore(t *testing.T) {
	cut := func(from, to time.Duration) func([]Sample) []Sample {
		return func(in []Sample) (out []Sample) {
			for _, s := range in {
				if d := s.Time.Sub(someDay); d < from || d >= to {
					out = append(out, s)
				}
			}
			return out
		}
	}
	whole := 24 * time.Hour
	tests := []struct {
		name  string
		alter func([]Sample) []Sample
		most  float64
	}{
		{"two hours without rows", cut(9*time.Hour, 11*time.Hour), 1 - 2.0/24},
		{"ends at 20:00", cut(20*time.Hour, whole), 1 - 4.0/24},
		{"starts at 04:00", cut(-RunUp, 4*time.Hour), 1 - 4.0/24},
		{"nothing of the day", cut(0, whole), 0},
		{"nothing at all", func([]Sample) []Sample { return nil }, 0},
		{"other values for the same moments", func(in []Sample) []Sample {
			for _, s := range in {
				if s.Time.Sub(someDay) >= 12*time.Hour {
					s.Value[Temperature]++
					in = append(in, s)
				}
			}
			return in
		}, 0.5},
		{"12 of 20 rows of each hour", func(in []Sample) (out []Sample) {
			for i, s := range in {
				if i%20 >= 12 {
					out = append(out, s)
				}
			}
			return out
		}, 0.41},
	}
	for _, st := range []*Station{&WS1000, &WS2000} {
		if got := scoreOf(t, st, weather(st)); got != 1 {
			t.Fatalf("%s: a clean day scores %v, want 1", st.Name, got)
		}
		for _, tt := range tests {
			if st == &WS1000 && strings.HasPrefix(tt.name, "12 of 20") {
				continue // a quarter of the samples of a minute is enough there
			}
			if got := scoreOf(t, st, tt.alter(weather(st))); got > tt.most+1e-9 {
				t.Errorf("%s, %s: score %v, want at most %v", st.Name, tt.name, got, tt.most)
			}
		}
	}
}

func TestOrderAndRepetitionDoNotMatter(t *testing.T) {
	in := weather(&WS2000)
	in[100].Value[Temperature] += 30
	want := scoreOf(t, &WS2000, in)
	rapid.Check(t, func(t *rapid.T) {
		again := append([]Sample(nil), in...)
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(in)-1), 0, 20).Draw(t, "repeated") {
			again = append(again, in[i])
		}
		rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0)).Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		r, err := Check(&WS2000, someDay, again)
		if err != nil || r.Score != want {
			t.Fatalf("score %v, %v, want %v", r, err, want)
		}
	})
}

func TestTemperatureStuckForMoreThanADay(t *testing.T) {
	in := weather(&WS2000)
	for i := range in {
		in[i].Value[Temperature] = 15
	}
	r, err := Check(&WS2000, someDay, in)
	if err != nil {
		t.Fatal(err)
	}
	if c := r.Variable[Temperature].Samples[300]; c != ShortConst|LongConst || r.Variable[Temperature].Score > 0.01 {
		t.Errorf("findings %v, score %v, want SHORT_CONST and LONG_CONST and about 0", c.Names(), r.Variable[Temperature].Score)
	}
}

func TestCheckRefuses(t *testing.T) {
	if _, err := Check(&WS1000, someDay.Add(30*time.Minute), nil); err == nil {
		t.Error("a day that begins at 00:30 is accepted")
	}
	if _, err := Check(&WS1000, someDay, make([]Sample, maxSamples+1)); err == nil {
		t.Error("too many samples are accepted")
	}
}

func TestReadCSVRefuses(t *testing.T) {
	head := "utc_datetime,temperature,humidity,wind_speed,wind_direction,pressure,illuminance,precipitation_accumulated\n"
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", "read header"},
		{"missing column", "utc_datetime,temperature\n", "no column humidity"},
		{"bad time", head + "yesterday,1,2,3,4,5,6,7\n", `line 2: utc_datetime "yesterday"`},
		{"bad number", head + "2024-06-12 00:00:00,1,2,3,4,5,6,7\n2024-06-12 00:00:16,1,wet,3,4,5,6,7\n", `line 3: humidity "wet"`},
	} {
		if _, err := ReadCSV(strings.NewReader(tt.in)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

func FuzzReadCSV(f *testing.F) {
	f.Add("utc_datetime,temperature,humidity,wind_speed,wind_direction,pressure,illuminance,precipitation_accumulated\n2024-06-12 00:00:00,1,,3,4,NaN,6,Inf\n")
	f.Fuzz(func(t *testing.T, in string) {
		samples, err := ReadCSV(strings.NewReader(in))
		if err != nil {
			return
		}
		r, err := Check(&WS2000, someDay, samples)
		if err == nil && (r.Score < 0 || r.Score > 1) {
			t.Fatalf("score %v", r.Score)
		}
	})
}
