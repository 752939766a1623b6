package noise

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/kindtest"
	"github.com/grange-network/grange/vertical/sensing/senml"
	"github.com/grange-network/grange/vertical/sensing/sensingtest"
)

var window = sensing.KindInfo{Span: hours * time.Hour}.WindowAt(kindtest.Ended.Unix())

// loudness is how loud it is at a place: streets and yards.
func loudness(lat, lon float64) float64 {
	return 58 + 8*math.Sin(lat*4000) + 6*math.Cos(lon*3000)
}

// real is the recorded walk, with levels as a phone that is offset dB off measures
// them.
func real(t testing.TB, seed uint64, offset float64) []Sample {
	all, _ := recorded(t, seed, offset)
	return all
}

// recorded also says which points are on the two rides by car, at 25 km/h, that
// the recording has between its walks.
func recorded(t testing.TB, seed uint64, offset float64) (all []Sample, driven []bool) {
	t.Helper()
	raw, err := os.ReadFile("testdata/walk.csv")
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 9))
	var first time.Time
	for _, line := range strings.Split(strings.TrimSpace(string(raw)), "\n")[1:] {
		w := strings.Split(line, ",")
		at, err := time.Parse(time.RFC3339, w[1])
		if err != nil {
			t.Fatal(err)
		}
		if first.IsZero() {
			first = at
		}
		lat, _ := strconv.ParseFloat(w[2], 64)
		lon, _ := strconv.ParseFloat(w[3], 64)
		all = append(all, sample(rng, window.Began.Add(9*time.Hour+at.Sub(first)).UnixMilli(), lat, lon, offset))
		driven = append(driven, w[0] == "2" || w[0] == "4")
	}
	return all, driven
}

func sample(rng *rand.Rand, at int64, lat, lon, offset float64) Sample {
	return Sample{Time: at, Lat: lat, Lon: lon, Level: math.Round(10*(loudness(lat, lon)+offset+2*rng.NormFloat64())) / 10, Accuracy: 8, Speed: math.NaN()}
}

// walk is a made-up walk of some minutes, a sample every five seconds: with turns,
// stops and a receiver's errors, which go back and forth over half a minute.
func walk(seed uint64, start time.Duration, n int, offset float64) []Sample {
	rng := rand.New(rand.NewPCG(seed, 8))
	const degree = 111_195.0
	lat, lon := 48.13+0.002*rng.Float64(), 11.57+0.002*rng.Float64()
	heading, errN, errE := 6*rng.Float64(), 0.0, 0.0
	var out []Sample
	for i := range n {
		speed := 1.3 + 0.2*rng.NormFloat64()
		if rng.IntN(12) == 0 {
			heading += 1.5 * rng.NormFloat64()
		}
		lat += 5 * speed * math.Cos(heading) / degree
		lon += 5 * speed * math.Sin(heading) / degree / math.Cos(lat*math.Pi/180)
		errN, errE = 0.85*errN+1.5*rng.NormFloat64(), 0.85*errE+1.5*rng.NormFloat64()
		out = append(out, sample(rng, window.Began.Add(start).UnixMilli()+int64(i)*5000, lat+errN/degree, lon+errE/degree, offset))
	}
	return out
}

func records(samples []Sample) []senml.Record {
	var out []senml.Record
	for _, s := range samples {
		at := time.UnixMilli(s.Time).UTC()
		add := func(name, unit string, v float64) {
			if !math.IsNaN(v) {
				out = append(out, senml.Record{Name: name, Unit: unit, Time: at, Value: v})
			}
		}
		add("laeq", "dB", s.Level)
		add("latitude", "lat", s.Lat)
		add("longitude", "lon", s.Lon)
		add("accuracy", "m", s.Accuracy)
		add("speed", "m/s", s.Speed)
	}
	return out
}

func device(i int, owner string, samples []Sample) sensing.Station {
	return sensing.Station{
		Device:  vertical.Device{Owner: owner, ID: [32]byte{byte(i / 256), byte(i)}},
		Batches: slices.Values([]*sensing.Batch{{Records: records(samples)}}),
	}
}

func weights(t testing.TB, stations []sensing.Station) ([]uint64, [][]vertical.Part) {
	t.Helper()
	parts, err := Kind{}.Weigh(t.Context(), window, stations)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]uint64, len(parts))
	for i := range parts {
		if out[i], err = (vertical.Line{Parts: parts[i]}).Weight(); err != nil {
			t.Fatal(err)
		}
	}
	return out, parts
}

