package h3

import (
	"maps"
	"math"
	"slices"
)

// Point is a place in degrees.
type Point struct{ Latitude, Longitude float64 }

// Boundary is the outline of the cell itself, counter-clockwise: six corners (five
// of a pentagon) and the points where it crosses an edge of the icosahedron.
func (c Cell) Boundary() []Point {
	var ring []vec
	if c.pentagon() {
		ring = c.around()
	} else {
		ring = c.hexagon()
	}
	out := make([]Point, 0, len(ring))
	for _, v := range ring {
		lat, lng := v.degrees()
		out = append(out, Point{lat, lng})
	}
	return out
}

func (c Cell) pentagon() bool {
	if !pentagons[c.base()] {
		return false
	}
	for r := 1; r <= c.Resolution(); r++ {
		if c.digit(r) != 0 {
			return false
		}
	}
	return true
}

// hexagon draws the corners on the plane of the cell's face and folds what lies
// beyond its edges.
func (c Cell) hexagon() []vec {
	lat, lng := c.Centre()
	at := fromDegrees(lat, lng)
	f := nearest(at)
	at = at.onto(f.centre)
	corners := make([]vec, 6)
	steps := f.steps[c.Resolution()]
	for k := range corners {
		corners[k] = at.add(steps[k].add(steps[(k+1)%6]).times(1.0 / 3))
	}
	var out []vec
	for k, p := range corners {
		out = append(out, f.fold(p))
		if c.Resolution()%2 == 1 { // grids of even resolution have corners on the edges themselves
			out = append(out, f.crossings(p, corners[(k+1)%6])...)
		}
	}
	return out
}

// crossings are where a line in f's plane crosses the edges, ends excepted.
func (f *face) crossings(p, q vec) []vec {
	var out []vec
	for e := range 3 {
		a, b := f.past(p, e), f.past(q, e)
		size := math.Abs(a - b)
		if a*b >= 0 || math.Abs(a) < 1e-6*size || math.Abs(b) < 1e-6*size {
			continue
		}
		at := p.add(q.sub(p).times(a / (a - b)))
		inside := true
		for o := range 3 {
			inside = inside && f.past(at, o) < 1e-9
		}
		if inside {
			out = append(out, at)
		}
	}
	return out
}

// around draws a pentagon: on each of the five faces that meet in it, the corners
// that lie within that face, and where its sides cross to the next.
func (c Cell) around() []vec {
	lat, lng := c.Centre()
	at := fromDegrees(lat, lng)
	var out []vec
	for i := range faces {
		f := &faces[i]
		if f.centre.dot(at) < 0.7 { // the five that touch: cos 37°
			continue
		}
		centre := at.onto(f.centre)
		steps := f.steps[c.Resolution()]
		for k := range 6 {
			p := centre.add(steps[k].add(steps[(k+1)%6]).times(1.0 / 3))
			q := centre.add(steps[(k+1)%6].add(steps[(k+2)%6]).times(1.0 / 3))
			in := true
			for e := range 3 {
				in = in && f.past(p, e) < 1e-9
			}
			if in {
				out = append(out, p)
			}
			out = append(out, f.crossings(p, q)...)
		}
	}
	x := out[0].sub(at).unit()
	y := at.cross(x)
	angle := func(v vec) float64 { return math.Atan2(v.sub(at).dot(y), v.sub(at).dot(x)) }
	slices.SortFunc(out, func(a, b vec) int {
		if angle(a) < angle(b) {
			return -1
		}
		return 1
	})
	return slices.CompactFunc(out, func(a, b vec) bool { return a.unit().near(b.unit()) })
}

// exactLevels is how much finer the cells are whose union Outline draws.
const exactLevels = 3

// Outline is the true outline of the area that belongs to c: that of its
// descendants three resolutions finer, together. A hexagon holds only about 93 % of its
// own descendants. What is left of the difference is a 19th of the cell's width.
func (c Cell) Outline() []Point {
	depth := min(exactLevels, MaxResolution-c.Resolution())
	parts := []Cell{c}
	for range depth {
		var finer []Cell
		for _, p := range parts {
			finer = append(finer, p.Children()...)
		}
		parts = finer
	}
	return outline(parts)
}

// corner is a point rounded so that both cells that share it agree.
type corner struct{ x, y, z int64 }

func (a vec) corner() corner {
	u := a.unit()
	const scale = 1 << 32 // 1.5 mm
	return corner{int64(math.Round(u.x * scale)), int64(math.Round(u.y * scale)), int64(math.Round(u.z * scale))}
}

// joint is one corner on a grid of corners: cells find the same joint although
// they round differently.
type joints map[corner]int

func (j joints) find(v vec, points *[]vec) int {
	c := v.corner()
	const reach = 64 // a tenth of a millimetre of arithmetic is far less
	key := corner{c.x / reach, c.y / reach, c.z / reach}
	for dx := int64(-1); dx <= 1; dx++ {
		for dy := int64(-1); dy <= 1; dy++ {
			for dz := int64(-1); dz <= 1; dz++ {
				if n, ok := j[corner{key.x + dx, key.y + dy, key.z + dz}]; ok {
					return n
				}
			}
		}
	}
	n := len(*points)
	*points = append(*points, v)
	j[key] = n
	return n
}

// outline joins cells that touch: sides that two of them share cancel out, the
// rest is one ring.
func outline(cells []Cell) []Point {
	index, points := joints{}, []vec{}
	sides := map[[2]int]bool{}
	for _, c := range cells {
		var ring []vec
		if c.pentagon() {
			ring = c.around()
		} else {
			ring = c.hexagon()
		}
		for k := range ring {
			a, b := index.find(ring[k], &points), index.find(ring[(k+1)%len(ring)], &points)
			if sides[[2]int{b, a}] {
				delete(sides, [2]int{b, a})
			} else if a != b {
				sides[[2]int{a, b}] = true
			}
		}
	}
	var out []Point
	for _, n := range longest(rings(sides), points) {
		lat, lng := points[n].degrees()
		out = append(out, Point{lat, lng})
	}
	return out
}

// rings orders sides into closed rings. Sides that meet in a point where more than
// two of them end are taken apart there. The order of the rings is that of their
// lowest point.
func rings(sides map[[2]int]bool) (out [][]int) {
	next := make(map[int][]int, len(sides))
	for s := range sides {
		next[s[0]] = append(next[s[0]], s[1])
	}
	for _, to := range next {
		slices.Sort(to)
	}
	for _, start := range slices.Sorted(maps.Keys(next)) {
		for len(next[start]) > 0 {
			var path []int
			for at := start; len(next[at]) > 0; {
				path = append(path, at)
				to := next[at][0]
				next[at] = next[at][1:]
				if i := slices.Index(path, to); i >= 0 {
					out = append(out, slices.Clone(path[i:]))
					path = path[:i]
				}
				at = to
			}
		}
	}
	return out
}

// longest is the ring that goes around the others: by its length. Around a
// pentagon the cells of a finer resolution do not meet exactly, and the gaps
// between them are rings of their own.
func longest(all [][]int, points []vec) (best []int) {
	var most float64
	for _, r := range all {
		var length float64
		for i, n := range r {
			d := points[n].unit().sub(points[r[(i+1)%len(r)]].unit())
			length += math.Sqrt(d.dot(d))
		}
		if length > most {
			best, most = r, length
		}
	}
	return best
}
