package images

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/conformance"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/images/picture"
	"github.com/grange-network/grange/vertical/sensing/images/scene"
	"github.com/grange-network/grange/vertical/sensing/sensingtest"
	"github.com/grange-network/grange/vertical/sensing/track"
	"github.com/grange-network/grange/vertical/sensing/track/drive"
)

var began = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

var window = sensing.Window{Began: began, Ended: began.Add(span)}

// noon of a day of the week, at which the sun is high in Munich.
func noon(day int) time.Time { return began.Add(time.Duration(day)*24*time.Hour + 11*time.Hour) }

const lat, lon = 48.14, 11.57

// way is a drive of n points, one a second.
func way(seed uint64, at time.Time, n int) []track.Point {
	return drive.Drive(rand.New(rand.NewPCG(seed, 1)), at.UnixMilli(), n, 1, lat, lon)
}

// frames are images along a way that look like nothing else.
func frames(seed uint64, way []track.Point) []Frame {
	rnd := rand.New(rand.NewPCG(seed, 2))
	out := make([]Frame, len(way))
	for i, p := range way {
		out[i] = Frame{
			Time: time.UnixMilli(p.Time).UTC(), Lat: int32(p.Lat * 1e7), Lon: int32(p.Lon * 1e7), Heading: uint16(p.Heading*10) % 3600,
			Key: fmt.Sprintf("street/%d-%d.jpg", seed, i), Size: 100_000, Camera: "test",
			Seen: picture.Seen{Width: 1920, Height: 1080, Light: uint8(90 + rnd.IntN(40)), Sky: 180},
		}
		for k := range out[i].Seen.Hashes {
			out[i].Seen.Hashes[k] = picture.Hash(rnd.Uint64())
		}
		out[i].SHA256 = sha256.Sum256([]byte(out[i].Key))
	}
	return out
}

// shown makes frames show pictures: each of a street, where it is along it.
func shown(of []Frame, street *scene.Street, change func(image.Image) image.Image) []Frame {
	out := slices.Clone(of)
	z := 0.0
	for i := range out {
		if i > 0 {
			z += track.Distance(out[i-1].point(), out[i].point())
		}
		img, _ := street.View(z, 288, 192)
		var shot image.Image = img
		if change != nil {
			shot = change(img)
		}
		file := scene.JPEG(shot, 90)
		seen, err := picture.Look(file)
		if err != nil {
			panic(err)
		}
		out[i].Seen, out[i].SHA256, out[i].Size = seen, sha256.Sum256(file), uint32(len(file))
	}
	return out
}

func payload(t testing.TB, f []Frame) []byte {
	t.Helper()
	p, err := Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func station(t testing.TB, id byte, owner string, f []Frame) sensing.Station {
	t.Helper()
	s := sensing.Station{Device: vertical.Device{ID: [32]byte{id}, Owner: owner}}
	var batches []*sensing.Batch
	for part := range slices.Chunk(f, 150) {
		batches = append(batches, &sensing.Batch{Content: Content, Payload: payload(t, part)})
	}
	s.Batches = slices.Values(batches)
	return s
}

// weigh returns the weight of each station and how many of its images were refused
// for each reason.
func weigh(t testing.TB, stations ...sensing.Station) (weights []uint64, refused []map[string]uint64) {
	t.Helper()
	parts, err := Kind{}.Weigh(t.Context(), window, stations)
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range parts {
		w, err := vertical.Line{Parts: of}.Weight()
		if err != nil {
			t.Fatal(err)
		}
		why := map[string]uint64{}
		for _, p := range of {
			if p.Name == "images refused" {
				why[p.Terms[0].Name] += p.Terms[0].Of
			}
		}
		weights, refused = append(weights, w), append(refused, why)
	}
	return weights, refused
}

func TestRoundTrip(t *testing.T) {
	want := frames(1, way(1, noon(0), MaxFrames))
	want[3].Heading = NoHeading
	p := payload(t, want)
	got, err := Decode(p)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("frames do not come back: %v", err)
	}
	if len(p) > sensing.MaxBatch-1024 {
		t.Errorf("%d frames have %d bytes, too many for a batch", len(want), len(p))
	}
	first, last, err := Format{}.Times(p)
	if err != nil || !first.Equal(want[0].Time) || !last.Equal(want[len(want)-1].Time) {
		t.Errorf("times %v to %v, %v", first, last, err)
	}
}

