package track

import (
	"math"
	"math/rand/v2"
	"testing"
)

// drive is a track of a car as a receiver tells it: speed that wanders, turns,
// stops, and errors that come and go over half a minute.
func drive(rnd *rand.Rand, n int, every float64, lat, lon float64) []Point {
	out := make([]Point, n)
	speed, heading, errE, errN := 10.0, rnd.Float64()*360, 0.0, 0.0
	x, y := 0.0, 0.0
	aim := 12.0
	for i := range out {
		if rnd.IntN(20) == 0 {
			aim = rnd.Float64() * 25
		}
		if rnd.IntN(25) == 0 {
			heading += 90 * rnd.NormFloat64()
		}
		change := max(-3*every, min(2*every, aim-speed))
		speed = max(0, speed+change+0.1*rnd.NormFloat64())
		heading += rnd.NormFloat64()
		sin, cos := math.Sincos(heading * math.Pi / 180)
		x, y = x+speed*every*sin, y+speed*every*cos
		k := math.Exp(-every / 30)
		errE, errN = k*errE+2*math.Sqrt(1-k*k)*rnd.NormFloat64(), k*errN+2*math.Sqrt(1-k*k)*rnd.NormFloat64()
		out[i] = Point{
			Time: 1_760_000_000_000 + int64(float64(i)*every*1000), Lat: lat + (y+errN)/metresPerDegree,
			Lon: lon + (x+errE)/metresPerDegree/math.Cos(lat*math.Pi/180), Heading: math.Mod(heading+3*rnd.NormFloat64()+3600, 360),
		}
	}
	return out
}

func count(faults []Fault) (n [Faults]int) {
	for _, f := range faults {
		n[f]++
	}
	return n
}

// Of what cars really do nearly nothing is refused.
func TestDrives(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var all [Faults]int
	total := 0
	for _, every := range []float64{0.5, 1, 2, 3} {
		for range 50 {
			for f, n := range count(Check(drive(rnd, 400, every, 48, 11), Street)) {
				all[f] += n
				total += n
			}
		}
	}
	t.Logf("of %d points: %v", total, all)
	if refused := total - all[Fine]; refused*50 > total {
		t.Errorf("%d of %d points of clean drives are refused, want at most 2 %%: %v", refused, total, all)
	}
}

func TestFaults(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	clean := func() []Point { return drive(rnd, 300, 1, -33, 151) }
	for _, tt := range []struct {
		name  string
		spoil func([]Point) []Point
		want  Fault
		least int // points refused
		most  int
	}{
		{"two cities by turns, a minute each", func(p []Point) []Point {
			for i := range p {
				if i/60%2 == 1 {
					p[i].Lat += 2
				}
			}
			return p
		}, Jump, 300, 300},
		{"one bad fix", func(p []Point) []Point { p[100].Lat += 0.5; return p }, Jump, 1, 1},
		{"a camera that looks anywhere", func(p []Point) []Point {
			for i := range p {
				p[i].Heading = rnd.Float64() * 360
			}
			return p
		}, Turned, 150, 300},
		{"a line drawn on the map", func(p []Point) []Point {
			for i := range p {
				p[i].Lat, p[i].Lon, p[i].Heading = -33+float64(i)*1e-4, 151, 0
			}
			return p
		}, Drawn, 300, 300},
		{"lines between corners", func(p []Point) []Point {
			for i := range p {
				p[i].Heading = math.NaN()
				p[i].Lat, p[i].Lon = -33+float64((i+60)/120)*60e-4, 151+float64(i/120)*60e-4
				if k := i % 120; k < 60 {
					p[i].Lon = 151 + float64(i/120)*60e-4 + float64(k)*1e-4
				} else {
					p[i].Lon += 60e-4
					p[i].Lat = -33 + float64(i/120)*60e-4 + float64(k-60)*1e-4
				}
			}
			return p
		}, Drawn, 300, 300},
		{"images strewn about", func(p []Point) []Point {
			var out []Point
			for i := 0; i < len(p); i += 70 {
				out = append(out, p[i])
			}
			return out
		}, Lone, 5, 5},
		{"a car that hops", func(p []Point) []Point {
			east := 0.0
			for i := range p {
				if i%6 < 3 {
					east += 60
				}
				p[i].Lat, p[i].Lon, p[i].Heading = -33+rnd.NormFloat64()*1e-6, 151+east/metresPerDegree, 90
			}
			return p
		}, Jerk, 300, 300},
		{"a camera to the side", func(p []Point) []Point {
			for i := range p {
				p[i].Heading = math.Mod(p[i].Heading+90, 360)
			}
			return p
		}, Turned, 0, 15},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := count(Check(tt.spoil(clean()), Street))
			if n := got[tt.want]; n < tt.least || n > tt.most {
				t.Errorf("%d points are not %s, want %d to %d: %v", n, tt.want, tt.least, tt.most, got)
			}
		})
	}
}

// Around the world, at its edges and with nothing at all.
func TestEdges(t *testing.T) {
	if got := Check(nil, Street); len(got) != 0 {
		t.Errorf("faults of no points: %v", got)
	}
	if d := Distance(Point{Lat: 10, Lon: 179.9999}, Point{Lat: 10, Lon: -179.9999}); d > 30 {
		t.Errorf("%f m over the date line", d)
	}
	for _, p := range [][2]float64{{350, 10}, {10, 350}, {-10, 370}, {710, 10}} {
		if a := Apart(p[0], p[1]); math.Abs(a-20) > 1e-9 {
			t.Errorf("%v are %f degrees apart, want 20", p, a)
		}
	}
	same := []Point{{Time: 5, Lat: 1, Lon: 1, Heading: math.NaN()}, {Time: 5, Lat: 2, Lon: 1, Heading: math.NaN()}, {Time: 5, Lat: 1, Lon: 1, Heading: math.NaN()}}
	if got := count(Check(same, Sparse)); got[Jump] == 0 {
		t.Errorf("two places at one time: %v", got)
	}
}
