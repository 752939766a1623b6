package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"go.opentelemetry.io/otel/attribute"

	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/vertical/storage/erasure"
)

const (
	firstWindow = 1 << 20 // plaintext of the first fetch of a read: quick first byte
	lastWindow  = 4 << 20 // fetches double up to this
	readAhead   = 3       // windows fetched before the writer has taken them
)

// Read implements Segments.
func (e *Engine) Read(ctx context.Context, id SegmentID, offset, length int64, w io.Writer) error {
	ctx, span := e.span(ctx, "read segment", trace.Hex(trace.Segment, id), attribute.Int64("grange.offset", offset), trace.Number(trace.Bytes, length))
	err := e.read(ctx, id, offset, length, w)
	trace.End(span, err)
	if err != nil {
		return fmt.Errorf("read segment %x: %w", id[:8], err)
	}
	return nil
}

func (e *Engine) read(ctx context.Context, id SegmentID, offset, length int64, w io.Writer) error {
	ctx, done, err := e.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	seg, err := e.store.segment(id)
	if err != nil {
		return err
	}
	if length < 0 {
		length = seg.Size - offset
	}
	if offset < 0 || length < 0 || offset > seg.Size-length {
		return fmt.Errorf("%w: %d bytes at %d of %d", ErrRange, length, offset, seg.Size)
	}
	r := &reading{e: e, seg: seg, dead: make([]bool, seg.Layout.N)}
	return r.run(ctx, offset, length, w)
}

// reading is one Read under way.
type reading struct {
	e   *Engine
	seg Segment

	mu   sync.Mutex
	dead []bool // shards that failed during this read
}

// windowResult is the shards of one window, or why there are too few.
type windowResult struct {
	off, n int64
	shards []io.ReaderAt
	err    error
}

// run fetches windows ahead and decodes them in order.
func (r *reading) run(ctx context.Context, off, n int64, w io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	queue := make(chan chan windowResult, readAhead-1)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		defer close(queue)
		step := int64(firstWindow)
		for n > 0 && ctx.Err() == nil {
			part := r.cut(off, n, step)
			out := make(chan windowResult, 1)
			select {
			case queue <- out:
			case <-ctx.Done():
				return
			}
			from := off
			wg.Go(func() {
				shards, err := r.fetch(ctx, from, part)
				out <- windowResult{from, part, shards, err}
			})
			off, n, step = off+part, n-part, min(2*step, lastWindow)
		}
	})
	for out := range queue {
		var res windowResult
		select {
		case res = <-out:
		case <-ctx.Done():
			return ctx.Err()
		}
		if res.err != nil {
			return res.err
		}
		if err := r.decode(res, w); err != nil {
			return err
		}
		recycle(res.shards)
	}
	return ctx.Err()
}

// cut returns how much of n bytes at off the next window takes: about step, to
// the end of a stripe so that no stripe is fetched twice.
func (r *reading) cut(off, n, step int64) int64 {
	stripe := int64(r.seg.Layout.K) * erasure.BlockSize
	end := max((off+step)/stripe, off/stripe+1) * stripe
	return min(n, end-off)
}

func (r *reading) decode(res windowResult, w io.Writer) error {
	bad, err := erasure.Decode(r.seg.geometry(), r.e.conf.Keys, res.shards, res.off, res.n, w)
	for _, b := range bad {
		// Every byte was proven to be the piece's own, so a block that does not
		// authenticate means the piece was wrong from the start.
		if errors.Is(b.Err, erasure.ErrBlock) {
			r.e.log.Error("piece holds wrong content", "segment", fmt.Sprintf("%x", r.seg.ID), "shard", b.Shard, "block", b.Block)
			r.kill(b.Shard)
			r.e.pieceLost(r.seg.ID, b.Shard, r.seg.Pieces[b.Shard].Root)
		}
	}
	if errors.Is(err, erasure.ErrTooFew) {
		return fmt.Errorf("%w: %w", ErrUnrecoverable, err)
	}
	return err
}

func (r *reading) kill(shard int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead[shard] = true
}

func (r *reading) isDead(shard int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dead[shard]
}
