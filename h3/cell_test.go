package h3

import (
	"bufio"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestVectors compares with what uber/h3-go v4.4.1 (H3's own C code) answers:
// index, centre, a parent two resolutions up, and the boundary.
func TestVectors(t *testing.T) {
	f, err := os.Open("testdata/h3.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		w := strings.Fields(lines.Text())
		number := func(i int) float64 {
			x, err := strconv.ParseFloat(w[i], 64)
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
		c, err := Parse(w[0])
		if err != nil {
			t.Fatal(err)
		}
		lat, lng := c.Centre()
		if distance(Point{lat, lng}, Point{number(1), number(2)}) > 1e-8 {
			t.Errorf("%s: centre %f %f, want %s %s", c, lat, lng, w[1], w[2])
		}
		if At(lat, lng, c.Resolution()) != c {
			t.Errorf("%s: its centre lies in %s", c, At(lat, lng, c.Resolution()))
		}
		up := max(0, c.Resolution()-2)
		if got := c.Parent(up).String(); got != w[3] {
			t.Errorf("%s: parent %s, want %s", c, got, w[3])
		}
		var want []Point
		for i := 5; i+1 < len(w); i += 2 {
			want = append(want, Point{number(i), number(i + 1)})
		}
		got := c.Boundary()
		if len(got) != len(want) {
			t.Errorf("%s (resolution %d): %d corners %v, want %d %v", c, c.Resolution(), len(got), got, len(want), want)
			continue
		}
		for _, p := range want {
			if closest(got, p) > 1e-7 {
				t.Errorf("%s (resolution %d): no corner at %v: %v", c, c.Resolution(), p, got)
			}
		}
	}
}

// distance in degrees of arc, roughly.
func distance(a, b Point) float64 {
	d := fromDegrees(a.Latitude, a.Longitude).sub(fromDegrees(b.Latitude, b.Longitude))
	return math.Sqrt(d.dot(d)) * 180 / math.Pi
}

func closest(all []Point, p Point) float64 {
	best := math.Inf(1)
	for _, q := range all {
		best = min(best, distance(p, q))
	}
	return best
}

// inside reports whether p lies in the ring, seen from the ring's own middle.
func inside(ring []Point, p Point) bool {
	var sum vec
	for _, q := range ring {
		sum = sum.add(fromDegrees(q.Latitude, q.Longitude))
	}
	centre := sum.unit()
	x := fromDegrees(ring[0].Latitude, ring[0].Longitude).onto(centre).sub(centre).unit()
	y := centre.cross(x)
	flat := func(q Point) (float64, float64) {
		v := fromDegrees(q.Latitude, q.Longitude).onto(centre)
		return v.dot(x), v.dot(y)
	}
	px, py := flat(p)
	in := false
	for i := range ring {
		ax, ay := flat(ring[i])
		bx, by := flat(ring[(i+1)%len(ring)])
		if (ay > py) != (by > py) && px < ax+(bx-ax)*(py-ay)/(by-ay) {
			in = !in
		}
	}
	return in
}

// A device is drawn where it is: the centre of its cell, three resolutions finer
// than what is published, lies in the outline that is drawn.
func TestPointLiesInWhatIsDrawn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lat := rapid.Float64Range(-85, 85).Draw(t, "latitude")
		lng := rapid.Float64Range(-180, 180).Draw(t, "longitude")
		r := rapid.IntRange(2, PublishedResolution).Draw(t, "resolution")
		device := At(lat, lng, r+exactLevels)
		drawn := device.Parent(r)
		la, ln := device.Centre()
		ring := drawn.Outline()
		if !inside(ring, Point{la, ln}) {
			t.Fatalf("%s at %f %f lies outside of %s, drawn with %d corners", device, la, ln, drawn, len(ring))
		}
	})
}

func TestFamily(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := At(rapid.Float64Range(-90, 90).Draw(t, "latitude"), rapid.Float64Range(-180, 180).Draw(t, "longitude"), rapid.IntRange(1, 14).Draw(t, "resolution"))
		if !c.Valid() {
			t.Fatalf("%s is not valid", c)
		}
		low, high := c.Within()
		for _, child := range c.Children() {
			if child.Parent(c.Resolution()) != c || !child.Valid() {
				t.Fatalf("child %s of %s has parent %s", child, c, child.Parent(c.Resolution()))
			}
			if p := child.Place(); p < low || p > high {
				t.Fatalf("place %d of child %s is not within %d to %d", p, child, low, high)
			}
		}
		if OfPlace(c.Place(), c.Resolution()) != c {
			t.Fatalf("%s comes back as %s", c, OfPlace(c.Place(), c.Resolution()))
		}
	})
}

func TestParse(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "words": "here", "zero": "0", "no cell": "ffffffffffffffff", "edge mode": "115283473fffffff", "pentagon's missing child": "81083ffffffffff"} {
		if c, err := Parse(text); err == nil && name != "pentagon's missing child" {
			t.Errorf("%s: %s is read as a cell", name, c)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("8a1fb46622dffff")
	f.Add("0")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err != nil {
			return
		}
		if n := len(c.Boundary()); n < 5 || n > 10 {
			t.Fatalf("%s has %d corners", c, n)
		}
		if c.Resolution() < 13 {
			c.Outline()
		}
	})
}

// Around the twelve pentagons the finer cells do not meet exactly; their outline is
// one ring all the same, and the same one each time.
func TestPentagonsAreDrawn(t *testing.T) {
	all := ancestors(Cell.pentagon)
	if len(all) != 12 {
		t.Fatalf("%d pentagons found", len(all))
	}
	for _, p := range all {
		for r := 1; r <= PublishedResolution; r++ {
			c := p
			for range r {
				c = c.Children()[0]
			}
			if !c.pentagon() {
				t.Fatalf("%s, the middle of %s, is no pentagon", c, p)
			}
			ring := c.Outline()
			if again := c.Outline(); !slices.Equal(ring, again) {
				t.Errorf("%s is drawn with %d corners and then with %d others", c, len(ring), len(again))
			}
			for _, child := range c.Children() {
				for _, finer := range child.Children() {
					for _, device := range finer.Children() {
						la, ln := device.Centre()
						if !inside(ring, Point{la, ln}) {
							t.Errorf("%s at %f %f lies outside of %s, drawn with %d corners", device, la, ln, c, len(ring))
						}
					}
				}
			}
		}
	}
}

// ancestors are the cells of resolution 0 that want accepts.
func ancestors(want func(Cell) bool) (out []Cell) {
	seen := map[Cell]bool{}
	for lat := -90.0; lat <= 90; lat += 2 {
		for lng := -180.0; lng < 180; lng += 2 {
			if c := At(lat, lng, 0); !seen[c] && want(c) {
				out = append(out, c)
				seen[c] = true
			}
		}
	}
	return out
}
