package images

import (
	"image"
	"math"
	"testing"
	"time"

	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/images/scene"
	"github.com/grange-network/grange/vertical/sensing/track"
)

func rim(part float64) func(image.Image) image.Image {
	return func(img image.Image) image.Image {
		b := img.Bounds()
		dx, dy := int(part*float64(b.Dx())), int(part*float64(b.Dy()))
		return img.(*image.RGBA).SubImage(image.Rect(b.Min.X+dx, b.Min.Y+dy, b.Max.X-dx, b.Max.Y-dy))
	}
}

func mirror(img image.Image) image.Image {
	b := img.Bounds()
	out := image.NewRGBA(b)
	for y := range b.Dy() {
		for x := range b.Dx() {
			out.Set(b.Dx()-1-x, y, img.At(x, y))
		}
	}
	return out
}

func sum(m map[string]uint64) (n uint64) {
	for _, v := range m {
		n += v
	}
	return n
}

// Clean drives with pictures of their streets: how much is refused. The number is
// in docs/sensing.md.
func TestCleanDrives(t *testing.T) {
	track, twice, all := 0, 0, 0
	for seed := range uint64(4) {
		f := shown(frames(seed, way(seed, noon(int(seed)), 100)), scene.New(seed), nil)
		good, _ := believed(window, 0, station(t, 1, "a", f))
		track, all = track+len(f)-len(good), all+len(f)
		twice += elsewhere(good)
	}
	t.Logf("clean: of %d images %d are refused for their track, %d taken for another 8 m away", all, track, twice)
	if (track+twice)*20 > all {
		t.Errorf("%d of %d clean images are refused, want at most 5 %%", track+twice, all)
	}
}

// elsewhere counts images that are taken for one that was made 8 m away or more.
func elsewhere(all []shot) (n int) {
	groups, _ := duplicates(all)
	first := map[int]bool{}
	for _, g := range groups {
		first[g.shots[0]] = true
	}
	for i := range all {
		near := first[i]
		for k := range i {
			near = near || first[k] && track.Distance(all[k].point(), all[i].point()) < 8
		}
		if !near {
			n++
		}
	}
	return n
}

// Pictures used again on another way through the same streets: how many are found.
func TestReusedPictures(t *testing.T) {
	street := scene.New(5)
	spread := func(f []Frame) (out []Frame) { // those that are apart, so that each is a picture of its own
		last := -1
		for i := range f {
			if last < 0 || track.Distance(f[last].point(), f[i].point()) >= 12 {
				out, last = append(out, f[i]), i
			}
		}
		return out
	}
	plain := frames(1, way(1, noon(0), 60))
	original := spread(shown(plain, street, nil))
	for _, tt := range []struct {
		name   string
		change func(image.Image) image.Image
		turn   uint16 // of the heading that it says
		north  int32  // 1e-7 degrees from where it was taken
		least  int    // percent found
	}{
		{"the same files", nil, 0, 20_000, 100},
		{"compressed again", again, 0, 20_000, 98},
		{"a rim of 2 % cut off", rim(0.02), 0, 20_000, 95},
		{"a rim of 5 % cut off", rim(0.05), 0, 20_000, 95},
		{"mirrored", mirror, 0, 20_000, 95},
		{"compressed again, another heading", again, 900, 20_000, 95},
		{"compressed again, where it was taken", again, 0, 0, 90},
		{"a rim of 2 % cut off, where it was taken", rim(0.02), 0, 0, 60},
	} {
		t.Run(tt.name, func(t *testing.T) {
			used := spread(shown(plain, street, tt.change))
			other := spread(plain) // two days later, some streets further on
			for i := range other {
				other[i].Seen, other[i].SHA256 = used[i].Seen, used[i].SHA256
				other[i].Time = other[i].Time.Add(49 * time.Hour)
				other[i].Lat += tt.north
				other[i].Heading = (other[i].Heading + tt.turn) % 3600
			}
			_, before := weigh(t, station(t, 1, "a", original))
			_, why := weigh(t, station(t, 1, "a", original), station(t, 2, "a", other))
			found := why[1]["no picture used twice"] + why[0]["no picture used twice"] - before[0]["no picture used twice"]
			judged := uint64(len(other)) - sum(why[1]) + why[1]["no picture used twice"]
			t.Logf("%d of %d found", found, judged)
			if 100*found < uint64(tt.least)*judged {
				t.Errorf("%d of %d found, want %d %%", found, judged, tt.least)
			}
		})
	}
}

