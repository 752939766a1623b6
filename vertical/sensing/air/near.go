package air

import (
	"math"
	"slices"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing/copies"
)

// Parameters of the comparison with others.
const (
	radius      = 20_000.0 // metres within which air is much the same
	leastOthers = 3        // owners to compare with
	leastHours  = 12       // to judge by
	much        = 3.0      // times more or less than the others'
	little      = 10.0     // µg/m³ added before, since little is measured badly
	inCommon    = 0.7      // correlation with the others' course from which nothing is missing
	lively      = 0.2      // spread of the others' course below which there is none
	alike       = 0.97     // correlation of changes from hour to hour
	closer      = 0.03     // mean difference, in parts of the value
)

// town is what stations are compared in. It is for one goroutine.
type town struct {
	all   []*record
	near  [][]int
	alike *copies.Likeness
	owner []int // number of each station's owner

	turn        int   // of others
	heard, told []int // turn in which an owner, a set was heard
}

func newTown(all []*record) *town {
	t := &town{all: all, near: neighbourhoods(all), owner: make([]int, len(all)), heard: make([]int, len(all)), told: make([]int, len(all))}
	number, ages := map[string]int{}, make([]int64, len(all))
	for i, r := range all {
		ages[i] = r.Registered
		n, known := number[r.Owner]
		if !known {
			n = len(number)
			number[r.Owner] = n
		}
		t.owner[i] = n
	}
	t.alike = copies.NewLikeness(ages)
	return t
}

// neighbourhoods lists for each station the others within the radius, by their ids.
func neighbourhoods(all []*record) [][]int {
	byBox := map[box][]int{}
	for i, r := range all {
		if r.Cell != 0 {
			byBox[boxOf(r.lat, r.lon)] = append(byBox[boxOf(r.lat, r.lon)], i)
		}
	}
	out := make([][]int, len(all))
	for i, r := range all {
		if r.Cell == 0 {
			continue
		}
		for _, b := range boxOf(r.lat, r.lon).around() {
			for _, k := range byBox[b] {
				if k != i && h3.Distance(r.lat, r.lon, all[k].lat, all[k].lon) <= radius {
					out[i] = append(out[i], k)
				}
			}
		}
		slices.SortFunc(out[i], func(a, b int) int { return slices.Compare(all[a].ID[:], all[b].ID[:]) })
	}
	return out
}

// box is a cube of a grid through the earth, a little wider than the radius: whoever
// is within the radius is in the same or in one that touches it.
type box [3]int

func boxOf(lat, lon float64) box {
	const side = 1.01 * radius / 6_371_000 // in radii of the earth
	sinLat, cosLat := math.Sincos(float64(lat * math.Pi / 180))
	sinLon, cosLon := math.Sincos(float64(lon * math.Pi / 180))
	return box{int(math.Floor(cosLat * cosLon / side)), int(math.Floor(cosLat * sinLon / side)), int(math.Floor(sinLat / side))}
}

// around are a box and those that touch it.
func (b box) around() (out [27]box) {
	for i := range out {
		out[i] = box{b[0] + i%3 - 1, b[1] + i/3%3 - 1, b[2] + i/9 - 1}
	}
	return out
}

// others are the medians, hour by hour, of a variable among the neighbours, one
// voice for each owner and for each set of stations that are too alike; NaN where
// fewer than leastOthers were heard.
func (t *town) others(i, v int) [hours]float64 {
	var out [hours]float64
	values := make([]float64, 0, len(t.near[i]))
	for h := range hours {
		t.turn++
		t.heard[t.owner[i]], t.told[t.alike.One.Find(i)] = t.turn, t.turn
		values = values[:0]
		for _, k := range t.near[i] {
			o, owner, set := t.all[k], t.owner[k], t.alike.One.Find(k)
			if o.good[v][h] && t.heard[owner] != t.turn && t.told[set] != t.turn {
				t.heard[owner], t.told[set] = t.turn, t.turn
				values = append(values, o.mean[v][h])
			}
		}
		out[h] = math.NaN()
		if len(values) >= leastOthers {
			out[h] = median(values)
		}
	}
	return out
}

func median(values []float64) float64 {
	slices.Sort(values)
	return float64((values[(len(values)-1)/2] + values[len(values)/2]) / 2)
}

