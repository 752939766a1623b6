package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/segment"
)

type row struct {
	Device  uint64 `parquet:"device"`
	Counter uint64 `parquet:"counter,delta"`
	Note    string `parquet:"note"`
}

var kind = segment.Kind[row]{Name: "test", Leaf: func(b []byte, r *row) []byte {
	b = binary.BigEndian.AppendUint64(b, r.Device)
	return append(binary.BigEndian.AppendUint64(b, r.Counter), r.Note...)
}}

func byCounter(a, b *row) int { return int(a.Counter) - int(b.Counter) }

// cutRows makes n rows of 3 cells, from the given counter on.
func cutRows(t testing.TB, from, n int, shuffle uint64) []Cut {
	t.Helper()
	c := &Cutter[row]{Dir: t.TempDir(), Kind: kind, Order: byCounter}
	order := rand.New(rand.NewPCG(shuffle, 0)).Perm(n)
	for _, i := range order {
		i += from
		if err := c.Add(segment.Name{Parent: segment.Cell(0x830000 + i%3), Day: 20000}, row{uint64(i % 5), uint64(i), "n"}); err != nil {
			t.Fatal(err)
		}
	}
	cuts, err := c.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return cuts
}

func collect(t testing.TB, in *Inputs) (counters []int) {
	t.Helper()
	for r, err := range Rows(in, kind) {
		if err != nil {
			t.Fatal(err)
		}
		counters = append(counters, int(r.Counter))
	}
	slices.Sort(counters)
	return counters
}

func span(from, n int) (s []int) {
	for i := range n {
		s = append(s, from+i)
	}
	return s
}

func publish(t testing.TB, a *Archive, epoch uint64, cuts ...Cut) ID {
	t.Helper()
	m, err := a.Publish(t.Context(), "sensing", epoch, cuts)
	if err != nil {
		t.Fatal(err)
	}
	return m.ID
}

func TestArchive(t *testing.T) { onEveryStore(t, conformArchive) }

