package track_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/grange-network/grange/vertical/sensing/track"
	"github.com/grange-network/grange/vertical/sensing/track/drive"
)

func clean(rnd *rand.Rand, n int, every float64) []track.Point {
	return drive.Drive(rnd, 1_760_000_000_000, n, every, -33, 151)
}

func count(faults []track.Fault) (n [track.Faults]int) {
	for _, f := range faults {
		n[f]++
	}
	return n
}

// Of what cars really do nearly nothing is refused.
func TestDrives(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var all [track.Faults]int
	total := 0
	for _, every := range []float64{0.5, 1, 2, 3} {
		for range 50 {
			for f, n := range count(track.Check(clean(rnd, 400, every), track.Street)) {
				all[f] += n
				total += n
			}
		}
	}
	t.Logf("of %d points: %v", total, all)
	if refused := total - all[track.Fine]; refused*50 > total {
		t.Errorf("%d of %d points of clean drives are refused, want at most 2 %%: %v", refused, total, all)
	}
}

func TestFaults(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, tt := range []struct {
		name  string
		spoil func([]track.Point) []track.Point
		want  track.Fault
		least int // points refused
		most  int
	}{
		{"two cities by turns, a minute each", func(p []track.Point) []track.Point {
			for i := range p {
				if i/60%2 == 1 {
					p[i].Lat += 2
				}
			}
			return p
		}, track.Jump, 300, 300},
		{"one bad fix", func(p []track.Point) []track.Point { p[100].Lat += 0.5; return p }, track.Jump, 1, 1},
		{"a camera that looks anywhere", func(p []track.Point) []track.Point {
			for i := range p {
				p[i].Heading = rnd.Float64() * 360
			}
			return p
		}, track.Turned, 150, 300},
		{"a line drawn on the map", func(p []track.Point) []track.Point {
			for i := range p {
				p[i].Lat, p[i].Lon, p[i].Heading = -33+float64(i)*1e-4, 151, 0
			}
			return p
		}, track.Drawn, 300, 300},
		{"lines between corners", func(p []track.Point) []track.Point {
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
		}, track.Drawn, 300, 300},
		{"images strewn about", func(p []track.Point) []track.Point {
			var out []track.Point
			for i := 0; i < len(p); i += 70 {
				out = append(out, p[i])
			}
			return out
		}, track.Lone, 5, 5},
		{"a car that hops", func(p []track.Point) []track.Point {
			east := 0.0
			for i := range p {
				if i%6 < 3 {
					east += 60
				}
				p[i].Lat, p[i].Lon, p[i].Heading = -33+rnd.NormFloat64()*1e-6, 151+east/111132.95, 90
			}
			return p
		}, track.Jerk, 300, 300},
		{"a camera to the side", func(p []track.Point) []track.Point {
			for i := range p {
				p[i].Heading = math.Mod(p[i].Heading+90, 360)
			}
			return p
		}, track.Turned, 0, 15},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := count(track.Check(tt.spoil(clean(rnd, 300, 1)), track.Street))
			if n := got[tt.want]; n < tt.least || n > tt.most {
				t.Errorf("%d points are not %s, want %d to %d: %v", n, tt.want, tt.least, tt.most, got)
			}
		})
	}
}

// Around the world, at its edges and with nothing at all.
func TestEdges(t *testing.T) {
	if got := track.Check(nil, track.Street); len(got) != 0 {
		t.Errorf("faults of no points: %v", got)
	}
	if d := track.Distance(track.Point{Lat: 10, Lon: 179.9999}, track.Point{Lat: 10, Lon: -179.9999}); d > 30 {
		t.Errorf("%f m over the date line", d)
	}
	for _, p := range [][2]float64{{350, 10}, {10, 350}, {-10, 370}, {710, 10}} {
		if a := track.Apart(p[0], p[1]); math.Abs(a-20) > 1e-9 {
			t.Errorf("%v are %f degrees apart, want 20", p, a)
		}
	}
	same := []track.Point{{Time: 5, Lat: 1, Lon: 1, Heading: math.NaN()}, {Time: 5, Lat: 2, Lon: 1, Heading: math.NaN()}, {Time: 5, Lat: 1, Lon: 1, Heading: math.NaN()}}
	if got := count(track.Check(same, track.Sparse)); got[track.Jump] == 0 {
		t.Errorf("two places at one time: %v", got)
	}
}
