package provider

import (
	"context"
	"fmt"
	"sync"
	"time"

	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/grange-network/grange/trace"
)

// Delays between tries of a duty that failed.
const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = 15 * time.Second
)

// settleAt is the part of an epoch, in tenths, after which receipts and commitments
// are posted: late, so that one post carries an epoch's changes, with time to retry.
const settleAt = 6

// Run does the provider's duties until ctx ends or blocks is closed, and returns nil
// then. Each value of blocks means that there may be a new block; values that come
// while Run is busy may be dropped by the sender. It returns after all work ended.
func (p *Provider) Run(ctx context.Context, blocks <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	proving, settling := make(chan Duty, 1), make(chan Duty, 1)
	prover := &retrier{now: p.conf.Now}
	wg.Go(func() { each(ctx, proving, func(d Duty) { p.proveEpoch(ctx, d, prover) }) })
	settler := &retrier{now: p.conf.Now}
	wg.Go(func() { each(ctx, settling, func(d Duty) { p.settleEpoch(ctx, d, settler) }) })
	wg.Go(func() { p.scrubSlowly(ctx) })
	for {
		p.tick(ctx, proving, settling)
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-blocks:
			if !ok {
				return nil
			}
		}
	}
}

// each runs f for every duty until ctx ends.
func each(ctx context.Context, duties <-chan Duty, f func(Duty)) {
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-duties:
			f(d)
		}
	}
}

// tick asks what is due and hands it to the workers; a worker that is busy gets the
// newest when it is free.
func (p *Provider) tick(ctx context.Context, workers ...chan Duty) {
	d, err := p.conf.Oracle.Duty(ctx, p.conf.Device)
	if err != nil {
		if ctx.Err() == nil {
			p.problem("ledger", fmt.Errorf("ask for the epoch: %w", err))
		}
		return
	}
	if p.sawEpoch(d.Epoch) {
		p.leases.expire()
		p.endEpoch(d.Epoch)
	}
	for _, w := range workers {
		select {
		case <-w:
		default:
		}
		w <- d
	}
}

// endEpoch looks for payers that let an epoch pass without paying.
func (p *Provider) endEpoch(epoch uint64) {
	p.mu.Lock()
	lanes := make(map[laneID]*lane, len(p.lanes))
	for id, l := range p.lanes {
		lanes[id] = l
	}
	p.mu.Unlock()
	for id, l := range lanes {
		if l.endEpoch(epoch) {
			p.problem("lease", fmt.Errorf("lease %s lane %d has not paid for what it read: window starts again", hexOf(id.lease), id.lane))
		}
	}
}

// proveEpoch proves once per epoch.
func (p *Provider) proveEpoch(ctx context.Context, d Duty, r *retrier) {
	r.turn(d.Epoch)
	if d.Proven {
		p.proven.Store(max(p.proven.Load(), d.Epoch))
		return
	}
	if !d.Seeded || len(d.Heads) == 0 || d.Challenges < 1 || p.proven.Load() >= d.Epoch || !r.ready() {
		return
	}
	tctx, span := p.conf.Tracer.Start(ctx, "prove epoch", oteltrace.WithAttributes(
		trace.Keep.Bool(true), trace.Hex(trace.Device, p.conf.Device), trace.Number(trace.Epoch, d.Epoch)))
	proofs, err := p.Prove(tctx, d.Seed, d.Heads, d.Challenges)
	if err == nil && len(proofs) > 0 {
		err = p.conf.Oracle.Prove(tctx, p.conf.Device, d.Epoch, proofs)
	}
	trace.End(span, err)
	if err != nil {
		r.failed()
		if ctx.Err() == nil {
			p.problem("prove", fmt.Errorf("prove epoch %d: %w", d.Epoch, err))
		}
		return
	}
	p.proven.Store(d.Epoch)
	p.conf.Log.Info("epoch proven", "epoch", d.Epoch, "proofs", len(proofs), "leases", len(d.Heads))
}

// settleEpoch posts and sweeps once per epoch.
func (p *Provider) settleEpoch(ctx context.Context, d Duty, r *retrier) {
	r.turn(d.Epoch)
	if d.Length > 0 && (p.settled.Load() >= d.Epoch || d.Elapsed < d.Length/10*settleAt) || !r.ready() {
		return
	}
	if err := p.settle(ctx); err != nil {
		r.failed()
		if ctx.Err() == nil {
			p.problem("settle", fmt.Errorf("settle in epoch %d: %w", d.Epoch, err))
		}
		return
	}
	p.settled.Store(d.Epoch)
	p.sweep(ctx, d.Epoch)
}

// retrier spaces the tries of one duty within an epoch.
type retrier struct {
	now   func() time.Time
	epoch uint64
	delay time.Duration
	next  time.Time
}

// turn starts anew in a new epoch.
func (r *retrier) turn(epoch uint64) {
	if epoch != r.epoch {
		r.epoch, r.delay, r.next = epoch, 0, time.Time{}
	}
}

func (r *retrier) ready() bool { return !r.now().Before(r.next) }

func (r *retrier) failed() {
	r.delay = min(max(2*r.delay, firstRetry), lastRetry)
	r.next = r.now().Add(r.delay)
}
