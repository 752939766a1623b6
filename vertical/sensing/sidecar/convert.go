package sidecar

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"time"

	"github.com/grange-network/grange/vertical/sensing/senml"
	"github.com/grange-network/grange/vertical/sensing/sun"
)

// ErrReport says that a report cannot be understood.
var ErrReport = errors.New("report is not understood")

// field says how one parameter of a report becomes a reading.
type field struct {
	param string
	name  string
	unit  string // SenML
	to    func(float64) float64
}

func same(v float64) float64        { return v }
func celsius(f float64) float64     { return (f - 32) * 5 / 9 }
func perSecond(mph float64) float64 { return mph * 0.44704 }
func hecto(inHg float64) float64    { return inHg * 33.86388666666667 }
func milli(inch float64) float64    { return inch * 25.4 }

func lux(w float64) float64 { return w * sun.LuxPerWatt }

// Parameters in the order of preference: the first that is there counts. Units
// are those of the services: °F, mph, inHg, inch.
var (
	underground = []field{
		{"tempf", "temperature", "Cel", celsius},
		{"humidity", "humidity", "%RH", same},
		{"windspeedmph", "wind_speed", "m/s", perSecond},
		{"windgustmph", "wind_gust", "m/s", perSecond},
		{"winddir", "wind_direction", "deg", same},
		{"absbaromin", "pressure", "hPa", hecto},
		{"baromin", "pressure_sea_level", "hPa", hecto},
		{"solarradiation", "illuminance", "lx", lux},
		{"totalrainin", "precipitation_accumulated", "mm", milli},
		{"yearlyrainin", "precipitation_accumulated", "mm", milli},
		{"dailyrainin", "precipitation_day", "mm", milli},
		{"AqPM2.5", "pm2_5", "ug/m3", same},
		{"AqPM10", "pm10", "ug/m3", same},
	}
	ecowitt = []field{
		{"tempf", "temperature", "Cel", celsius},
		{"humidity", "humidity", "%RH", same},
		{"windspeedmph", "wind_speed", "m/s", perSecond},
		{"windgustmph", "wind_gust", "m/s", perSecond},
		{"winddir", "wind_direction", "deg", same},
		{"baromabsin", "pressure", "hPa", hecto},
		{"baromrelin", "pressure_sea_level", "hPa", hecto},
		{"solarradiation", "illuminance", "lx", lux},
		{"totalrainin", "precipitation_accumulated", "mm", milli},
		{"yearlyrainin", "precipitation_accumulated", "mm", milli},
		{"dailyrainin", "precipitation_day", "mm", milli},
		{"pm25_ch1", "pm2_5", "ug/m3", same},
	}
)

// noValue is what stations send for a sensor that is not there.
const noValue = -9999

// Underground reads a report in Weather Underground's upload protocol.
func Underground(q url.Values, now time.Time) ([]senml.Record, error) {
	return convert(q, underground, now)
}

// Ecowitt reads a report in Ecowitt's protocol.
func Ecowitt(q url.Values, now time.Time) ([]senml.Record, error) { return convert(q, ecowitt, now) }

func convert(q url.Values, fields []field, now time.Time) ([]senml.Record, error) {
	at, err := reportTime(q.Get("dateutc"), now)
	if err != nil {
		return nil, err
	}
	var out []senml.Record
	have := map[string]bool{}
	for _, f := range fields {
		text := q.Get(f.param)
		if text == "" || have[f.name] {
			continue
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%w: %s=%.20q is not a number", ErrReport, f.param, text)
		}
		if v == noValue {
			continue
		}
		have[f.name] = true
		out = append(out, f.record(at, v))
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: no parameter that is known, as tempf or humidity", ErrReport)
	}
	return out, nil
}

// reportTime reads dateutc: "now", nothing, or YYYY-MM-DD HH:MM:SS.
func reportTime(s string, now time.Time) (time.Time, error) {
	if s == "" || s == "now" {
		return now.UTC().Truncate(time.Second), nil
	}
	t, err := time.Parse(time.DateTime, s)
	if err != nil {
		return t, fmt.Errorf("%w: dateutc=%.40q, want now or YYYY-MM-DD HH:MM:SS", ErrReport, s)
	}
	return t, nil
}
