package sun

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// noaa is the sun's elevation by the equations of NOAA's solar calculator (the
// spreadsheet of its Global Monitoring Laboratory, after Meeus), without
// refraction.
func noaa(t time.Time, lat, lon float64) float64 {
	sin := func(d float64) float64 { return math.Sin(d * degree) }
	cos := func(d float64) float64 { return math.Cos(d * degree) }
	c := (float64(t.Unix())/86400 + 2440587.5 - 2451545) / 36525
	l := math.Mod(280.46646+c*(36000.76983+c*0.0003032), 360)
	m := 357.52911 + c*(35999.05029-0.0001537*c)
	e := 0.016708634 - c*(0.000042037+0.0000001267*c)
	centre := sin(m)*(1.914602-c*(0.004817+0.000014*c)) + sin(2*m)*(0.019993-0.000101*c) + sin(3*m)*0.000289
	node := 125.04 - 1934.136*c
	long := l + centre - 0.00569 - 0.00478*sin(node)
	oblique := 23 + (26+(21.448-c*(46.815+c*(0.00059-c*0.001813)))/60)/60 + 0.00256*cos(node)
	declination := math.Asin(sin(oblique)*sin(long)) / degree
	y := math.Pow(math.Tan(oblique/2*degree), 2)
	equation := 4 / degree * (y*sin(2*l) - 2*e*sin(m) + 4*e*y*sin(m)*cos(2*l) - y*y/2*sin(4*l) - 1.25*e*e*sin(2*m))
	minutes := float64(t.Unix()%86400)/60 + equation + 4*lon
	return 90 - math.Acos(max(-1, min(1, sin(lat)*sin(declination)+cos(lat)*cos(declination)*cos(minutes/4-180))))/degree
}

func TestElevationIsNOAAs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(946684800, 2524608000).Draw(t, "time"), 0) // 2000 to 2050
		lat, lon := rapid.Float64Range(-90, 90).Draw(t, "lat"), rapid.Float64Range(-180, 180).Draw(t, "lon")
		if got, want := Elevation(at, lat, lon), noaa(at, lat, lon); math.Abs(got-want) > 0.03 {
			t.Fatalf("%v at %f %f: %f, NOAA has %f", at, lat, lon, got, want)
		}
	})
}

func TestElevation(t *testing.T) {
	for _, tt := range []struct {
		name     string
		at       string
		lat, lon float64
		want     float64
	}{
		// Reda and Andreas, Solar Position Algorithm for Solar Radiation Applications,
		// NREL/TP-560-34302, appendix A.5: 39.872046 before refraction.
		{"the example of NREL's algorithm", "2003-10-17T12:30:30-07:00", 39.742476, -105.1786, 39.872046},
		{"the longest day at the tropic", "2026-06-21T12:02:00Z", 23.436, 0, 89.9},
		{"midnight sun", "2026-06-21T00:00:00Z", 80, 0, 13.4},
	} {
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := Elevation(at, tt.lat, tt.lon); math.Abs(got-tt.want) > 0.11 {
			t.Errorf("%s: %f, want %f", tt.name, got, tt.want)
		}
		if got := noaa(at, tt.lat, tt.lon); math.Abs(got-tt.want) > 0.11 {
			t.Errorf("%s: NOAA's equations give %f, want %f", tt.name, got, tt.want)
		}
	}
	at, err := time.Parse(time.RFC3339, "2003-10-17T12:30:30-07:00")
	if err != nil {
		t.Fatal(err)
	}
	if got := Elevation(at, 39.742476, -105.1786); math.Abs(got-39.872046) > 0.02 {
		t.Errorf("NREL's example: %f, want 39.872", got)
	}
}

func TestClearSky(t *testing.T) {
	if ClearSky(-1) != 0 || ClearSky(0) != 0 {
		t.Error("there is light without the sun")
	}
	// Haurwitz with the sun in the zenith: 1098 exp(-0.057) = 1037 W/m².
	if got := ClearSky(90); math.Abs(got-1037.1*LuxPerWatt) > LuxPerWatt {
		t.Errorf("%f lux under a high sun", got)
	}
}
