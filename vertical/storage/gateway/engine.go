package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/vertical/storage/piece"
)

// Engine stores, reads, repairs and pays for segments. It implements Segments
// and is safe for concurrent use. One engine runs per directory.
type Engine struct {
	conf   Config
	log    *slog.Logger
	store  *store
	book   *book
	spools *spools

	epoch   atomic.Uint64
	uploads durations
	small   durations // reads up to 128 KiB
	large   durations
	hedges  allowance

	ctx    context.Context // done when Close begins
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	closed bool
	ops    sync.WaitGroup // Put, Read, Delete under way

	dirty  chan struct{} // something to commit; capacity 1
	funds  chan struct{} // some lease runs low; capacity 1
	repair chan struct{} // something to repair; capacity 1
}

var _ Segments = (*Engine)(nil)

// New opens the engine's state, asks the ledger for the epoch and our leases,
// and starts the loops that commit, fund, probe and repair. Close ends it.
func New(ctx context.Context, conf Config) (*Engine, error) {
	conf, err := conf.withDefaults()
	if err != nil {
		return nil, err
	}
	spool, err := conf.spoolDir()
	if err != nil {
		return nil, err
	}
	s, err := openStore(conf.dbPath())
	if err != nil {
		return nil, err
	}
	e := &Engine{conf: conf, log: conf.Log, store: s, spools: newSpools(spool, conf.SpoolMemory),
		dirty: make(chan struct{}, 1), funds: make(chan struct{}, 1), repair: make(chan struct{}, 1)}
	e.hedges.left = hedgeBurst
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.book = newBook(conf, s, e.epoch.Load, e.runsLow)
	if err := e.start(ctx); err != nil {
		e.cancel()
		e.book.close()
		s.close()
		return nil, fmt.Errorf("open gateway: %w", err)
	}
	return e, nil
}

func (e *Engine) start(ctx context.Context) error {
	epoch, err := e.conf.Ledger.Epoch(ctx)
	if err != nil {
		return fmt.Errorf("ask ledger for the epoch: %w", err)
	}
	e.epoch.Store(epoch)
	if err := e.book.refresh(ctx); err != nil {
		return err
	}
	e.wg.Go(e.watchEpochs)
	e.wg.Go(e.fundLoop)
	e.wg.Go(e.commitLoop)
	e.wg.Go(e.repairLoop)
	e.wg.Go(e.probeLoop)
	e.changed()
	return nil
}

// Close refuses new work, waits for the work under way, hands over the last
// receipts, and closes the state. It does not close leases.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	e.mu.Unlock()
	e.ops.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), loserGrace+time.Second)
	e.settleReads(ctx)
	e.payAll(ctx)
	cancel()
	e.cancel()
	e.wg.Wait()
	e.book.close()
	return e.store.close()
}

// begin counts an operation; call done at its end. The context ends with the
// caller's or when the engine is torn down.
func (e *Engine) begin(ctx context.Context) (context.Context, func(), error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, nil, ErrClosed
	}
	e.ops.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(e.ctx, cancel)
	return ctx, func() { stop(); cancel(); e.ops.Done() }, nil
}

// after runs f in d, or when the engine closes.
func (e *Engine) after(d time.Duration, f func()) {
	e.wg.Go(func() {
		wait(e.ctx, d)
		f()
	})
}

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// reads returns the samples of reads of about that size.
func (e *Engine) reads(size int64) *durations {
	if size <= 128<<10 {
		return &e.small
	}
	return &e.large
}

// changed says that there is something to commit.
func (e *Engine) changed() { poke(e.dirty) }

func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// watchEpochs follows the ledger: at each epoch leases are looked at, funded,
// and everything read is paid for.
func (e *Engine) watchEpochs() {
	for e.ctx.Err() == nil {
		now, err := e.conf.Ledger.WaitEpoch(e.ctx, e.epoch.Load())
		if err != nil {
			if e.ctx.Err() == nil {
				e.log.Warn("ledger does not answer", "err", err)
				wait(e.ctx, time.Second)
			}
			continue
		}
		e.epoch.Store(now)
		e.turn(e.ctx)
	}
}

// runsLow asks for a top-up soon.
func (e *Engine) runsLow() bool {
	if e.conf.Lease.NoTopUp {
		return false
	}
	poke(e.funds)
	return true
}

