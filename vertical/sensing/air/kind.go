package air

import (
	"context"
	"math"
	"time"

	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/copies"
)

// Parameters of the kind.
const (
	// Rate is the weight of a station-hour with perfect data: as much as a weather
	// station's, of which there are more but which more buy from.
	Rate = 1000
	// Resolution and Leads of a pixel (about 5 km²): the stations that share 90 % of
	// it, as PlanetWatch's of type 2 do; the others share 10 %.
	Resolution = 7
	Leads      = 5

	hours = 24
	whole = 1_000_000 // parts per million
)

// Kind is the air kind.
type Kind struct{}

var _ sensing.Kind = Kind{}

// Info implements sensing.Kind. There is no limit to the stations of a pixel; those
// that are not leads are backups.
func (Kind) Info() sensing.KindInfo {
	info := sensing.KindInfo{Name: "air", Span: hours * time.Hour, Cells: sensing.Cells{Resolution: Resolution}, Use: "row", Hold: "station-hour"}
	for v := range temperature {
		info.Variables = append(info.Variables, variables[v].name)
	}
	return info
}

// Weigh implements sensing.Kind. A station's weight is the product of its hours,
// how good they are, how far its two channels and its neighbours agree, whether it
// stands outdoors, its share of a series that several devices signed, and its role
// in its pixel.
func (Kind) Weigh(ctx context.Context, w sensing.Window, stations []sensing.Station) ([][]vertical.Part, error) {
	all := make([]*record, len(stations))
	err := sensing.Each(ctx, len(stations), func(i int) error {
		all[i] = recordOf(w, stations[i])
		return nil
	})
	if err != nil {
		return nil, err
	}
	t := newTown(all)
	same := t.copied()
	terms := make([][]vertical.Term, len(all))
	for i, r := range all {
		terms[i] = []vertical.Term{
			{Name: "rate", Value: Rate}, {Name: "hours", Value: hours}, quality(r), channels(r),
			t.agreement(i), t.outdoors(i), same[i],
		}
	}
	if err := roles(all, terms); err != nil {
		return nil, err
	}
	out := make([][]vertical.Part, len(all))
	for i := range all {
		out[i] = []vertical.Part{{Name: "air", Terms: terms[i]}}
	}
	return out, nil
}

// quality counts the good hours of what the station measures, and of temperature
// and humidity, without which particles cannot be corrected.
func quality(r *record) vertical.Term {
	var good, of uint64
	mains := 0
	for v := range pm25b {
		if v < temperature && !r.measures(v) {
			continue
		}
		if v < temperature {
			mains++
		}
		if r.measured[v] > maxSamples {
			return vertical.Term{Name: "no more samples than one a second", Value: 0, Of: 1}
		}
		of += hours
		for h := range hours {
			if r.good[v][h] {
				good++
			}
		}
	}
	if mains == 0 {
		return vertical.Term{Name: "particles or a gas measured", Value: 0, Of: 1}
	}
	return vertical.Term{Name: "good hours of its variables", Value: good, Of: of}
}

// channels compares a sensor's two channels hour by hour. A station with one
// channel cannot be compared with itself and counts a fifth less.
func channels(r *record) vertical.Term {
	if !r.measures(pm25) {
		return vertical.Term{Name: "a gas has one channel", Value: 1, Of: 1}
	}
	var agreed, both uint64
	for h := range hours {
		a, b := r.mean[pm25][h], r.mean[pm25b][h]
		if math.IsNaN(a) || math.IsNaN(b) {
			continue
		}
		both++
		if Agree(a, b) {
			agreed++
		}
	}
	if both == 0 {
		return vertical.Term{Name: "no second channel", Value: 4, Of: 5}
	}
	return vertical.Term{Name: "hours both channels agree", Value: agreed, Of: both}
}

// Runs of samples that do not come twice by chance.
var (
	fast   = copies.Rule{Run: 40, Different: 10, Among: 9}
	hourly = copies.Rule{Run: 12, Different: 4, Among: 1}
)

func runsOf(series []copies.Sample) []copies.Run {
	if len(series) > 2*hours {
		return fast.Runs(series)
	}
	return hourly.Runs(series)
}

// copied finds series that several devices signed: sample by sample, or the same
// but for a little noise. It notes in the town which stations are one.
func (t *town) copied() []vertical.Term {
	series := make([][]copies.Run, len(t.all))
	for i, r := range t.all {
		series[i] = r.runs
		for _, k := range t.near[i] {
			if k < i && !t.alike.Told(i, k) && tooAlike(r, t.all[k]) {
				t.alike.Join(i, k)
			}
		}
	}
	out := make([]vertical.Term, len(t.all))
	for i, v := range copies.Find(series, t.alike) {
		out[i] = v.Term()
	}
	return out
}
