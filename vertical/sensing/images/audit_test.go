package images

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/images/picture"
	"github.com/grange-network/grange/vertical/sensing/images/scene"
	"github.com/grange-network/grange/vertical/sensing/sensingtest"
)

// lie makes frame i of a real image and its record untrue.
func lie(of []Frame, i int) ([]Frame, []byte) {
	out, file := honest(of, i)
	out[i].Seen.Hashes[0] ^= 0xff00
	return out, file
}

// honest makes frame i of a real image.
func honest(of []Frame, i int) ([]Frame, []byte) {
	out := slices.Clone(of)
	img, _ := scene.New(9).View(float64(i), 480, 270)
	file := scene.JPEG(img, 90)
	seen, err := picture.Look(file)
	if err != nil {
		panic(err)
	}
	out[i].Seen, out[i].SHA256, out[i].Size = seen, sha256.Sum256(file), uint32(len(file))
	return out, file
}

func parts(t testing.TB, file []byte) []sensing.Part {
	t.Helper()
	p, err := sensing.PartsOf(file)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What is wrong with a record is found in its own file, whatever it is; what is
// not wrong costs nothing.
func TestUntrueRecords(t *testing.T) {
	plain := frames(1, way(1, noon(0), 60))
	for _, tt := range []struct {
		name  string
		spoil func(*Frame)
		want  uint64 // images that are not as they should be
	}{
		{"honest", func(*Frame) {}, 0},
		{"decoded a little otherwise", func(f *Frame) { f.Seen.Hashes[2] ^= 3; f.Seen.Sky++ }, 0},
		{"another hash", func(f *Frame) { f.Seen.Hashes[0] = ^f.Seen.Hashes[0] }, 1},
		{"another hash of its middle", func(f *Frame) { f.Seen.Hashes[2] ^= 7 }, 1},
		{"brighter", func(f *Frame) { f.Seen.Light += 40 }, 1},
		{"a darker sky", func(f *Frame) { f.Seen.Sky -= 40 }, 1},
		{"wider", func(f *Frame) { f.Seen.Width *= 2 }, 1},
		{"larger", func(f *Frame) { f.Size++ }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			of, file := honest(plain, 30)
			tt.spoil(&of[30])
			s, other := station(t, 1, "a", of), station(t, 2, "b", frames(2, way(1, noon(1), 60)))
			before, _ := weigh(t, s, other)
			alone, _ := weigh(t, other)
			s.Files = map[sensing.Hash][]byte{sha256.Sum256(file): file}
			other.Files = s.Files
			got, why := weigh(t, s, other)
			if n := why[0]["as their records say"]; n != tt.want {
				t.Fatalf("%d images are not as their records say, want %d", n, tt.want)
			}
			if tt.want == 0 && !slices.Equal(got, before) {
				t.Errorf("weights were %v and are %v", before, got)
			}
			if tt.want > 0 && (before[0] == 0 || got[0] != 0 || got[1] != alone[0]) {
				t.Errorf("weights were %v and are %v; the other's without the liar is %d", before, got, alone[0])
			}
		})
	}
}

// Nobody can be framed: whatever is published, only a file that a device signed an
// untrue record of changes anything.
func TestForgedFiles(t *testing.T) {
	good, right := honest(frames(1, way(1, noon(0), 60)), 20)
	bad, proof := lie(frames(2, way(2, noon(1), 60)), 30)
	big := append(bytes.Clone(proof), make([]byte, 100_000)...) // of several parts
	spoilt := parts(t, bytes.Clone(proof))
	spoilt[0].Bytes[7] ^= 1
	moved := parts(t, big)
	moved[0].Index, moved[1].Index = 1, 0
	beyond := parts(t, proof)
	beyond[0].Index = 1 << 31
	endless := parts(t, proof)
	endless[0].Sums = append(bytes.Clone(endless[0].Sums), 1, 2, 3)
	honestly := score(t, good, bad)
	if honestly[0] == 0 || honestly[1] == 0 {
		t.Fatalf("weights without any file are %v", honestly)
	}
	for name, p := range map[string][]sensing.Part{
		"the honest device's own image": parts(t, right), "other bytes": spoilt, "parts in each other's place": moved, "a part beyond the file": beyond,
		"sums that are none": endless, "a part is missing": parts(t, big)[1:], "a longer file": parts(t, big), "no parts": {{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := score(t, good, bad, p); !slices.Equal(got, honestly) {
				t.Errorf("weights are %v, want %v", got, honestly)
			}
		})
	}
	all := append(append(append(append(spoilt, moved...), beyond...), parts(t, proof)...), parts(t, right)...)
	if got := score(t, good, bad, all, parts(t, proof)); got[0] == 0 || got[1] != 0 {
		t.Errorf("weights among forgeries are %v, want something and nothing", got)
	}
}

