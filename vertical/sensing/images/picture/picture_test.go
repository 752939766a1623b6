package picture

import (
	"bytes"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grange-network/grange/vertical/sensing/images/scene"
)

func view(t testing.TB, seed uint64, z float64) *image.RGBA {
	t.Helper()
	img, _ := scene.New(seed).View(z, 480, 270)
	return img
}

func hash(img image.Image) Hash { return HashOf(gray(img)) }

// What is done to a picture to use it again.
var tricks = map[string]func(*image.RGBA) image.Image{
	"the same": func(img *image.RGBA) image.Image { return img },
	"compressed again": func(img *image.RGBA) image.Image {
		out, err := jpeg.Decode(bytes.NewReader(scene.JPEG(img, 40)))
		if err != nil {
			panic(err)
		}
		return out
	},
	"half the size": func(img *image.RGBA) image.Image {
		out := image.NewRGBA(image.Rect(0, 0, img.Rect.Dx()/2, img.Rect.Dy()/2))
		for y := range out.Rect.Dy() {
			for x := range out.Rect.Dx() {
				out.Set(x, y, img.At(2*x, 2*y))
			}
		}
		return out
	},
	"brighter": func(img *image.RGBA) image.Image {
		out := image.NewRGBA(img.Rect)
		for i, p := range img.Pix {
			out.Pix[i] = uint8(min(255, int(p)*5/4))
		}
		return out
	},
	"2 % cut off": func(img *image.RGBA) image.Image { return cut(img, 0.02) },
	"5 % cut off": func(img *image.RGBA) image.Image { return cut(img, 0.05) },
	"mirrored": func(img *image.RGBA) image.Image {
		out := image.NewRGBA(img.Rect)
		for y := range img.Rect.Dy() {
			for x := range img.Rect.Dx() {
				out.Set(img.Rect.Dx()-1-x, y, img.At(x, y))
			}
		}
		return out
	},
}

func cut(img *image.RGBA, part float64) image.Image {
	dx, dy := int(part*float64(img.Rect.Dx())), int(part*float64(img.Rect.Dy()))
	return img.SubImage(image.Rect(dx, dy, img.Rect.Dx()-dx, img.Rect.Dy()-dy))
}

const alike = 6

// same is the comparison that a score makes.
func same(a, b Hashes) bool { return Between(a, b) <= alike }

func seen(img image.Image) Hashes { return HashesOf(gray(img)) }

// A picture used again is known; the next one of the same street is not taken for
// it.
func TestHash(t *testing.T) {
	const streets = 40
	known := map[string]int{}
	var all []Hashes
	for seed := range uint64(streets) {
		img := view(t, seed, 100)
		original := seen(img)
		all = append(all, original)
		for name, trick := range tricks {
			if same(seen(trick(img)), original) {
				known[name]++
			}
		}
	}
	for name := range tricks {
		t.Logf("%s: %d of %d known", name, known[name], streets)
		if known[name]*10 < streets*9 {
			t.Errorf("%s: %d of %d are known, want 90 %%", name, known[name], streets)
		}
	}
	other := 0
	for i := range all {
		for k := range i {
			if same(all[i], all[k]) {
				other++
			}
		}
	}
	t.Logf("two streets: %d of %d taken for the same", other, streets*(streets-1)/2)
	if other > 0 {
		t.Errorf("%d pairs of two streets are taken for the same", other)
	}
	for _, step := range []float64{3, 5, 8, 15} {
		wrong, pairs := 0, 0
		for seed := range uint64(10) {
			before := seen(view(t, seed, 50))
			for i := 1; i <= 6; i++ {
				now := seen(view(t, seed, 50+float64(i)*step))
				if same(now, before) {
					wrong++
				}
				before = now
				pairs++
			}
		}
		t.Logf("%v m further on: %d of %d taken for the same", step, wrong, pairs)
		if step >= 8 && wrong*20 > pairs {
			t.Errorf("%v m further on: %d of %d pictures are taken for the one before", step, wrong, pairs)
		}
	}
}

func TestMirror(t *testing.T) {
	img := view(t, 1, 0)
	if d := Distance(hash(tricks["mirrored"](img)), hash(img).Mirrored()); d > 2 {
		t.Errorf("the hash of the mirrored picture differs in %d bits from the mirrored hash", d)
	}
	if h := hash(img); h.Mirrored().Mirrored() != h {
		t.Error("mirrored twice is another hash")
	}
}

