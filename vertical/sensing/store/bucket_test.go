package store

import (
	"context"
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
