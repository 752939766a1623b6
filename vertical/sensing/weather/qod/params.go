package qod

import (
	"fmt"
	"time"
)

// Variable is one of the seven quantities a station reports.
type Variable int

// The variables in the order of the reports.
const (
	Temperature   Variable = iota // degrees Celsius
	Humidity                      // percent, relative
	WindSpeed                     // m/s
	WindDirection                 // degrees, where the wind comes from, 0..359
	Pressure                      // hPa at the station
	Illuminance                   // lux
	Precipitation                 // mm, a counter
	Variables     int      = iota
)

var names = [Variables]string{
	"temperature", "humidity", "wind_speed", "wind_direction", "pressure", "illuminance", "precipitation_accumulated",
}

// String returns the name used in files and reports.
func (v Variable) String() string { return names[v] }

// Station is a type of weather station: how often it samples and what it can
// measure.
type Station struct {
	Name string
	Step time.Duration // between samples

	fill      int // missing samples of a gap that take the last value
	bounds    [Variables][2]float64
	jump      [Variables]float64 // between samples; 0: not checked
	window    time.Duration      // of the moving median of the samples
	period    [Variables]time.Duration
	jumpMean  [Variables]float64 // between averages; 0: not checked
	minGood   float64            // share of good samples below which an average is invalid
	byShare   bool               // hours are scored by samples instead of averages
	vaneCheck bool               // a standing anemometer counts only with a standing vane
}

const (
	tipRate     = 0.254 // mm/s: the most a tipping bucket counts
	wholeHour   = 0.9   // share of good samples that makes a full hour, where hours are scored by share
	medianMeans = 10 * time.Minute
)

// Share of a window that must be present for a median.
func present(v Variable) float64 {
	if v == WindSpeed {
		return 0.75
	}
	return 0.67
}

// How long a value may stand still.
var still = [Variables]time.Duration{
	Temperature: 240 * time.Minute, Humidity: 360 * time.Minute, WindSpeed: 360 * time.Minute,
	WindDirection: 360 * time.Minute, Pressure: 120 * time.Minute, Illuminance: 120 * time.Minute,
}

const longStill = 1440 * time.Minute

// WS1000 samples every 16 s, WS2000 every 180 s. The number of filled samples
// and the pressure jump of the WS1000 are those of the program; its text has
// 60 s, 180 s and 0.5 hPa.
var (
	WS1000 = Station{
		Name: "WS1000", Step: 16 * time.Second, fill: 5, window: 10 * time.Minute, minGood: 0.25,
		bounds:   [Variables][2]float64{{-40, 60}, {10, 99}, {0, 50}, {0, 359}, {300, 1100}, {0, 400_000}},
		jump:     [Variables]float64{Temperature: 2, Humidity: 5, WindSpeed: 20, Pressure: 0.8, Illuminance: 97_600},
		jumpMean: [Variables]float64{Temperature: 3, Humidity: 10, WindSpeed: 10, Pressure: 0.5, Illuminance: 97_600},
		period:   periods(time.Minute, 2*time.Minute),
	}
	WS2000 = Station{
		Name: "WS2000", Step: 180 * time.Second, fill: 2, window: time.Hour, minGood: 0.9, byShare: true, vaneCheck: true,
		bounds: [Variables][2]float64{{-40, 80}, {1, 99}, {0, 50}, {0, 359}, {540, 1100}, {0, 200_000}},
		jump:   [Variables]float64{Temperature: 9, Humidity: 30, WindSpeed: 15, Pressure: 2.4, Illuminance: 146_400},
		period: periods(time.Hour, time.Hour),
	}
)

func periods(most, wind time.Duration) (p [Variables]time.Duration) {
	for v := range p {
		p[v] = most
	}
	p[WindSpeed], p[WindDirection] = wind, wind
	return p
}

// StationNamed returns the station type with that name.
func StationNamed(name string) (*Station, error) {
	for _, s := range []*Station{&WS1000, &WS2000} {
		if s.Name == name {
			return s, nil
		}
	}
	return nil, fmt.Errorf("unknown station type %q, want %s or %s", name, WS1000.Name, WS2000.Name)
}
