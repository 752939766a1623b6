package picture

import (
	"image"
	"slices"
)

// Parameters of the search for plates, in pixels of the searched picture.
const (
	plateHeight, plateWidth = 8, 22    // at least
	mostPart                = 3        // a plate is at most so small a part of the picture's width
	leastShape, mostShape   = 1.5, 7.5 // width by height
	leastFull, mostFull     = 0.35, 0.92
	leastContrast           = 40 // between ground and letters
	leastStrokes            = 3  // letters' strokes across the plate
	mostStrokes             = 24
	leastTextRows           = 0.4 // part of the rows that have so many
)

// plates finds upright bright bands with dark strokes in them, and dark ones with
// bright strokes: connected areas above a brightness that have the shape of a
// plate and change from ground to letter and back as often as a line of letters
// does. What merges with a car of the same colour is not found.
func plates(g *image.Gray) []image.Rectangle {
	var found []image.Rectangle
	dark := image.NewGray(g.Bounds())
	for i, p := range g.Pix {
		dark.Pix[i] = 255 - p
	}
	for _, picture := range []*image.Gray{g, dark} {
		for above := 60; above <= 230; above += 17 {
			for _, a := range areas(picture, uint8(above)) {
				if a.isPlate(picture) {
					found = append(found, a.box)
				}
			}
		}
	}
	return merge(found)
}

// area is a connected part of a picture.
type area struct {
	box   image.Rectangle
	size  int
	above uint8 // all of it is at least so bright
}

// run is a part of a row that is bright; label says which area it belongs to.
type run struct {
	from, to int
	label    int32
}

// areas are the connected parts of a picture that are at least so bright and have
// the size of a plate.
func areas(g *image.Gray, above uint8) []area {
	var parts unions
	var found []area // by label from 1 on
	var before, now []run
	for y := range g.Rect.Dy() {
		now = runsOf(g.Pix[y*g.Stride:][:g.Rect.Dx()], above, now[:0])
		k := 0
		for i := range now {
			r := &now[i]
			for k < len(before) && before[k].to <= r.from {
				k++
			}
			for n := k; n < len(before) && before[n].from < r.to; n++ {
				r.label = parts.join(r.label, before[n].label)
			}
			if r.label == 0 {
				parts = append(parts, int32(len(parts)+1))
				r.label = int32(len(parts))
				found = append(found, area{above: above})
			}
			found[r.label-1].add(image.Rect(r.from, y, r.to, y+1), r.to-r.from)
		}
		before, now = now, before
	}
	for i := range found {
		if root := parts.root(int32(i + 1)); root != int32(i+1) {
			found[root-1].add(found[i].box, found[i].size)
			found[i].size = 0
		}
	}
	return slices.DeleteFunc(found, func(a area) bool {
		return a.size == 0 || !a.shaped() || a.box.Dx() > g.Rect.Dx()/mostPart
	})
}

func (a *area) add(box image.Rectangle, size int) {
	a.box, a.size = a.box.Union(box), a.size+size
}

// runsOf appends the bright runs of a row.
func runsOf(row []uint8, above uint8, out []run) []run {
	bright := false
	for x, p := range row {
		switch {
		case p >= above && !bright:
			out, bright = append(out, run{from: x, to: len(row)}), true
		case p < above && bright:
			out[len(out)-1].to, bright = x, false
		}
	}
	return out
}

// unions are the parents of labels from 1 on.
type unions []int32

// join makes two labels one; 0 is none.
func (u unions) join(a, b int32) int32 {
	if a == 0 {
		return u.root(b)
	}
	a, b = u.root(a), u.root(b)
	u[max(a, b)-1] = min(a, b)
	return min(a, b)
}

func (u unions) root(l int32) int32 {
	for u[l-1] != l {
		u[l-1] = u[u[l-1]-1]
		l = u[l-1]
	}
	return l
}

func (a area) shaped() bool {
	w, h := float64(a.box.Dx()), float64(a.box.Dy())
	full := float64(a.size) / max(1, w*h)
	return w >= plateWidth && h >= plateHeight && w >= leastShape*h && w <= mostShape*h && full >= leastFull && full <= mostFull
}

// isPlate looks for letters in an area: rows that change between ground and
// letter often enough.
func (a area) isPlate(g *image.Gray) bool {
	middle, contrast := a.contrast(g)
	if contrast < leastContrast {
		return false
	}
	rows := 0
	for y := a.box.Min.Y; y < a.box.Max.Y; y++ {
		if n := strokes(a.row(g, y), middle); n >= leastStrokes && n <= mostStrokes {
			rows++
		}
	}
	return float64(rows) >= leastTextRows*float64(a.box.Dy())
}

func (a area) row(g *image.Gray, y int) []uint8 {
	return g.Pix[g.PixOffset(a.box.Min.X, y):][:a.box.Dx()]
}

// contrast is how much brighter the ground is than what lies in it, and the
// brightness in the middle of both.
func (a area) contrast(g *image.Gray) (middle uint8, contrast int) {
	var sum, n [2]int
	for y := a.box.Min.Y; y < a.box.Max.Y; y++ {
		for _, p := range a.row(g, y) {
			k := 0
			if p >= a.above {
				k = 1
			}
			sum[k] += int(p)
			n[k]++
		}
	}
	if n[0] == 0 || n[1] == 0 {
		return 0, 0
	}
	dark, bright := sum[0]/n[0], sum[1]/n[1]
	return uint8((dark + bright) / 2), bright - dark
}

// strokes counts the dark runs of a row.
func strokes(row []uint8, middle uint8) (n int) {
	for x, p := range row {
		if p < middle && x > 0 && row[x-1] >= middle {
			n++
		}
	}
	return n
}

// merge joins rectangles that are nearly one, and leaves a rim.
func merge(found []image.Rectangle) []image.Rectangle {
	var out []image.Rectangle
	for _, r := range found {
		at := slices.IndexFunc(out, func(o image.Rectangle) bool { return 2*pixels(r.Intersect(o)) >= pixels(r.Union(o)) })
		if at < 0 {
			out = append(out, r)
			continue
		}
		out[at] = out[at].Union(r)
	}
	for i, r := range out {
		out[i] = r.Inset(-max(2, r.Dy()/8))
	}
	return out
}

func pixels(r image.Rectangle) int { return r.Dx() * r.Dy() }
