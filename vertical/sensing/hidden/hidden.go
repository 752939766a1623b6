// Package hidden keeps what a device that moves observes near places that its owner
// names, such as a home, from being signed. What is signed becomes evidence, which
// others read; what is not signed has left nothing.
//
// A circle around the place itself would show it: tracks end on its edge, and its
// centre is the place. So the circle is moved, by at most the radius asked for and
// always in the same way for one key, and twice as wide: everything nearer than the
// radius is in it, and the place may be anywhere within a radius of its centre.
//
// It does not make a track anonymous: who sees one begin at such a hole every
// morning knows that its owner lives somewhere in it.
package hidden

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/grange-network/grange/h3"
)

// Bounds of a radius in metres, and how many places a device may hide.
const (
	MinRadius = 50
	MaxRadius = 20_000
	MaxPlaces = 64
)

// Place is what shall be hidden: everything within Radius metres of a place in
// degrees.
type Place struct {
	Lat    float64 `json:"latitude"`
	Lon    float64 `json:"longitude"`
	Radius float64 `json:"radius_m"`
}

// Parse reads LAT,LON,METRES.
func Parse(text string) (Place, error) {
	var v [3]float64
	parts := strings.Split(text, ",")
	if len(parts) != len(v) {
		return Place{}, fmt.Errorf("hide %.60q: want LAT,LON,METRES, as 48.1371,11.5754,300", text)
	}
	for i := range v {
		var err error
		if v[i], err = strconv.ParseFloat(strings.TrimSpace(parts[i]), 64); err != nil {
			return Place{}, fmt.Errorf("hide %.60q: %.20q is no number", text, parts[i])
		}
	}
	p := Place{v[0], v[1], v[2]}
	return p, p.check()
}

func (p Place) check() error {
	if !(math.Abs(p.Lat) <= 90 && math.Abs(p.Lon) <= 180) {
		return fmt.Errorf("hide %v,%v: not on earth", p.Lat, p.Lon)
	}
	if !(p.Radius >= MinRadius && p.Radius <= MaxRadius) {
		return fmt.Errorf("hide %v,%v: a radius of %v m, want %d to %d", p.Lat, p.Lon, p.Radius, MinRadius, MaxRadius)
	}
	return nil
}

// Places are those that a device hides. The zero value hides none.
type Places struct{ circles []Place }

// New hides places with the circles that secret, a device's private key, gives
// them.
func New(secret []byte, places []Place) (Places, error) {
	if len(places) > MaxPlaces {
		return Places{}, fmt.Errorf("hide %d places: want at most %d", len(places), MaxPlaces)
	}
	var out Places
	for _, p := range places {
		if err := p.check(); err != nil {
			return Places{}, err
		}
		out.circles = append(out.circles, circle(secret, p))
	}
	return out, nil
}

// metresPerDegree of latitude on the sphere of h3.Distance.
const metresPerDegree = math.Pi / 180 * 6_371_000

// circle is twice as wide as p, with its centre moved by less than p's radius:
// evenly over the disc, and slightly less than to its edge, for what a flat step
// differs by from one on the sphere.
func circle(secret []byte, p Place) Place {
	h := hmac.New(sha256.New, secret)
	fmt.Fprintf(h, "grange hidden place %v %v %v", p.Lat, p.Lon, p.Radius)
	sum := h.Sum(nil)
	part := func(b []byte) float64 { return float64(binary.BigEndian.Uint64(b)>>11) / (1 << 53) }
	const within = 0.95
	far, angle := within*p.Radius*math.Sqrt(part(sum)), 2*math.Pi*part(sum[8:])
	lat := p.Lat + far*math.Cos(angle)/metresPerDegree
	if math.Abs(lat) > 90 {
		lat = p.Lat
	}
	lon := p.Lon
	if across := math.Cos(p.Lat * math.Pi / 180); across*metresPerDegree > MaxRadius { // not around a pole
		lon = math.Remainder(p.Lon+far*math.Sin(angle)/(metresPerDegree*across), 360)
	}
	return Place{lat, lon, 2 * p.Radius}
}

// Hold reports whether a place in degrees is hidden.
func (p Places) Hold(lat, lon float64) bool {
	for _, c := range p.circles {
		if h3.Distance(c.Lat, c.Lon, lat, lon) <= c.Radius {
			return true
		}
	}
	return false
}
