package picture

import (
	"image"
	"math"
	"math/bits"
)

// Hash is a perceptual hash: the signs of 64 coefficients of the cosine transform
// of the picture at 32 by 32, those that swing 1 to 8 times across it and 0 to 7
// times down it. What every street has in common, light above and dark below,
// is not among them.
type Hash uint64

const (
	side   = 32
	across = 8
	down   = 8
)

// Distance is in how many bits two hashes differ.
func Distance(a, b Hash) int { return bits.OnesCount64(uint64(a ^ b)) }

// Mirrored is the hash of the picture seen in a mirror: what swings an odd
// number of times turns over.
func (h Hash) Mirrored() Hash {
	const odd = 0x5555555555555555 // bits of 1, 3, 5 and 7 swings
	return h ^ odd
}

// HashOf hashes a picture.
func HashOf(g *image.Gray) Hash {
	small := shrink(g, side)
	var rows [side][across]int64
	for y := range side {
		for u := range across {
			for x := range side {
				rows[y][u] += small[y][x] * waves[u+1][x]
			}
		}
	}
	var h Hash
	for v := range down {
		for u := range across {
			var sum int64 // below 2^58
			for y := range side {
				sum += rows[y][u] * waves[v][y]
			}
			if sum > 0 {
				h |= 1 << (v*across + u)
			}
		}
	}
	return h
}

// waves are cosines in 65536ths: whole numbers, so that a hash has the same bits on
// every machine.
var waves = func() (w [across + 1][side]int64) {
	for u := range w {
		for x := range side {
			w[u][x] = int64(math.Round(65536 * math.Cos(math.Pi*float64(u)*(float64(x)+0.5)/side)))
		}
	}
	return w
}()

// shrink averages a picture down to n by n, in 256ths of a shade.
func shrink(g *image.Gray, n int) [side][side]int64 {
	var out [side][side]int64
	b := g.Bounds()
	for y := range n {
		y0, y1 := span(y, n, b.Dy())
		for x := range n {
			x0, x1 := span(x, n, b.Dx())
			var sum int64
			for yy := y0; yy < y1; yy++ {
				row := g.Pix[g.PixOffset(b.Min.X+x0, b.Min.Y+yy):]
				for _, p := range row[:x1-x0] {
					sum += int64(p)
				}
			}
			out[y][x] = 256 * sum / int64((y1-y0)*(x1-x0))
		}
	}
	return out
}

// span is part i of n of a length, never empty.
func span(i, n, length int) (from, to int) {
	from = i * length / n
	return from, max(from+1, (i+1)*length/n)
}

// Hashes are those of a picture, of its middle without a fortieth on each side,
// and without a twentieth, so that it is known again when its rim was cut off.
type Hashes [3]Hash

// HashesOf hashes a picture and its middle.
func HashesOf(g *image.Gray) (out Hashes) {
	b := g.Bounds()
	for i := range out {
		dx, dy := b.Dx()*i/40, b.Dy()*i/40
		out[i] = HashOf(g.SubImage(image.Rect(b.Min.X+dx, b.Min.Y+dy, b.Max.X-dx, b.Max.Y-dy)).(*image.Gray))
	}
	return out
}

// Between is in how many bits two pictures differ at least, if one may be the
// other mirrored or with its rim cut off.
func Between(a, b Hashes) int {
	least := min(Distance(a[0], b[0]), Distance(a[0], b[0].Mirrored()))
	for i := 1; i < len(a); i++ {
		least = min(least, Distance(a[0], b[i]), Distance(a[i], b[0]))
	}
	return least
}

// Light is the mean brightness of a picture and that of its upper third, 0 to
// 255.
func Light(g *image.Gray) (all, sky uint8) {
	b := g.Bounds()
	return mean(g, b), mean(g, image.Rect(b.Min.X, b.Min.Y, b.Max.X, b.Min.Y+max(1, b.Dy()/3)))
}

func mean(g *image.Gray, r image.Rectangle) uint8 {
	sum := 0
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for _, p := range g.Pix[g.PixOffset(r.Min.X, y):][:r.Dx()] {
			sum += int(p)
		}
	}
	return uint8(sum / max(1, r.Dx()*r.Dy()))
}
