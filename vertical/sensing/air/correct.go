package air

import "math"

// Bounds of the published correction, of the sensor's value in µg/m³.
const (
	lowTo  = 570.0
	highAt = 611.0
)

// Correct is the PM2.5 in µg/m³ that a reference instrument would show where a
// Plantower sensor (PurpleAir) shows cf1, its "CF=1" value, at a relative humidity
// in percent as the sensor measures it: the extended US-wide correction of the US
// EPA's Fire and Smoke Map (Barkjohn et al., 10.5194/amt-14-4617-2021 and
// 10.3390/s22249669). It is linear below 570, quadratic from 611 on and a blend in
// between; never below 0. NaN where an argument is.
func Correct(cf1, humidity float64) float64 {
	low := float64(0.524*cf1) - float64(0.0862*humidity) + 5.75
	high := float64(4.21e-4*float64(cf1*cf1)) + float64(0.392*cf1) + 3.44
	switch {
	case cf1 < lowTo:
		return max(0, low)
	case cf1 < highAt:
		part := float64(0.0244*cf1) - 13.9
		return float64(part*high) + float64((1-part)*low)
	default:
		return high + float64(0*humidity) // NaN without a humidity, as below
	}
}

// Two channels of one sensor disagree when they differ by more than both of these
// (Barkjohn et al. 2021, section 2.3): µg/m³, and parts of their mean.
const (
	apart         = 5.0
	apartRelative = 0.61
)

// Agree reports whether two channels' means in µg/m³ agree. False where one is
// NaN.
func Agree(a, b float64) bool {
	d := math.Abs(a - b)
	return d <= apart || d <= float64(apartRelative*float64((a+b)/2))
}
