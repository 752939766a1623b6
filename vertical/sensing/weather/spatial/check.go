package spatial

import (
	"fmt"
	"math"
)

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

// Buddies are the parameters of the comparison with neighbours.
type Buddies struct {
	Radius       float64 // metres
	Least        int     // neighbours needed for a verdict
	Threshold    float64 // standard deviations
	MaxElevation float64 // metres of difference to a neighbour; 0: any
	Gradient     float64 // of the value per metre of elevation, as -0.0065 K/m for temperature
	LeastStd     float64 // floor of the standard deviation, in units of the value
	Rounds       int
}

// DefaultBuddies are for temperatures in degrees Celsius.
var DefaultBuddies = Buddies{Radius: 30_000, Least: 5, Threshold: 3, MaxElevation: 200, Gradient: -0.0065, LeastStd: 1, Rounds: 2}

// Verdict is what the neighbours say of one station.
type Verdict struct {
	Flagged    bool
	Neighbours int     // that were compared, in the last round
	Deviation  float64 // from their mean in standard deviations; NaN: not compared
}

// Check compares every value with those of neighbours of other owners. The
// values of a round's flagged stations count no more in the next; NaN never
// counts and is flagged. The error says that stations and values are not as many.
func (b Buddies) Check(stations []Station, values []float64) ([]Verdict, error) {
	if len(stations) != len(values) {
		return nil, fmt.Errorf("check buddies: %d stations with %d values", len(stations), len(values))
	}
	out := make([]Verdict, len(stations))
	for i := range out {
		out[i] = Verdict{Flagged: math.IsNaN(values[i]), Deviation: math.NaN()}
	}
	neighbours := b.neighbours(stations)
	for range b.Rounds {
		next := make([]Verdict, len(out))
		for i := range out {
			if next[i] = out[i]; !out[i].Flagged {
				next[i] = b.compare(i, stations, values, neighbours[i], out)
			}
		}
		out = next
	}
	return out, nil
}

// neighbours lists who may be compared with whom.
func (b Buddies) neighbours(stations []Station) [][]int {
	out := make([][]int, len(stations))
	for i, s := range stations {
		for j, o := range stations {
			same := s.Owner != "" && s.Owner == o.Owner
			high := b.MaxElevation > 0 && !(math.Abs(s.Elevation-o.Elevation) <= b.MaxElevation)
			if i != j && !same && !high && Distance(s, o) <= b.Radius {
				out[i] = append(out[i], j)
			}
		}
	}
	return out
}

func (b Buddies) compare(i int, stations []Station, values []float64, neighbours []int, before []Verdict) Verdict {
	var sum, squares float64
	n := 0
	for _, j := range neighbours {
		if before[j].Flagged {
			continue
		}
		v := values[j] + float64((stations[i].Elevation-stations[j].Elevation)*b.Gradient)
		sum += v
		squares += float64(v * v)
		n++
	}
	out := Verdict{Neighbours: n, Deviation: math.NaN()}
	if n == 0 || n < b.Least {
		return out
	}
	mean := sum / float64(n)
	variance := max(0, squares/float64(n)-float64(mean*mean))
	// A mean of few is itself uncertain: the variance of the difference.
	std := max(math.Sqrt(variance+variance/float64(n)), b.LeastStd)
	out.Deviation = math.Abs(values[i]-mean) / std
	out.Flagged = out.Deviation > b.Threshold
	return out
}
