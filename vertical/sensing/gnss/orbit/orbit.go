package orbit

import (
	"math"
	"time"

	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

// C is the speed of light in m/s.
const C = 299792458.0

const (
	week   = 7 * 24 * 3600.0
	spin   = 7.2921151467e-5 // of the earth, rad/s
	spinB  = 7.2921150e-5    // as BeiDou has it
	muGPS  = 3.986005e14
	muElse = 3.986004418e14

	// relativity is -2 sqrt(mu)/c², s/sqrt(m).
	relativity = -4.442807633e-10

	beidouLag = 14.0 // seconds of BeiDou's time behind GPS's
)

// gpsEpoch is when GPS time began.
var gpsEpoch = time.Date(1980, 1, 6, 0, 0, 0, 0, time.UTC)

// leaps are the seconds of GPS time ahead of UTC and since when (IERS Bulletin C).
var leaps = []struct {
	from    time.Time
	seconds int
}{
	{time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC), 18},
	{time.Date(2015, 7, 1, 0, 0, 0, 0, time.UTC), 17},
	{time.Date(2012, 7, 1, 0, 0, 0, 0, time.UTC), 16},
	{time.Date(2009, 1, 1, 0, 0, 0, 0, time.UTC), 15},
	{time.Date(2006, 1, 1, 0, 0, 0, 0, time.UTC), 14},
}

// Leap is how many seconds GPS time is ahead of UTC.
func Leap(t time.Time) time.Duration {
	for _, l := range leaps {
		if !t.Before(l.from) {
			return time.Duration(l.seconds) * time.Second
		}
	}
	return 13 * time.Second
}

// SecondOfWeek is t, in UTC, as seconds of the GPS week.
func SecondOfWeek(t time.Time) float64 {
	return math.Mod(t.Add(Leap(t)).Sub(gpsEpoch).Seconds(), week)
}

// Near turns a time of the GPS week into the UTC time nearest to t.
func Near(ofWeek time.Duration, t time.Time) time.Time {
	const w = 7 * 24 * time.Hour
	off := (ofWeek - t.Add(Leap(t)).Sub(gpsEpoch)) % w
	switch {
	case off > w/2:
		off -= w
	case off < -w/2:
		off += w
	}
	return t.Add(off)
}

// Wrap brings a difference of times of week into ±half a week.
func Wrap(seconds float64) float64 {
	switch {
	case seconds > week/2:
		return seconds - week
	case seconds < -week/2:
		return seconds + week
	}
	return seconds
}

// Age is how far a time of the GPS week is from an orbit's reference time.
func Age(e *rtcm.Ephemeris, ofWeek float64) float64 {
	return Wrap(ofWeek - lag(e.System) - e.Toe)
}

func lag(s rtcm.System) float64 {
	if s == rtcm.BeiDou {
		return beidouLag
	}
	return 0
}

// At returns where a satellite is at a time of the GPS week, in metres, earth
// fixed at that moment, and how far its clock is ahead in seconds.
func At(e *rtcm.Ephemeris, ofWeek float64) (p [3]float64, clock float64) {
	t := ofWeek - lag(e.System)
	mu, turn := muElse, spin
	switch e.System {
	case rtcm.GPS:
		mu = muGPS
	case rtcm.BeiDou:
		turn = spinB
	}
	a := e.SqrtA * e.SqrtA
	tk := Wrap(t - e.Toe)
	n := math.Sqrt(mu/(a*a*a)) + e.DeltaN
	m := e.M0 + float64(n*tk)
	ecc := m
	for range 12 {
		ecc = m + float64(e.Ecc*math.Sin(ecc))
	}
	sin, cos := math.Sincos(ecc)
	u := math.Atan2(math.Sqrt(1-float64(e.Ecc*e.Ecc))*sin, cos-e.Ecc) + e.Omega
	s2, c2 := math.Sincos(2 * u)
	r := float64(a*(1-float64(e.Ecc*cos))) + float64(e.Crs*s2) + float64(e.Crc*c2)
	i := e.I0 + float64(e.IDot*tk) + float64(e.Cis*s2) + float64(e.Cic*c2)
	u += float64(e.Cus*s2) + float64(e.Cuc*c2)
	su, cu := math.Sincos(u)
	x, y := r*cu, r*su
	if geostationary(e) {
		p = fixed(e, x, y, i, tk, turn)
	} else {
		node := e.Omega0 + float64((e.OmegaDot-turn)*tk) - float64(turn*e.Toe)
		p = turned(x, y, node, i)
	}
	dt := Wrap(t - e.Toc)
	clock = e.Af0 + float64(e.Af1*dt) + float64(e.Af2*dt*dt) + float64(relativity*e.Ecc*e.SqrtA*sin)
	return p, clock
}

func turned(x, y, node, i float64) [3]float64 {
	so, co := math.Sincos(node)
	si, ci := math.Sincos(i)
	return [3]float64{float64(x*co) - float64(y*ci*so), float64(x*so) + float64(y*ci*co), y * si}
}

// geostationary reports whether an orbit is of BeiDou's that stand still.
func geostationary(e *rtcm.Ephemeris) bool {
	return e.System == rtcm.BeiDou && (e.Satellite <= 5 || e.Satellite >= 59)
}

// fixed turns the orbit of a geostationary satellite (BeiDou B1I ICD, 5.2.4.12).
func fixed(e *rtcm.Ephemeris, x, y, i, tk, turn float64) [3]float64 {
	node := e.Omega0 + float64(e.OmegaDot*tk) - float64(turn*e.Toe)
	g := turned(x, y, node, i)
	s, c := math.Sincos(-5 * math.Pi / 180)
	v := [3]float64{g[0], float64(g[1]*c) + float64(g[2]*s), float64(g[2]*c) - float64(g[1]*s)}
	return rotate(v, turn*tk)
}

// rotate turns about the earth's axis.
func rotate(p [3]float64, by float64) [3]float64 {
	s, c := math.Sincos(by)
	return [3]float64{float64(p[0]*c) + float64(p[1]*s), float64(p[1]*c) - float64(p[0]*s), p[2]}
}

// Seen returns the line from a receiver to a satellite whose signal arrives at a
// time of the GPS week: its length as the signal travelled it, the unit vector,
// and the satellite's clock.
func Seen(e *rtcm.Ephemeris, from [3]float64, ofWeek float64) (length float64, unit [3]float64, clock float64) {
	length = 2.2e7
	for range 3 { // converges by five digits each
		travel := length / C
		p, ahead := At(e, ofWeek-travel)
		p = rotate(p, spin*travel)
		d := sub(p, from)
		length, clock = norm(d), ahead
		for k := range d {
			unit[k] = d[k] / length
		}
	}
	return length, unit, clock
}

func sub(a, b [3]float64) [3]float64 { return [3]float64{a[0] - b[0], a[1] - b[1], a[2] - b[2]} }

func dot(a, b [3]float64) float64 {
	return float64(a[0]*b[0]) + float64(a[1]*b[1]) + float64(a[2]*b[2])
}

func norm(a [3]float64) float64 { return math.Sqrt(dot(a, a)) }
