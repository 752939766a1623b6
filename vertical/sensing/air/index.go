package air

import "math"

// Pollutant is one that has an index.
type Pollutant int

// Pollutants, both in µg/m³ averaged over 24 hours.
const (
	PM25 Pollutant = iota
	PM10
)

// step is a range of concentrations and the range of the index that it maps to.
type step struct {
	low, high           float64
	indexLow, indexHigh float64
}

// scale is how one pollutant's index is made.
type scale struct {
	unit  float64 // concentrations are cut to multiples of it
	steps []step
}

// scales are those of the US EPA, 40 CFR part 58 appendix G, in force since May
// 2024.
var scales = [...]scale{
	PM25: {0.1, []step{
		{0, 9.0, 0, 50}, {9.1, 35.4, 51, 100}, {35.5, 55.4, 101, 150},
		{55.5, 125.4, 151, 200}, {125.5, 225.4, 201, 300}, {225.5, 325.4, 301, 500},
	}},
	PM10: {1, []step{
		{0, 54, 0, 50}, {55, 154, 51, 100}, {155, 254, 101, 150},
		{255, 354, 151, 200}, {355, 424, 201, 300}, {425, 604, 301, 500},
	}},
}

// Index is the US air quality index of a concentration; beyond 500 it goes on
// along the last line, as the EPA recommends. It reports false for a concentration
// that is NaN or below 0.
func Index(p Pollutant, concentration float64) (int, bool) {
	if !(concentration >= 0) || math.IsInf(concentration, 1) {
		return 0, false
	}
	s := scales[p]
	c := cut(concentration, s.unit)
	at := s.steps[len(s.steps)-1]
	for _, t := range s.steps {
		if c <= t.high+float64(s.unit/2) {
			at = t
			break
		}
	}
	slope := float64((at.indexHigh - at.indexLow) / (at.high - at.low))
	return int(math.Round(float64(slope*(c-at.low)) + at.indexLow)), true
}

// cut rounds down to a multiple of unit; what is short of one by an error of
// representation counts as one.
func cut(c, unit float64) float64 {
	return float64(math.Floor(float64(c/unit)+1e-9) * unit)
}

// category is a name of ranges of the index.
type category struct {
	to   int
	name string
}

var categories = []category{
	{50, "good"}, {100, "moderate"}, {150, "unhealthy for sensitive groups"},
	{200, "unhealthy"}, {300, "very unhealthy"},
}

// Category is the EPA's name of an index.
func Category(index int) string {
	for _, c := range categories {
		if index <= c.to {
			return c.name
		}
	}
	return "hazardous"
}

// Parameters of NowCast.
const (
	nowHours   = 12
	leastRatio = 0.5
)

// NowCast is the concentration now, in µg/m³, by EPA's weighted mean of the last
// twelve hours: hourly means of PM2.5 or PM10, the newest first, NaN for none. The
// faster they change the more the newest count. It reports false unless two of the
// newest three are there.
func NowCast(hourly []float64) (float64, bool) {
	hourly = hourly[:min(nowHours, len(hourly))]
	recent, low, high := 0, math.Inf(1), math.Inf(-1)
	for i, c := range hourly {
		if math.IsNaN(c) {
			continue
		}
		if i < 3 {
			recent++
		}
		low, high = min(low, c), max(high, c)
	}
	if recent < 2 {
		return 0, false
	}
	ratio := 1.0
	if high > 0 {
		ratio = max(leastRatio, low/high)
	}
	var sum, weights float64
	weight := 1.0
	for _, c := range hourly {
		if !math.IsNaN(c) {
			sum += float64(weight * c)
			weights += weight
		}
		weight = float64(weight * ratio)
	}
	return cut(float64(sum/weights), 0.1), true
}
