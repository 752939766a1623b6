// Package drive makes tracks as cars make them and receivers tell them, for tests
// and for `grange up --demo`: no recordings of anybody.
package drive

import (
	"math"
	"math/rand/v2"

	"github.com/grange-network/grange/vertical/sensing/track"
)

const (
	metresPerDegree = 40_007_863.0 / 360
	sigma           = 2.0  // metres that a fix is off
	lasts           = 30.0 // seconds that it is off in one direction
)

// Drive is a way of n points, every so many seconds from the time start, in ms:
// speed that wanders, turns and stops, and errors that come and go.
func Drive(rnd *rand.Rand, start int64, n int, every, lat, lon float64) []track.Point {
	out := make([]track.Point, n)
	speed, aim, heading := 10.0, 12.0, rnd.Float64()*360
	var x, y, errE, errN float64
	k := math.Exp(-every / lasts)
	step := sigma * math.Sqrt(1-k*k)
	for i := range out {
		if rnd.IntN(20) == 0 {
			aim = rnd.Float64() * 25
		}
		if rnd.IntN(25) == 0 {
			heading += 90 * rnd.NormFloat64()
		}
		speed = max(0, speed+max(-3*every, min(2*every, aim-speed))+0.1*rnd.NormFloat64())
		heading += rnd.NormFloat64()
		sin, cos := math.Sincos(heading * math.Pi / 180)
		x, y = x+speed*every*sin, y+speed*every*cos
		errE, errN = k*errE+step*rnd.NormFloat64(), k*errN+step*rnd.NormFloat64()
		out[i] = track.Point{
			Time: start + int64(float64(i)*every*1000),
			Lat:  lat + (y+errN)/metresPerDegree, Lon: lon + (x+errE)/metresPerDegree/math.Cos(lat*math.Pi/180),
			Heading: math.Mod(math.Mod(heading+3*rnd.NormFloat64(), 360)+360, 360),
		}
	}
	return out
}