func TestConformance(t *testing.T) {
	kindtest.Conform(t, Kind{}, func(k int) []kindtest.Device {
		var out []kindtest.Device
		for i := range k {
			mine := walk(1, 9*time.Hour, 60, 0)
			out = append(out, kindtest.Device{Signer: sensingtest.NewSigner(byte(1 + i)), Owner: "one", Records: records(mine[30*(i%2):])})
		}
		for i := range 4 {
			out = append(out, kindtest.Device{Signer: sensingtest.NewSigner(byte(100 + i)), Owner: fmt.Sprint("other ", i), Records: records(walk(uint64(2+i), 9*time.Hour, 60, 0))})
		}
		return out
	})
}

// A recorded walk is believed and earns what its hexagons are worth; the rides on
// the way do not.
func TestRecordedWalk(t *testing.T) {
	all, driven := recorded(t, 1, 0)
	var count, refused [2]int
	for i, f := range judge(all) {
		k := 0
		if driven[i] {
			k = 1
		}
		count[k]++
		if f != fine {
			refused[k]++
		}
	}
	t.Logf("of %d samples walked %d are refused, of %d driven %d", count[0], refused[0], count[1], refused[1])
	if refused[0]*10 > count[0] || refused[1]*20 < 19*count[1] {
		t.Errorf("of %d samples walked %d are refused, of %d driven %d: want at most a tenth, and nineteen of twenty", count[0], refused[0], count[1], refused[1])
	}
	if got, parts := weights(t, []sensing.Station{device(1, "walker", all)}); got[0] < 150 {
		t.Errorf("weight %d: %+v", got[0], parts[0])
	}
}

// town are eight honest walkers who took n samples each.
func town(n int) []sensing.Station {
	var out []sensing.Station
	for i := range 8 {
		out = append(out, device(i, fmt.Sprintf("honest %d", i), walk(uint64(i), time.Duration(9+i%2)*time.Hour, n, float64(i-4))))
	}
	return out
}

func TestCheats(t *testing.T) {
	const n = 500
	mine := func() []Sample { return walk(77, 9*time.Hour, n, 0) }
	honest, _ := weights(t, append(town(n), device(900, "cheat", mine())))
	fair := float64(honest[8])
	seed := uint64(1)
	change := func(f func(rng *rand.Rand, i int, s *Sample)) [][]Sample {
		all, rng := mine(), rand.New(rand.NewPCG(3, seed))
		seed++
		for i := range all {
			f(rng, i, &all[i])
		}
		return [][]Sample{all}
	}
	for _, tt := range []struct {
		name string
		most float64 // of what an honest walker gets, all keys together
		keys [][]Sample
	}{
		{"one phone, five accounts", 0.3, [][]Sample{mine(), mine(), mine(), mine(), mine()}},
		{"one phone, five accounts, jittered", 1.1, func() [][]Sample {
			var out [][]Sample
			for range 5 {
				out = append(out, change(func(rng *rand.Rand, _ int, s *Sample) {
					s.Lat += 1e-5 * rng.NormFloat64()
					s.Level += 0.5 * rng.NormFloat64()
					s.Time += int64(rng.IntN(500))
				})...)
			}
			return out
		}()},
		{"another's walk, an hour later", 0.55, func() [][]Sample {
			all := walk(3, 11*time.Hour, n, -1)
			return [][]Sample{all}
		}()},
		{"another's walk, an hour later, jittered", 1.05, func() [][]Sample {
			all, rng := walk(3, 11*time.Hour, n, -1), rand.New(rand.NewPCG(3, 99))
			for i := range all {
				all[i].Lat += 1e-5 * rng.NormFloat64()
				all[i].Level += 2 * rng.NormFloat64()
			}
			return [][]Sample{all}
		}()},
		{"own walk of the day before, jittered", 1.05, change(func(rng *rand.Rand, _ int, s *Sample) {
			s.Lat += 1e-5 * rng.NormFloat64()
			s.Level += rng.NormFloat64()
		})},
		{"a line drawn with a ruler", 0.01, change(func(_ *rand.Rand, i int, s *Sample) { s.Lat, s.Lon = 48.13+1e-5*float64(i)*6, 11.57 })},
		{"teleports", 0.05, change(func(rng *rand.Rand, _ int, s *Sample) { s.Lat, s.Lon = 48.1+0.1*rng.Float64(), 11.5+0.1*rng.Float64() })},
		{"by car", 0.05, change(func(rng *rand.Rand, i int, s *Sample) {
			s.Lat, s.Lon = 48.13+5e-4*float64(i)+2e-5*rng.NormFloat64(), 11.57+2e-5*rng.NormFloat64()
		})},
		{"a microphone in a drawer", 0.05, change(func(rng *rand.Rand, _ int, s *Sample) {
			s.Lat, s.Lon, s.Level = 48.13+2e-5*rng.NormFloat64(), 11.57+2e-5*rng.NormFloat64(), 31+0.05*rng.NormFloat64()
		})},
		{"a drawer that is carried around", 0.01, change(func(rng *rand.Rand, _ int, s *Sample) { s.Level = 31 + 0.05*rng.NormFloat64() })},
		{"invented levels on a real walk", 1.01, change(func(rng *rand.Rand, _ int, s *Sample) { s.Level = 45 + 30*rng.Float64() })},
	} {
		stations := town(n)
		for i, k := range tt.keys {
			stations = append(stations, device(900+i, fmt.Sprint("cheat ", i), k))
		}
		got, parts := weights(t, stations)
		var sum uint64
		for _, w := range got[8:] {
			sum += w
		}
		t.Logf("%s: earns %.2f of an honest walker", tt.name, float64(sum)/fair)
		if float64(sum) > tt.most*fair {
			t.Errorf("%s: earns %d, an honest walker %.0f: %+v", tt.name, sum, fair, parts[8])
		}
	}
	refused, all := 0, 0
	for i := range 50 {
		for _, f := range judge(walk(uint64(1000+i), 0, n, 0)) {
			all++
			if f != fine {
				refused++
			}
		}
	}
	t.Logf("%d of %d samples of fifty honest walks refused", refused, all)
	if refused*50 > all {
		t.Errorf("%d of %d samples of honest walks are refused, want at most 2 %%", refused, all)
	}
}

