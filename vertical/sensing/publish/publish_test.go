package publish

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/ingest"
	"github.com/grange-network/grange/vertical/sensing/store/storetest"
	"github.com/grange-network/grange/vertical/sensing/weather"
)

var noon = time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)

// An epoch's evidence is all batches that it may weigh, those that came late too, each
// once; what no epoch weighs any more is forgotten, and the log may let it go.
func TestPublish(t *testing.T) {
	dir, clock := t.TempDir(), noon
	log, station := storetest.NewLog(), storetest.NewStation(t, 1)
	cell := h3.At(48.14, 11.57, h3.PublishedResolution)
	server, err := ingest.Open(ingest.Config{
		Dir: filepath.Join(dir, "log"), ChainID: storetest.Chain, Registry: log, Kinds: []sensing.Kind{weather.Kind{}}, Now: func() time.Time { return clock },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	files, err := evidence.NewDir(filepath.Join(dir, "archive"))
	if err != nil {
		t.Fatal(err)
	}
	archive := evidence.New(files)
	p := &Publisher{Log: server, Registry: log, Archive: archive, Dir: filepath.Join(dir, "segments"), ChainID: storetest.Chain, Kinds: []sensing.Kind{weather.Kind{}}}
	send := func(at time.Time) {
		t.Helper()
		b := station.Batch(t, storetest.Reading("temperature", at, float64(at.Minute())))
		log.Add(station, cell, b)
		if _, err := server.Accept(t.Context(), b.Raw); err != nil {
			t.Fatal(err)
		}
	}
	// published ends an epoch, and counts the batches of its evidence.
	published := func(epoch uint64) (batches int) {
		t.Helper()
		if err := p.Publish(t.Context(), epoch, clock); err != nil {
			t.Fatal(err)
		}
		ids, err := archive.Published(t.Context(), sensing.Name, epoch)
		if err != nil {
			t.Fatal(err)
		}
		var roots []merkle.Hash
		for _, id := range ids {
			roots = append(roots, id.Root)
		}
		in, err := archive.FetchAll(t.Context(), sensing.Name, epoch, roots, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		seen := map[sensing.Hash]bool{}
		for row, err := range evidence.Rows(in, sensing.Batches) {
			if err != nil {
				t.Fatal(err)
			}
			b, err := row.Open(storetest.Chain)
			if err != nil || seen[b.Hash] {
				t.Fatalf("batch %v, there before: %t, %v", b, b != nil && seen[b.Hash], err)
			}
			seen[b.Hash] = true
		}
		return len(seen)
	}

	send(noon.Add(-10 * time.Minute))
	if n := published(7); n != 1 {
		t.Errorf("%d batches of the first epoch, want 1", n)
	}
	clock = noon.Add(20 * time.Minute)
	send(noon.Add(-90 * time.Minute)) // late, and of another hour
	send(noon.Add(-5 * time.Minute))  // of the hour that was cut already
	send(noon.Add(15 * time.Minute))
	for epoch := uint64(8); epoch < 10; epoch++ {
		if n := published(epoch); n != 4 {
			t.Errorf("%d batches of epoch %d, want 4", n, epoch)
		}
	}
	if first, _ := server.Kept(); p.Needed() != first {
		t.Errorf("needed from record %d on, want %d", p.Needed(), first)
	}
	clock = noon.Add(2 * 24 * time.Hour)
	if n := published(10); n != 0 {
		t.Errorf("%d batches two days later, want none", n)
	}
	if _, next := server.Kept(); p.Needed() != next {
		t.Errorf("needed from record %d on, want none before %d", p.Needed(), next)
	}
	if left, err := os.ReadDir(p.Dir); err != nil || len(left) != 0 {
		t.Errorf("%d segments are left: %v", len(left), err)
	}
}
