package facts

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing"
)

const (
	maxFacts = 500_000 // that are remembered
	together = 2       // periods that are made at a time
	// settled is for how long facts of a period that goes on are not made again,
	// however many batches come.
	settled = 10 * time.Second
)

// chapter is a product in a cell of ParentResolution and a period.
type chapter struct {
	kind, product string
	parent        h3.Cell
	began         int64
}

// page is what was made of a chapter. mu is held while it is made, so that one
// makes it and the others wait.
type page struct {
	at chapter

	mu      sync.Mutex
	facts   []sensing.Fact
	made    time.Time // zero: not yet
	changes uint64    // of the region, when it was made

	// Under Keeper.mu: what the page counts for, and its place in Keeper.order; 0 and
	// nil when it is forgotten.
	size  int
	place *list.Element
}

// chapter returns the facts of a chapter, remembered or made.
func (k *Keeper) chapter(ctx context.Context, p *Listed, parent h3.Cell, period sensing.Window) ([]sensing.Fact, error) {
	page := k.page(chapter{p.Kind, p.Name, parent, period.Began.Unix()})
	page.mu.Lock()
	defer page.mu.Unlock()
	changes, now := k.changed(region{p.Kind, parent}), k.cfg.Now()
	if !page.made.IsZero() && (p.Crowd != 0 || page.changes == changes || now.Sub(page.made) < settled) {
		return page.facts, nil
	}
	all, err := k.oneOf(ctx, p, parent, period)
	if err != nil {
		k.forget(page)
		return nil, err
	}
	page.facts, page.made, page.changes = all, now, changes
	k.keep(page, len(all)+1)
	return all, nil
}

// oneOf makes facts while few others do: what is made holds much memory for a moment.
func (k *Keeper) oneOf(ctx context.Context, p *Listed, parent h3.Cell, period sensing.Window) ([]sensing.Fact, error) {
	select {
	case k.makers <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-k.makers }()
	return k.make(ctx, p, parent, period)
}

func (k *Keeper) changed(r region) uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.changes[r]
}

// page is that of a chapter, the newest in the order of use.
func (k *Keeper) page(c chapter) *page {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.pages[c]
	if p == nil {
		p = &page{at: c}
		k.enter(p, 1)
	}
	k.order.MoveToFront(p.place)
	return p
}

// keep notes how much a page holds.
func (k *Keeper) keep(p *page, facts int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if other := k.pages[p.at]; other != nil { // itself, or another if it was forgotten meanwhile
		k.leave(other)
	}
	k.enter(p, facts)
}

// forget lets a page go.
func (k *Keeper) forget(p *page) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.leave(p)
}

// enter remembers a page, and forgets those that were not asked for for longest when
// all hold too much. k.mu is held.
func (k *Keeper) enter(p *page, facts int) {
	p.size, p.place = facts, k.order.PushFront(p)
	k.pages[p.at] = p
	for k.held += facts; k.held > maxFacts && len(k.pages) > 1; {
		k.leave(k.order.Back().Value.(*page)) //nolint:forcetypeassert // there is nothing else in it
	}
}

// leave is the contrary of enter, and nothing for a page that is forgotten. k.mu is
// held.
func (k *Keeper) leave(p *page) {
	if p.place == nil {
		return
	}
	k.order.Remove(p.place)
	delete(k.pages, p.at)
	k.held -= p.size
	p.size, p.place = 0, nil
}
