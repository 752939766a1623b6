package radio

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/grange-network/grange/vertical/sensing/senml"
)

// SignalName begins the names of readings that a scan holds: "signal/262-1/lte" of
// a mobile network, "signal/wifi" of access points. They are in dBm.
const SignalName = "signal/"

// Records are a payload's readings: where each scan was made, and how strong the
// strongest transmitter of each network was there.
func (Format) Records(payload []byte) ([]senml.Record, error) {
	reports, err := Parse(payload)
	if err != nil {
		return nil, err
	}
	var out []senml.Record
	for _, r := range reports {
		at := r.Time()
		out = append(out, reading(at, "lat", "lat", r.Position.Latitude), reading(at, "lon", "lon", r.Position.Longitude))
		best := r.strongest()
		for _, network := range slices.Sorted(maps.Keys(best)) {
			out = append(out, reading(at, SignalName+strings.ReplaceAll(network, " ", "/"), "dBm", best[network]))
		}
	}
	return out, nil
}

func reading(at time.Time, name, unit string, value float64) senml.Record {
	return senml.Record{Name: name, Unit: unit, Time: at, Value: value}
}
