// Package publish hands what a gateway took in to the verifiers: at the end of
// each epoch the batches that the epoch may weigh, as evidence.
//
// Batches are cut into a segment for each hour and region once, and again only
// when a late one comes; an epoch's manifest lists all segments that its window
// reaches back to. What the batches are worth is not its business.
package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/ingest"
)

// Registry knows devices: their keys, and the cells that they are in, 0 for none.
type Registry interface {
	Key(ctx context.Context, id device.ID) (device.PublicKey, error)
	Cell(ctx context.Context, id device.ID) (h3.Cell, error)
}

// Audit looks behind batches. Its methods are safe for concurrent use.
type Audit interface {
	// Withheld reports whether a batch, by its number in the log, is not published
	// for now.
	Withheld(seq uint64) bool
	// Cuts are segments of Files that count in an epoch that ended then. They stay
	// until Cuts is called again.
	Cuts(ended time.Time) ([]evidence.Cut, error)
}

// regions is the resolution of the cells that segments are of: about 12,000 km².
const regions = 3

// keep is for how many epochs evidence stays published: longer than verifiers
// wait for any.
const keep = 100

// Publisher publishes the batches of one log. Its methods but Needed are for one
// goroutine.
type Publisher struct {
	Log      *ingest.Server
	Registry Registry
	Archive  *evidence.Archive
	Dir      string // for segments; what is in it is removed
	ChainID  string
	Kinds    []sensing.Kind
	Audit    Audit // nil: nobody looks behind batches

	next   uint64 // in the log
	hours  map[slot]*hour
	needed atomic.Uint64
}

// slot is an hour, in Unix seconds, and for how long what was observed in it is
// weighed.
type slot struct {
	at   int64
	span time.Duration
}

// over reports whether an epoch that ended then weighs nothing that was observed
// until last. Windows are of whole hours.
func (s slot) over(last, ended time.Time) bool {
	return last.Before(ended.Add(-s.span - runUp - time.Hour))
}

// hour holds the batches whose first reading is of one hour.
type hour struct {
	seqs map[uint64]bool
	last time.Time // reading
	cuts []evidence.Cut
	held map[uint64]bool // of seqs, those that are withheld
	new  bool            // there are batches that are not in cuts
}

// Publish publishes for an epoch that ended then. Without batches it publishes
// nothing.
func (p *Publisher) Publish(ctx context.Context, epoch uint64, ended time.Time) error {
	if err := p.read(ended); err != nil {
		return fmt.Errorf("publish observations of epoch %d: %w", epoch, err)
	}
	p.forget(ended)
	p.needed.Store(p.oldest())
	var cuts []evidence.Cut
	if p.Audit != nil {
		var err error
		if cuts, err = p.Audit.Cuts(ended); err != nil {
			return fmt.Errorf("publish observations of epoch %d: files: %w", epoch, err)
		}
		cuts = slices.Clone(cuts)
	}
	order := slices.SortedFunc(maps.Keys(p.hours), func(a, b slot) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.span, b.span)) })
	for _, s := range order {
		h := p.hours[s]
		p.withhold(h)
		if err := p.cut(ctx, time.Unix(s.at, 0), h); err != nil {
			return fmt.Errorf("publish observations of epoch %d: %w", epoch, err)
		}
		cuts = append(cuts, h.cuts...)
	}
	if len(cuts) == 0 {
		return nil
	}
	if _, err := p.Archive.Publish(ctx, sensing.Name, epoch, cuts); err != nil {
		return err
	}
	if epoch > keep {
		_, err := p.Archive.Retain(ctx, sensing.Name, epoch-keep)
		return err
	}
	return nil
}

// Needed is the oldest record of the log that may be published again; 0 before the
// first Publish. It is for any goroutine.
func (p *Publisher) Needed() uint64 { return p.needed.Load() }

