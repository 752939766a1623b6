package radio

import (
	"context"
	"time"

	"github.com/grange-network/grange/vertical/sensing"
)

// coverageResolution of cells that are told: about 350 m across.
const coverageResolution = 9

var (
	_ sensing.Producer = Kind{}
	_ sensing.Located  = Format{}
)

// Products implements sensing.Producer.
func (Kind) Products() []sensing.Product {
	const week = 7 * 24 * time.Hour
	return []sensing.Product{{
		Name: "coverage", About: "how each mobile network and Wi-Fi are received: what a tenth, half and nine tenths of the scans of a week stay below", Of: "network",
		Values:     []sensing.Measure{{Name: "tenth", Unit: "dBm"}, {Name: "median", Unit: "dBm"}, {Name: "ninetieth", Unit: "dBm"}, {Name: "scans", Unit: "1"}},
		Resolution: coverageResolution, Step: week, Period: week, Crowd: Quorum, Derive: derive,
	}}
}

// derive maps the scans of tracks that can be, each day by itself.
func derive(ctx context.Context, period sensing.Window, stations []sensing.Station) ([]sensing.Fact, error) {
	var all []Scan
	for _, s := range stations {
		for day := period.Began; day.Before(period.Ended); day = day.Add(hours * time.Hour) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			for _, r := range phoneOf(sensing.Window{Began: day, Ended: day.Add(hours * time.Hour)}, s).scans {
				all = append(all, Scan{s.ID, r})
			}
		}
	}
	var out []sensing.Fact
	for _, c := range Coverage(all, coverageResolution) {
		out = append(out, sensing.Fact{
			Cell: c.Cell, Time: period.Began, Of: c.Network, Values: []float64{c.Tenth, c.Half, c.Ninety, float64(c.Scans)}, Devices: c.Devices,
		})
	}
	return out, nil
}

// Points implements sensing.Located.
func (Format) Points(payload []byte) ([]sensing.Point, error) {
	reports, err := Parse(payload)
	if err != nil {
		return nil, err
	}
	out := make([]sensing.Point, len(reports))
	for i, r := range reports {
		out[i] = sensing.Point{Lat: r.Position.Latitude, Lon: r.Position.Longitude}
	}
	return out, nil
}
