// Package beijing carries 30 days of real hourly observations of 12 stations, for
// demonstrations and tests. README.md names their source and licence.
package beijing

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"
)

//go:embed beijing.csv.gz
var packed []byte

// Hours is the length of every station's series.
const Hours = 30 * 24

// Station is one station and its series.
type Station struct {
	Name     string
	Lat, Lon float64
	Hours    [Hours][]Value // those that are missing are left out
}

// Value is one reading, in SenML's units.
type Value struct {
	Name, Unit string
	Value      float64
}

var places = map[string][2]float64{
	"Aotizhongxin": {39.982, 116.397}, "Changping": {40.217, 116.230}, "Dingling": {40.292, 116.220}, "Dongsi": {39.929, 116.417},
	"Guanyuan": {39.929, 116.339}, "Gucheng": {39.914, 116.184}, "Huairou": {40.328, 116.628}, "Nongzhanguan": {39.937, 116.461},
	"Shunyi": {40.127, 116.655}, "Tiantan": {39.886, 116.407}, "Wanliu": {39.987, 116.287}, "Wanshouxigong": {39.878, 116.352},
}

var units = map[string]string{
	"temperature": "Cel", "humidity": "%RH", "pressure": "hPa", "precipitation": "mm", "wind_direction": "deg", "wind_speed": "m/s",
	"pm2_5": "ug/m3", "pm10": "ug/m3", "so2": "ug/m3", "no2": "ug/m3", "co": "ug/m3", "o3": "ug/m3",
}

// Stations reads the series, in the order of the file.
func Stations() ([]*Station, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		return nil, err
	}
	var out []*Station
	for _, r := range rows[1:] {
		if len(out) == 0 || out[len(out)-1].Name != r[0] {
			at := places[r[0]]
			out = append(out, &Station{Name: r[0], Lat: at[0], Lon: at[1]})
		}
		h, err := strconv.Atoi(r[1])
		if err != nil || h < 0 || h >= Hours {
			return nil, fmt.Errorf("station %s: hour %q", r[0], r[1])
		}
		s := out[len(out)-1]
		for i, text := range r[2:] {
			if text == "" {
				continue
			}
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return nil, fmt.Errorf("station %s, hour %d: %w", r[0], h, err)
			}
			name := rows[0][i+2]
			s.Hours[h] = append(s.Hours[h], Value{name, units[name], v})
		}
	}
	return out, nil
}
