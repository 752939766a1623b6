package atlas

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// Unit is the unit of a claim. Units of one dimension convert into each other;
// a year is 365 days and a month a twelfth of it.
type Unit string

// Dimension is what a unit measures.
type Dimension string

type scale struct {
	dim      Dimension
	num, den int64 // factor to the base unit of the dimension
}

const (
	kib = 1 << 10
	tib = 1 << 40
)

var units = map[Unit]scale{
	"1":   {"count", 1, 1},
	"USD": {"money", 1, 1},

	"USD/h":  {"money per time", 730, 1}, // base: USD per month
	"USD/d":  {"money per time", 365, 12},
	"USD/wk": {"money per time", 365, 84},
	"USD/mo": {"money per time", 1, 1},
	"USD/a":  {"money per time", 1, 12},

	"%":   {"ratio", 1, 100},
	"ppm": {"ratio", 1, 1_000_000},
	"x":   {"ratio", 1, 1},

	"B":   {"data", 1, 1},
	"GB":  {"data", 1e9, 1},
	"TB":  {"data", 1e12, 1},
	"PB":  {"data", 1e15, 1},
	"EB":  {"data", 1e18, 1},
	"TiB": {"data", tib, 1},
	"PiB": {"data", tib * kib, 1},
	"EiB": {"data", tib * kib * kib, 1},

	"d":  {"time", 1, 1},
	"mo": {"time", 365, 12},
	"km": {"length", 1, 1},

	"USD/GB":     {"money per data", 1, 1e9},
	"USD/GB.mo":  {"money per data and time", 1, 1e9},
	"USD/TB.mo":  {"money per data and time", 1, 1e12},
	"USD/TiB.mo": {"money per data and time", 1, tib},
	"SC/TB.mo":   {"siacoin per data and time", 1, 1e12},
	"GEOD/h":     {"GEOD per time", 1, 1},

	"text": {"text", 1, 1},
}

// Dimension is what u measures; ok is false for an unknown unit.
func (u Unit) Dimension() (Dimension, bool) {
	s, ok := units[u]
	return s.dim, ok
}

// Base converts a number of u into the base unit of its dimension.
func (u Unit) Base(d Decimal) *big.Rat {
	s, ok := units[u]
	if !ok {
		return d.Rat()
	}
	return new(big.Rat).Mul(d.Rat(), big.NewRat(s.num, s.den))
}

// Convert converts d from u to another unit of the same dimension.
func (u Unit) Convert(d Decimal, to Unit) (*big.Rat, error) {
	a, b := units[u], units[to]
	if a.dim == "" || a.dim != b.dim {
		return nil, fmt.Errorf("convert %s to %s: different dimensions", u, to)
	}
	return new(big.Rat).Mul(u.Base(d), big.NewRat(b.den, b.num)), nil
}

// Units lists every unit, sorted.
func Units() []Unit {
	all := make([]Unit, 0, len(units))
	for u := range units {
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b Unit) int { return strings.Compare(string(a), string(b)) })
	return all
}