// Two cars of one make that come by at other times are taken for copies of each
// other rarely, though nothing in the street has changed.
func TestSecondVisit(t *testing.T) {
	street := scene.New(5)
	first := shown(frames(1, way(1, noon(0), 60)), street, nil)
	second := shown(frames(2, way(1, noon(2), 60)), street, func(img image.Image) image.Image {
		b := img.Bounds() // mounted a little to the side
		return img.(*image.RGBA).SubImage(image.Rect(b.Min.X+12, b.Min.Y+7, b.Max.X, b.Max.Y))
	})
	a, _ := believed(window, 0, station(t, 1, "a", first))
	b, _ := believed(window, 1, station(t, 2, "b", second))
	groups, _ := duplicates(append(a, b...))
	shared := 0
	for _, g := range groups {
		if len(g.shots) > 1 {
			shared++
		}
	}
	t.Logf("%d of %d images of the second car are taken for those of the first", shared, len(b))
	if shared*4 > len(b) {
		t.Errorf("%d of %d images of the second car are taken for those of the first, want at most a quarter", shared, len(b))
	}
}

// What other cheats earn, in percent of an honest car on the same way. The numbers
// are in docs/sensing.md.
func TestCheats(t *testing.T) {
	const n = 200
	honest, _ := weigh(t, station(t, 1, "a", frames(1, way(1, noon(0), n))))
	along := func(seed uint64, move func(i int, p *track.Point)) []Frame {
		w := way(seed, noon(0), n)
		for i := range w {
			move(i, &w[i])
		}
		return frames(seed, w)
	}
	dark := frames(1, way(1, noon(0), n))
	for i := range dark {
		dark[i].Seen.Light, dark[i].Seen.Sky = 14, 6
	}
	bright := frames(1, way(1, noon(0).Add(12*time.Hour), n))
	block := func(seed uint64) (all []Frame) { // round and round one block, every day
		for d := range 7 {
			all = append(all, frames(seed*10+uint64(d), way(1, noon(d).Add(time.Duration(seed)*10*time.Minute), n))...)
		}
		return all
	}
	var farm []sensing.Station
	for i := range uint64(10) {
		farm = append(farm, station(t, byte(10+i), "farmer", block(i)))
	}
	for _, tt := range []struct {
		name string
		of   []sensing.Station
		most uint64
	}{
		{"a track between two cities", []sensing.Station{station(t, 2, "b", along(1, func(i int, p *track.Point) { p.Lat += float64(i / 40 % 2) }))}, 0},
		{"a line drawn on the map", []sensing.Station{station(t, 2, "b", along(1, func(i int, p *track.Point) {
			p.Lat, p.Lon, p.Heading = lat+float64(i)*1e-4, lon, 0
		}))}, 0},
		{"drawn with a second of noise here and there", []sensing.Station{station(t, 2, "b", along(1, func(i int, p *track.Point) {
			p.Lat, p.Lon, p.Heading = lat+float64(i)*1e-4, lon+float64(i%30/29)*1e-5, 0
		}))}, 0},
		{"headings at random", []sensing.Station{station(t, 2, "b", along(1, func(i int, p *track.Point) { p.Heading = math.Mod(float64(i)*137.5, 360) }))}, 35},
		{"images of a night by day", []sensing.Station{station(t, 2, "b", dark)}, 0},
		{"images of a day at night", []sensing.Station{station(t, 2, "b", bright)}, 0},
		{"one owner, one car, one block, every day", farm[:1], 190},
		{"one owner, ten cars, one block, every day", farm, 190},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, why := weigh(t, tt.of...)
			all := uint64(0)
			for _, w := range got {
				all += w
			}
			t.Logf("earns %d, an honest car %d: %d %%; %v", all, honest[0], 100*all/honest[0], why[0])
			if 100*all > tt.most*honest[0] {
				t.Errorf("earns %d, an honest car %d, want at most %d %%", all, honest[0], tt.most)
			}
		})
	}
	t.Run("another's images under an own key", func(t *testing.T) {
		stolen := frames(1, way(1, noon(0), n))
		for i := range stolen {
			stolen[i].Time = stolen[i].Time.Add(-time.Second)
		}
		got, _ := weigh(t, station(t, 1, "a", frames(1, way(1, noon(0), n))), station(t, 2, "thief", stolen))
		t.Logf("the owner has %d, the thief %d of %d", got[0], got[1], honest[0])
		if got[0]+got[1] > honest[0] || got[1] > got[0]+got[0]/50 {
			t.Errorf("the owner has %d, the thief %d of %d", got[0], got[1], honest[0])
		}
	})
}