// score weighs two devices by evidence with files.
func score(t *testing.T, a, b []Frame, files ...[]sensing.Part) []uint64 {
	t.Helper()
	const chain = "test-1"
	reg := registered{}
	at := func(any) segment.Name { return segment.Name{Day: segment.DayOf(began)} }
	dir := t.TempDir()
	batches, parts := evidence.Cutter[sensing.Row]{Dir: dir, Kind: sensing.Batches}, evidence.Cutter[sensing.Part]{Dir: dir, Kind: sensing.Files}
	var ids [][32]byte
	for i, f := range [][]Frame{a, b} {
		s := sensingtest.NewSigner(byte(i + 1))
		sealed, err := sensing.SealPayload(s, chain, 1, sensing.Hash{}, Content, payload(t, f))
		if err != nil {
			t.Fatal(err)
		}
		if err := batches.Add(at(0), sensing.RowOf(s.PublicKey(), sealed.Raw)); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, sealed.Device)
		reg[sealed.Device] = vertical.Device{ID: sealed.Device, Owner: string(rune('a' + i)), Class: vertical.PRN}
	}
	for _, of := range files {
		for _, p := range of {
			if err := parts.Add(at(0), p); err != nil {
				t.Fatal(err)
			}
		}
	}
	cuts, err := batches.Finish()
	more, err2 := parts.Finish()
	if err = errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	store, err := evidence.NewDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	archive := evidence.New(store)
	m, err := archive.Publish(t.Context(), sensing.Name, 1, append(cuts, more...))
	if err != nil {
		t.Fatal(err)
	}
	in := vertical.Input{ChainID: chain, Epoch: 1, Ended: window.Ended.Add(sensing.Settle).Unix(), Registry: reg}
	if in.Evidence, err = archive.Fetch(t.Context(), m.ID, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	lines, err := sensing.Vertical{Kinds: []sensing.Kind{Kind{}}}.Score(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]uint64, len(ids))
	for _, l := range lines {
		if out[slices.Index(ids, l.Device)], err = l.Weight(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

type registered map[[32]byte]vertical.Device

func (k registered) Device(id [32]byte) (vertical.Device, bool) { d, ok := k[id]; return d, ok }

// All verifiers must see the same in one file. When this fails after a change of
// the compiler, its decoder has changed: verifiers with the one before would
// disagree near the limits.
func TestEverybodySeesTheSame(t *testing.T) {
	file, err := os.ReadFile("testdata/street.jpg")
	if err != nil {
		t.Fatal(err)
	}
	want := picture.Seen{Width: 320, Height: 200, Hashes: picture.Hashes{10828178194310692864, 10832681793938065728, 15443734493701433706}, Light: 119, Sky: 168}
	if got, err := picture.Look(file); err != nil || got != want {
		t.Errorf("seen is %+v, %v; want %+v", got, err, want)
	}
	many := append(bytes.Clone(file), bytes.Repeat([]byte{0xff, 0xda}, 20)...)
	if _, err := picture.Look(many); err == nil || !strings.Contains(err.Error(), "scans") {
		t.Errorf("a file of many scans: %v", err)
	}
}
