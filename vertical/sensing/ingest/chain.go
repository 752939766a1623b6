package ingest

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/time/rate"

	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/wal"
)

// recent is how many of a device's batches are known by hash, at least.
const recent = 64

// chain is where a device's chain stands.
type chain struct {
	mu     sync.Mutex
	newest uint64
	hash   map[uint64]*entry // the recent ones, by counter
	bucket *rate.Limiter
}

// entry is a batch that is in the log, or on its way there.
type entry struct {
	hash    sensing.Hash
	seq     uint64
	pending *wal.Pending // nil when it is durable
	lost    bool         // the log failed: its device sends it again
}

// is notes what became of a batch on its way. The chain's mu is held.
func (e *entry) is(seq uint64, err error) { e.seq, e.pending, e.lost = seq, nil, err != nil }

// begun is a batch whose record is being made durable.
type begun struct {
	chain   *chain
	entry   *entry
	pending *wal.Pending // nil for a duplicate of one that is durable
	receipt Receipt
}

// begin puts a batch behind the chain.
func (c *chain) begin(ctx context.Context, s *Server, b *sensing.Batch) (begun, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := begun{chain: c, receipt: Receipt{Device: b.Device, Counter: b.Counter, Hash: b.Hash}}
	known := c.hash[b.Counter]
	switch {
	case known != nil && known.lost: // as if it had never come
	case known != nil && known.hash == b.Hash:
		out.entry, out.pending = known, known.pending
		out.receipt.Seq, out.receipt.Duplicate = known.seq, true
		return out, nil
	case known != nil:
		return out, c.fork(ctx, s, b, fmt.Errorf("%w: number %d is %x", ErrFork, b.Counter, known.hash[:8]))
	case b.Counter <= c.newest:
		return out, fmt.Errorf("%w, number %d", ErrReplay, c.newest)
	}
	if err := c.admit(s, b); err != nil {
		return out, err
	}
	before := c.hash[b.Counter-1]
	if before != nil && !before.lost && before.hash != b.Previous {
		return out, c.fork(ctx, s, b, fmt.Errorf("%w: the batch before is %x, it names %x", ErrFork, before.hash[:8], b.Previous[:8]))
	}
	p, err := s.log.Begin(ctx, encode(kindBatch, b))
	if err != nil {
		c.note(b.Counter, &entry{lost: true})
		return out, fmt.Errorf("store batch: %w", err)
	}
	out.entry, out.pending = &entry{hash: b.Hash, pending: &p}, &p
	c.note(b.Counter, out.entry)
	return out, nil
}

// finish waits until the batch is durable.
func (b *begun) finish(ctx context.Context) (Receipt, error) {
	if b.pending == nil {
		return b.receipt, nil
	}
	// The disk decides, not whoever sent it: what is on its way is not lost.
	seq, err := b.pending.Wait(context.WithoutCancel(ctx))
	b.chain.mu.Lock()
	defer b.chain.mu.Unlock()
	b.entry.is(seq, err)
	if err != nil {
		return Receipt{}, fmt.Errorf("store batch: %w", err)
	}
	b.receipt.Seq = seq
	return b.receipt, nil
}

// usual is how many bytes a batch has that counts as one for the rate; a larger one
// counts as so many more.
const usual = 8 << 10

func (c *chain) admit(s *Server, b *sensing.Batch) error {
	if !c.bucket.AllowN(s.cfg.Now(), min(1+len(b.Raw)/usual, s.cfg.Burst)) {
		return fmt.Errorf("%w: more than %d batches and %v a second, of %d KiB", ErrRate, s.cfg.Burst, s.cfg.Rate, usual>>10)
	}
	return nil
}

// fork keeps a contradicting batch as evidence, once, and refuses it.
func (c *chain) fork(ctx context.Context, s *Server, b *sensing.Batch, why error) error {
	if err := c.admit(s, b); err != nil {
		return err
	}
	if _, err := s.log.Append(ctx, encode(kindFork, b)); err != nil {
		return fmt.Errorf("store contradicting batch: %w", err)
	}
	return why
}

func (c *chain) note(counter uint64, e *entry) {
	c.newest = max(c.newest, counter)
	c.hash[counter] = e
	if len(c.hash) < 2*recent {
		return
	}
	for old, e := range c.hash { // order does not matter: all below go
		if old+recent <= c.newest && e.pending == nil && !e.lost {
			delete(c.hash, old)
		}
	}
}
