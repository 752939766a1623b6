package radio

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"github.com/grange-network/grange/h3"
)

// Quorum of owners must have scanned what is told of a cell.
const Quorum = 3

// Scan is a report and who made it.
type Scan struct {
	Device [32]byte
	Report
}

// Signals are how a network is received in a cell.
type Signals struct {
	Cell    h3.Cell
	Network string // "262-1 lte": country, operator, technology; "wifi"
	Devices [][32]byte
	Scans   int
	// Tenth, Half and Ninety are signals in dBm that a tenth, half and nine tenths
	// of the scans stay below.
	Tenth, Half, Ninety float64
}

// Coverage maps scans to cells of a resolution, in the order of cell and network.
// Of each scan the strongest transmitter of a network counts.
func Coverage(scans []Scan, resolution int) []Signals {
	type key struct {
		cell    h3.Cell
		network string
	}
	heard, devices := map[key][]float64{}, map[key]map[[32]byte]bool{}
	for _, s := range scans {
		for network, dBm := range s.strongest() {
			k := key{s.cell(resolution), network}
			heard[k] = append(heard[k], dBm)
			if devices[k] == nil {
				devices[k] = map[[32]byte]bool{}
			}
			devices[k][s.Device] = true
		}
	}
	var out []Signals
	for k, all := range heard {
		slices.Sort(all)
		at := func(tenths int) float64 { return all[(len(all)-1)*tenths/10] }
		of := slices.SortedFunc(maps.Keys(devices[k]), func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
		out = append(out, Signals{k.cell, k.network, of, len(all), at(1), at(5), at(9)})
	}
	slices.SortFunc(out, func(a, b Signals) int {
		return cmp.Or(cmp.Compare(a.Cell, b.Cell), cmp.Compare(a.Network, b.Network))
	})
	return out
}

// strongest is the signal of the strongest transmitter of each network, in dBm.
func (r Report) strongest() map[string]float64 {
	best := map[string]float64{}
	for _, t := range r.Towers {
		strongestOf(best, t.network(), t.Strength)
	}
	for _, a := range r.Points {
		strongestOf(best, pointsName, a.Strength)
	}
	return best
}

func strongestOf(best map[string]float64, network string, dBm *float64) {
	if dBm == nil {
		return
	}
	if was, again := best[network]; !again || *dBm > was {
		best[network] = *dBm
	}
}
