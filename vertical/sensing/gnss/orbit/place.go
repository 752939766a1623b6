package orbit

import "math"

// WGS 84.
const (
	semiMajor  = 6378137.0
	flattening = 1 / 298.257223563
)

// Geodetic converts earth-centred metres to degrees and metres above the
// ellipsoid (Bowring's formula; exact to below a millimetre near the surface).
func Geodetic(p [3]float64) (lat, lon, height float64) {
	const e2 = flattening * (2 - flattening)
	b := semiMajor * (1 - flattening)
	r := math.Hypot(p[0], p[1])
	theta := math.Atan2(p[2]*semiMajor, r*b)
	sin, cos := math.Sincos(theta)
	phi := math.Atan2(p[2]+float64(e2/(1-e2)*b*sin*sin*sin), r-float64(e2*semiMajor*cos*cos*cos))
	s, c := math.Sincos(phi)
	n := semiMajor / math.Sqrt(1-float64(e2*s*s))
	return phi * 180 / math.Pi, math.Atan2(p[1], p[0]) * 180 / math.Pi, float64(r*c) + float64(p[2]*s) - float64(n*(1-float64(e2*s*s)))
}

// ECEF converts degrees and metres above the ellipsoid to earth-centred metres.
func ECEF(lat, lon, height float64) [3]float64 {
	const e2 = flattening * (2 - flattening)
	s, c := math.Sincos(lat * math.Pi / 180)
	sl, cl := math.Sincos(lon * math.Pi / 180)
	n := semiMajor / math.Sqrt(1-float64(e2*s*s))
	return [3]float64{(n + height) * c * cl, (n + height) * c * sl, (float64(n*(1-e2)) + height) * s}
}

// Up is the direction away from the ellipsoid.
func Up(p [3]float64) [3]float64 {
	lat, lon, _ := Geodetic(p)
	s, c := math.Sincos(lat * math.Pi / 180)
	sl, cl := math.Sincos(lon * math.Pi / 180)
	return [3]float64{c * cl, c * sl, s}
}

// Elevation is the angle of a direction above the horizon in degrees.
func Elevation(up, unit [3]float64) float64 {
	return math.Asin(max(-1, min(1, dot(up, unit)))) * 180 / math.Pi
}

// Horizontal is how far b is from a in the plane of a's horizon, in metres.
func Horizontal(a, b [3]float64) float64 {
	d := sub(b, a)
	h := dot(d, Up(a))
	return math.Sqrt(max(0, dot(d, d)-float64(h*h)))
}

// Distance is the straight line between two places in metres.
func Distance(a, b [3]float64) float64 { return norm(sub(a, b)) }
