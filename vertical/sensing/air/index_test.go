package air

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

var missing = math.NaN()

func TestCorrect(t *testing.T) {
	for _, tt := range []struct {
		name          string
		cf1, humidity float64
		want          float64
	}{
		// The EPA's own figure: 570 becomes 300 at 50 %.
		{"end of the linear part", 569.999, 50, 300.1},
		{"a clear day", 10, 40, 7.542},
		{"never negative", 0, 90, 0},
		{"quadratic from 611 on", 611, 50, 400.119},
		{"thick smoke", 1000, 20, 816.44},
		{"the blend begins with the line", 570, 50, 300.628},
		{"humidity unknown", 10, missing, missing},
		{"humidity unknown in smoke", 700, missing, missing},
	} {
		if got := Correct(tt.cf1, tt.humidity); math.Abs(got-tt.want) > 0.05 || math.IsNaN(got) != math.IsNaN(tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, rh := rapid.Float64Range(0, 2000).Draw(t, "cf1"), rapid.Float64Range(0, 100).Draw(t, "humidity")
		if Correct(a+1, rh) < Correct(a, rh) {
			t.Fatalf("more particles, less mass: %v at %v, %v at %v", Correct(a, rh), a, Correct(a+1, rh), a+1)
		}
	})
}

func TestAgree(t *testing.T) {
	for _, tt := range []struct {
		name string
		a, b float64
		want bool
	}{
		{"equal", 7, 7, true}, {"little air, little difference", 1, 5.9, true}, {"a dead laser", 0, 20, false},
		{"a part of much", 100, 170, true}, {"too much of much", 100, 200, false}, {"one is missing", 5, missing, false},
	} {
		if got := Agree(tt.a, tt.b); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// Ends of the ranges as the EPA's table has them, and its examples.
func TestIndex(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    Pollutant
		c    float64
		want int
	}{
		{"none", PM25, 0, 0}, {"good ends", PM25, 9.0, 50}, {"cut, not rounded", PM25, 9.09, 50}, {"moderate begins", PM25, 9.1, 51},
		{"moderate ends", PM25, 35.4, 100}, {"sensitive groups", PM25, 35.5, 101}, {"sensitive groups end", PM25, 55.4, 150},
		{"unhealthy", PM25, 55.5, 151}, {"unhealthy ends", PM25, 125.4, 200}, {"very unhealthy", PM25, 125.5, 201},
		{"very unhealthy ends", PM25, 225.4, 300}, {"hazardous", PM25, 225.5, 301}, {"500", PM25, 325.4, 500}, {"beyond", PM25, 425.4, 699},
		{"PM10 good ends", PM10, 54.9, 50}, {"PM10 moderate ends", PM10, 154, 100}, {"PM10 500", PM10, 604, 500},
	} {
		if got, ok := Index(tt.p, tt.c); !ok || got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
	for _, c := range []float64{missing, -1, math.Inf(1)} {
		if got, ok := Index(PM25, c); ok {
			t.Errorf("index of %v is %d", c, got)
		}
	}
	if Category(50) != "good" || Category(151) != "unhealthy" || Category(301) != "hazardous" {
		t.Error("categories are not the EPA's")
	}
}

func TestNowCast(t *testing.T) {
	same := make([]float64, 12)
	for i := range same {
		same[i] = 13.37
	}
	for _, tt := range []struct {
		name   string
		hourly []float64
		want   float64
		ok     bool
	}{
		{"steady air is the mean", same, 13.3, true},
		// A pulse of one hour of 71 counts half, a quarter, an eighth: of the text
		// on NowCast that AirNow links.
		{"a pulse just now", []float64{71, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 35.5, true},
		{"a pulse an hour ago", []float64{0, 71, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 17.7, true},
		{"a pulse two hours ago", []float64{0, 0, 71, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 8.8, true},
		{"two of three are missing", []float64{5, missing, missing, 5, 5, 5}, 0, false},
		{"one of three is missing", []float64{missing, 5, 5}, 5, true},
		{"nothing in the air", make([]float64, 12), 0, true},
		{"no hours", nil, 0, false},
	} {
		if got, ok := NowCast(tt.hourly); ok != tt.ok || math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: %v %v, want %v %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}
