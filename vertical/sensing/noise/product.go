package noise

import (
	"context"
	"time"

	"github.com/grange-network/grange/vertical/sensing"
)

var _ sensing.Producer = Kind{}

// Products implements sensing.Producer. Maps are of cells of about 50 m, not of
// the small ones that devices are paid for: those would show single walks.
func (Kind) Products() []sensing.Product {
	return []sensing.Product{{
		Name: "map", About: "the noise of streets by the hour, with each phone's own offset taken out",
		Values: []sensing.Measure{{Name: "laeq", Unit: "dB"}}, Resolution: meeting, Step: time.Hour, Period: hours * time.Hour, Crowd: Quorum, Derive: derive,
	}}
}

// derive maps what walkers measured as a walker does.
func derive(ctx context.Context, period sensing.Window, stations []sensing.Station) ([]sensing.Fact, error) {
	var all []Sample
	for _, s := range stations {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		all = append(all, earOf(period, s).good...)
	}
	var out []sensing.Fact
	for _, l := range Map(all, meeting) {
		out = append(out, sensing.Fact{Cell: l.Cell, Time: time.Unix(l.Hour*3600, 0).UTC(), Values: []float64{l.Leq}, Devices: l.Devices})
	}
	return out, nil
}
