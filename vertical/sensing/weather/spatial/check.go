package spatial

import "math"

// Station is where a value was measured.
type Station struct {
	Lat, Lon  float64 // degrees; NaN: not known
	Elevation float64 // metres; NaN: not known
	Owner     string  // stations of one owner are no neighbours; empty: everybody's own
}

// earthRadius in metres is the one titanlib uses.
const earthRadius = 6.371e6

func (s Station) placed() bool { return !math.IsNaN(s.Lat) && !math.IsNaN(s.Lon) }

// Distance is the great-circle distance in metres; NaN if a place is unknown.
func Distance(a, b Station) float64 {
	const rad = math.Pi / 180
	sLat, sLon := math.Sin((b.Lat-a.Lat)*rad/2), math.Sin((b.Lon-a.Lon)*rad/2)
	h := float64(sLat*sLat) + float64(math.Cos(a.Lat*rad)*math.Cos(b.Lat*rad)*sLon*sLon)
	return 2 * earthRadius * math.Asin(math.Sqrt(min(1, h)))
}

// Range flags values that are not from least to most, and NaN.
func Range(values []float64, least, most float64) []bool {
	out := make([]bool, len(values))
	for i, v := range values {
		out[i] = !(v >= least && v <= most)
	}
	return out
}

// Metadata flags stations whose place or elevation is unknown.
func Metadata(stations []Station) []bool {
	out := make([]bool, len(stations))
	for i, s := range stations {
		out[i] = !s.placed() || math.IsNaN(s.Elevation)
	}
	return out
}

// Duplicates flags stations within radius metres, and vertical metres unless
// that is NaN, of an earlier one that is not flagged. With a vertical limit a
// station without elevation is flagged; one without a place never is.
func Duplicates(stations []Station, radius, vertical float64) []bool {
	out := make([]bool, len(stations))
	for i, s := range stations {
		if !s.placed() {
			continue
		}
		if !math.IsNaN(vertical) && math.IsNaN(s.Elevation) {
			out[i] = true
			continue
		}
		for j := 0; j < i && !out[i]; j++ {
			out[i] = !out[j] && near(s, stations[j], radius, vertical)
		}
	}
	return out
}

func near(a, b Station, radius, vertical float64) bool {
	return Distance(a, b) <= radius && (math.IsNaN(vertical) || math.Abs(a.Elevation-b.Elevation) <= vertical)
}

// Isolated flags stations with fewer than least others within radius metres, and
// vertical metres unless that is NaN; what is not placed is isolated.
func Isolated(stations []Station, least int, radius, vertical float64) []bool {
	out := make([]bool, len(stations))
	for i, s := range stations {
		n := 0
		for j, o := range stations {
			if i != j && near(s, o, radius, vertical) {
				n++
			}
		}
		out[i] = !s.placed() || !math.IsNaN(vertical) && math.IsNaN(s.Elevation) || n < least
	}
	return out
}
