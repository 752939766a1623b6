package noise

import (
	"bytes"
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/grange-network/grange/h3"
)

// Sample is a level at a time and a place.
type Sample struct {
	Device    [32]byte
	Time      int64   // milliseconds of Unix time
	Lat, Lon  float64 // degrees
	Level     float64 // dB(A)
	Accuracy  float64 // metres; NaN: not told
	Speed     float64 // m/s, as the device says; NaN: not told
	estimated bool    // the place is that on the ledger
}

// Leq is the equivalent level of levels in dB that lasted equally long: the level
// of their mean energy (ISO 1996-1). NaN for none.
func Leq(levels ...float64) float64 {
	var sum float64
	for _, l := range levels {
		sum += math.Pow(10, float64(l/10))
	}
	return float64(10 * math.Log10(sum/float64(len(levels))))
}

// Parameters of the map.
const (
	// Quorum of owners must have measured in a cell and hour that are told.
	Quorum = 3
	// meeting is the resolution of the cells in which devices are compared, about 50
	// m across.
	meeting     = 11
	leastMet    = 5    // cells and hours shared with others
	mostOffset  = 10.0 // dB that a device may be off
	offsetTurns = 3    // rounds, in which those that others are compared with get better
)

// hex is a cell in an hour.
type hex struct {
	cell h3.Cell
	hour int64 // since 1970
}

func (s Sample) hex(resolution int) hex {
	return hex{h3.At(s.Lat, s.Lon, resolution), s.Time / 3_600_000}
}

// levels are each device's Leq in a hex, in dB.
type levels map[hex]map[[32]byte]float64

func levelsOf(samples []Sample, resolution int) levels {
	type key struct {
		hex
		device [32]byte
	}
	sorted := slices.Clone(samples)
	slices.SortFunc(sorted, func(a, b Sample) int { return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Level, b.Level)) })
	all := map[key][]float64{}
	for _, s := range sorted {
		k := key{s.hex(resolution), s.Device}
		all[k] = append(all[k], s.Level)
	}
	out := levels{}
	for k, l := range all {
		if out[k.hex] == nil {
			out[k.hex] = map[[32]byte]float64{}
		}
		out[k.hex][k.device] = Leq(l...)
	}
	return out
}

// Offsets are what must be added to each device's levels so that it agrees with
// the others it met: the median difference to their median, within 10 dB. Devices
// that met others in fewer than five hexes and hours are not in it.
func Offsets(samples []Sample) map[[32]byte]float64 { return levelsOf(samples, meeting).offsets() }

func (l levels) offsets() map[[32]byte]float64 {
	out := map[[32]byte]float64{}
	for range offsetTurns {
		differences := map[[32]byte][]float64{}
		for _, devices := range l {
			for d, level := range devices {
				if others := l.others(devices, d, out); len(others) > 0 {
					differences[d] = append(differences[d], median(others)-level)
				}
			}
		}
		next := map[[32]byte]float64{}
		for d, x := range differences {
			if len(x) >= leastMet {
				next[d] = max(-mostOffset, min(mostOffset, median(x)))
			}
		}
		out = next
	}
	return out
}

// others are the corrected levels of all but one device.
func (l levels) others(devices map[[32]byte]float64, but [32]byte, offsets map[[32]byte]float64) []float64 {
	var out []float64
	for d, level := range devices {
		if d != but {
			out = append(out, level+offsets[d])
		}
	}
	return out
}

// median sorts its argument.
func median(x []float64) float64 {
	slices.Sort(x)
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}

// Level is the noise of a cell in an hour.
type Level struct {
	Cell    h3.Cell
	Hour    int64   // hours since 1970
	Leq     float64 // dB(A), of the devices' energy mean
	Devices [][32]byte
}

// Map is the noise of cells of a resolution by hour, in their order, after each
// device's offset.
func Map(samples []Sample, resolution int) []Level {
	offsets := Offsets(samples)
	var out []Level
	for h, devices := range levelsOf(samples, resolution) {
		l := Level{Cell: h.cell, Hour: h.hour, Devices: slices.SortedFunc(maps.Keys(devices), func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })}
		all := make([]float64, len(l.Devices))
		for i, d := range l.Devices {
			all[i] = devices[d] + offsets[d]
		}
		slices.Sort(all)
		l.Leq = Leq(all...)
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b Level) int { return cmp.Or(cmp.Compare(a.Hour, b.Hour), cmp.Compare(a.Cell, b.Cell)) })
	return out
}
