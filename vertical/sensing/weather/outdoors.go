package weather

import (
	"math"

	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/sun"
	"github.com/grange-network/grange/vertical/sensing/weather/qod"
)

// Parameters of the check for stations indoors: the sun must be so high, there
// must be so many samples, and so much of a clear sky's light must arrive. Under
// the darkest overcast about a tenth does.
const (
	highSun    = 7.0 // degrees
	leastSunny = 20  // samples
	leastLight = 0.03
)

// outdoors compares the light of the day with what a clear sky gives. Without
// light or a place nothing is held against a station.
func outdoors(w sensing.Window, r *record) vertical.Term {
	var measured, clear float64
	n := 0
	for i := range r.samples {
		s := &r.samples[i]
		lux := s.Value[qod.Illuminance]
		if math.IsNaN(lux) || math.IsNaN(r.lat) || s.Time.Before(w.Began) {
			continue
		}
		if h := sun.Elevation(s.Time, r.lat, r.lon); h > highSun {
			measured += lux
			clear += sun.ClearSky(h)
			n++
		}
	}
	if n >= leastSunny && measured < float64(leastLight*clear) {
		return vertical.Term{Name: "outdoors, by its light", Value: 0, Of: 1}
	}
	return vertical.Term{Name: "outdoors, by its light", Value: 1, Of: 1}
}
