// Package sun is where the sun stands and how light a clear sky is.
package sun

import (
	"math"
	"time"
)

const degree = math.Pi / 180

// Elevation is the height of the sun's middle above the horizon in degrees,
// without refraction, at a place in degrees. It is the low-precision position of
// the Astronomical Almanac (page C5), good to 0.01 degrees from 1950 to 2050.
func Elevation(t time.Time, lat, lon float64) float64 {
	days := float64(t.Unix()-946728000) / 86400 // since 2000-01-01 12:00 UTC
	longitude := 280.460 + float64(0.9856474*days)
	anomaly := float64((357.528 + float64(0.9856003*days)) * degree)
	ecliptic := float64((longitude + float64(1.915*math.Sin(anomaly)) + float64(0.020*math.Sin(2*anomaly))) * degree)
	oblique := float64((23.439 - float64(4e-7*days)) * degree)
	ascension := math.Atan2(float64(math.Cos(oblique)*math.Sin(ecliptic)), math.Cos(ecliptic))
	declination := math.Asin(float64(math.Sin(oblique) * math.Sin(ecliptic)))
	sidereal := float64((280.46061837 + float64(360.98564736629*days)) * degree)
	hour := sidereal + float64(lon*degree) - ascension
	phi := float64(lat * degree)
	sin := float64(math.Sin(phi)*math.Sin(declination)) + float64(float64(math.Cos(phi)*math.Cos(declination))*math.Cos(hour))
	return float64(math.Asin(max(-1, min(1, sin))) / degree)
}

// LuxPerWatt turns W/m² of sunlight into lux, with the factor that weather
// consoles use.
const LuxPerWatt = 126.7

// ClearSky is the illuminance in lux of level ground under a clear sky with the
// sun so many degrees high (Haurwitz 1945, Insolation in relation to cloudiness).
func ClearSky(elevation float64) float64 {
	s := math.Sin(float64(elevation * degree))
	if s <= 0 {
		return 0
	}
	return float64(float64(1098*s)*math.Exp(-0.057/s)) * LuxPerWatt
}