// agreement compares the main variable of each hour with the others' median: by
// how much it differs, and whether it goes up and down with theirs. Where there
// are too few others the verdict is neutral.
func (t *town) agreement(i int) vertical.Term {
	r := t.all[i]
	main := r.main()
	theirs := t.others(i, main)
	var mine, them []float64
	var agreed uint64
	for h := range hours {
		if x, m := r.mean[main][h], theirs[h]; !math.IsNaN(x) && !math.IsNaN(m) {
			a, b := math.Log(max(0, x)+little), math.Log(m+little)
			mine, them = append(mine, a), append(them, b)
			if math.Abs(a-b) <= math.Log(much) {
				agreed++
			}
		}
	}
	switch {
	case len(mine) < leastHours:
		return vertical.Term{Name: "too few neighbours to judge", Value: 1, Of: 1}
	case spread(them) > lively:
		together := max(0, min(inCommon, correlation(mine, them)))
		agreed = uint64(math.Round(float64(float64(agreed) * together / inCommon * whole)))
		return vertical.Term{Name: "hours and course as its neighbours'", Value: agreed, Of: uint64(len(mine)) * whole}
	}
	return vertical.Term{Name: "hours its neighbours agree with", Value: agreed, Of: uint64(len(mine))}
}

// main is the variable that a station is compared by.
func (r *record) main() int {
	if r.measures(pm25) {
		return pm25
	}
	for v := range temperature {
		if r.measures(v) {
			return v
		}
	}
	return pm25
}

// Parameters of the search for sensors indoors.
const (
	indoorRange = 1.0  // °C in a day that no weather keeps to
	indoorLow   = 15.0 // °C of rooms
	indoorHigh  = 30.0
	indoorPart  = 0.35 // of the others' range
	indoorApart = 8.0  // °C from the others all day, by which a room shows in winter
	leastSpan   = 18   // hours to judge by
)

// outdoors judges by the temperature, which in a room changes little and in winter
// is far from the others'.
func (t *town) outdoors(i int) vertical.Term {
	temperatures := t.all[i].mean[temperature]
	indoors := false
	if mine := known(temperatures); len(mine) >= leastSpan && slices.Min(mine) >= indoorLow && slices.Max(mine) <= indoorHigh {
		swing := slices.Max(mine) - slices.Min(mine)
		indoors = swing < indoorRange
		them := t.others(i, temperature)
		if theirs := known(them); len(theirs) >= leastSpan {
			indoors = indoors || swing < float64(indoorPart*(slices.Max(theirs)-slices.Min(theirs))) || apartOf(temperatures, them) > indoorApart
		}
	}
	if indoors {
		return vertical.Term{Name: "outdoors, by its temperature", Value: 0, Of: 1}
	}
	return vertical.Term{Name: "outdoors, by its temperature", Value: 1, Of: 1}
}

// apartOf is the mean difference of two courses; 0 where they share no hour.
func apartOf(a, b [hours]float64) float64 {
	var sum, n float64
	for h := range hours {
		if d := math.Abs(a[h] - b[h]); !math.IsNaN(d) {
			sum += d
			n++
		}
	}
	return sum / max(1, n)
}

func known(hourly [hours]float64) []float64 {
	var out []float64
	for _, x := range hourly {
		if !math.IsNaN(x) {
			out = append(out, x)
		}
	}
	return out
}

// tooAlike reports whether what two stations measure is, or changes from hour to
// hour, as that of two places never does: between the stations of Beijing changes
// of PM2.5 correlate by up to 0.95, and values differ by more than 10 %.
func tooAlike(a, b *record) bool {
	v := a.main()
	if v != b.main() {
		return false
	}
	var x, y []float64
	var level, differ, n float64
	for h := range hours {
		p, q := a.mean[v][h], b.mean[v][h]
		if math.IsNaN(p) || math.IsNaN(q) {
			continue
		}
		level, differ, n = level+float64((p+q)/2), differ+math.Abs(p-q), n+1
		if h > 0 && !math.IsNaN(a.mean[v][h-1]) && !math.IsNaN(b.mean[v][h-1]) {
			x, y = append(x, p-a.mean[v][h-1]), append(y, q-b.mean[v][h-1])
		}
	}
	// Air that is clean all day is alike everywhere.
	close := n >= leastSpan && level/n > little && differ < float64(closer*level)
	return close || len(x) >= leastSpan && correlation(x, y) > alike
}

// spread is the standard deviation.
func spread(x []float64) float64 {
	var mean, square float64
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		square += float64((v-mean)*(v-mean)) / float64(len(x))
	}
	return math.Sqrt(square)
}

// correlation of two series; 0 where one stands still.
func correlation(a, b []float64) float64 {
	var ma, mb, aa, bb, ab float64
	n := float64(len(a))
	for i := range a {
		ma, mb = ma+a[i]/n, mb+b[i]/n
	}
	for i := range a {
		x, y := a[i]-ma, b[i]-mb
		aa, bb, ab = aa+float64(x*x), bb+float64(y*y), ab+float64(x*y)
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(float64(aa*bb))
}
