package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"go.etcd.io/bbolt"

	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/vertical/storage/erasure"
	"github.com/grange-network/grange/vertical/storage/piece"
)

// repairLoop rebuilds segments that have fallen to their repair threshold.
func (e *Engine) repairLoop() {
	every := e.conf.Pace.RepairInterval
	tick := time.NewTicker(every)
	defer tick.Stop()
	retry := min(repairRetry, every)
	for {
		select {
		case <-e.repair:
		case <-tick.C:
		case <-e.ctx.Done():
			return
		}
		_, err := e.repairAll(e.ctx)
		if err == nil || e.ctx.Err() != nil {
			retry = min(repairRetry, every)
			tick.Reset(every)
			continue
		}
		e.log.Warn("repair incomplete", "err", err, "retry_in", retry)
		tick.Reset(retry)
		retry = min(2*retry, every)
	}
}

// repairRetry is the first wait after a repair that failed; it doubles up to
// the interval of scans.
const repairRetry = 2 * time.Second

// Repair scans all segments now and rebuilds those that need it. It returns how
// many pieces were stored anew, and the joined failures.
func (e *Engine) Repair(ctx context.Context) (int, error) {
	ctx, done, err := e.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	return e.repairAll(ctx)
}

func (e *Engine) repairAll(ctx context.Context) (rebuilt int, err error) {
	var errs []error
	err = e.store.eachSegment(func(seg Segment) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		usable := e.usablePieces(seg)
		if len(usable) > int(seg.Layout.Repair) || len(usable) == int(seg.Layout.N) {
			return nil
		}
		ctx, span := e.span(ctx, "repair segment", trace.Keep.Bool(true), trace.Hex(trace.Segment, seg.ID))
		n, err := e.repairSegment(ctx, seg, usable)
		trace.End(span, err)
		rebuilt += n
		if err != nil {
			errs = append(errs, fmt.Errorf("repair segment %x with %d of %d pieces: %w", seg.ID[:8], len(usable), seg.Layout.N, err))
		}
		return nil
	})
	return rebuilt, errors.Join(append(errs, err)...)
}

// usablePieces are the shards that count: good pieces under living leases of
// providers that have not been silent for too long.
func (e *Engine) usablePieces(seg Segment) map[int]*link {
	out := map[int]*link{}
	for i, p := range seg.Pieces {
		if p.State != PieceGood {
			continue
		}
		l := e.book.link(p.Lease)
		if l != nil && l.alive() && l.pulse.silent() < e.conf.Pace.UnreachableAfter {
			out[i] = l
		}
	}
	return out
}

// repairSegment rebuilds the missing pieces on owners that hold none. It needs
// the seal key only and decrypts nothing. A rebuilt piece is the same bytes
// under the same root, so doing it twice does no harm.
func (e *Engine) repairSegment(ctx context.Context, seg Segment, usable map[int]*link) (int, error) {
	geo := seg.geometry()
	sp, err := e.spools.open(int(seg.Layout.N), geo.ShardSize())
	if err != nil {
		return 0, err
	}
	defer sp.close()
	want, err := e.rebuild(ctx, seg, usable, sp)
	if err != nil {
		return 0, err
	}
	n, err := e.resettle(ctx, seg, usable, want, sp, true)
	if errors.Is(err, ErrTooFewOwners) || errors.Is(err, ErrNotStored) {
		n, err = e.resettle(ctx, seg, usable, want, sp, false)
	}
	if err == nil {
		e.log.Info("segment repaired", "segment", fmt.Sprintf("%x", seg.ID), "pieces", n, "had", len(usable), "of", seg.Layout.N)
	}
	return n, err
}

// resettle stores rebuilt pieces with owners that hold none of the segment, and
// records them. With elsewhere set it also passes over the owners that lost one.
func (e *Engine) resettle(ctx context.Context, seg Segment, usable map[int]*link, want []int, sp *spool, elsewhere bool) (int, error) {
	moved := seg
	moved.Pieces = append([]Piece(nil), seg.Pieces...)
	taken := map[string]bool{}
	for i, p := range seg.Pieces {
		l := usable[i]
		if l == nil && p.State == PieceBad && (elsewhere || e.bound(p)) {
			l = e.book.link(p.Lease)
		}
		if l != nil {
			taken[l.owner()] = true
		}
	}
	for _, i := range want {
		moved.Pieces[i].State = PieceAbsent
	}
	up := &upload{e: e, seg: &moved, spool: sp, enough: len(usable) + 1, taken: taken,
		record: func(tried []place) error { return e.replace(seg, &moved, tried) }}
	if err := up.run(ctx, want); err != nil {
		return 0, err
	}
	return up.good() - len(usable), nil
}

// bound reports whether the provider is still bound to a piece that it lost:
// sent again now, it would be taken for one that is there.
func (e *Engine) bound(p Piece) (yes bool) {
	err := e.store.db.View(func(tx *bbolt.Tx) error {
		h, ok, err := getHolding(tx, p.Lease, p.Root)
		yes = ok && (h.Mark == markHeld || h.Mark == markDrop)
		return err
	})
	return yes || err != nil
}

