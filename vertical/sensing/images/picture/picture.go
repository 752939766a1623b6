package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
)

// Limits of an image.
const (
	MaxBytes  = 32 << 20
	maxPixels = 64 << 20
	minSide   = 160 // pixels
	quality   = 88  // of what is stored
	maxScans  = 16  // of what is stored: a progressive file has ten
)

// ErrPicture says that a file is no picture that can be taken.
var ErrPicture = errors.New("picture is not taken")

// Seen is what a picture shows, as a record tells it.
type Seen struct {
	Width, Height int
	Hashes        Hashes
	Light, Sky    uint8 // mean brightness of all and of the upper third
}

// Prepared is a picture fit to be stored.
type Prepared struct {
	JPEG          []byte // without any metadata
	Seen          Seen   // of JPEG
	Faces, Plates int    // that were blurred
}

// Prepare turns a JPEG upright by its EXIF orientation, 1 to 8, and blurs faces
// and plates in it.
func Prepare(file []byte, orientation int) (Prepared, error) {
	img, err := decode(file)
	if err != nil {
		return Prepared{}, err
	}
	colour := upright(img, orientation)
	small, times := reduce(gray(colour))
	var out Prepared
	for _, r := range faces(small) {
		out.Faces++
		blur(colour, enlarge(r, times))
	}
	for _, r := range plates(small) {
		out.Plates++
		blur(colour, enlarge(r, times))
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, colour, &jpeg.Options{Quality: quality}); err != nil {
		return Prepared{}, fmt.Errorf("encode picture: %w", err)
	}
	out.JPEG = b.Bytes()
	out.Seen, err = Look(out.JPEG)
	return out, err
}

// Look sees what a stored picture shows: who has the picture can check its record.
// It computes in integers, so that all who are built with the same decoder see the
// same.
func Look(file []byte) (Seen, error) {
	if n := bytes.Count(file, []byte{0xff, 0xda}); n > maxScans { // each may cost as much as the whole picture
		return Seen{}, fmt.Errorf("%w: %d scans, want at most %d", ErrPicture, n, maxScans)
	}
	img, err := decode(file)
	if err != nil {
		return Seen{}, err
	}
	g := gray(img)
	s := Seen{Width: g.Bounds().Dx(), Height: g.Bounds().Dy(), Hashes: HashesOf(g)}
	s.Light, s.Sky = Light(g)
	return s, nil
}

// Tolerances between two decoders of one file.
const (
	hashTolerance  = 2 // bits
	lightTolerance = 2
)

// Like reports whether two looks may be at one file: programs decode a JPEG with
// small differences.
func (s Seen) Like(o Seen) bool {
	for i, h := range s.Hashes {
		if Distance(h, o.Hashes[i]) > hashTolerance {
			return false
		}
	}
	near := func(a, b uint8) bool { return max(a, b)-min(a, b) <= lightTolerance }
	return s.Width == o.Width && s.Height == o.Height && near(s.Light, o.Light) && near(s.Sky, o.Sky)
}

// decode refuses what is too large before it is read.
func decode(file []byte) (image.Image, error) {
	if len(file) > MaxBytes {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrPicture, len(file), MaxBytes)
	}
	c, err := jpeg.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPicture, err)
	}
	if c.Width < minSide || c.Height < minSide || c.Width*c.Height > maxPixels {
		return nil, fmt.Errorf("%w: %d by %d pixels, want at least %d on each side and at most %d", ErrPicture, c.Width, c.Height, minSide, maxPixels)
	}
	img, err := jpeg.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPicture, err)
	}
	return img, nil
}

// gray is the brightness of a picture.
func gray(img image.Image) *image.Gray {
	b := img.Bounds()
	out := image.NewGray(image.Rect(0, 0, b.Dx(), b.Dy()))
	if y, ok := img.(*image.YCbCr); ok {
		for row := range b.Dy() {
			copy(out.Pix[row*out.Stride:][:b.Dx()], y.Y[y.YOffset(b.Min.X, b.Min.Y+row):])
		}
		return out
	}
	draw.Draw(out, out.Bounds(), img, b.Min, draw.Src)
	return out
}

// upright copies a picture as EXIF says it is to be shown.
func upright(img image.Image, orientation int) *image.RGBA {
	b := img.Bounds()
	flat := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(flat, flat.Bounds(), img, b.Min, draw.Src)
	if orientation < 2 || orientation > 8 {
		return flat
	}
	w, h := b.Dx(), b.Dy()
	size := image.Rect(0, 0, w, h)
	if orientation >= 5 {
		size = image.Rect(0, 0, h, w)
	}
	out := image.NewRGBA(size)
	for y := range h {
		for x := range w {
			p, q := turned(orientation, x, y, w, h)
			copy(out.Pix[out.PixOffset(p, q):][:4], flat.Pix[flat.PixOffset(x, y):][:4])
		}
	}
	return out
}

// turned is where a pixel of a w by h picture comes to lie.
func turned(orientation, x, y, w, h int) (int, int) {
	switch orientation {
	case 2:
		return w - 1 - x, y
	case 3:
		return w - 1 - x, h - 1 - y
	case 4:
		return x, h - 1 - y
	case 5:
		return y, x
	case 6:
		return h - 1 - y, x
	case 7:
		return h - 1 - y, w - 1 - x
	default:
		return y, w - 1 - x
	}
}

// searched is the longest side in pixels of a picture in which faces and plates
// are looked for.
const searched = 1600

// reduce makes a picture small enough to be searched; times is how much smaller.
func reduce(g *image.Gray) (small *image.Gray, times int) {
	size := g.Bounds().Size()
	times = (max(size.X, size.Y) + searched - 1) / searched
	if times <= 1 {
		return g, 1
	}
	small = image.NewGray(image.Rect(0, 0, size.X/times, size.Y/times))
	for y := range small.Rect.Dy() {
		for x := range small.Rect.Dx() {
			sum := 0
			for yy := range times {
				for _, p := range g.Pix[(y*times+yy)*g.Stride+x*times:][:times] {
					sum += int(p)
				}
			}
			small.Pix[y*small.Stride+x] = uint8(sum / (times * times))
		}
	}
	return small, times
}

func enlarge(r image.Rectangle, times int) image.Rectangle {
	return image.Rect(r.Min.X*times, r.Min.Y*times, r.Max.X*times, r.Max.Y*times)
}

// mosaic is how many tiles remain of the longer side of what is blurred: too few
// to know a face or to read a plate.
const mosaic = 5

// blur leaves a few tiles of one colour of a part of a picture.
func blur(img *image.RGBA, r image.Rectangle) {
	r = r.Intersect(img.Bounds())
	if r.Empty() {
		return
	}
	tile := max(1, (max(r.Dx(), r.Dy())+mosaic-1)/mosaic)
	for y := r.Min.Y; y < r.Max.Y; y += tile {
		for x := r.Min.X; x < r.Max.X; x += tile {
			flatten(img, image.Rect(x, y, x+tile, y+tile).Intersect(r))
		}
	}
}

func flatten(img *image.RGBA, r image.Rectangle) {
	var sum [4]int
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := img.Pix[img.PixOffset(r.Min.X, y):][:4*r.Dx()]
		for i, p := range row {
			sum[i%4] += int(p)
		}
	}
	n := r.Dx() * r.Dy()
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := img.Pix[img.PixOffset(r.Min.X, y):][:4*r.Dx()]
		for i := range row {
			row[i] = uint8(sum[i%4] / n)
		}
	}
}
