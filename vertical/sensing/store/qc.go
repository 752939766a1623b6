package store

import (
	"math"
	"time"
)

// Bits of Row.QC. A kind's score judges more and later; these are known at once.
const (
	OutOfBounds = 1 << iota // of what the variable can be
	Jump                    // from the reading before, in less than an hour, by more than nature does
)

// bounds are the limits of a variable and the most it changes in an hour; 0: any.
// Those of the weather are the widest of WMO's climate limits and NOAA MADIS'
// validity and temporal consistency checks.
type bounds struct{ low, high, step float64 }

var known = map[string]bounds{
	"temperature":               {-80, 60, 20},
	"humidity":                  {0, 100, 50},
	"pressure":                  {500, 1100, 15},
	"wind_speed":                {0, 75, 0},
	"wind_gust":                 {0, 120, 0},
	"wind_direction":            {0, 360, 0},
	"illuminance":               {0, 400_000, 0},
	"precipitation_accumulated": {0, math.MaxFloat64, 500},
	"precipitation":             {0, 500, 0},
	"pm1":                       {0, 2000, 0},
	"pm2_5":                     {0, 2000, 0},
	"pm10":                      {0, 5000, 0},
	"co2":                       {0, 40_000, 0},
	"laeq":                      {0, 140, 0},
}

// flag judges a reading by itself and by the stream's reading before it.
func flag(r *Row, before *Stream) (qc uint32) {
	b, ok := known[r.Variable]
	if ok && (r.Value < b.low || r.Value > b.high) {
		qc |= OutOfBounds
	}
	if ok && b.step > 0 && before != nil {
		if age := r.Time - before.Time; age > 0 && age < time.Hour.Milliseconds() && math.Abs(r.Value-before.Value) > b.step {
			qc |= Jump
		}
	}
	return qc
}
