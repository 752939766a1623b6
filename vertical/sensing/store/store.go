package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/ingest"
)

// Registry knows devices. Both methods return ingest.ErrUnknown for one that is
// not registered.
type Registry interface {
	Key(ctx context.Context, id device.ID) (device.PublicKey, error)
	// Cell is where the ledger has the device; 0: nowhere.
	Cell(ctx context.Context, id device.ID) (h3.Cell, error)
}

// Config is what a store needs. Zero limits take the defaults.
type Config struct {
	Dir      string         // for files under way, and for all when Files is nil
	Files    evidence.Store // nil: Dir/files
	ChainID  string
	Registry Registry
	Kinds    []sensing.Kind
	Logger   *slog.Logger

	FlushRows  int           // rows in memory that make a flush; 200,000
	FlushEvery time.Duration // 10 min
}

func (c Config) withDefaults() (Config, error) {
	c.FlushRows = cmp.Or(c.FlushRows, 200_000)
	c.FlushEvery = cmp.Or(c.FlushEvery, 10*time.Minute)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(filepath.Join(c.Dir, "work"), 0o755); err != nil {
		return c, fmt.Errorf("open store of observations: %w", err)
	}
	if c.Files == nil {
		files, err := evidence.NewDir(filepath.Join(c.Dir, "files"))
		if err != nil {
			return c, err
		}
		c.Files = files
	}
	return c, nil
}

// key names the files and the rows of a kind, place and day.
type key struct {
	kind   string
	parent h3.Cell
	day    segment.Day
}

// table is rows in memory by cell, each in the order in which they came.
type table map[h3.Cell][]Row

// Store keeps rows. It is safe for concurrent use.
//
// Locks: flushing before mu; mu is held for work in memory only.
type Store struct {
	cfg    Config
	kinds  []sensing.KindInfo
	moving map[string]bool
	open   *opened

	flushing sync.Mutex // one flush at a time

	mu       sync.RWMutex
	next     uint64 // in the log: all before it is here
	flushed  uint64 // all before it is in files
	memory   map[key]table
	leaving  map[key]table // being flushed
	held     int           // rows of memory
	files    map[key][]evidence.Segment
	stale    []evidence.Segment // compacted away; removed by the next flush
	streams  []*Stream
	byKey    map[streamKey]*Stream
	things   map[device.ID]thing
	watchers map[*Watcher]struct{}
	skipped  uint64
}

// Open reads the catalogue.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{
		cfg: cfg, moving: map[string]bool{}, memory: map[key]table{}, files: map[key][]evidence.Segment{},
		byKey: map[streamKey]*Stream{}, things: map[device.ID]thing{}, watchers: map[*Watcher]struct{}{},
	}
	s.open = newOpened(cfg.Files, filepath.Join(cfg.Dir, "work"))
	for _, k := range cfg.Kinds {
		info := k.Info()
		s.kinds = append(s.kinds, info)
		s.moving[info.Name] = info.Cells == (sensing.Cells{})
	}
	if err := s.load(ctx); err != nil {
		return nil, fmt.Errorf("open store of observations: %w", err)
	}
	return s, nil
}

// Close flushes what is in memory and closes files.
func (s *Store) Close(ctx context.Context) error {
	err := s.Flush(ctx)
	s.mu.Lock()
	for w := range s.watchers {
		w.end(ErrClosed)
	}
	s.mu.Unlock()
	return errors.Join(err, s.open.close())
}

// Next is the place in the log from which Append wants entries.
func (s *Store) Next() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.next
}

// Flushed is the place in the log before which the store needs nothing any more.
func (s *Store) Flushed() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.flushed
}

// Kinds are what the store holds readings of.
func (s *Store) Kinds() []sensing.KindInfo { return s.kinds }

// Moving reports whether the devices of a kind move, so that single rows of it
// are nobody's business.
func (s *Store) Moving(kind string) bool { return s.moving[kind] }

// Append takes an entry of the log. Entries come in order, from Next on; one that
// is here already is passed over, as is one that holds nothing to keep.
func (s *Store) Append(ctx context.Context, e ingest.Entry) error {
	if e.Seq < s.Next() {
		return nil
	}
	rows, err := s.decode(ctx, e)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Seq < s.next {
		return nil
	}
	s.next = e.Seq + 1
	if len(rows) == 0 {
		s.skipped++
	}
	for i := range rows {
		r := &rows[i]
		r.QC = flag(&r.Row, s.before(&r.Row))
		if !s.note(r) {
			s.skipped++
			continue
		}
		k := key{r.kind, h3.Cell(r.Cell).Parent(ParentResolution), segment.DayOf(time.UnixMilli(r.Time))}
		t := s.memory[k]
		if t == nil {
			t = table{}
			s.memory[k] = t
		}
		t[h3.Cell(r.Cell)] = append(t[h3.Cell(r.Cell)], r.Row)
		s.held++
		s.tell(Event{Mark{e.Seq, uint32(i)}, r.kind, r.Row})
	}
	return nil
}

// decode reads the rows of an entry. An error means that it should be tried
// again: the ledger did not answer.
func (s *Store) decode(ctx context.Context, e ingest.Entry) ([]kinded, error) {
	if e.Fork {
		return nil, nil
	}
	k, err := s.cfg.Registry.Key(ctx, e.Device)
	if err != nil && !errors.Is(err, ingest.ErrUnknown) {
		return nil, fmt.Errorf("store record %d: %w", e.Seq, err)
	}
	cell := h3.Cell(0)
	if err == nil {
		cell, err = s.cfg.Registry.Cell(ctx, e.Device)
	}
	if err != nil && !errors.Is(err, ingest.ErrUnknown) {
		return nil, fmt.Errorf("store record %d: %w", e.Seq, err)
	}
	if err != nil {
		return nil, nil //nolint:nilerr // a device that is gone has no place and no price
	}
	b, err := sensing.Open(e.Raw, k, s.cfg.ChainID)
	if err == nil {
		cell, _ = cell.Published()
		var rows []kinded
		if rows, err = s.rows(b, cell); err == nil {
			return rows, nil
		}
	}
	s.cfg.Logger.Warn("batch is not stored", "seq", e.Seq, "device", e.Device, "err", err)
	return nil, nil
}
