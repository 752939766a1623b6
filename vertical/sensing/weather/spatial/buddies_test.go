package spatial

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Those in the bands of latitude and by the straight line are those by Distance.
func TestAmongIsThoseWithinTheRadius(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Buddies{Radius: rapid.SampledFrom([]float64{0, 1, 1000, 50_000, 5e6, 3e7}).Draw(t, "radius"), MaxElevation: 200}
		spread := rapid.SampledFrom([]float64{1e-5, 0.01, 1, 90}).Draw(t, "spread")
		middle := rapid.SampledFrom([]Station{{Lat: 48, Lon: 11}, {Lon: 180}, {Lat: 90 - spread}}).Draw(t, "middle")
		degrees := rapid.OneOf(rapid.Just(nan), rapid.Float64Range(-1, 1), rapid.Float64Range(-1, 1))
		s := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Station {
			return Station{
				Lat: min(90, middle.Lat+spread*degrees.Draw(t, "lat")), Lon: middle.Lon + spread*degrees.Draw(t, "lon"),
				Elevation: rapid.SampledFrom([]float64{0, 150, 300, nan}).Draw(t, "elevation"), Owner: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "owner"),
			}
		}), 0, 30).Draw(t, "stations")
		got := b.Among(s)
		for i := range s {
			var want []int32
			for j := range s {
				if i != j && b.comparable(&s[i], &s[j]) && Distance(s[i], s[j]) <= b.Radius {
					want = append(want, int32(j))
				}
			}
			if !slices.Equal(got.of[i], want) {
				t.Fatalf("station %d has neighbours %d, want %d", i, got.of[i], want)
			}
		}
	})
}

// At the radius itself Distance decides.
func TestAmongAtTheRadius(t *testing.T) {
	s := []Station{{Lat: 48, Lon: 11}, {Lat: 48.3, Lon: 11.2}}
	d := Distance(s[0], s[1])
	for _, radius := range []float64{math.Nextafter(d, 0), d, math.Nextafter(d, 1e9)} {
		got := Buddies{Radius: radius}.Among(s)
		if want := d <= radius; (len(got.of[0]) == 1) != want || (len(got.of[1]) == 1) != want {
			t.Errorf("at %v m with a radius of %v: neighbours %v", d, radius, got.of)
		}
	}
}
