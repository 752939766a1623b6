package spatial

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// Buddies are the parameters of the comparison with neighbours.
type Buddies struct {
	Radius       float64 // metres
	Least        int     // neighbours needed for a verdict
	Threshold    float64 // standard deviations
	MaxElevation float64 // metres of difference to a neighbour; 0: any
	Gradient     float64 // of the value per metre of elevation, as -0.0065 K/m for temperature
	LeastStd     float64 // floor of the standard deviation, in units of the value
	Rounds       int
	// Robust is from how many neighbours on their median, and the median deviation
	// from it, stand for mean and standard deviation: a few who send what they like
	// cannot make the deviation of all so large that everybody agrees. 0: never, as
	// titanlib has it.
	Robust int
	// OneVoice counts of each owner the nearest station only, of those that have a
	// value: many of one owner are as right, or as wrong, as one. False: all, as
	// titanlib has it, which knows no owners.
	OneVoice bool
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
	return b.Among(stations).Check(values)
}

// Neighbours knows which of some stations may be compared.
type Neighbours struct {
	Buddies
	Mute     []bool // stations that are compared and that no other is compared with; nil: none
	stations []Station
	of       [][]int32 // ascending; where OneVoice finds several of one owner by owner, and of each the nearest first
	owner    []int32   // with OneVoice
}

// Among finds who may be compared with whom. It looks at the stations of the
// latitudes within the radius only.
func (b Buddies) Among(stations []Station) *Neighbours {
	n := &Neighbours{Buddies: b, stations: stations, of: make([][]int32, len(stations))}
	near := within(stations, b.Radius)
	height := max(1e-6, 1.000001*b.Radius/earthRadius*180/math.Pi) // degrees
	band := func(s Station) int { return int(math.Floor(s.Lat / height)) }
	bands := map[int][]int{}
	for i, s := range stations {
		if s.placed() {
			bands[band(s)] = append(bands[band(s)], i)
		}
	}
	for j, o := range stations { // in this order, so that sums are always made in the same
		if !o.placed() {
			continue
		}
		for at := band(o) - 1; at <= band(o)+1; at++ {
			for _, i := range bands[at] {
				if i != j && near(i, j) && b.comparable(&stations[i], &o) {
					n.of[i] = append(n.of[i], int32(j))
				}
			}
		}
	}
	if b.OneVoice {
		n.byOwner()
	}
	return n
}

// byOwner orders the neighbours of those who have several of one owner.
func (n *Neighbours) byOwner() {
	n.owner = owners(n.stations)
	seen, far := make([]int, len(n.stations)), make([]float64, len(n.stations))
	for i, of := range n.of {
		several := false
		for _, j := range of {
			at := n.owner[j]
			several = several || seen[at] == i+1
			seen[at] = i + 1
		}
		if !several {
			continue
		}
		for _, j := range of {
			far[j] = Distance(n.stations[i], n.stations[j])
		}
		slices.SortFunc(of, func(a, b int32) int {
			return cmp.Or(cmp.Compare(n.owner[a], n.owner[b]), cmp.Compare(far[a], far[b]), cmp.Compare(a, b))
		})
	}
}

// owners numbers the owners of stations, below the number of stations. A station
// without one is its own.
func owners(stations []Station) []int32 {
	out, number := make([]int32, len(stations)), map[string]int32{}
	for i, s := range stations {
		out[i] = int32(i)
		if s.Owner == "" {
			continue
		}
		if first, ok := number[s.Owner]; ok {
			out[i] = first
		} else {
			number[s.Owner] = int32(i)
		}
	}
	return out
}

func (b Buddies) comparable(s, o *Station) bool {
	same := s.Owner != "" && s.Owner == o.Owner
	high := b.MaxElevation > 0 && !(math.Abs(s.Elevation-o.Elevation) <= b.MaxElevation)
	return !same && !high
}