// rebuild spools the missing pieces and checks them against their roots. A
// source that fails is left out and the rebuild starts again.
func (e *Engine) rebuild(ctx context.Context, seg Segment, usable map[int]*link, sp *spool) ([]int, error) {
	for {
		if len(usable) < int(seg.Layout.K) {
			return nil, fmt.Errorf("%w: %d usable pieces, need %d", ErrUnrecoverable, len(usable), seg.Layout.K)
		}
		want, err := e.rebuildOnce(ctx, seg, usable, sp)
		var fault *erasure.ShardError
		if ctx.Err() != nil || err == nil || !errors.As(err, &fault) || usable[fault.Shard] == nil {
			return want, err
		}
		r := &reading{e: e, seg: seg, dead: make([]bool, seg.Layout.N)}
		r.failed(fault.Shard, fault.Err)
		delete(usable, fault.Shard)
	}
}

func (e *Engine) rebuildOnce(ctx context.Context, seg Segment, usable map[int]*link, sp *spool) ([]int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	n := int(seg.Layout.N)
	have, out := make([]io.Reader, n), make([]io.Writer, n)
	writers := map[int]*shardWriter{}
	var want []int
	sources := 0
	for i := range n {
		l := usable[i]
		switch {
		case l == nil:
			writers[i] = sp.writer(i)
			out[i] = writers[i]
			want = append(want, i)
		case sources < int(seg.Layout.K):
			have[i] = e.readAll(ctx, l, seg.Pieces[i].Root, seg.geometry().ShardSize())
			sources++
		}
	}
	err := erasure.Rebuild(seg.geometry(), e.conf.Keys.Seal.ForSegment(erasure.ID(seg.ID)), have, out)
	cancel()
	for _, r := range have {
		if r != nil {
			r.(*pieceReader).wait()
		}
	}
	if err != nil {
		return nil, err
	}
	for i, w := range writers {
		if got := w.hash.Root(); got != seg.Pieces[i].Root {
			return nil, fmt.Errorf("rebuilt piece %d has root %s, want %s", i, got, seg.Pieces[i].Root)
		}
	}
	return want, nil
}

// replace records repaired pieces, unless the segment was deleted or changed
// meanwhile: then the new pieces are orphans.
func (e *Engine) replace(before Segment, after *Segment, tried []place) error {
	err := e.store.db.Batch(func(tx *bbolt.Tx) error {
		now, err := getSegment(tx, before.ID)
		if errors.Is(err, ErrNotFound) {
			return releaseAll(tx, after, tried)
		}
		if err != nil {
			return err
		}
		for i, p := range after.Pieces {
			old := before.Pieces[i]
			if p == old || p.State != PieceGood || now.Pieces[i].Lease != old.Lease {
				continue
			}
			if old.State != PieceAbsent && old.Lease != p.Lease {
				if err := release(tx, old.Lease, old.Root); err != nil {
					return err
				}
			}
			now.Pieces[i] = p
		}
		if err := putSegment(tx, now); err != nil {
			return err
		}
		return settlePlaces(tx, &now, tried)
	})
	if err != nil {
		return fmt.Errorf("record repair of segment %x: %w", before.ID, err)
	}
	e.changed()
	return nil
}

func releaseAll(tx *bbolt.Tx, seg *Segment, tried []place) error {
	for _, t := range tried {
		if err := release(tx, t.lease, seg.Pieces[t.index].Root); err != nil {
			return err
		}
	}
	return nil
}

// pieceReader streams one whole piece, verified, a few ranges ahead.
type pieceReader struct {
	io.Reader
	done chan struct{}
}

func (p *pieceReader) wait() { <-p.done }

const repairRange = 1 << 20

func (e *Engine) readAll(ctx context.Context, l *link, root piece.Root, size int64) io.Reader {
	pr, pw := io.Pipe()
	p := &pieceReader{Reader: pr, done: make(chan struct{})}
	context.AfterFunc(ctx, func() { pr.CloseWithError(context.Canceled) })
	e.wg.Go(func() {
		defer close(p.done)
		for off := int64(0); off < size; off += repairRange {
			span := erasure.Span{Offset: off, Length: min(repairRange, size-off)}
			data, err := e.readRange(ctx, l, root, size, span)
			if err == nil {
				_, err = pw.Write(data)
			}
			if err != nil {
				pw.CloseWithError(err)
				return
			}
		}
		pw.Close()
	})
	return p
}

// probeLoop looks at providers nobody has used for a while, so that silence is
// noticed without reads.
func (e *Engine) probeLoop() {
	for wait(e.ctx, e.conf.Pace.ProbeInterval) {
		for _, l := range e.book.all() {
			if l.alive() && l.pulse.idle() >= e.conf.Pace.ProbeInterval {
				e.probe(e.ctx, l)
			}
			if l.pulse.silent() >= e.conf.Pace.UnreachableAfter {
				poke(e.repair)
			}
		}
	}
}

func (e *Engine) probe(ctx context.Context, l *link) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := l.connection(e.conf.Tunnel)
	if err == nil {
		began := time.Now()
		if err = c.status(ctx); err == nil {
			l.pulse.ok(time.Since(began))
			return
		}
	}
	if e.ctx.Err() == nil {
		l.pulse.fail()
		e.log.Debug("provider does not answer", "lease", fmt.Sprintf("%x", l.id), "err", err)
	}
}

// status asks the provider for a sign of life.
func (c *client) status(ctx context.Context) error {
	res, err := c.send(ctx, "GET", "/v1/status", url.Values{}, nil, 0, nil)
	if err != nil {
		return fmt.Errorf("look at provider: %w", err)
	}
	defer finish(res)
	if res.StatusCode/100 != 2 {
		return refusal("look at provider", res)
	}
	return nil
}