// Plates of many sizes and both tones are blurred; a street without plates stays
// as it is, nearly.
func TestPlates(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2, 2))
	found, all := 0, 0
	for seed := range uint64(40) {
		img := view(t, seed, 300)
		w := 30 + rnd.IntN(150)
		r := image.Rect(0, 0, w, w*2/9).Add(image.Pt(50+rnd.IntN(200), 100+rnd.IntN(100)))
		draw.Draw(img, r.Inset(-r.Dy()), image.NewUniform(img.At(20+rnd.IntN(400), 50+rnd.IntN(200))), image.Point{}, draw.Src)
		scene.Plate(img, r, fmt.Sprintf("M%c %d", 'A'+rnd.IntN(26), 1000+rnd.IntN(9000)), seed%4 == 0)
		tilt(img, r, rnd.Float64()*0.2-0.1)
		noisy, err := jpeg.Decode(bytes.NewReader(scene.JPEG(img, 80)))
		if err != nil {
			t.Fatal(err)
		}
		all++
		if covered(plates(gray(noisy)), r) >= 0.8 {
			found++
		}
	}
	t.Logf("plates: %d of %d blurred", found, all)
	if found*10 < all*8 {
		t.Errorf("%d of %d plates are found, want 80 %%", found, all)
	}
	blurred, total := 0, 0
	for seed := range uint64(10) {
		s := scene.New(seed)
		s.Plates = false
		img, _ := s.View(300, 480, 270)
		for _, r := range plates(gray(img)) {
			blurred += pixels(r)
		}
		total += pixels(img.Rect)
	}
	t.Logf("of streets without plates %.2f %% blurred", 100*float64(blurred)/float64(total))
	if blurred*20 > total {
		t.Errorf("%d of %d pixels of streets without plates are blurred", blurred, total)
	}
}

// tilt moves the columns of a part of a picture up or down.
func tilt(img *image.RGBA, r image.Rectangle, slope float64) {
	from := image.NewRGBA(img.Rect)
	copy(from.Pix, img.Pix)
	for x := r.Min.X; x < r.Max.X; x++ {
		by := int(slope * float64(x-(r.Min.X+r.Max.X)/2))
		for y := r.Min.Y - r.Dy()/2; y < r.Max.Y+r.Dy()/2; y++ {
			img.Set(x, y, from.At(x, y-by))
		}
	}
}

// covered is the part of a rectangle that others cover.
func covered(by []image.Rectangle, r image.Rectangle) float64 {
	best := 0
	for _, b := range by {
		best = max(best, pixels(b.Intersect(r)))
	}
	return float64(best) / float64(pixels(r))
}

// A portrait that comes with the face detector's module is blurred where the face
// is. The picture is not in this repository.
func TestFaces(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/esimov/pigo").Output()
	if err != nil {
		t.Skip("where modules are is not known")
	}
	file, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "testdata", "sample.jpg"))
	if err != nil {
		t.Skip("the module has no picture of a face")
	}
	got, err := Prepare(file, 1)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Prepare(got.JPEG, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("faces: %d, after the blur %d", got.Faces, again.Faces)
	if got.Faces == 0 || again.Faces != 0 {
		t.Errorf("%d faces are blurred, %d are left", got.Faces, again.Faces)
	}
	if faces := faces(gray(view(t, 3, 0))); len(faces) > 1 {
		t.Errorf("a street has %d faces", len(faces))
	}
}

func TestPrepare(t *testing.T) {
	file := scene.JPEG(view(t, 1, 0), 90)
	for orientation, size := range map[int][2]int{1: {480, 270}, 3: {480, 270}, 6: {270, 480}, 8: {270, 480}} {
		got, err := Prepare(file, orientation)
		if err != nil {
			t.Fatal(err)
		}
		if got.Seen.Width != size[0] || got.Seen.Height != size[1] {
			t.Errorf("orientation %d: %d by %d", orientation, got.Seen.Width, got.Seen.Height)
		}
		if seen, err := Look(got.JPEG); err != nil || seen != got.Seen {
			t.Errorf("orientation %d: looked at again %+v, %v", orientation, seen, err)
		}
	}
	night := scene.New(1)
	night.Night = true
	dark, _ := night.View(0, 480, 270)
	day, _ := Light(gray(view(t, 1, 0)))
	if all, sky := Light(gray(dark)); all > 30 || sky > 30 || day < 80 {
		t.Errorf("light by day %d, at night %d with the sky %d", day, all, sky)
	}
	for name, p := range map[string][]byte{"nothing": nil, "text": []byte("hello"), "small": scene.JPEG(image.NewGray(image.Rect(0, 0, 100, 100)), 90)} {
		if _, err := Prepare(p, 1); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// Each orientation of EXIF brings a corner to where the standard says.
func TestUpright(t *testing.T) {
	const w, h = 4, 3
	for orientation, want := range map[int][2]int{2: {w - 1, 0}, 3: {w - 1, h - 1}, 4: {0, h - 1}, 5: {0, 0}, 6: {h - 1, 0}, 7: {h - 1, w - 1}, 8: {0, w - 1}} {
		if x, y := turned(orientation, 0, 0, w, h); x != want[0] || y != want[1] {
			t.Errorf("orientation %d: the first pixel comes to %d %d, want %v", orientation, x, y, want)
		}
	}
}