// conformArchive publishes, fetches, withholds and retains on a store.
func conformArchive(t *testing.T, s Store) {
	a := New(s)
	one := publish(t, a, 7, cutRows(t, 0, 100, 1)...)
	if again := publish(t, a, 7, cutRows(t, 0, 100, 2)...); again != one {
		t.Fatalf("the same rows shuffled make %s, not %s", again, one)
	}
	in, err := a.Fetch(t.Context(), one, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if got := collect(t, in); !slices.Equal(got, span(0, 100)) {
		t.Fatalf("fetched rows %v", got)
	}
	two := publish(t, a, 7, cutRows(t, 100, 10, 1)...)
	ids, err := a.Published(t.Context(), "sensing", 7)
	if err != nil || len(ids) != 2 || !slices.Contains(ids, one) || !slices.Contains(ids, two) {
		t.Fatalf("published %v, %v", ids, err)
	}
	if ids, err := a.Published(t.Context(), "sensing", 70); err != nil || len(ids) != 0 {
		t.Fatalf("published in an epoch without evidence: %v, %v", ids, err)
	}
	nothing := publish(t, a, 8)
	if in, err := a.Fetch(t.Context(), nothing, t.TempDir()); err != nil || len(collect(t, in)) != 0 || nothing.Root != merkle.EmptyRoot() {
		t.Fatalf("an epoch without rows: %v, %v", in, err)
	}
	conformWithheld(t, s, one)
	conformRetained(t, a)
}

// conformWithheld takes away and spoils each file behind a root in turn.
func conformWithheld(t *testing.T, s Store, id ID) {
	a := New(s)
	m, err := a.Manifest(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{id.key()}
	for _, g := range m.Segments {
		keys = append(keys, g.key("sensing"))
	}
	for _, key := range keys {
		good, err := read(t, s, key)
		if err != nil {
			t.Fatal(err)
		}
		middle := len(good) / 2
		for name, bad := range map[string]string{
			"cut": good[:middle], "longer": good + "x", "empty": "", "spoilt": good[:middle] + string(good[middle]^1) + good[middle+1:],
		} {
			if err := s.Put(t.Context(), key, strings.NewReader(bad)); err != nil {
				t.Fatal(err)
			}
			if _, err := a.Fetch(t.Context(), id, t.TempDir()); !errors.Is(err, ErrUnavailable) {
				t.Errorf("%s %s: %v", key, name, err)
			}
		}
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Fetch(t.Context(), id, t.TempDir()); !errors.Is(err, ErrUnavailable) || !errors.Is(err, ErrNotFound) {
			t.Errorf("%s missing: %v", key, err)
		}
		if err := s.Put(t.Context(), key, strings.NewReader(good)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Fetch(t.Context(), id, t.TempDir()); err != nil {
		t.Fatalf("all is back: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Fetch(ended, id, t.TempDir()); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) {
		t.Errorf("an ended context: %v", err)
	}
}

func conformRetained(t *testing.T, a *Archive) {
	shared := cutRows(t, 500, 3, 1)
	old := publish(t, a, 9, append(cutRows(t, 600, 30, 1), shared...)...)
	kept := publish(t, a, 10, shared...)
	removed, err := a.Retain(t.Context(), "sensing", 10)
	if err != nil || removed != 4 {
		t.Fatalf("removed %d manifests, want 4: %v", removed, err)
	}
	if _, err := a.Fetch(t.Context(), old, t.TempDir()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("removed evidence: %v", err)
	}
	in, err := a.Fetch(t.Context(), kept, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if got := collect(t, in); !slices.Equal(got, span(500, 3)) {
		t.Errorf("kept rows %v", got)
	}
	if keys := list(t, a.store, "sensing/segments/"); len(keys) != len(shared) {
		t.Errorf("left in the store: %q", keys)
	}
	if removed, err := a.Retain(t.Context(), "sensing", 10); err != nil || removed != 0 {
		t.Errorf("again: removed %d, %v", removed, err)
	}
}

func TestRetainNeedsEveryLaterManifest(t *testing.T) {
	d, err := NewDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := New(d)
	cuts := cutRows(t, 0, 9, 1)
	publish(t, a, 1, cuts...)
	later := publish(t, a, 2, cuts...)
	if err := d.Put(t.Context(), later.key(), strings.NewReader("{}")); err != nil {
		t.Fatal(err)
	}
	if n, err := a.Retain(t.Context(), "sensing", 2); n != 0 || !errors.Is(err, ErrUnavailable) {
		t.Fatalf("removed %d, %v", n, err)
	}
	if keys := list(t, d, "sensing/segments/"); len(keys) != len(cuts) {
		t.Fatalf("left in the store: %q", keys)
	}
}

// TestFetchGoesOn uses what an earlier fetch left and replaces what is spoilt.
func TestFetchGoesOn(t *testing.T) {
	d, err := NewDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := New(d)
	id := publish(t, a, 1, cutRows(t, 0, 50, 1)...)
	dir := t.TempDir()
	in, err := a.Fetch(t.Context(), id, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in.path(in.Segments[0]), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := d.Delete(t.Context(), in.Segments[1].key("sensing")); err != nil {
		t.Fatal(err)
	}
	if in, err = a.Fetch(t.Context(), id, dir); err != nil || !slices.Equal(collect(t, in), span(0, 50)) {
		t.Fatalf("%v", err)
	}
}

// TestWrongSegment commits to a file that is no segment, or one of another
// name: it is fetched, and its rows are never handed out.
func TestWrongSegment(t *testing.T) {
	for name, spoil := range map[string]func(*Cut){
		"no segment": func(c *Cut) {
			raw := []byte("PAR1 nothing PAR1")
			if err := os.WriteFile(c.File, raw, 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"another cell":  func(c *Cut) { c.Parent++ },
		"another count": func(c *Cut) { c.Rows++ },
		"another root":  func(c *Cut) { c.Root[0]++ },
	} {
		t.Run(name, func(t *testing.T) {
			d, err := NewDir(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			cuts := cutRows(t, 0, 9, 1)
			spoil(&cuts[0])
			raw, err := os.ReadFile(cuts[0].File)
			if err != nil {
				t.Fatal(err)
			}
			cuts[0].Bytes, cuts[0].SHA256 = int64(len(raw)), sha256.Sum256(raw)
			a := New(d)
			in, err := a.Fetch(t.Context(), publish(t, a, 1, cuts...), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			var last error
			for _, err := range Rows(in, kind) {
				last = err
			}
			if !errors.Is(last, ErrUnavailable) {
				t.Fatalf("%v", last)
			}
		})
	}
}

func TestMerge(t *testing.T) {
	one, two := cutRows(t, 0, 30, 1), cutRows(t, 30, 30, 1)
	make := func(cuts ...Cut) Manifest {
		var segments []Segment
		for _, c := range cuts {
			segments = append(segments, c.Segment)
		}
		m, err := NewManifest("sensing", 4, segments)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	a, err1 := Merge(make(one...), make(two...))
	b, err2 := Merge(make(two...), make(append(one, two[0])...), make(one...))
	if err1 != nil || err2 != nil || a.Root != b.Root || len(a.Segments) != len(one)+len(two) {
		t.Fatalf("%v, %v: %s with %d, %s with %d", err1, err2, a.Root, len(a.Segments), b.Root, len(b.Segments))
	}
	other, _ := NewManifest("sensing", 5, nil)
	if _, err := Merge(a, other); err == nil {
		t.Fatal("two epochs are merged")
	}
}

func TestCutterIsBounded(t *testing.T) {
	c := &Cutter[row]{Dir: t.TempDir(), Kind: kind, MaxHeld: 1000}
	for i := range 1000 {
		if err := c.Add(segment.Name{Parent: segment.Cell(1 + i%2), Day: 1}, row{1, uint64(i), "0123456789"}); err != nil {
			t.Fatal(err)
		}
		if c.held > 1000 {
			t.Fatalf("%d bytes are held", c.held)
		}
	}
	cuts, err := c.Finish()
	if err != nil || len(cuts) < 20 {
		t.Fatalf("%d cuts, %v", len(cuts), err)
	}
	rows := uint64(0)
	for _, k := range cuts {
		rows += k.Rows
	}
	left, _ := filepath.Glob(c.Dir + "/*")
	if rows != 1000 || len(left) != len(cuts) || c.held != 0 {
		t.Fatalf("%d rows in %d files, %d bytes held", rows, len(left), c.held)
	}
	if err := c.Add(segment.Name{}, row{Note: strings.Repeat("x", segment.MaxLeaf)}); err == nil {
		t.Fatal("a long row is taken")
	}
	for i := range 1000 { // given up half way
		if err := c.Add(segment.Name{Parent: 1, Day: 1}, row{1, uint64(i), "0123456789"}); err != nil {
			t.Fatal(err)
		}
	}
	if now, _ := filepath.Glob(c.Dir + "/*"); len(now) <= len(cuts) {
		t.Fatalf("%d files, want more than the %d that were returned", len(now), len(cuts))
	}
	c.Drop()
	if now, _ := filepath.Glob(c.Dir + "/*"); !slices.Equal(now, left) || c.held != 0 {
		t.Fatalf("after Drop there are %d files, %d bytes held; want the %d that were returned", len(now), c.held, len(left))
	}
}

func FuzzDecodeManifest(f *testing.F) {
	c := segment.Summary{Name: segment.Name{Kind: "weather", Parent: 0x832830fffffffff, Day: 20000}, Rows: 12, Root: merkle.Hash{1}, Bytes: 3456}
	m, err := NewManifest("sensing", 12, []Segment{{c, [32]byte{2}}, {c, [32]byte{3}}})
	if err != nil {
		f.Fatal(err)
	}
	raw, err := m.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := DecodeManifest(raw)
		if err != nil {
			return
		}
		if again, err := m.Encode(); err != nil || !bytes.Equal(again, raw) {
			t.Fatalf("%v: not the same bytes", err)
		}
	})
}

func TestManifestVector(t *testing.T) {
	c := segment.Summary{Name: segment.Name{Kind: "weather", Parent: 0x832830fffffffff, Day: 20000}, Rows: 12, Root: merkle.Hash{1}, Bytes: 3456}
	m, err := NewManifest("sensing", 12, []Segment{{c, [32]byte{2}}, {c, [32]byte{3}}})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "manifest.json")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(raw, want) {
		t.Fatalf("%v: got\n%s", err, raw)
	}
	if d, err := DecodeManifest(want); err != nil || d.ID != m.ID {
		t.Fatalf("%v, %v", d.ID, err)
	}
	for _, change := range [][2]string{{`"rows": "12"`, `"rows": "13"`}, {"3456", "3457"}, {`"version": 1`, `"version": 2`}, {"weather", "Weather"}, {"2024-10-04", "2024-10-4"}} {
		if _, err := DecodeManifest([]byte(strings.Replace(string(want), change[0], change[1], 1))); err == nil {
			t.Errorf("%s for %s is taken", change[1], change[0])
		}
	}
}
