package air

import (
	"math"
	"testing"
	"time"

	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/senml"
)

func TestIndexProduct(t *testing.T) {
	began := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	shows := func(values map[string]float64) sensing.Station {
		var all []senml.Record
		for at := began.Add(-24 * time.Hour); at.Before(began.Add(24 * time.Hour)); at = at.Add(10 * time.Minute) {
			for name, v := range values {
				v += float64(at.Unix()/600%3) - 1 // or it would stand still
				all = append(all, senml.Record{Name: name, Time: at, Value: v})
			}
		}
		return station("a", [2]float64{48.14, 11.57}, all)
	}
	for _, tt := range []struct {
		name   string
		values map[string]float64
		want   [6]float64 // NaN: not known
	}{
		// 0.524·12 − 0.0862·50 + 5.75 = 7.728; 7.7 is 43 on the index.
		{"corrected", map[string]float64{"pm2_5": 12, "humidity": 50}, [6]float64{7.728, 12, 7.7, math.NaN(), math.NaN(), 43}},
		{"two channels", map[string]float64{"pm2_5": 11, "pm2_5_b": 13, "humidity": 50}, [6]float64{7.728, 12, 7.7, math.NaN(), math.NaN(), 43}},
		{"without humidity", map[string]float64{"pm2_5": 12}, [6]float64{12, 12, 12, math.NaN(), math.NaN(), 56}},
		{"coarse ones are worse", map[string]float64{"pm2_5": 12, "humidity": 50, "pm10": 160}, [6]float64{7.728, 12, 7.7, 160, 160, 103}},
		{"channels that do not agree", map[string]float64{"pm2_5": 12, "pm2_5_b": 60, "humidity": 50, "pm10": 20}, [6]float64{math.NaN(), math.NaN(), math.NaN(), 20, 20, 19}},
	} {
		got, err := Kind{}.Products()[0].Derive(t.Context(), window(began), []sensing.Station{shows(tt.values)})
		if err != nil || len(got) != 24 {
			t.Fatalf("%s: %d hours, %v", tt.name, len(got), err)
		}
		for i, want := range tt.want {
			v := got[12].Values[i]
			if math.Abs(v-want) > 0.02 || math.IsNaN(v) != math.IsNaN(want) {
				t.Errorf("%s: value %d is %v, want %v", tt.name, i, v, want)
			}
		}
	}
	nowhere := shows(map[string]float64{"pm2_5": 12})
	nowhere.Cell = 0
	if got, err := (Kind{}).Products()[0].Derive(t.Context(), window(began), []sensing.Station{nowhere}); err != nil || len(got) > 0 {
		t.Errorf("a station without a place: %+v, %v", got, err)
	}
}