// fundLoop tops up between epochs: a fast reader can spend a lane's cap, a fast
// writer a hold budget, in less than one.
func (e *Engine) fundLoop() {
	for {
		select {
		case <-e.funds:
		case <-e.ctx.Done():
			return
		}
		if err := e.book.keep(e.ctx); err != nil && e.ctx.Err() == nil {
			e.log.Warn("leases not kept", "err", err)
		}
		if !wait(e.ctx, fundPause) {
			return
		}
	}
}

// fundPause is the least time between two rounds of top-ups out of turn.
const fundPause = 500 * time.Millisecond

// turn is the work of one epoch.
func (e *Engine) turn(ctx context.Context) {
	if err := e.book.keep(ctx); err != nil {
		e.log.Warn("leases not kept", "err", err)
	}
	if err := e.post(ctx); err != nil {
		e.log.Warn("commitments not posted", "err", err)
	}
	e.payAll(ctx)
	e.changed()
	poke(e.repair)
}

// settleReads waits for fetches that nobody waits for any more, so that what
// they brought is counted.
func (e *Engine) settleReads(ctx context.Context) {
	for _, l := range e.book.all() {
		if l.meter.idle(ctx) != nil {
			return
		}
	}
}

// payAll hands every provider the receipt for all that was read.
func (e *Engine) payAll(ctx context.Context) {
	var wg sync.WaitGroup
	for _, l := range e.book.all() {
		if _, owed, _ := l.meter.due(false); !owed && l.meter.unsigned() == 0 {
			continue
		}
		c, err := l.connection(e.conf.Tunnel)
		if err != nil {
			continue
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			ctx, span := e.span(ctx, "pay", trace.Keep.Bool(true))
			l.noteLink(ctx)
			err := l.pay(ctx, c, true)
			trace.End(span, err)
			if err != nil && ctx.Err() == nil {
				e.log.Debug("receipt not handed over", "lease", fmt.Sprintf("%x", l.id), "err", err)
			}
		})
	}
	wg.Wait()
}

// Delete implements Segments.
func (e *Engine) Delete(ctx context.Context, ids ...SegmentID) error {
	_, done, err := e.begin(ctx)
	if err != nil {
		return fmt.Errorf("delete segments: %w", err)
	}
	defer done()
	err = e.store.db.Batch(func(tx *bbolt.Tx) error {
		for _, id := range ids {
			seg, err := getSegment(tx, id)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			for _, p := range seg.Pieces {
				if p.State == PieceAbsent {
					continue
				}
				if err := release(tx, p.Lease, p.Root); err != nil {
					return err
				}
			}
			if err := tx.Bucket(bucketSegments).Delete(id[:]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete %d segments: %w", len(ids), err)
	}
	e.changed()
	return nil
}

// List calls yield for every stored segment until it returns an error, which
// List then returns. A door uses it after a crash to delete segments it has no
// object for.
func (e *Engine) List(ctx context.Context, yield func(SegmentID) error) error {
	_, done, err := e.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	return e.store.eachSegment(func(s Segment) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return yield(s.ID)
	})
}

// Segment returns the durable record of one segment, or ErrNotFound.
func (e *Engine) Segment(id SegmentID) (Segment, error) { return e.store.segment(id) }

// pieceLost records that a provider does not have a piece or answers other
// bytes for it. The provider stays committed to it until repair has replaced
// it; then it is left out of the commitment.
func (e *Engine) pieceLost(id SegmentID, index int, root piece.Root) {
	err := e.store.db.Batch(func(tx *bbolt.Tx) error {
		seg, err := getSegment(tx, id)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		p := &seg.Pieces[index]
		if p.State != PieceGood || p.Root != root {
			return nil
		}
		p.State = PieceBad
		if err := release(tx, p.Lease, root); err != nil {
			return err
		}
		return putSegment(tx, seg)
	})
	if err != nil {
		e.log.Error("lost piece not recorded", "segment", fmt.Sprintf("%x", id), "index", index, "err", err)
	}
	e.log.Warn("piece lost", "segment", fmt.Sprintf("%x", id), "index", index)
	e.changed()
	poke(e.repair)
}
