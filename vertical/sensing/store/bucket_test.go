package store

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/store/storetest"
	"github.com/grange-network/grange/vertical/sensing/weather"
)

// bucket is a store that is not on this machine: its files can only be read
// through.
type bucket struct{ evidence.Store }

func (b bucket) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	body, err := b.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return struct{ io.ReadCloser }{body}, nil
}

func TestFilesInABucket(t *testing.T) {
	l := storetest.NewLog()
	fill(t, l, 2, 3)
	files, err := evidence.NewDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for range 2 { // the second time from the catalogue
		s, err := Open(t.Context(), Config{Dir: dir, Files: bucket{files}, ChainID: storetest.Chain, Registry: l, Kinds: []sensing.Kind{weather.Kind{}}})
		if err == nil {
			err = s.Catch(t.Context(), l)
		}
		if err == nil {
			err = s.Flush(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := len(scan(t, s, everything())); got != 2*3*12 {
			t.Errorf("%d rows, want %d", got, 2*3*12)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	left, err := os.ReadDir(filepath.Join(dir, "work"))
	if err != nil || len(left) != 0 {
		t.Errorf("%d copies are left: %v", len(left), err)
	}
}

// More files than may be open at a time are read again and again: the newest stay,
// and no copy is left behind.
func TestMoreFilesThanAreOpen(t *testing.T) {
	l := storetest.NewLog()
	files, err := evidence.NewDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s, err := Open(t.Context(), Config{Dir: dir, Files: bucket{files}, ChainID: storetest.Chain, Registry: l, Kinds: []sensing.Kind{weather.Kind{}}})
	if err != nil {
		t.Fatal(err)
	}
	s.open.most = 2
	station := storetest.NewStation(t, 1)
	for day := range 4 { // a file each
		l.Add(station, munich, station.Batch(t, storetest.Reading("temperature", start.AddDate(0, 0, day), 10)))
	}
	if err := errors.Join(s.Catch(t.Context(), l), s.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	copies := func() int {
		all, err := os.ReadDir(filepath.Join(dir, "work"))
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	q := everything()
	q.To = start.AddDate(0, 0, 5)
	for range 3 {
		if got := len(scan(t, s, q)); got != 4 {
			t.Fatalf("%d rows, want 4", got)
		}
		if n := copies(); n != 2 || len(s.open.byID) != 2 {
			t.Errorf("%d copies of %d files that are open, want 2 of 2", n, len(s.open.byID))
		}
	}
	if err := s.Close(t.Context()); err != nil || copies() != 0 {
		t.Errorf("%d copies are left: %v", copies(), err)
	}
}
