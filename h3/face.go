package h3

import (
	"math"
	"slices"
)

// vec is a point or direction in space; the Earth is the unit sphere. Products are
// rounded before they are added, so that no machine fuses them and finds another
// cell.
type vec struct{ x, y, z float64 }

func (a vec) add(b vec) vec       { return vec{a.x + b.x, a.y + b.y, a.z + b.z} }
func (a vec) sub(b vec) vec       { return vec{a.x - b.x, a.y - b.y, a.z - b.z} }
func (a vec) times(k float64) vec { return vec{float64(a.x * k), float64(a.y * k), float64(a.z * k)} }
func (a vec) dot(b vec) float64   { return float64(a.x*b.x) + float64(a.y*b.y) + float64(a.z*b.z) }
func (a vec) unit() vec           { return a.times(1 / math.Sqrt(a.dot(a))) }
func (a vec) cross(b vec) vec {
	return vec{float64(a.y*b.z) - float64(a.z*b.y), float64(a.z*b.x) - float64(a.x*b.z), float64(a.x*b.y) - float64(a.y*b.x)}
}
func (a vec) near(b vec) bool    { d := a.sub(b); return d.dot(d) < 1e-20 }
func (a vec) onto(plane vec) vec { return a.times(1 / a.dot(plane)) }
func (a vec) degrees() (lat, lng float64) {
	u := a.unit()
	return math.Asin(max(-1, min(1, u.z))) * 180 / math.Pi, math.Atan2(u.y, u.x) * 180 / math.Pi
}

func fromDegrees(lat, lng float64) vec {
	sin, cos := math.Sincos(lat * math.Pi / 180)
	sinL, cosL := math.Sincos(lng * math.Pi / 180)
	return vec{cos * cosL, cos * sinL, sin}
}

// face is a side of the icosahedron that H3 lays its grid on: the plane that
// touches the sphere at centre. Grids of neighbouring faces continue each other
// when the plane is folded at the edge between them.
type face struct {
	centre  vec
	corners [3]vec   // in the plane
	steps   [][6]vec // by resolution: from a cell's centre to those of its neighbours
	across  [3]int   // the face beyond the edge from corner i to corner i+1
}

var faces = icosahedron()

// icosahedron finds the faces from the places of the pentagons, which sit on its
// corners, and the grid from the children of the cell in the middle of each face.
func icosahedron() []face {
	var corners []vec
	for b := range 122 {
		if pentagons[b] {
			lat, lng := Cell(uint64(mode) | uint64(b)<<baseShift | (1<<baseShift - 1)).Centre()
			corners = append(corners, fromDegrees(lat, lng))
		}
	}
	adjacent := func(a, b vec) bool { return a.dot(b) > 0.4 && a.dot(b) < 0.5 } // 1/sqrt 5
	var all []face
	for i, a := range corners {
		for j, b := range corners[:i] {
			for _, c := range corners[:j] {
				if adjacent(a, b) && adjacent(b, c) && adjacent(a, c) {
					f := face{centre: a.add(b).add(c).unit()}
					f.corners = [3]vec{a.onto(f.centre), b.onto(f.centre), c.onto(f.centre)}
					f.lay()
					all = append(all, f)
				}
			}
		}
	}
	for i := range all {
		for e := range 3 {
			all[i].across[e] = beyond(all, i, e)
		}
	}
	return all
}

// lay measures the grid of every resolution in the middle of the face.
func (f *face) lay() {
	lat, lng := f.centre.degrees()
	f.steps = make([][6]vec, MaxResolution+1)
	for r := 1; r <= MaxResolution; r++ {
		var around []vec
		for _, child := range At(lat, lng, r-1).Children() {
			la, ln := child.Centre()
			if d := fromDegrees(la, ln).onto(f.centre).sub(f.centre); d.dot(d) > 1e-24 {
				around = append(around, d)
			}
		}
		f.steps[r] = f.turnwise(around)
	}
	for k, s := range f.steps[2] {
		f.steps[0][k] = s.times(7) // two resolutions have parallel grids, 7 times as fine
	}
}

// turnwise sorts directions by their angle.
func (f *face) turnwise(d []vec) (out [6]vec) {
	x := d[0].unit()
	y := f.centre.cross(x)
	slices.SortFunc(d, func(a, b vec) int {
		if math.Atan2(a.dot(y), a.dot(x)) < math.Atan2(b.dot(y), b.dot(x)) {
			return -1
		}
		return 1
	})
	copy(out[:], d)
	return out
}

func beyond(all []face, i, edge int) int {
	a, b := all[i].corners[edge].unit(), all[i].corners[(edge+1)%3].unit()
	for j := range all {
		has := func(v vec) bool {
			return slices.ContainsFunc(all[j].corners[:], func(c vec) bool { d := c.unit().sub(v); return d.dot(d) < 1e-12 })
		}
		if j != i && has(a) && has(b) {
			return j
		}
	}
	panic("cell: the icosahedron has an open edge")
}

// outward is the direction in f's plane that leaves it across an edge.
func (f *face) outward(edge int) vec {
	a, b := f.corners[edge], f.corners[(edge+1)%3]
	along := b.sub(a).unit()
	in := f.centre.sub(a)
	in = in.sub(along.times(in.dot(along)))
	return in.unit().times(-1)
}

// past is how far a point of the plane lies beyond an edge; negative inside.
func (f *face) past(p vec, edge int) float64 { return p.sub(f.corners[edge]).dot(f.outward(edge)) }

// fold bends a point of f's plane that lies beyond an edge onto the face there.
func (f *face) fold(p vec) vec {
	for e := range 3 {
		far := f.past(p, e)
		if far <= 1e-12 {
			continue
		}
		g := &faces[f.across[e]]
		for k := range 3 {
			if faces[g.across[k]].centre == f.centre {
				return p.sub(f.outward(e).times(far)).sub(g.outward(k).times(far))
			}
		}
	}
	return p
}

func nearest(p vec) *face {
	best := &faces[0]
	for i := range faces {
		if faces[i].centre.dot(p) > best.centre.dot(p) {
			best = &faces[i]
		}
	}
	return best
}
