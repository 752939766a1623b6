package s3

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/versity/versitygw/backend"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/grange-network/grange/vertical/storage/s3/internal/catalog"
	"github.com/grange-network/grange/vertical/storage/s3/internal/journal"
)

const (
	inlineLimit = 4 << 10    // objects up to this size live in the catalog
	smallLimit  = 1 << 20    // objects below this size go through the journal
	packSize    = MaxSegment // most bytes of one pack
	maxParts    = 10000
)

// door is the backend behind the S3 front end.
type door struct {
	backend.BackendUnsupported

	cfg  Config
	log  *slog.Logger
	seg  Segments
	cat  *catalog.DB
	jr   *journal.Journal
	pins pins
	now  func() time.Time
	puts origins // of what is in the journal

	base   context.Context // of work in the background and of Segments calls
	cancel context.CancelFunc
	work   sync.WaitGroup

	packing   sync.Mutex    // one pack at a time, so that no blob is stored twice
	packs     chan struct{} // something was journaled
	damaged   sync.Map      // BlobID: journaled blobs that cannot be read
	journaled atomic.Int64  // bytes in the journal, or a little more
	garbage   chan struct{} // something was discarded
}

var _ backend.Backend = (*door)(nil)

// open opens the door's files, tidies up after a crash and starts the work in
// the background.
func open(ctx context.Context, cfg Config) (*door, error) {
	if err := os.MkdirAll(cfg.Home, 0o700); err != nil {
		return nil, fmt.Errorf("create s3 home: %w", err)
	}
	if err := os.RemoveAll(filepath.Join(cfg.Home, "spool")); err != nil {
		return nil, fmt.Errorf("empty spool: %w", err)
	}
	cat, err := catalog.Open(filepath.Join(cfg.Home, "catalog.db"))
	if err != nil {
		return nil, err
	}
	jr, err := journal.Open(filepath.Join(cfg.Home, "journal"), packSize)
	if err != nil {
		_ = cat.Close()
		return nil, err
	}
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d := &door{
		cfg: cfg, log: cfg.Logger, seg: cfg.Segments, cat: cat, jr: jr, now: time.Now,
		base: base, cancel: cancel,
		packs: make(chan struct{}, 1), garbage: make(chan struct{}, 1),
	}
	if err := d.recover(ctx); err != nil {
		_ = d.close()
		return nil, err
	}
	d.work.Go(d.packLoop)
	d.work.Go(d.collectLoop)
	d.work.Go(d.expireLoop)
	signal(d.packs)
	signal(d.garbage)
	return d, nil
}

// close stops the work in the background and closes the files.
func (d *door) close() error {
	d.cancel()
	d.work.Wait()
	jerr := d.jr.Close()
	if err := d.cat.Close(); err != nil {
		return fmt.Errorf("close catalog: %w", err)
	}
	return jerr
}

// String names the backend in the front end's messages.
func (d *door) String() string { return "grange" }

// Shutdown is called by the front end after its last request. Serve closes the
// door itself, because the front end does not call this when it fails to start.
func (d *door) Shutdown() {}

// request returns a context for Segments calls of a request: the front end's
// own must not be used after the request and ends only with the server.
func (d *door) request(ctx context.Context) (context.Context, context.CancelFunc) {
	out := d.base
	if s, ok := spanOf(ctx); ok {
		out = oteltrace.ContextWithSpan(out, s)
	}
	return context.WithCancel(out)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// update runs fn as a catalog change and wakes whoever has to act on it.
func (d *door) update(fn func(*catalog.Tx) error) error {
	err := d.cat.Update(d.base, fn)
	signal(d.garbage)
	return err
}
