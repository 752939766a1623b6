package air

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/kindtest"
	"github.com/grange-network/grange/vertical/sensing/senml"
	"github.com/grange-network/grange/vertical/sensing/sensingtest"
)

// world has k stations of one owner, each with its own noise, and seven others
// around them.
func world(k int) []kindtest.Device {
	end := sensing.KindInfo{Span: hours * time.Hour}.WindowAt(kindtest.Ended.Unix()).Ended
	make1 := func(seed byte, owner string, lat, lon float64) kindtest.Device {
		rng := rand.New(rand.NewPCG(uint64(seed), 0))
		d := kindtest.Device{Signer: sensingtest.NewSigner(seed), Owner: owner, Cell: uint64(h3.At(lat, lon, 8))}
		for h := range hours {
			at := end.Add(time.Duration(h-hours)*time.Hour + time.Minute)
			course := math.Sin(float64(h) / 4)
			d.Records = append(d.Records,
				senml.Record{Name: "pm2_5", Time: at, Value: math.Round(30 + 15*course + 5*rng.NormFloat64())},
				senml.Record{Name: "temperature", Time: at, Value: math.Round(100+60*course+5*rng.NormFloat64()) / 10},
				senml.Record{Name: "humidity", Time: at, Value: math.Round(50 + 20*course + 5*rng.NormFloat64())})
		}
		return d
	}
	var out []kindtest.Device
	for i := range k {
		out = append(out, make1(byte(1+i), "one", 48.14, 11.57))
	}
	for i := range 7 {
		out = append(out, make1(byte(100+i), fmt.Sprintf("other %d", i), 48.14+0.002*float64(i), 11.58))
	}
	return out
}

func TestConformance(t *testing.T) { kindtest.Conform(t, Kind{}, world) }

// The stations of a pixel: five leads and two backups share it nine to one.
func TestRoles(t *testing.T) {
	day := time.Date(2016, 4, 12, 0, 0, 0, 0, time.UTC)
	clean := load(t)[day]["Dongsi"]
	for _, tt := range []struct {
		name   string
		owners int
		share  []uint64 // of a lead's and of a backup's weight in thousandths
	}{
		{"alone", 1, []uint64{1000}}, {"five leads", 5, []uint64{1000}}, {"one backup", 6, []uint64{900, 500}},
		{"ten backups", 15, []uint64{900, 50}},
	} {
		var stations []sensing.Station
		rng := rand.New(rand.NewPCG(3, 4))
		for i := range tt.owners {
			stations = append(stations, station(fmt.Sprint("owner ", i), places[cheater], values(clean, func(r senml.Record) float64 {
				return r.Value*(1+0.15*rng.NormFloat64()) + rng.NormFloat64()
			})))
		}
		_, terms := weigh(t, day, stations)
		got := map[uint64]bool{}
		for _, all := range terms {
			role := all[len(all)-1]
			got[1000*role.Value/role.Of] = true
		}
		for _, want := range tt.share {
			if !got[want] || len(got) != len(tt.share) {
				t.Errorf("%s: shares %v, want %v", tt.name, got, tt.share)
			}
		}
	}
}

func TestHours(t *testing.T) {
	began := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	w := sensing.Window{Began: began, Ended: began.Add(hours * time.Hour)}
	minutely := func(value func(minute int) (float64, bool)) []senml.Record {
		var out []senml.Record
		for m := range hours * 60 {
			if v, ok := value(m); ok {
				out = append(out, senml.Record{Name: "pm2_5", Time: began.Add(time.Duration(m) * time.Minute), Value: v})
			}
		}
		return out
	}
	wave := func(m int) float64 { return math.Round(2000+1000*math.Sin(float64(m)/50)) / 10 }
	for _, tt := range []struct {
		name  string
		value func(minute int) (float64, bool)
		want  int // good hours
	}{
		{"all there", func(m int) (float64, bool) { return wave(m), true }, 24},
		{"half of the samples in six hours", func(m int) (float64, bool) { return wave(m), m >= 360 || m%2 == 0 }, 18},
		{"six hours missing", func(m int) (float64, bool) { return wave(m), m >= 360 }, 18},
		{"out of range for an hour", func(m int) (float64, bool) {
			if m < 60 {
				return 1500, true
			}
			return wave(m), true
		}, 23},
		{"stands still for nine hours", func(m int) (float64, bool) { return wave(max(m, 541)), true }, 14},
		{"a spike every other minute for an hour", func(m int) (float64, bool) {
			if m > 60 && m < 120 && m%2 == 0 {
				return 900, true
			}
			return wave(m), true
		}, 23},
	} {
		r := recordOf(w, station("x", places[cheater], minutely(tt.value)))
		good := 0
		for _, g := range r.good[pm25] {
			if g {
				good++
			}
		}
		if good != tt.want {
			t.Errorf("%s: %d good hours, want %d", tt.name, good, tt.want)
		}
	}
}

// The order of stations and batches changes nothing, nor do batches twice.
func TestOrder(t *testing.T) {
	b := load(t)
	day := time.Date(2016, 7, 14, 0, 0, 0, 0, time.UTC)
	want, _ := weigh(t, day, b.stations(day))
	for range 5 {
		stations := b.stations(day)
		rand.Shuffle(len(stations), func(i, k int) { stations[i], stations[k] = stations[k], stations[i] })
		for i := range stations {
			signed := slices.Collect(stations[i].Batches)
			signed = append(signed, signed...)
			records := slices.Clone(signed[0].Records)
			rand.Shuffle(len(records), func(i, k int) { records[i], records[k] = records[k], records[i] })
			signed[0].Records = records
			stations[i].Batches = slices.Values(signed)
		}
		got, _ := weigh(t, day, stations)
		for name, w := range want {
			if got[name] != w {
				t.Fatalf("%s weighs %d, was %d", name, got[name], w)
			}
		}
	}
}

// A city: a thousand stations that report every ten minutes.
func BenchmarkWeigh(b *testing.B) {
	day := time.Date(2016, 4, 12, 0, 0, 0, 0, time.UTC)
	rng := rand.New(rand.NewPCG(7, 7))
	var stations []sensing.Station
	for i := range 1000 {
		var records []senml.Record
		for m := range hours * 6 {
			at := day.Add(time.Duration(m) * 10 * time.Minute)
			course := math.Sin(float64(m) / 24)
			records = append(records, senml.Record{Name: "pm2_5", Time: at, Value: 30 + 15*course + 5*rng.NormFloat64()},
				senml.Record{Name: "temperature", Time: at, Value: 10 + 6*course + rng.NormFloat64()}, senml.Record{Name: "humidity", Time: at, Value: 50 + rng.Float64()})
		}
		stations = append(stations, station(fmt.Sprint("owner ", i), [2]float64{39.9 + 0.1*rng.Float64(), 116.3 + 0.1*rng.Float64()}, records))
	}
	for b.Loop() {
		if _, err := (Kind{}).Weigh(b.Context(), window(day), stations); err != nil {
			b.Fatal(err)
		}
	}
}
