package facts

import (
	"container/list"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/ingest"
	"github.com/grange-network/grange/vertical/sensing/store"
)

// ParentResolution of the cells that batches are kept by.
const ParentResolution = store.ParentResolution

// Registry knows devices. Device returns ingest.ErrUnknown for one that is not
// registered.
type Registry interface {
	Device(ctx context.Context, id device.ID) (Home, error)
}

// Home is whose a device is, and where the ledger has it; 0: nowhere.
type Home struct {
	Owner string
	Cell  h3.Cell
}

// Config is what a Keeper needs.
type Config struct {
	Path     string // of the file
	ChainID  string
	Registry Registry
	Kinds    []sensing.Kind // of which only those that are a sensing.Producer count
	Logger   *slog.Logger
	Now      func() time.Time
}

// Keeper keeps batches and makes facts. It is safe for concurrent use.
type Keeper struct {
	cfg       Config
	producers []sensing.Producer
	formats   []sensing.Format
	file      *bolt.DB

	// caught is when the log was last read to its end, in ns; 0: not since Open.
	caught atomic.Int64
	makers chan struct{} // one for each period that is being made

	mu      sync.Mutex
	next    uint64            // in the log: all before it is here
	changes map[region]uint64 // batches that came since Open
	pages   map[chapter]*page // facts that were made
	order   list.List         // of pages, the one that was asked for last first
	held    int               // facts of all pages, and one for each
}

// region is a kind in a cell of ParentResolution.
type region struct {
	kind   string
	parent h3.Cell
}

var (
	bucketMeta = []byte("meta")
	bucketKind = "kind/"
	keyNext    = []byte("next")
)

// Open opens or creates the file.
func Open(cfg Config) (*Keeper, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	k := &Keeper{cfg: cfg, formats: sensing.Formats(cfg.Kinds), changes: map[region]uint64{}, pages: map[chapter]*page{}, makers: make(chan struct{}, together)}
	for _, kind := range cfg.Kinds {
		if p, ok := kind.(sensing.Producer); ok {
			k.producers = append(k.producers, p)
		}
	}
	file, err := bolt.Open(cfg.Path, 0o600, &bolt.Options{Timeout: time.Second, FreelistType: bolt.FreelistMapType})
	if err == nil {
		err = file.Update(k.prepare)
	}
	if err != nil {
		return nil, fmt.Errorf("open batches for products %s: %w", cfg.Path, err)
	}
	k.file = file
	return k, nil
}

