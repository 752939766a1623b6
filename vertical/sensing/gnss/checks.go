package gnss

import (
	"math"
	"slices"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/gnss/orbit"
	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

const whole = 1_000_000 // parts per million

func ppm(name string, v float64) vertical.Term {
	return vertical.Term{Name: name, Value: uint64(math.Round(max(0, min(1, v)) * whole)), Of: whole}
}

func yes(name string, ok bool) vertical.Term {
	t := vertical.Term{Name: name, Of: 1}
	if ok {
		t.Value = 1
	}
	return t
}

// linear is 0 at one value, 1 at another.
func linear(v, none, all float64) float64 { return max(0, min(1, (v-none)/(all-none))) }

// available is the part of the window's seconds with a whole epoch of their own
// time; below a half it is nothing (GEODNET's rule).
func (v *view) available(w sensing.Window) float64 {
	var got int
	for _, s := range v.samples {
		got += s.seconds
	}
	part := float64(got) / w.Ended.Sub(w.Began).Seconds()
	if part < 0.5 {
		return 0
	}
	return part
}

// Weights of constellations and of the number of bands (Onocoy's formula).
var (
	constellations = []struct {
		system rtcm.System
		weight float64
	}{{rtcm.GPS, .286}, {rtcm.GLONASS, .142}, {rtcm.Galileo, .286}, {rtcm.BeiDou, .286}}
	bandWeights = [bands]float64{0, .08, .32, .80, .95, 1}
)

const (
	fewest   = 4  // satellites that make a constellation or a band count
	strong   = 32 // dB-Hz on L1 (GEODNET)
	noneSeen = 26 // satellites above that which are worth nothing
	allSeen  = 29 // and which are worth everything
)

// sky is what the mean epoch shows: constellations, bands and strong satellites.
func (v *view) sky() (systems, banded, satellites float64) {
	for _, s := range v.samples {
		a, b, c := s.sky()
		systems, banded, satellites = systems+a, banded+b, satellites+c
	}
	n := float64(max(1, len(v.samples)))
	return systems / n, banded / n, satellites / n
}

func (s *sample) sky() (systems, banded, satellites float64) {
	of, in := map[rtcm.System]int{}, [bands]int{}
	n := 0
	for _, x := range s.sights {
		of[x.system]++
		for b := range in {
			if x.bands>>b&1 == 1 {
				in[b]++
			}
		}
		if x.cnr >= strong {
			n++
		}
	}
	for _, c := range constellations {
		if of[c.system] >= fewest {
			systems += c.weight
		}
	}
	count := 0
	for _, n := range in {
		if n >= fewest {
			count++
		}
	}
	return systems, bandWeights[count], linear(float64(n), noneSeen, allSeen)
}

// timely is 1 for epochs that arrive within a second and 0 from five on.
func (v *view) timely() float64 {
	var sum float64
	for _, s := range v.samples {
		sum += linear(float64(s.age), 5000, 1000)
	}
	return sum / float64(max(1, len(v.samples)))
}

// steady is 1 when the coordinates stay within 2 cm and 0 from 10 cm on.
func (v *view) steady(place [3]float64) float64 {
	var most float64
	for _, s := range v.samples {
		if s.station != nil {
			most = max(most, orbit.Distance(place, s.station.ECEF))
		}
	}
	return linear(most, .10, .02)
}

// registered reports whether the coordinates are in the device's cell, looked at
// as coarsely as it is published.
func (v *view) registered(place [3]float64) bool {
	c := h3.Cell(v.Cell)
	if v.Cell == 0 || c.Resolution() < Resolution {
		return false
	}
	res := min(c.Resolution(), h3.PublishedResolution)
	lat, lon, _ := orbit.Geodetic(place)
	return h3.At(lat, lon, res) == c.Parent(res)
}

const (
	nearEnough = 15.0 // metres that a base's own position may be from its coordinates
	below      = -3.0 // degrees at which no antenna sees a satellite
	tolerated  = 20   // one in so many minutes may show satellites below the horizon
)

// own compares the positions that the pseudoranges give, with orbits from other
// owners, with the coordinates: hours of which the median agrees, and hours that
// could be judged.
func (v *view) own(a almanac, place [3]float64) (good, of uint64) {
	byHour := map[int64][]float64{}
	for i := range v.samples {
		s := &v.samples[i]
		off, judged := s.off(a, place, v.Owner)
		if judged {
			h := s.start / 3600
			byHour[h] = append(byHour[h], off)
		}
	}
	for _, off := range byHour {
		slices.Sort(off)
		// To the millimetre, so that the last bit decides nothing.
		if math.Round(off[(len(off)-1)/2]*1000) <= nearEnough*1000 {
			good++
		}
		of++
	}
	return good, of
}

// off is how far the position of one epoch is from a place. An epoch whose ranges
// fit no place is infinitely far.
func (s *sample) off(a almanac, place [3]float64, owner string) (metres float64, judged bool) {
	var single, dual []orbit.Sight
	for _, x := range s.sights {
		if math.IsNaN(x.free) {
			continue
		}
		e := a.of(x.sat, s.ofWeek, owner)
		if e == nil {
			continue
		}
		if x.dual {
			dual = append(dual, orbit.Sight{Orbit: e, Range: x.free})
		}
		single = append(single, orbit.Sight{Orbit: e, Range: x.code - float64(orbit.C*e.GroupDelay)})
	}
	use := dual
	if len(dual) < enough {
		use = single
	}
	if len(use) < enough {
		return 0, false
	}
	fix, ok := orbit.Solve(use, place, s.ofWeek)
	if !ok {
		return math.Inf(1), true
	}
	return orbit.Horizontal(place, fix.Place), true
}

// enough is how many satellites make a position that is worth judging.
const enough = 7

// risen counts the minutes in which all satellites with a known orbit are above
// the horizon of the place.
func (v *view) risen(a almanac, place [3]float64) (good, of int) {
	up := orbit.Up(place)
	for _, s := range v.samples {
		known, low := 0, 0
		for _, x := range s.sights {
			e := a.of(x.sat, s.ofWeek, v.Owner)
			if e == nil {
				continue
			}
			known++
			if _, unit, _ := orbit.Seen(e, place, s.ofWeek); orbit.Elevation(up, unit) < below {
				low++
			}
		}
		if known == 0 {
			continue
		}
		of++
		if low == 0 {
			good++
		}
	}
	return good, of
}

// leastSpread is the standard deviation of C/N0 over the satellites of an epoch
// that the simplest simulators stay below; under a sky it is 3 to 7 dB.
const leastSpread = 1.5

// lively reports whether the signals' strengths differ as under a sky, in most
// epochs. Streams that say no strength earn nothing by them anyway.
func (v *view) lively() bool {
	flat, of := 0, 0
	for _, s := range v.samples {
		var n, sum, squares float64
		for _, x := range s.sights {
			if x.cnr > 0 {
				cnr := float64(x.cnr)
				n, sum, squares = n+1, sum+cnr, squares+float64(cnr*cnr)
			}
		}
		if n < 6 {
			continue
		}
		of++
		if mean := sum / n; squares/n-float64(mean*mean) < leastSpread*leastSpread {
			flat++
		}
	}
	return 2*flat <= of
}
