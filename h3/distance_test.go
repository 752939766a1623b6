package h3

import (
	"math"
	"testing"
)

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		latA, lonA, latB, lonB float64
		want, within           float64 // metres
	}{
		{"nowhere", 48, 11, 48, 11, 0, 0},
		{"a degree of the equator", 0, 0, 0, 1, 111_195, 1},
		{"across the date line", 0, 179.5, 0, -179.5, 111_195, 1},
		{"pole to pole", 90, 0, -90, 77, math.Pi * earthRadius, 1},
		{"Paris to New York", 48.8566, 2.3522, 40.7128, -74.0060, 5_837_000, 5_000},
	} {
		if got := Distance(tt.latA, tt.lonA, tt.latB, tt.lonB); math.Abs(got-tt.want) > tt.within {
			t.Errorf("%s: %.1f m, want %.1f", tt.name, got, tt.want)
		}
	}
	if !math.IsNaN(Distance(math.NaN(), 0, 0, 0)) {
		t.Error("a place that is not known has a distance")
	}
}
