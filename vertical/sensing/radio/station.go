package radio

import (
	"math"
	"time"

	"github.com/grange-network/grange/h3"
)

// qualify is the weight of one metric: 1 up to least, 0 from most on, the root of
// least/x between (Ichnaea's documentation, "Weight Algorithm Details"). 1 where
// the metric is not known.
func qualify(x *float64, least, most float64) float64 {
	switch {
	case x == nil || *x >= 0 && *x <= least:
		return 1
	case !(*x >= 0 && *x < most):
		return 0
	}
	return math.Sqrt(least / *x)
}

// Metrics of an observation: metres, milliseconds, m/s.
const (
	goodAccuracy, worstOfPoint, worstOfTower = 10.0, 200.0, 1000.0

	goodAge, worstAge     = 2000.0, 20_000.0
	goodSpeed, worstSpeed = 5.0, 50.0
)

// weight is what an observation of a transmitter counts, 0 to 1, by how well the
// phone knew where it was when it heard it.
func (p Position) weight(age *float64, worstAccuracy float64) float64 {
	if age != nil && *age < 0 {
		positive := -*age // heard after the position was found
		age = &positive
	}
	return float64(float64(qualify(p.Accuracy, goodAccuracy, worstAccuracy)*qualify(age, goodAge, worstAge)) * qualify(p.Speed, goodSpeed, worstSpeed))
}

// Average signals in dBm, for which the weight of a signal is 1.
var averages = map[string]float64{"gsm": -95, "wcdma": -100, "lte": -105, "nr": -105, "wifi": -80}

// Signal is the weight of a signal in dBm when positions are averaged: 1 for an
// average one of its radio, 2 for one 16 dB stronger. 1 for one that is not known.
func Signal(radio string, dBm *float64) float64 {
	if dBm == nil {
		return 1
	}
	const range4 = 100.0
	x := range4 / max(1, averages[radio]+range4-*dBm)
	return float64(float64(x*x) * float64(x*x))
}

// Reach is how far apart in metres one transmitter is seen that does not move.
const (
	ReachOfPoint = 5_000.0
	ReachOfTower = 100_000.0
)

// Blocking of transmitters that move.
const (
	blockFor = 48 * time.Hour
	month    = 30 * 24 * time.Hour
)

// Station is what is known of a transmitter: where it is seen, on average, and
// whether it moves. The zero Station knows nothing.
type Station struct {
	Latitude, Longitude float64
	Weight              float64
	First               time.Time
	Blocks              int // times it was found elsewhere
	BlockedUntil        time.Time
}

// Blocked reports whether a station says nothing about a place at a time: for two
// days after it was found elsewhere, and for good once that happened as often as
// it is months old, and at least twice.
func (s *Station) Blocked(at time.Time) bool {
	if s.Blocks == 0 {
		return false
	}
	months := int(at.Sub(s.First) / month)
	return at.Before(s.BlockedUntil) || s.Blocks >= max(2, months)
}

// See adds an observation with its weight, in the order of time. reach is how far
// from the others it may be.
func (s *Station) See(at time.Time, lat, lon, weight, reach float64) {
	if weight <= 0 {
		return
	}
	if s.First.IsZero() {
		s.First = at
	}
	if s.Blocked(at) {
		return
	}
	if s.Weight > 0 && h3.Distance(s.Latitude, s.Longitude, lat, lon) > reach {
		s.Blocks++
		s.BlockedUntil = at.Add(blockFor)
		s.Weight = 0 // where it was counts no more
		return
	}
	part := weight / (s.Weight + weight)
	s.Latitude += float64(part * (lat - s.Latitude))
	s.Longitude += float64(part * (lon - s.Longitude)) // transmitters at the date line are off
	s.Weight += weight
}
