package provider

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/grange-network/grange/core/lease"
)

// maxUnknown bounds the ids remembered as unknown to the ledger.
const maxUnknown = 1024

// leaseCache keeps leases read from the ledger for a short time, so that requests
// do not wait for it. When the ledger does not answer, the last known lease goes on
// being used: what a provider can lose meanwhile is bounded by the receipt window.
type leaseCache struct {
	src Leases
	age time.Duration
	now func() time.Time
	log *slog.Logger

	mu      sync.Mutex
	known   map[[32]byte]*leaseEntry
	unknown map[[32]byte]time.Time
}

type leaseEntry struct {
	lease lease.Lease
	read  time.Time
}

func newLeaseCache(src Leases, age time.Duration, now func() time.Time, log *slog.Logger) *leaseCache {
	return &leaseCache{src: src, age: age, now: now, log: log,
		known: map[[32]byte]*leaseEntry{}, unknown: map[[32]byte]time.Time{}}
}

// get returns the lease, not older than the cache's age unless the ledger fails.
func (c *leaseCache) get(ctx context.Context, id [32]byte) (lease.Lease, error) {
	c.mu.Lock()
	if e := c.known[id]; e != nil && c.now().Sub(e.read) < c.age {
		c.mu.Unlock()
		return e.lease, nil
	}
	if at, ok := c.unknown[id]; ok && c.now().Sub(at) < c.age {
		c.mu.Unlock()
		return lease.Lease{}, ErrNoLease
	}
	c.mu.Unlock()
	return c.refresh(ctx, id)
}

// refresh reads the lease from the ledger now.
func (c *leaseCache) refresh(ctx context.Context, id [32]byte) (lease.Lease, error) {
	began := c.now()
	l, err := c.src.Lease(ctx, id)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.known[id] = &leaseEntry{l, began}
		delete(c.unknown, id)
		return l, nil
	case errors.Is(err, ErrNoLease):
		delete(c.known, id)
		if len(c.unknown) >= maxUnknown {
			clear(c.unknown)
		}
		c.unknown[id] = began
		return lease.Lease{}, err
	}
	if e := c.known[id]; e != nil && ctx.Err() == nil {
		c.log.Warn("ledger does not answer, using the lease as last known", "lease", hexOf(id), "err", err)
		return e.lease, nil
	}
	return lease.Lease{}, err
}

// expire makes the next get of every lease ask the ledger.
func (c *leaseCache) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.known {
		e.read = time.Time{}
	}
	clear(c.unknown)
}
