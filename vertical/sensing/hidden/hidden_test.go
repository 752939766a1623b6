package hidden

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/h3"
)

func TestParse(t *testing.T) {
	for text, wrong := range map[string]string{
		"48.1371,11.5754,300":     "",
		" -33.86 , 151.2 , 20000": "",
		"48.1371,11.5754":         "LAT,LON,METRES",
		"48.1371,east,300":        "no number",
		"91,0,300":                "not on earth",
		"NaN,0,300":               "not on earth",
		"0,0,49":                  "radius",
		"0,0,20001":               "radius",
		"0,0,NaN":                 "radius",
		"":                        "LAT,LON,METRES",
	} {
		_, err := Parse(text)
		if (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("%q: %v, want %q", text, err, wrong)
		}
	}
}

// Whatever the key, all that is nearer than the radius is hidden, and nothing
// further than three times as far.
func TestNearIsHiddenAndFarIsNot(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		place := Place{
			Lat: rapid.Float64Range(-90, 90).Draw(rt, "lat"), Lon: rapid.Float64Range(-180, 180).Draw(rt, "lon"),
			Radius: rapid.Float64Range(MinRadius, MaxRadius).Draw(rt, "radius"),
		}
		hidden, err := New(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(rt, "secret"), []Place{place})
		if err != nil {
			rt.Fatal(err)
		}
		far, angle := rapid.Float64Range(0, 6*place.Radius).Draw(rt, "far"), rapid.Float64Range(0, 2*math.Pi).Draw(rt, "angle")
		lat := place.Lat + far*math.Cos(angle)/metresPerDegree
		lon := place.Lon + far*math.Sin(angle)/(metresPerDegree*max(math.Cos(place.Lat*math.Pi/180), 1e-3))
		switch d := h3.Distance(place.Lat, place.Lon, lat, lon); {
		case d <= place.Radius && !hidden.Hold(lat, lon):
			rt.Fatalf("%v m from a place with a radius of %v m is not hidden", d, place.Radius)
		case d > 3*place.Radius && hidden.Hold(lat, lon):
			rt.Fatalf("%v m from a place with a radius of %v m is hidden", d, place.Radius)
		}
	})
}

func TestCentreIsTheKeysOwn(t *testing.T) {
	home := []Place{{48.1371, 11.5754, 300}}
	a, _ := New([]byte("a"), home)
	again, _ := New([]byte("a"), home)
	b, _ := New([]byte("b"), home)
	if a.circles[0] != again.circles[0] || a.circles[0] == b.circles[0] {
		t.Fatalf("circles of a key: %v and %v, of another: %v", a.circles, again.circles, b.circles)
	}
	if d := h3.Distance(a.circles[0].Lat, a.circles[0].Lon, 48.1371, 11.5754); d == 0 || d > 300 {
		t.Fatalf("the centre is %v m from the place", d)
	}
	if (Places{}).Hold(48.1371, 11.5754) {
		t.Fatal("no place hides one")
	}
	if _, err := New(nil, make([]Place, MaxPlaces+1)); err == nil {
		t.Fatal("too many places")
	}
	if _, err := New(nil, []Place{{0, 0, 1}}); err == nil {
		t.Fatal("a radius of a metre")
	}
}
