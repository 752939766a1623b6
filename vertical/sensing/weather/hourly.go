package weather

import (
	"math"
	"time"

	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/weather/qod"
)

// limit is what an hourly value may be. Ranges and the steps of an hour are those
// that NOAA's MADIS publishes for surface stations; how long a value may stand
// still is ours.
type limit struct {
	least, most float64
	step        float64 // change in an hour; 0: any
	still       int     // hours of one value; 0: any number
}

var limits = [qod.Variables]limit{
	qod.Temperature:   {-51, 54, 19.4, 6}, // °C
	qod.Humidity:      {0, 100, 50, 12},   // %
	qod.WindSpeed:     {0, 128, 20, 12},   // m/s
	qod.WindDirection: {0, 360, 0, 24},    // degrees
	qod.Pressure:      {568, 1100, 15, 12},
}

// maxRain is the most rain of an hour in mm that MADIS takes.
const maxRain = 1120

// hourly counts the good values of the window among those that a station with
// temperature, humidity, wind, pressure and rain should have.
func hourly(w sensing.Window, r *record) (good, of uint64) {
	var before [qod.Variables]float64
	var stood [qod.Variables]int
	for v := range before {
		before[v] = math.NaN()
	}
	next := 0
	for at := w.Began.Add(-qod.RunUp); at.Before(w.Ended); at = at.Add(time.Hour) {
		value, rain := empty(at).Value, math.NaN()
		for ; next < len(r.samples) && r.samples[next].Time.Before(at.Add(time.Hour)); next++ {
			for v, x := range r.samples[next].Value {
				if !math.IsNaN(x) {
					value[v] = x
				}
			}
			if !math.IsNaN(r.rain[next]) {
				rain = r.rain[next]
			}
		}
		counts := !at.Before(w.Began)
		for v, l := range limits {
			if l == (limit{}) {
				continue
			}
			if stood[v]++; value[v] != before[v] {
				stood[v] = 1
			}
			if counts {
				of++
				good += l.holds(value[v], before[v], stood[v], exempt(qod.Variable(v), value[v]))
			}
			before[v] = value[v]
		}
		if counter := value[qod.Precipitation]; counts {
			of++
			if rain >= 0 && rain <= maxRain || counter >= 0 {
				good++
			}
		}
	}
	return good, of
}

func (l limit) holds(x, before float64, stood int, exempt bool) uint64 {
	switch {
	case math.IsNaN(x), x < l.least, x > l.most:
		return 0
	case l.step > 0 && math.Abs(x-before) > l.step: // false without one before
		return 0
	case l.still > 0 && stood > l.still && !exempt:
		return 0
	}
	return 1
}

// exempt reports whether a value may stand still: saturated air and calms do.
func exempt(v qod.Variable, x float64) bool {
	return v == qod.Humidity && x >= 95 || (v == qod.WindSpeed || v == qod.WindDirection) && x == 0
}
