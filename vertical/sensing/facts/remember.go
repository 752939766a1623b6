package facts

import (
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
	mu      sync.Mutex
	facts   []sensing.Fact
	made    time.Time // zero: not yet
	changes uint64    // of the region, when it was made

	used uint64 // under Keeper.mu, as is size
	size int
}

// chapter returns the facts of a chapter, remembered or made.
func (k *Keeper) chapter(ctx context.Context, p *Listed, parent h3.Cell, period sensing.Window) ([]sensing.Fact, error) {
	at := chapter{p.Kind, p.Name, parent, period.Began.Unix()}
	page := k.page(at)
	page.mu.Lock()
	defer page.mu.Unlock()
	changes, now := k.changed(region{p.Kind, parent}), k.cfg.Now()
	if !page.made.IsZero() && (p.Crowd != 0 || page.changes == changes || now.Sub(page.made) < settled) {
		return page.facts, nil
	}
	select { // what is made holds much memory for a moment
	case k.makers <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	all, err := k.make(ctx, p, parent, period)
	<-k.makers
	if err != nil {
		return nil, err
	}
	page.facts, page.made, page.changes = all, now, changes
	k.keep(at, page, len(all)+1)
	return all, nil
}

func (k *Keeper) changed(r region) uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.changes[r]
}

func (k *Keeper) page(c chapter) *page {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.pages[c]
	if p == nil {
		p = &page{}
		k.pages[c] = p
	}
	k.uses++
	p.used = k.uses
	return p
}

// keep notes how much a page holds, and forgets those that were not asked for for
// longest when all hold too much.
func (k *Keeper) keep(at chapter, p *page, facts int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held += facts - p.size
	p.size = facts
	k.pages[at] = p // again, if it was forgotten meanwhile
	for k.held > maxFacts && len(k.pages) > 1 {
		var oldest chapter
		var least *page
		for c, p := range k.pages {
			if least == nil || p.used < least.used {
				oldest, least = c, p
			}
		}
		k.held, least.size = k.held-least.size, 0
		delete(k.pages, oldest)
	}
}
