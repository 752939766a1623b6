// Package scene draws streets for tests: a road between houses with windows, trees
// and cars with plates, seen from a camera that moves along it. The pictures are
// nobody's.
package scene

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"slices"
)

// Street is a street with what stands along it.
type Street struct {
	things []thing
	sky    color.RGBA
	road   color.RGBA
	Night  bool
	// Plates are drawn on cars.
	Plates bool
}

// thing is an upright rectangle across the view.
type thing struct {
	z, left, right, height, base float64 // metres
	colour                       color.RGBA
	windows                      int // across
	car                          bool
	text                         string
}

// Length of a street in metres; it repeats behind that.
const Length = 2000.0

// New makes a street of a number; the same number is the same street.
func New(seed uint64) *Street {
	rnd := rand.New(rand.NewPCG(seed, 11))
	s := &Street{sky: tone(rnd, 150, 230), road: tone(rnd, 70, 110), Plates: true}
	for z := 0.0; z < Length; {
		z += 4 + rnd.Float64()*14
		side := float64(1 - 2*rnd.IntN(2))
		near := 5 + rnd.Float64()*6
		switch rnd.IntN(4) {
		case 0: // a tree: a trunk and a crown
			s.add(side, thing{z: z, left: near - 0.2, right: near + 0.2, height: 3, colour: tone(rnd, 40, 80)})
			s.add(side, thing{z: z, left: near - 2, right: near + 2, base: 2 + rnd.Float64(), height: 4 + 2*rnd.Float64(), colour: tone(rnd, 40, 120)})
		case 1: // a parked car
			w := 1.8
			c := thing{z: z, left: 2.6, right: 2.6 + w, height: 1.5, colour: tone(rnd, 20, 240), car: true, text: text(rnd)}
			s.add(side, c)
		default:
			s.add(side, thing{z: z, left: near, right: near + 8 + rnd.Float64()*14, height: 4 + rnd.Float64()*14, colour: tone(rnd, 60, 230), windows: rnd.IntN(6)})
		}
	}
	slices.SortStableFunc(s.things, func(a, b thing) int { return int(math.Copysign(1, a.z-b.z)) })
	return s
}

func (s *Street) add(side float64, t thing) {
	if side < 0 {
		t.left, t.right = -t.right, -t.left
	}
	s.things = append(s.things, t)
}

func tone(rnd *rand.Rand, from, to int) color.RGBA {
	g := func() uint8 { return uint8(from + rnd.IntN(to-from)) }
	return color.RGBA{g(), g(), g(), 255}
}

const letters = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"

func text(rnd *rand.Rand) string {
	b := make([]byte, 7)
	for i := range b {
		b[i] = letters[rnd.IntN(len(letters))]
	}
	return string(b)
}

const (
	eye   = 1.6 // metres above the road
	focal = 0.9 // of the picture's width
	far   = 250.0
)

// View is what a camera at z metres along the street sees, and where plates are
// in it that can be read.
func (s *Street) View(z float64, w, h int) (*image.RGBA, []image.Rectangle) {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	horizon := h * 45 / 100
	for y := range h {
		c := shade(s.sky, 1-0.3*float64(y)/float64(horizon))
		if y >= horizon {
			c = shade(s.road, 0.7+0.3*float64(y-horizon)/float64(h-horizon))
		}
		draw.Draw(img, image.Rect(0, y, w, y+1), image.NewUniform(c), image.Point{}, draw.Src)
	}
	var seen []image.Rectangle
	for _, round := range []float64{Length, 0} {
		for i := len(s.things) - 1; i >= 0; i-- {
			t := s.things[i]
			d := t.z + round - math.Mod(z, Length)
			if d < 3 || d > far {
				continue
			}
			if plate := s.draw(img, t, d, horizon); !plate.Empty() {
				seen = append(seen, plate)
			}
		}
	}
	s.light(img)
	return img, seen
}

// box is where upright things are in the picture.
func box(img *image.RGBA, left, right, base, top, d float64, horizon int) image.Rectangle {
	k := focal * float64(img.Rect.Dx()) / d
	mid := float64(img.Rect.Dx()) / 2
	return image.Rect(int(mid+left*k), horizon+int((eye-top)*k), int(mid+right*k), horizon+int((eye-base)*k))
}

