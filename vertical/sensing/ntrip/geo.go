package ntrip

import (
	"math"
	"strconv"
	"strings"
)

// Position is a place on the WGS 84 ellipsoid, in degrees.
type Position struct{ Lat, Lon float64 }

// WGS 84.
const (
	semiMajor  = 6378137.0
	flattening = 1 / 298.257223563
	meanRadius = 6371008.8
)

// positionOf converts earth-centred coordinates in metres. The iteration is
// Bowring's; near the surface one step is exact to far below a metre.
func positionOf(p [3]float64) Position {
	e2 := flattening * (2 - flattening)
	b := semiMajor * (1 - flattening)
	r := math.Hypot(p[0], p[1])
	theta := math.Atan2(p[2]*semiMajor, r*b)
	sin, cos := math.Sincos(theta)
	ep2 := e2 / (1 - e2)
	lat := math.Atan2(p[2]+ep2*b*sin*sin*sin, r-e2*semiMajor*cos*cos*cos)
	return Position{lat * 180 / math.Pi, math.Atan2(p[1], p[0]) * 180 / math.Pi}
}

// distance is the great-circle distance in metres.
func distance(a, b Position) float64 {
	const rad = math.Pi / 180
	dLat, dLon := (b.Lat-a.Lat)*rad/2, (b.Lon-a.Lon)*rad/2
	h := math.Sin(dLat)*math.Sin(dLat) + math.Cos(a.Lat*rad)*math.Cos(b.Lat*rad)*math.Sin(dLon)*math.Sin(dLon)
	return 2 * meanRadius * math.Asin(math.Sqrt(min(1, h)))
}

// maxSentence is the most bytes of an NMEA sentence; the standard has 82.
const maxSentence = 120

// parseGGA reads the position of a GGA sentence of any talker. ok is false for
// anything else, a wrong checksum and a receiver without a fix.
func parseGGA(line string) (p Position, ok bool) {
	line = strings.TrimSpace(line)
	if len(line) > maxSentence || len(line) < 7 || line[0] != '$' || line[3:7] != "GGA," {
		return p, false
	}
	body, sum, found := strings.Cut(line[1:], "*")
	if found {
		var x byte
		for i := range len(body) {
			x ^= body[i]
		}
		if want, err := strconv.ParseUint(sum, 16, 8); err != nil || byte(want) != x {
			return p, false
		}
	}
	f := strings.Split(body, ",")
	if len(f) < 7 || f[6] == "0" || f[6] == "" {
		return p, false
	}
	lat, ok1 := degrees(f[2], f[3], 2, "N", "S", 90)
	lon, ok2 := degrees(f[4], f[5], 3, "E", "W", 180)
	return Position{lat, lon}, ok1 && ok2
}

// degrees reads ddmm.mmmm or dddmm.mmmm.
func degrees(s, hemisphere string, digits int, positive, negative string, most float64) (float64, bool) {
	if len(s) < digits+2 {
		return 0, false
	}
	deg, err1 := strconv.ParseUint(s[:digits], 10, 16)
	minutes, err2 := strconv.ParseFloat(s[digits:], 64)
	v := float64(deg) + minutes/60
	if err1 != nil || err2 != nil || !(minutes >= 0 && minutes < 60) || v > most {
		return 0, false
	}
	switch hemisphere {
	case positive:
		return v, true
	case negative:
		return -v, true
	}
	return 0, false
}
