package air

import (
	"context"
	"encoding/hex"
	"math"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing"
)

var _ sensing.Producer = Kind{}

// Products implements sensing.Producer.
func (Kind) Products() []sensing.Product {
	ug := func(name string) sensing.Measure { return sensing.Measure{Name: name, Unit: "ug/m3"} }
	return []sensing.Product{{
		Name: "index", About: "PM2.5 as a reference instrument would show it, NowCast and the US air quality index of each station, by the hour", Of: "device",
		Values:     []sensing.Measure{ug("pm2_5"), ug("pm2_5_measured"), ug("pm2_5_nowcast"), ug("pm10"), ug("pm10_nowcast"), {Name: "aqi", Unit: "1"}},
		Resolution: h3.PublishedResolution, Step: time.Hour, Period: hours * time.Hour, Before: hours * time.Hour, Derive: derive,
	}}
}

// derive computes the hours of a day for each station. PM2.5 is the mean of both
// channels where there are two and they agree, corrected where the station measures
// humidity; an hour in which they do not agree, or that is not good, is not known.
// The index is the higher one of the NowCasts of PM2.5 and PM10.
func derive(ctx context.Context, period sensing.Window, stations []sensing.Station) ([]sensing.Fact, error) {
	var out []sensing.Fact
	for _, s := range stations {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		cell, placed := h3.Cell(s.Cell).Published()
		if !placed {
			continue
		}
		before := recordOf(sensing.Window{Began: period.Began.Add(-hours * time.Hour), Ended: period.Began}, s)
		today := recordOf(period, s)
		fine, measured := append(before.particles(true), today.particles(true)...), today.particles(false)
		coarse := append(before.hourly(pm10), today.hourly(pm10)...)
		for h := range hours {
			at := hours + h
			if math.IsNaN(measured[h]) && math.IsNaN(coarse[at]) {
				continue
			}
			now25, index25 := castAt(PM25, fine, at)
			now10, index10 := castAt(PM10, coarse, at)
			out = append(out, sensing.Fact{
				Cell: cell, Time: period.Began.Add(time.Duration(h) * time.Hour), Of: hex.EncodeToString(s.ID[:]),
				Values: []float64{fine[at], measured[h], now25, coarse[at], now10, worse(index25, index10)}, Devices: [][32]byte{s.ID},
			})
		}
	}
	return out, nil
}

// hourly are the means of a variable's good hours; NaN of the others.
func (r *record) hourly(v int) []float64 {
	out := make([]float64, hours)
	for h := range out {
		if out[h] = math.NaN(); r.good[v][h] {
			out[h] = r.mean[v][h]
		}
	}
	return out
}

// particles are the hourly means of PM2.5.
func (r *record) particles(corrected bool) []float64 {
	out, second, wet := r.hourly(pm25), r.hourly(pm25b), r.hourly(humidity)
	for h := range out {
		switch {
		case !r.measures(pm25b):
		case Agree(out[h], second[h]):
			out[h] = (out[h] + second[h]) / 2
		default:
			out[h] = math.NaN()
		}
		if corrected && r.measures(humidity) {
			out[h] = Correct(out[h], wet[h])
		}
	}
	return out
}

// castAt is the NowCast of an hour, and its index; NaN where there is none.
func castAt(p Pollutant, hourly []float64, at int) (now, index float64) {
	var newest []float64
	for h := at; h > at-nowHours; h-- {
		newest = append(newest, hourly[h])
	}
	now, known := NowCast(newest)
	if !known {
		return math.NaN(), math.NaN()
	}
	i, known := Index(p, now)
	if !known {
		return now, math.NaN()
	}
	return now, float64(i)
}

// worse is the higher one of two indices of which one may not be known.
func worse(a, b float64) float64 {
	if math.IsNaN(a) || b > a {
		return b
	}
	return a
}
