package sta

import (
	"fmt"
	"strconv"
	"strings"
)

// point is a place in degrees.
type point struct{ lon, lat float64 }

// polygon is an outline and its holes, in degrees; not one across the date line.
type polygon [][]point

// maxCorners bounds a polygon.
const maxCorners = 1000

// parseGeography reads POINT(LON LAT) or POLYGON((LON LAT,LON LAT,...)) of
// well-known text.
func parseGeography(text string) (any, error) {
	s := strings.ToUpper(strings.TrimSpace(text))
	if body, ok := strings.CutPrefix(s, "POINT"); ok {
		inner, ok := within(body)
		if !ok {
			return nil, fmt.Errorf("geography %.40q: want POINT(LON LAT)", text)
		}
		// A comma between them is taken too, since examples of the standard have it.
		return parsePoint(strings.ReplaceAll(inner, ",", " "))
	}
	body, ok := strings.CutPrefix(s, "POLYGON")
	inner, closed := within(body)
	if !ok || !closed {
		return nil, fmt.Errorf("geography %.40q: want POINT(LON LAT) or POLYGON((LON LAT,...))", text)
	}
	rings, err := split(inner, ',')
	if err != nil {
		return nil, err
	}
	var out polygon
	for _, one := range rings {
		list, ok := within(one)
		if !ok {
			return nil, fmt.Errorf("geography %.40q: want each outline of a polygon in parentheses", text)
		}
		var ring []point
		for corner := range strings.SplitSeq(list, ",") {
			p, err := parsePoint(corner)
			if err != nil {
				return nil, err
			}
			if ring = append(ring, p); len(ring) > maxCorners {
				return nil, fmt.Errorf("polygon of more than %d corners", maxCorners)
			}
		}
		if len(ring) < 4 || ring[0] != ring[len(ring)-1] {
			return nil, fmt.Errorf("geography %.40q: want an outline of four corners or more, the last one the first again", text)
		}
		out = append(out, ring)
	}
	return out, nil
}

// within is what is in the parentheses that a text consists of.
func within(s string) (string, bool) {
	s, open := strings.CutPrefix(strings.TrimSpace(s), "(")
	s, closed := strings.CutSuffix(s, ")")
	return s, open && closed
}

func parsePoint(text string) (p point, err error) {
	f := strings.Fields(text)
	if len(f) < 2 || len(f) > 3 {
		return p, fmt.Errorf("place %.40q: want LON LAT", text)
	}
	lon, err1 := strconv.ParseFloat(f[0], 64)
	lat, err2 := strconv.ParseFloat(f[1], 64)
	if err1 != nil || err2 != nil || !(lon >= -180 && lon <= 180 && lat >= -90 && lat <= 90) {
		return p, fmt.Errorf("place %.40q is not on earth", text)
	}
	return point{lon, lat}, nil
}

// holds reports whether a place is in a polygon, by the number of edges that a line
// to the east of it crosses.
func (g polygon) holds(p point) bool {
	in := false
	for _, ring := range g {
		for i := 1; i < len(ring); i++ {
			a, b := ring[i-1], ring[i]
			if (a.lat > p.lat) != (b.lat > p.lat) && p.lon < a.lon+(p.lat-a.lat)/(b.lat-a.lat)*(b.lon-a.lon) {
				in = !in
			}
		}
	}
	return in
}

// meets reports whether two geometries have a place in common.
func meets(a, b any) (bool, error) {
	switch x := a.(type) {
	case point:
		switch y := b.(type) {
		case point:
			return x == y, nil
		case polygon:
			return y.holds(x), nil
		}
	case polygon:
		if y, ok := b.(point); ok {
			return x.holds(y), nil
		}
	}
	return false, fmt.Errorf("want a place, and a place or a polygon")
}