func (k *Keeper) prepare(tx *bolt.Tx) error {
	meta, err := tx.CreateBucketIfNotExists(bucketMeta)
	if err != nil {
		return err
	}
	if v := meta.Get(keyNext); len(v) == 8 {
		k.next = binary.BigEndian.Uint64(v)
	}
	for _, p := range k.producers {
		if _, err := tx.CreateBucketIfNotExists([]byte(bucketKind + p.Info().Name)); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the file.
func (k *Keeper) Close() error { return k.file.Close() }

// Next is the place in the log from which on batches are missing.
func (k *Keeper) Next() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.next
}

// Bounds of what one transaction takes in.
const (
	maxEntries = 2000
	maxBytes   = 16 << 20
)

// entry is a batch where it belongs.
type entry struct {
	region
	days []segment.Day
	home Home
	*sensing.Batch
}

// Catch takes in what the log has that is not here.
func (k *Keeper) Catch(ctx context.Context, log store.Source) error {
	asked := k.cfg.Now() // all that was there then is read
	next, size := k.Next(), 0
	began := next
	var all []entry
	for e, err := range log.Entries(next) {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if e.Seq < next {
			continue
		}
		found, err := k.read(ctx, e)
		if err != nil {
			return err
		}
		next = e.Seq + 1
		for _, x := range found {
			all, size = append(all, x), size+len(x.Raw)
		}
		if next-began >= maxEntries || size >= maxBytes {
			if err := k.put(all, next); err != nil {
				return err
			}
			all, size, began = all[:0], 0, next
		}
	}
	if next != began {
		if err := k.put(all, next); err != nil {
			return err
		}
	}
	k.caught.Store(asked.UnixNano())
	return nil
}

// read finds where a batch of the log belongs: nowhere when no product is made of
// it. An error means that it should be tried again.
func (k *Keeper) read(ctx context.Context, e ingest.Entry) ([]entry, error) {
	if e.Fork {
		return nil, nil
	}
	b, err := sensing.Read(e.Raw, k.cfg.ChainID)
	if err != nil {
		k.cfg.Logger.Warn("batch is passed over", "seq", e.Seq, "device", e.Device, "err", err)
		return nil, nil
	}
	var out []entry
	for _, p := range k.producers {
		info := p.Info()
		if !info.Holds(b) {
			continue
		}
		home, err := k.cfg.Registry.Device(ctx, e.Device)
		if errors.Is(err, ingest.ErrUnknown) {
			return nil, nil // it has no owner and no price
		}
		if err != nil {
			return nil, fmt.Errorf("keep record %d: %w", e.Seq, err)
		}
		parents, err := k.parents(p, b, home.Cell)
		if err != nil {
			k.cfg.Logger.Warn("batch is passed over", "seq", e.Seq, "device", e.Device, "err", err)
			continue
		}
		for _, parent := range parents {
			out = append(out, entry{region{info.Name, parent}, k.days(b), home, b})
		}
	}
	return out, nil
}

// parents are the cells in which facts may be made of a batch.
func (k *Keeper) parents(p sensing.Producer, b *sensing.Batch, home h3.Cell) ([]h3.Cell, error) {
	home, _ = home.Published()
	points, err := b.Points(k.formats, home)
	if err != nil {
		return nil, err
	}
	found := map[h3.Cell]bool{}
	for _, product := range p.Products() {
		for i, at := range points {
			if i == 0 || at != points[i-1] {
				found[h3.At(at.Lat, at.Lon, product.Resolution).Parent(ParentResolution)] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// days are those of a batch's readings.
func (k *Keeper) days(b *sensing.Batch) (out []segment.Day) {
	first, last, err := b.Times(k.formats)
	if err != nil {
		return nil
	}
	for d := segment.DayOf(first); d <= segment.DayOf(last); d++ {
		out = append(out, d)
	}
	return out
}

// put writes batches and the place in the log that they reach.
func (k *Keeper) put(all []entry, next uint64) error {
	err := k.file.Update(func(tx *bolt.Tx) error {
		for _, e := range all {
			bucket := tx.Bucket([]byte(bucketKind + e.kind))
			for _, d := range e.days {
				if err := bucket.Put(keyOf(e.parent, d, e.Device, e.Counter), encode(e.home, e.Raw)); err != nil {
					return err
				}
			}
		}
		return tx.Bucket(bucketMeta).Put(keyNext, binary.BigEndian.AppendUint64(nil, next))
	})
	if err != nil {
		return fmt.Errorf("keep batches up to record %d: %w", next, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.next = next
	for _, e := range all {
		k.changes[e.region]++
	}
	return nil
}

// parentAndDay is how many bytes of a key are before the device.
const parentAndDay = 8 + 4

// keyOf sorts batches by cell, day, device and number.
func keyOf(parent h3.Cell, d segment.Day, id device.ID, counter uint64) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(parent))
	b = binary.BigEndian.AppendUint32(b, uint32(d))
	b = append(b, id[:]...)
	return binary.BigEndian.AppendUint64(b, counter)
}

// encode is version 1: its number, the cell, the owner behind its length, the
// batch.
func encode(h Home, raw []byte) []byte {
	b := binary.BigEndian.AppendUint64([]byte{1}, uint64(h.Cell))
	b = append(append(b, byte(len(h.Owner))), h.Owner...)
	return append(b, raw...)
}

var errDamaged = errors.New("entry is damaged")

func decode(v []byte) (h Home, raw []byte, err error) {
	const head = 10
	if len(v) < head || v[0] != 1 || len(v) < head+int(v[9]) {
		return h, nil, errDamaged
	}
	n := head + int(v[9])
	return Home{Cell: h3.Cell(binary.BigEndian.Uint64(v[1:9])), Owner: string(v[head:n])}, v[n:], nil
}

// look is how often the log is asked for more.
const look = 500 * time.Millisecond

// Follow keeps up with the log until ctx ends. What fails is tried again, since
// the log keeps everything.
func (k *Keeper) Follow(ctx context.Context, log store.Source) error {
	again := time.NewTicker(look)
	defer again.Stop()
	for {
		if err := k.Catch(ctx, log); err != nil && ctx.Err() == nil {
			k.cfg.Logger.Warn("batches for products are not kept for now", "from", k.Next(), "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		}
	}
}