func (s *Street) draw(img *image.RGBA, t thing, d float64, horizon int) (plate image.Rectangle) {
	haze := math.Exp(-d / 150)
	fill := func(r image.Rectangle, c color.RGBA) {
		draw.Draw(img, r, image.NewUniform(mix(c, s.sky, haze)), image.Point{}, draw.Src)
	}
	fill(box(img, t.left, t.right, t.base, t.base+t.height, d, horizon), t.colour)
	wide := (t.right - t.left) / float64(max(1, t.windows))
	for i := range t.windows {
		for floor := 1.0; floor+1.5 < t.height; floor += 3 {
			at := t.left + (float64(i)+0.3)*wide
			fill(box(img, at, at+0.4*wide, floor, floor+1.4, d, horizon), shade(t.colour, 0.4))
		}
	}
	if !t.car {
		return plate
	}
	fill(box(img, t.left+0.2, t.right-0.2, 0.9, 1.4, d, horizon), color.RGBA{30, 35, 40, 255})
	fill(box(img, t.left, t.right, 0, 0.2, d, horizon), color.RGBA{15, 15, 15, 255})
	if s.Plates {
		mid := (t.left + t.right) / 2
		fill(box(img, mid-0.29, mid+0.29, 0.43, 0.58, d, horizon), color.RGBA{20, 20, 20, 255}) // its frame
		plate = box(img, mid-0.26, mid+0.26, 0.45, 0.56, d, horizon).Intersect(img.Bounds())
		Plate(img, plate, t.text, false)
	}
	return plate
}

// Plate draws a licence plate: dark letters on bright ground, or the other way.
func Plate(img *image.RGBA, r image.Rectangle, text string, dark bool) {
	ground, ink := color.RGBA{235, 235, 228, 255}, color.RGBA{25, 25, 30, 255}
	if dark {
		ground, ink = ink, ground
	}
	draw.Draw(img, r, image.NewUniform(ground), image.Point{}, draw.Src)
	// Each letter is five by seven dots, one dot between them, a rim around all.
	dots := float64(6*len(text) + 3)
	for i := range text {
		rows := glyph(text[i])
		for y := range 7 {
			for x := range 5 {
				if rows[y]>>(4-x)&1 == 1 {
					at := func(col, row float64) image.Point {
						return image.Pt(r.Min.X+int(math.Round(col*float64(r.Dx())/dots)), r.Min.Y+int(math.Round(row*float64(r.Dy())/10)))
					}
					c, q := float64(2+6*i+x), 1.5+float64(y)
					draw.Draw(img, image.Rectangle{at(c, q), at(c+1, q+1)}.Intersect(img.Bounds()), image.NewUniform(ink), image.Point{}, draw.Src)
				}
			}
		}
	}
}

// glyph is a made-up letter with the strokes of one: what matters is how often a
// row changes.
func glyph(c byte) [7]uint8 {
	return [...][7]uint8{
		{14, 17, 17, 31, 17, 17, 17}, {30, 17, 17, 30, 17, 17, 30}, {14, 17, 16, 16, 16, 17, 14}, {30, 17, 17, 17, 17, 17, 30},
		{31, 16, 16, 30, 16, 16, 31}, {17, 17, 17, 31, 17, 17, 17}, {4, 4, 4, 4, 4, 4, 4}, {17, 18, 20, 24, 20, 18, 17},
		{17, 27, 21, 21, 17, 17, 17}, {17, 25, 21, 19, 17, 17, 17}, {31, 1, 2, 4, 8, 16, 31}, {14, 17, 1, 6, 1, 17, 14},
	}[c%12]
}

func shade(c color.RGBA, k float64) color.RGBA {
	f := func(v uint8) uint8 { return uint8(math.Max(0, math.Min(255, float64(v)*k))) }
	return color.RGBA{f(c.R), f(c.G), f(c.B), 255}
}

func mix(a, b color.RGBA, k float64) color.RGBA {
	f := func(x, y uint8) uint8 { return uint8(float64(x)*k + float64(y)*(1-k)) }
	return color.RGBA{f(a.R, b.R), f(a.G, b.G), f(a.B, b.B), 255}
}

// light adds the noise of a sensor, and takes the light of the day at night.
func (s *Street) light(img *image.RGBA) {
	var dimmed [256]uint8
	for v := range dimmed {
		dimmed[v] = uint8(v)
		if s.Night {
			dimmed[v] = uint8(v * 9 / 100)
		}
	}
	noise := uint32(len(s.things))
	for i, p := range img.Pix {
		if i%4 != 3 {
			noise = noise*1664525 + 1013904223
			img.Pix[i] = uint8(max(0, min(255, int(dimmed[p])+int(noise>>29)-4)))
		}
	}
}

// JPEG encodes a picture.
func JPEG(img image.Image, quality int) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: quality}); err != nil {
		panic(err) // a buffer takes everything
	}
	return b.Bytes()
}