func TestLeq(t *testing.T) {
	for _, tt := range []struct {
		levels []float64
		want   float64
	}{
		{[]float64{60, 60}, 60},
		{[]float64{60, 70}, 67.40}, // 10 lg((10⁶+10⁷)/2)
		{[]float64{80, 0}, 76.99},  // half of the time silent: 3 dB less
	} {
		if got := Leq(tt.levels...); math.Abs(got-tt.want) > 0.01 {
			t.Errorf("%v: %.2f dB, want %.2f", tt.levels, got, tt.want)
		}
	}
	if !math.IsNaN(Leq()) {
		t.Error("nothing has a level")
	}
}

// Phones that are off come out right where they meet others.
func TestOffsetsAndMap(t *testing.T) {
	var all []Sample
	off := []float64{0, 0, 0, 0, 0, 6, -8, 25}
	for i, o := range off {
		walked := slices.Clone(real(t, uint64(i), o))
		for k := range walked {
			walked[k].Device = [32]byte{byte(i + 1)}
		}
		all = append(all, walked...)
	}
	got := Offsets(all)
	for i, o := range off {
		want := max(-mostOffset, -o)
		if d := got[[32]byte{byte(i + 1)}]; math.Abs(d-want) > 1.5 {
			t.Errorf("device %d is %v dB off: corrected by %.1f", i, o, d)
		}
	}
	levels := Map(all, meeting)
	if len(levels) < 20 {
		t.Fatalf("%d cells are told", len(levels))
	}
	for _, l := range levels {
		if len(l.Devices) == 0 || len(l.Devices) > len(off) || !(l.Leq > 20 && l.Leq < 120) {
			t.Errorf("%+v", l)
		}
	}
}

// Where three others measured, a level far from theirs is refused; where two did
// it is not.
func TestUnlikeTheOthers(t *testing.T) {
	loud := func(samples []Sample) []Sample {
		for i := range samples {
			samples[i].Level = 100 + float64(i%7)
		}
		return samples
	}
	for _, tt := range []struct {
		others int
		earns  bool
	}{{2, true}, {4, false}} {
		stations := []sensing.Station{device(1, "loud", loud(walk(50, 9*time.Hour, 200, 0)))}
		for i := range tt.others {
			// The same way, some minutes apart, so that they are no company.
			stations = append(stations, device(10+i, fmt.Sprint("other ", i), walk(50, 9*time.Hour+time.Duration(3*i+3)*time.Minute, 200, 0)))
		}
		got, parts := weights(t, stations)
		if (got[0] > 10) != tt.earns {
			t.Errorf("%d others: weight %d, %+v", tt.others, got[0], parts[0])
		}
		for i, w := range got[1:] {
			if w == 0 && tt.others > 2 {
				t.Errorf("honest device %d earns nothing: %+v", i, parts[i+1])
			}
		}
	}
}
