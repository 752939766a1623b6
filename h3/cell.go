package h3

import (
	"fmt"
	"strconv"

	index "github.com/Kl1mn/h3-go"
)

// Cell is an H3 index. The zero Cell is none.
type Cell uint64

// PublishedResolution is the finest at which a device's place is told (about
// 0.7 km2).
const PublishedResolution = 8

// MaxResolution of H3.
const MaxResolution = 15

const (
	resolutionShift = 52
	digitBits       = 3
	baseShift       = digitBits * MaxResolution
	lowBits         = 1<<resolutionShift - 1 // base cell and digits
	mode            = 1 << 59                // of a cell
)

// pentagons are the base cells with five neighbours.
var pentagons = map[int]bool{4: true, 14: true, 24: true, 38: true, 49: true, 58: true, 63: true, 72: true, 83: true, 97: true, 107: true, 117: true}

// Parse reads a cell in hex. It checks that the index is one.
func Parse(text string) (Cell, error) {
	n, err := strconv.ParseUint(text, 16, 64)
	if c := Cell(n); err == nil && c.Valid() {
		return c, nil
	}
	return 0, fmt.Errorf("read H3 cell %.20q: want 15 or 16 hex digits of an index", text)
}

// At is the cell of a resolution that a place in degrees lies in.
func At(latitude, longitude float64, resolution int) Cell {
	return Cell(index.FromGeo(index.GeoCoord{Latitude: latitude, Longitude: longitude}, resolution))
}

// Valid reports whether c is the index of a cell.
func (c Cell) Valid() bool {
	if uint64(c)>>56 != mode>>56 || c.base() > 121 {
		return false
	}
	leading := true
	for r := 1; r <= MaxResolution; r++ {
		d := c.digit(r)
		switch {
		case r > c.Resolution() && d != 7, r <= c.Resolution() && d == 7:
			return false
		case r <= c.Resolution() && leading && d == 1 && pentagons[c.base()]:
			return false // the digit that a pentagon lacks
		}
		leading = leading && d == 0
	}
	return true
}

// Resolution is 0 (continents) to 15 (a square metre).
func (c Cell) Resolution() int { return int(c >> resolutionShift & 15) }

func (c Cell) base() int       { return int(c >> baseShift & 127) }
func (c Cell) digit(r int) int { return int(c >> (digitBits * (MaxResolution - r)) & 7) }

// String is the index in hex, as H3 writes it.
func (c Cell) String() string { return strconv.FormatUint(uint64(c), 16) }

// Parent is the cell of a coarser resolution that c belongs to; c itself when it
// is not finer.
func (c Cell) Parent(resolution int) Cell {
	if resolution >= c.Resolution() {
		return c
	}
	p := uint64(c)&^(15<<resolutionShift) | uint64(resolution)<<resolutionShift
	return Cell(p | (1<<(digitBits*(MaxResolution-resolution)) - 1))
}

// Children are the cells one resolution finer: seven, or six of a pentagon.
func (c Cell) Children() []Cell {
	r := c.Resolution() + 1
	if r > MaxResolution {
		return nil
	}
	at := digitBits * (MaxResolution - r)
	base := uint64(c)&^(15<<resolutionShift)&^(7<<at) | uint64(r)<<resolutionShift
	out := make([]Cell, 0, 7)
	for d := range uint64(7) {
		if child := Cell(base | d<<at); d != 1 || child.Valid() {
			out = append(out, child)
		}
	}
	return out
}

// Published is the cell that may be shown of a device's place: its own, or its
// parent at PublishedResolution. False when there is no place.
func (c Cell) Published() (Cell, bool) {
	if c == 0 || !c.Valid() {
		return 0, false
	}
	return c.Parent(PublishedResolution), true
}

// Place is c without its resolution: the places of all cells within a cell lie
// between the two numbers that Within gives.
func (c Cell) Place() int64 { return int64(c & lowBits) }

// Within gives the smallest and the largest place of what lies in c.
func (c Cell) Within() (low, high int64) {
	rest := int64(1)<<(digitBits*(MaxResolution-c.Resolution())) - 1
	return c.Place() &^ rest, c.Place() | rest
}

// OfPlace is the cell of a resolution that a place lies in; the place itself when
// it is coarser.
func OfPlace(place int64, resolution int) Cell {
	c := (Cell(place) | mode | MaxResolution<<resolutionShift).Parent(resolution)
	for !c.Valid() && c.Resolution() > 0 {
		c = c.Parent(c.Resolution() - 1)
	}
	return c
}

// Centre is the middle of c in degrees.
func (c Cell) Centre() (latitude, longitude float64) {
	g := index.ToGeo(index.H3Index(c))
	return g.Latitude, g.Longitude
}