func TestMalformed(t *testing.T) {
	for name, spoil := range map[string]func(*Frame){
		"no key":   func(f *Frame) { f.Key = "" },
		"long key": func(f *Frame) { f.Key = string(make([]byte, 201)) },
		"no size":  func(f *Frame) { f.Size = 0 },
		"too wide": func(f *Frame) { f.Seen.Width = 70_000 },
		"latitude": func(f *Frame) { f.Lat = -91e7 },
		"heading":  func(f *Frame) { f.Heading = 3600 },
		"time":     func(f *Frame) { f.Time = time.UnixMilli(-1) },
	} {
		f := frames(1, way(1, noon(0), 1))
		spoil(&f[0])
		if _, err := Encode(f); err == nil {
			t.Errorf("%s: is encoded", name)
		}
	}
	if _, err := Decode([]byte{0x83, 2, 0, 0x80}); !errors.Is(err, ErrMalformed) {
		t.Errorf("version 2: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(payload(f, frames(1, way(1, noon(0), 3))))
	f.Fuzz(func(t *testing.T, p []byte) {
		got, err := Decode(p)
		if err != nil {
			return
		}
		again, err := Encode(got)
		if err != nil {
			t.Fatalf("what was decoded is not encoded: %v", err)
		}
		if back, err := Decode(again); err != nil || !reflect.DeepEqual(back, got) {
			t.Fatalf("comes back as %v, %v", back, err)
		}
	})
}

// Who has the stored image finds out whether its record is true.
func TestAudit(t *testing.T) {
	img, _ := scene.New(1).View(0, 480, 270)
	got, err := picture.Prepare(scene.JPEG(img, 90), 1)
	if err != nil {
		t.Fatal(err)
	}
	f := Frame{Key: "b/k", SHA256: sha256.Sum256(got.JPEG), Size: uint32(len(got.JPEG)), Seen: got.Seen}
	if err := Audit(f, got.JPEG); err != nil {
		t.Error(err)
	}
	f.Seen.Light += 2
	f.Seen.Hashes[1] ^= 3
	if err := Audit(f, got.JPEG); err != nil {
		t.Errorf("decoded a little otherwise: %v", err)
	}
	f.Seen.Light++
	if err := Audit(f, got.JPEG); !errors.Is(err, ErrUnlike) {
		t.Errorf("another brightness: %v", err)
	}
	if err := Audit(f, scene.JPEG(img, 50)); !errors.Is(err, ErrUnlike) {
		t.Errorf("another image: %v", err)
	}
}

// Half alone, the whole with a second owner, and a second image of a cell counts
// by its age.
func TestWorth(t *testing.T) {
	a, b := frames(1, way(1, noon(0), 300)), frames(2, way(1, noon(0).Add(time.Hour), 300))
	alone, _ := weigh(t, station(t, 1, "a", a))
	both, _ := weigh(t, station(t, 1, "a", a), station(t, 2, "b", b))
	own, _ := weigh(t, station(t, 1, "a", a), station(t, 2, "a", b))
	week, _ := weigh(t, station(t, 1, "a", append(a, frames(3, way(1, noon(6), 300))...)))
	t.Logf("alone %v, with another owner %v, with an own second car %v, six days later again %v", alone, both, own, week)
	if both[0] < alone[0]*19/10 {
		t.Errorf("with another owner %d, alone %d: want about twice as much", both[0], alone[0])
	}
	if own[0]+own[1] > alone[0]+alone[0]/50 {
		t.Errorf("an owner with two cars has %v, with one %v", own, alone)
	}
	if got := float64(week[0]) / float64(alone[0]); math.Abs(got-(1+6.0/7)) > 0.1 {
		t.Errorf("six days later the same way is worth %.2f of the first", got-1)
	}
	if freshness(noon(0), noon(0).Add(84*time.Hour)) != whole/2 || freshness(noon(0), noon(20)) != whole {
		t.Error("half a week is not worth a half, or more than a week not one")
	}
}

func TestLight(t *testing.T) {
	at := func(hour int, light, sky uint8) Frame {
		return Frame{Time: began.Add(time.Duration(hour) * time.Hour), Lat: lat * 1e7, Lon: lon * 1e7, Seen: picture.Seen{Light: light, Sky: sky}}
	}
	for _, tt := range []struct {
		name string
		f    Frame
		want bool
	}{
		{"by day", at(11, 110, 190), true},
		{"in a dim tunnel by day", at(11, 40, 30), true},
		{"a night by day", at(11, 15, 5), false},
		{"at night under lamps", at(23, 60, 30), true},
		{"a day at night", at(23, 110, 190), false},
		{"at dusk", at(17, 40, 150), true},
	} {
		if got := tt.f.lit(); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// A cell is told with each of its pictures once, whose nobody disputes, and the
// newest one goes out only if it is what its record says.
func TestCoverage(t *testing.T) {
	first, second := frames(1, way(1, noon(0), 100)), frames(2, way(1, noon(3), 100))
	stations := []sensing.Station{station(t, 1, "a", first), station(t, 2, "b", second), station(t, 3, "thief", second[:40])}
	coverage := Kind{}.Products()[0]
	got, err := coverage.Derive(t.Context(), window, stations)
	if err != nil {
		t.Fatal(err)
	}
	images, both := 0, 0
	for _, f := range got {
		v := f.Values
		images += int(v[0])
		if v[1] == 2 {
			both++
			if at := time.Unix(int64(v[3]), 0); at.Before(noon(3)) || !time.Unix(int64(v[2]), 0).Before(noon(1)) || f.Object.Device != [32]byte{2} || len(f.Devices) != 2 {
				t.Errorf("cell %s: %+v", f.Cell, f)
			}
		}
	}
	if images < 150 || images > 160 || both < len(got)/4 {
		t.Errorf("%d images in %d cells, in %d of them of both; want those of 160 that nobody else says are his", images, len(got), both)
	}
	if _, err := coverage.Release(got[0].Object.Record, []byte("another picture")); !errors.Is(err, ErrUnlike) {
		t.Errorf("another picture than the record's: %v", err)
	}
}

func TestConformance(t *testing.T) {
	conformance.Run(t, sensing.Vertical{Kinds: []sensing.Kind{Kind{}}}, func(k int) conformance.World { return world(t, k) },
		conformance.Decoder{Name: "frames", Decode: func(p []byte) error { _, err := Decode(p); return err }, Valid: payload(t, frames(1, way(1, noon(0), 5)))})
}

// world is a week in which an owner tells what one camera saw with k keys, some of
// it twice, beside another owner on the same way.
func world(t *testing.T, k int) conformance.World {
	w := conformance.World{Epoch: 5, Began: window.Began.Unix(), Ended: window.Ended.Add(sensing.Settle).Unix()}
	var rows []sensing.Row
	add := func(seed byte, owner string, f []Frame) [32]byte {
		s := sensingtest.NewSigner(seed)
		w.Devices = append(w.Devices, vertical.Device{ID: s.PublicKey().ID(), Owner: owner, Class: vertical.PRN})
		var previous sensing.Hash
		counter := uint64(0)
		for part := range slices.Chunk(f, 100) {
			counter++
			b, err := sensing.SealPayload(s, conformance.ChainID, counter, previous, Content, payload(t, part))
			if err != nil {
				t.Fatal(err)
			}
			previous = b.Hash
			rows = append(rows, sensing.RowOf(s.PublicKey(), b.Raw))
		}
		return s.PublicKey().ID()
	}
	split := make([][]Frame, k)
	for i, f := range frames(1, way(1, noon(0), 300)) {
		split[i%k] = append(split[i%k], f)
		if k > 1 {
			split[(i+1)%k] = append(split[(i+1)%k], f)
		}
	}
	for i := range split {
		w.Subject = append(w.Subject, add(byte(10+i), "farmer", split[i]))
	}
	add(1, "other", frames(2, way(1, noon(2), 300)))
	lying, file := lie(frames(3, way(1, noon(3), 300)), 7)
	add(2, "liar", lying)
	w.Evidence = []conformance.Rows{
		conformance.Of(sensing.Batches, func(sensing.Row) segment.Name { return segment.Name{Day: segment.DayOf(began)} }, rows...),
		conformance.Of(sensing.Files, func(sensing.Part) segment.Name { return segment.Name{Day: segment.DayOf(began)} }, parts(t, file)...),
	}
	return w
}

// again compresses a picture once more.
func again(img image.Image) image.Image {
	out, err := jpeg.Decode(bytes.NewReader(scene.JPEG(img, 40)))
	if err != nil {
		panic(err)
	}
	return out
}