func (p *Publisher) oldest() uint64 {
	least := p.next
	for _, h := range p.hours {
		for seq := range h.seqs {
			least = min(least, seq)
		}
	}
	return least
}

// runUp is what kinds look at before their window.
const runUp = 6*time.Hour + sensing.Settle

// span is how long a batch is weighed.
func (p *Publisher) span(b *sensing.Batch) (longest time.Duration) {
	for _, k := range p.Kinds {
		if info := k.Info(); info.Holds(b) {
			longest = max(longest, info.Span)
		}
	}
	return longest
}

// read takes new batches of the log into their hours.
func (p *Publisher) read(ended time.Time) error {
	if p.hours == nil {
		if err := errors.Join(os.RemoveAll(p.Dir), os.MkdirAll(p.Dir, 0o700)); err != nil {
			return err
		}
		p.hours = map[slot]*hour{}
	}
	formats := sensing.Formats(p.Kinds)
	for e, err := range p.Log.Entries(p.next) {
		if err != nil {
			return err
		}
		p.next = e.Seq + 1
		b, err := sensing.Read(e.Raw, p.ChainID)
		if err != nil {
			return fmt.Errorf("batch %d of the log: %w", e.Seq, err)
		}
		first, last, err := b.Times(formats)
		at := slot{first.Truncate(time.Hour).Unix(), p.span(b)}
		if err != nil || at.span == 0 || at.over(last, ended) {
			continue // of a kind that there is no more, or too old
		}
		h := p.hours[at]
		if h == nil {
			h = &hour{seqs: map[uint64]bool{}}
			p.hours[at] = h
		}
		h.seqs[e.Seq], h.new = true, true
		if last.After(h.last) {
			h.last = last
		}
	}
	return nil
}

func (p *Publisher) forget(ended time.Time) {
	for at, h := range p.hours { // order does not matter: all that are over go
		if at.over(h.last, ended) {
			h.drop()
			delete(p.hours, at)
		}
	}
}

func (h *hour) drop() {
	for _, c := range h.cuts {
		_ = os.Remove(c.File) // the folder is emptied at the next start
	}
	h.cuts = nil
}

// withhold looks which of an hour's batches are not published.
func (p *Publisher) withhold(h *hour) {
	if p.Audit == nil {
		return
	}
	held := map[uint64]bool{}
	for seq := range h.seqs {
		if p.Audit.Withheld(seq) {
			held[seq] = true
		}
	}
	if !maps.Equal(held, h.held) {
		h.held, h.new = held, true
	}
}

// cut makes the segments of an hour that has new batches.
func (p *Publisher) cut(ctx context.Context, at time.Time, h *hour) error {
	if !h.new {
		return nil
	}
	c := evidence.Cutter[sensing.Row]{Dir: p.Dir, Kind: sensing.Batches}
	defer c.Drop()
	left := len(h.seqs)
	for e, err := range p.Log.Entries(slices.Min(slices.Collect(maps.Keys(h.seqs)))) {
		if err != nil {
			return err
		}
		if !h.seqs[e.Seq] {
			continue
		}
		if !h.held[e.Seq] {
			if err := p.add(ctx, &c, at, e); err != nil {
				return err
			}
		}
		if left--; left == 0 {
			break
		}
	}
	cuts, err := c.Finish()
	if err != nil {
		return err
	}
	h.drop()
	h.cuts, h.new = cuts, false
	return nil
}

func (p *Publisher) add(ctx context.Context, c *evidence.Cutter[sensing.Row], at time.Time, e ingest.Entry) error {
	key, err := p.Registry.Key(ctx, e.Device)
	if errors.Is(err, ingest.ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	cell, err := p.Registry.Cell(ctx, e.Device)
	if err != nil {
		return err
	}
	name := segment.Name{Day: segment.DayOf(at)}
	if cell != 0 {
		name.Parent = segment.Cell(cell.Parent(regions))
	}
	return c.Add(name, sensing.RowOf(key, e.Raw))
}
