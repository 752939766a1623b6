package sidecar

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/grange-network/grange/vertical/sensing/senml"
)

// community are Sensor.Community's types of values, P1 and P2 being PM10 and PM2.5.
// Firmware that sends to an address of its owner puts the sensor's name before
// them, as in SDS_P1.
var community = map[string]field{
	"P0":          {name: "pm1_0", unit: "ug/m3", to: same},
	"P1":          {name: "pm10", unit: "ug/m3", to: same},
	"P2":          {name: "pm2_5", unit: "ug/m3", to: same},
	"temperature": {name: "temperature", unit: "Cel", to: same},
	"humidity":    {name: "humidity", unit: "%RH", to: same},
	"pressure":    {name: "pressure", unit: "hPa", to: func(pa float64) float64 { return pa / 100 }},
	"noise_LAeq":  {name: "laeq", unit: "dB", to: same},
	"co2_ppm":     {name: "co2", unit: "ppm", to: same},
}

// Community reads a report in the protocol of Sensor.Community (POST
// /v1/push-sensor-data/). Values come as texts or numbers.
func Community(raw []byte, now time.Time) ([]senml.Record, error) {
	var report struct {
		Values []struct {
			Type  string          `json:"value_type"`
			Value json.RawMessage `json:"value"`
		} `json:"sensordatavalues"`
	}
	if err := json.Unmarshal(raw, &report); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReport, err)
	}
	at := now.UTC().Truncate(time.Second)
	var out []senml.Record
	have := map[string]bool{}
	for _, v := range report.Values {
		f, known := communityField(v.Type)
		if !known || have[f.name] {
			continue
		}
		x, err := strconv.ParseFloat(strings.Trim(string(v.Value), `"`), 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, fmt.Errorf("%w: %s=%.20q is not a number", ErrReport, v.Type, v.Value)
		}
		have[f.name] = true
		out = append(out, f.record(at, x))
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: no value that is known, as P1 or temperature", ErrReport)
	}
	return out, nil
}

func communityField(name string) (field, bool) {
	for {
		if f, ok := community[name]; ok {
			return f, true
		}
		_, rest, more := strings.Cut(name, "_")
		if !more {
			return field{}, false
		}
		name = rest
	}
}

// record is a reading. Four decimals are more than a station measures and hide the
// conversion.
func (f field) record(at time.Time, v float64) senml.Record {
	return senml.Record{Name: f.name, Unit: f.unit, Time: at, Value: math.Round(f.to(v)*1e4) / 1e4}
}
