package weather

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/senml"
)

// BenchmarkWeigh weighs stations of as many owners that report every ten minutes,
// 25 km around one place or spread over a country, and some that report every 16 s.
// What one costs should not grow with how many there are, but in one place, where
// each has all as neighbours.
func BenchmarkWeigh(b *testing.B) {
	for _, c := range []struct {
		name     string
		stations int
		degrees  float64
		step     time.Duration
	}{
		{"country", 2000, 10, 10 * time.Minute}, {"country", 4000, 10, 10 * time.Minute},
		{"city", 2000, 0.4, 10 * time.Minute}, {"city", 4000, 0.4, 10 * time.Minute},
		{"often", 100, 10, 16 * time.Second},
	} {
		b.Run(fmt.Sprintf("%s/%d", c.name, c.stations), func(b *testing.B) {
			stations := manyStations(c.stations, c.degrees, c.step)
			w := sensing.Window{Began: began.Add(6 * time.Hour), Ended: began.Add(30 * time.Hour)}
			for b.Loop() {
				if _, err := (Kind{}).Weigh(b.Context(), w, stations); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N*c.stations), "ms/station")
		})
	}
}

func manyStations(n int, degrees float64, step time.Duration) []sensing.Station {
	rng := rand.New(rand.NewPCG(5, 5))
	out := make([]sensing.Station, n)
	for i := range out {
		var records []senml.Record
		for at := began; at.Before(began.Add(30 * time.Hour)); at = at.Add(step) {
			course := math.Sin((at.Sub(began).Hours() - 9) * math.Pi / 12)
			for _, v := range []struct {
				name  string
				value float64
			}{
				{"temperature", 15 + 8*course + rng.NormFloat64()/2}, {"humidity", math.Round(60 - 20*course + rng.NormFloat64())},
				{"wind_speed", 3 + rng.Float64()}, {"wind_direction", math.Floor(360 * rng.Float64())}, {"pressure", 1010 + course + rng.NormFloat64()/5},
				{"illuminance", math.Round(90_000 * max(0, course))}, {"precipitation_accumulated", 12.7},
			} {
				records = append(records, senml.Record{Name: v.name, Time: at, Value: math.Round(10*v.value) / 10})
			}
		}
		cell := h3.At(48+degrees*rng.Float64(), 11+degrees*rng.Float64(), 8)
		d := vertical.Device{Owner: fmt.Sprint("owner ", i), Class: vertical.PRN, Cell: uint64(cell), Registered: 1}
		d.ID[0], d.ID[1] = byte(i), byte(i>>8)
		out[i] = sensing.Station{Device: d, Batches: slices.Values([]*sensing.Batch{{Records: records}})}
	}
	return out
}
