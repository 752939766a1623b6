package facts

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing"
)

// Errors of Facts.
var (
	ErrUnknown = errors.New("there is no such product")
	ErrBehind  = errors.New("the newest observations are not read yet; ask again in a moment")
	ErrTooMuch = errors.New("there is too much in the cell")
)

// Bounds of what facts are made of at a time.
const (
	maxBatches = 500_000
	maxHeld    = 512 << 20 // bytes
)

// Bounds of what one device gives to them: some three times what a phone sends in a
// week. One that sends more is left out, so that none can make a cell's facts too
// much for everybody.
var (
	mostOfOne     = 30_000   // batches
	mostHeldOfOne = 64 << 20 // bytes
)

// Listed is a product and its kind.
type Listed struct {
	Kind string
	sensing.Product
}

// Products lists what there are, by kind and name.
func (k *Keeper) Products() (out []Listed) {
	for _, p := range k.producers {
		for _, product := range p.Products() {
			out = append(out, Listed{p.Info().Name, product})
		}
	}
	slices.SortFunc(out, func(a, b Listed) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name)) })
	return out
}

// Product finds a product, or ErrUnknown.
func (k *Keeper) Product(kind, name string) (Listed, error) {
	for _, p := range k.Products() {
		if p.Kind == kind && p.Name == name {
			return p, nil
		}
	}
	return Listed{}, fmt.Errorf("%w: %.40s/%.40s", ErrUnknown, kind, name)
}

// Query selects facts.
type Query struct {
	Product  Listed
	Cell     h3.Cell // of ParentResolution, up to the product's resolution
	From, To time.Time
	Of       string // empty: all
}

func (q *Query) wants(f *sensing.Fact) bool {
	low, high := q.Cell.Within()
	at := f.Cell.Place()
	return at >= low && at <= high && !f.Time.Before(q.From) && f.Time.Before(q.To) && (q.Of == "" || q.Of == f.Of)
}

// Facts lists what is told of a cell, by time, cell and what it is of.
func (k *Keeper) Facts(ctx context.Context, q Query) ([]sensing.Fact, error) {
	caught := k.caught.Load()
	if caught == 0 {
		return nil, ErrBehind
	}
	p, now, parent := &q.Product, k.cfg.Now(), q.Cell.Parent(ParentResolution)
	if p.Crowd > 0 { // a period is closed when the log was read behind its end
		now = time.Unix(0, caught)
	}
	var out []sensing.Fact
	for period := p.PeriodOf(q.From); period.Began.Before(q.To); period = p.PeriodOf(period.Ended) {
		if !p.Told(period, now) {
			continue
		}
		all, err := k.chapter(ctx, p, parent, period)
		if err != nil {
			return nil, err
		}
		for i := range all {
			if q.wants(&all[i]) {
				out = append(out, all[i])
			}
		}
	}
	return out, nil
}

// make derives the facts of a period in a cell of ParentResolution.
func (k *Keeper) make(ctx context.Context, p *Listed, parent h3.Cell, period sensing.Window) ([]sensing.Fact, error) {
	stations, err := k.stations(ctx, region{p.Kind, parent}, sensing.Window{Began: period.Began.Add(-p.Before), Ended: period.Ended})
	if err != nil || len(stations) == 0 {
		return nil, err
	}
	all, err := p.Derive(ctx, period, stations)
	if err != nil {
		return nil, fmt.Errorf("make %s/%s of %s: %w", p.Kind, p.Name, parent, err)
	}
	owners := map[[32]byte]string{}
	for _, s := range stations {
		owners[s.ID] = s.Owner
	}
	told := all[:0]
	for _, f := range all {
		// What lies in another cell is made there, where all of it is.
		if f.Cell.Parent(ParentResolution) == parent && period.Holds(f.Time) && crowd(owners, f.Devices) >= p.Crowd {
			slices.SortFunc(f.Devices, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
			told = append(told, f)
		}
	}
	slices.SortFunc(told, func(a, b sensing.Fact) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Cell, b.Cell), strings.Compare(a.Of, b.Of))
	})
	return slices.Clip(told), nil
}

// crowd is how many owners devices have.
func crowd(owners map[[32]byte]string, devices [][32]byte) int {
	seen := map[string]bool{}
	for _, d := range devices {
		seen[owners[d]] = true
	}
	return len(seen)
}

// stations are the devices that observed in a cell in a window, by id.
func (k *Keeper) stations(ctx context.Context, r region, w sensing.Window) ([]sensing.Station, error) {
	type series struct {
		sensing.Station
		batches []*sensing.Batch
		have    map[uint64]bool
		held    int
		tooMany bool
	}
	by, held, count := map[device.ID]*series{}, 0, 0
	take := func(key, value []byte) error {
		home, raw, err := decode(value)
		if err != nil {
			return err
		}
		id := device.ID(key[parentAndDay:])
		s := by[id]
		if s == nil {
			s = &series{have: map[uint64]bool{}}
			by[id] = s
		}
		if s.tooMany {
			return nil
		}
		if s.held += len(raw); s.held > mostHeldOfOne || len(s.batches) >= mostOfOne {
			held, count = held-(s.held-len(raw)), count-len(s.batches)
			s.batches, s.have, s.tooMany = nil, nil, true
			return nil
		}
		if held, count = held+len(raw), count+1; held > maxHeld || count > maxBatches {
			return fmt.Errorf("%w: more than %d batches or %d MiB from %s to %s", ErrTooMuch, maxBatches, maxHeld>>20, w.Began.Format(time.RFC3339), w.Ended.Format(time.RFC3339))
		}
		b, err := sensing.Read(bytes.Clone(raw), k.cfg.ChainID)
		if err != nil {
			return err
		}
		s.Device = vertical.Device{ID: b.Device, Owner: home.Owner, Cell: uint64(home.Cell)}
		if !s.have[b.Counter] {
			s.have[b.Counter] = true
			s.batches = append(s.batches, b)
		}
		return nil
	}
	err := k.file.View(func(tx *bolt.Tx) error {
		cursor := tx.Bucket([]byte(bucketKind + r.kind)).Cursor()
		from := keyOf(r.parent, segment.DayOf(w.Began), device.ID{}, 0)
		to := keyOf(r.parent, segment.DayOf(w.Ended.Add(-1))+1, device.ID{}, 0)
		for key, value := cursor.Seek(from); key != nil && bytes.Compare(key, to) < 0; key, value = cursor.Next() {
			if err := errors.Join(take(key, value), ctx.Err()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read batches of %s in %s: %w", r.kind, r.parent, err)
	}
	out := make([]sensing.Station, 0, len(by))
	for _, s := range by {
		if s.tooMany {
			continue
		}
		slices.SortFunc(s.batches, func(a, b *sensing.Batch) int { return cmp.Compare(a.Counter, b.Counter) })
		s.Batches = slices.Values(s.batches)
		out = append(out, s.Station)
	}
	slices.SortFunc(out, func(a, b sensing.Station) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return out, nil
}

// Parents lists the cells of ParentResolution that there are batches of a kind in.
func (k *Keeper) Parents(kind string) (out []h3.Cell, err error) {
	err = k.file.View(func(tx *bolt.Tx) error {
		bucket := tx.Bucket([]byte(bucketKind + kind))
		if bucket == nil {
			return nil
		}
		cursor := bucket.Cursor()
		for key, _ := cursor.First(); len(key) >= 8; key, _ = cursor.Seek(keyOf(out[len(out)-1]+1, 0, device.ID{}, 0)) {
			out = append(out, h3.Cell(binary.BigEndian.Uint64(key)))
		}
		return nil
	})
	return out, err
}
