package weather

import (
	"math"
	"time"

	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/weather/qod"
	"github.com/grange-network/grange/vertical/sensing/weather/spatial"
)

// leastJudged is how many hours neighbours must have judged before their verdict
// counts.
const leastJudged = 6

// hourlyMeans are the means of a variable by hour of the window, NaN for none.
func (r *record) hourlyMeans(w sensing.Window, v qod.Variable) []float64 {
	n := int(w.Ended.Sub(w.Began) / time.Hour)
	sum, count := make([]float64, n), make([]float64, n)
	for i := range r.samples {
		x := r.samples[i].Value[v]
		if h := r.samples[i].Time.Sub(w.Began); h >= 0 && !math.IsNaN(x) {
			k := int(h / time.Hour)
			sum[k] += x
			count[k]++
		}
	}
	for k := range sum {
		sum[k] /= count[k] // NaN for none
	}
	return sum
}

// neighbours compares the temperature of each hour with the stations of other
// owners within 30 km. Where there are too few the verdict is neutral.
func neighbours(w sensing.Window, all []*record) []vertical.Term {
	places := make([]spatial.Station, len(all))
	means := make([][]float64, len(all))
	for i, r := range all {
		places[i] = spatial.Station{Lat: r.lat, Lon: r.lon, Owner: r.Owner}
		means[i] = r.hourlyMeans(w, qod.Temperature)
	}
	judged, agreed := make([]uint64, len(all)), make([]uint64, len(all))
	values := make([]float64, len(all))
	for h := range int(w.Ended.Sub(w.Began) / time.Hour) {
		for i := range all {
			values[i] = means[i][h]
		}
		verdicts, err := spatial.DefaultBuddies.Check(places, values)
		if err != nil {
			panic(err) // the lists have one length
		}
		for i, v := range verdicts {
			if !math.IsNaN(values[i]) && v.Neighbours >= spatial.DefaultBuddies.Least {
				judged[i]++
				if !v.Flagged {
					agreed[i]++
				}
			}
		}
	}
	out := make([]vertical.Term, len(all))
	for i := range all {
		out[i] = vertical.Term{Name: "hours its neighbours agree with", Value: agreed[i], Of: judged[i]}
		if judged[i] < leastJudged {
			out[i] = vertical.Term{Name: "too few neighbours to judge", Value: 1, Of: 1}
		}
	}
	return out
}
