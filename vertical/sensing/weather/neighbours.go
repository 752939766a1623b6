package weather

import (
	"context"
	"math"
	"time"

	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/weather/qod"
	"github.com/grange-network/grange/vertical/sensing/weather/spatial"
)

// buddies are the parameters of the comparison. They are titanlib's usual ones but
// for the radius and the number of neighbours, which are those of a network that
// is still thin, and for the medians and one voice of each owner, since some neighbours may be the
// cheat's.
var buddies = spatial.Buddies{Radius: 50_000, Least: 3, Threshold: 3, Gradient: -0.0065, LeastStd: 1, Rounds: 2, Robust: 5, OneVoice: true}

// leastJudged is how many hours neighbours must have judged before their verdict
// counts.
const leastJudged = 6

// hourlyMeans are the means of a variable by hour of the window, of what it can be;
// NaN for none.
func (r *record) hourlyMeans(w sensing.Window, v qod.Variable) []float64 {
	sum, count := make([]float64, hours), make([]float64, hours)
	for i := range r.samples {
		x := r.samples[i].Value[v]
		if h := r.samples[i].Time.Sub(w.Began); h >= 0 && x >= limits[v].least && x <= limits[v].most {
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
// owners within 50 km, but not with those that copied. A station that nobody can
// confirm counts half.
func neighbours(ctx context.Context, all []*course, copied []bool) ([]vertical.Term, error) {
	places := make([]spatial.Station, len(all))
	for i, c := range all {
		places[i] = spatial.Station{Lat: c.lat, Lon: c.lon, Owner: c.owner}
	}
	among := buddies.Among(places)
	among.Mute = copied
	values, verdicts := make([][]float64, hours), make([][]spatial.Verdict, hours)
	err := sensing.Each(ctx, hours, func(h int) (err error) {
		values[h] = make([]float64, len(all))
		for i, c := range all {
			values[h][i] = c.hourly[h]
		}
		verdicts[h], err = among.Check(values[h])
		return err
	})
	if err != nil {
		return nil, err
	}
	judged, agreed := make([]uint64, len(all)), make([]uint64, len(all))
	for h := range hours {
		for i, v := range verdicts[h] {
			if !math.IsNaN(values[h][i]) && v.Neighbours >= buddies.Least {
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
			out[i] = vertical.Term{Name: "too few neighbours to confirm it", Value: 1, Of: 2}
		}
	}
	return out, nil
}