// within tells of pairs of stations whether their distance is at most radius: by
// the straight line through the earth, and by Distance where that is too close to
// tell.
func within(stations []Station, radius float64) func(i, j int) bool {
	const rad = math.Pi / 180
	at := make([][3]float64, len(stations))
	for i, s := range stations {
		sLat, cLat := math.Sincos(s.Lat * rad)
		sLon, cLon := math.Sincos(s.Lon * rad)
		at[i] = [3]float64{cLat * cLon, cLat * sLon, sLat}
	}
	half := math.Sin(min(radius/earthRadius, math.Pi) / 2)
	square := 4 * half * half
	unsure := float64(1e-9*square) + 1e-13 // errors of rounding are less
	return func(i, j int) bool {
		a, b := &at[i], &at[j]
		x, y, z := a[0]-b[0], a[1]-b[1], a[2]-b[2]
		d := float64(x*x) + float64(y*y) + float64(z*z) - square
		return d < -unsure || d <= unsure && Distance(stations[i], stations[j]) <= radius
	}
}

// Check compares one value of each station. It is Buddies.Check.
func (n *Neighbours) Check(values []float64) ([]Verdict, error) {
	if len(n.stations) != len(values) {
		return nil, fmt.Errorf("check buddies: %d stations with %d values", len(n.stations), len(values))
	}
	out := make([]Verdict, len(values))
	for i := range out {
		out[i] = Verdict{Flagged: math.IsNaN(values[i]), Deviation: math.NaN()}
	}
	counted, near := make([]float64, len(values)), []float64(nil) // NaN: flagged
	for range n.Rounds {
		for i, v := range out {
			if counted[i] = values[i]; v.Flagged || n.Mute != nil && n.Mute[i] {
				counted[i] = math.NaN()
			}
		}
		for i := range out {
			if !out[i].Flagged {
				out[i], near = n.compare(i, values[i], counted, near[:0])
			}
		}
	}
	return out, nil
}

// compare compares a value with its neighbours', which it collects in near.
func (n *Neighbours) compare(i int, value float64, counted, near []float64) (Verdict, []float64) {
	var sum, squares float64
	spoke := int32(-1) // the owner of the last that was counted
	for _, j := range n.of[i] {
		if math.IsNaN(counted[j]) || n.OneVoice && n.owner[j] == spoke {
			continue
		}
		if n.OneVoice {
			spoke = n.owner[j]
		}
		v := counted[j] + float64((n.stations[i].Elevation-n.stations[j].Elevation)*n.Gradient)
		sum += v
		squares += float64(v * v)
		near = append(near, v)
	}
	m := len(near)
	out := Verdict{Neighbours: m, Deviation: math.NaN()}
	if m == 0 || m < n.Least {
		return out, near
	}
	middle := sum / float64(m)
	variance := max(0, squares/float64(m)-float64(middle*middle))
	if n.Robust > 0 && m >= n.Robust {
		middle, variance = robust(near)
	}
	// A mean of few is itself uncertain: the variance of the difference.
	std := max(math.Sqrt(variance+variance/float64(m)), n.LeastStd)
	out.Deviation = math.Abs(value-middle) / std
	out.Flagged = out.Deviation > n.Threshold
	return out, near
}

// normal is the standard deviation of a normal distribution in parts of the median
// deviation from its median.
const normal = 1.4826

// robust is the median of values, which it changes, and the variance that their
// median deviation from it is of.
func robust(x []float64) (middle, variance float64) {
	middle = median(x)
	for i, v := range x {
		x[i] = math.Abs(v - middle)
	}
	std := float64(normal * median(x))
	return middle, float64(std * std)
}

// median puts x in another order.
func median(x []float64) float64 {
	half := len(x) / 2
	high := nth(x, half)
	if len(x)%2 == 1 {
		return high
	}
	return float64((slices.Max(x[:half]) + high) / 2)
}

// nth returns the value that would be at k if x were sorted, and puts what is not
// greater before it: Hoare's selection. What chooses bad pivots again and again, as
// values made for it can, is sorted.
func nth(x []float64, k int) float64 {
	from, to := 0, len(x)
	for tries := 2 * bits.Len(uint(len(x))); to-from > 12 && tries > 0; tries-- {
		a, b, c := x[from], x[(from+to)/2], x[to-1]
		pivot := max(min(a, b), min(max(a, b), c))
		i, j := from, to-1
		for i <= j {
			for x[i] < pivot {
				i++
			}
			for x[j] > pivot {
				j--
			}
			if i <= j {
				x[i], x[j] = x[j], x[i]
				i, j = i+1, j-1
			}
		}
		switch {
		case k <= j:
			to = j + 1
		case k >= i:
			from = i
		default:
			return x[k]
		}
	}
	slices.Sort(x[from:to])
	return x[k]
}
