package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/vertical/storage/erasure"
	"github.com/grange-network/grange/vertical/storage/piece"
)

// loserGrace is how long a fetch that is not needed any more may go on: its
// bytes are paid for anyway once they are sent, and cutting it off would leave
// the provider's count above ours.
const loserGrace = 3 * time.Second

// source is one shard's state during the fetch of a window.
type source struct {
	shard   int
	link    *link
	running int       // fetches under way
	began   time.Time // of the newest
	whole   bool      // the newest asks for the whole span that decoding needs
	late    bool      // the newest has not come in time
	got     bool      // answered with the systematic span at least
	gotAll  bool      // answered with the whole span
	failed  bool
}

// gather is the fetch of one window: the data shards' blocks, and when one of
// them fails or is late the spans of other shards, until k whole spans or all
// data blocks are there.
type gather struct {
	r       *reading
	k       int
	spans   []erasure.Span // per data shard; zero length is not needed
	whole   erasure.Span
	sources []*source // nil where there is no piece to read
	out     []io.ReaderAt
	answers chan answer
	errs    reasons
}

type answer struct {
	shard int
	whole bool
	data  erasure.Fetched
	took  time.Duration
	err   error
}

// fetch brings the shards from which the plaintext range can be decoded.
func (r *reading) fetch(ctx context.Context, off, n int64) ([]io.ReaderAt, error) {
	geo := r.seg.geometry()
	spans, err := geo.Systematic(off, n)
	if err != nil {
		return nil, err
	}
	whole, err := geo.Reconstruct(off, n)
	if err != nil {
		return nil, err
	}
	g := &gather{r: r, k: int(r.seg.Layout.K), spans: spans, whole: whole,
		sources: make([]*source, r.seg.Layout.N), out: make([]io.ReaderAt, r.seg.Layout.N),
		// Each shard is asked at most twice, so no answer ever blocks.
		answers: make(chan answer, 2*int(r.seg.Layout.N))}
	for i, p := range r.seg.Pieces {
		if p.State != PieceGood || r.isDead(i) {
			continue
		}
		if l := r.e.book.link(p.Lease); l != nil && l.alive() {
			g.sources[i] = &source{shard: i, link: l}
		}
	}
	// Fetches outlive the window by loserGrace.
	fetchCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if g.anyRunning() {
			r.e.after(loserGrace, cancel)
		} else {
			cancel()
		}
	}()
	return g.run(ctx, fetchCtx)
}

func (g *gather) run(ctx, fetchCtx context.Context) ([]io.ReaderAt, error) {
	for j, s := range g.spans {
		src := g.sources[j]
		if s.Length > 0 && src != nil && !g.doubtful(src) {
			g.ask(fetchCtx, src, s == g.whole)
		}
	}
	size := g.whole.Length
	patience := max(2*g.r.e.reads(size).quantile(0.95, g.r.e.conf.Pace.PieceTimeout/20), g.r.e.conf.Pace.HedgeFloor)
	tick := time.NewTicker(max(patience/4, 5*time.Millisecond))
	defer tick.Stop()
	for {
		if g.complete() {
			return g.out, nil
		}
		g.reinforce(fetchCtx)
		if !g.anyRunning() {
			if len(g.errs) == 0 {
				return nil, fmt.Errorf("%w: %d of %d needed pieces reached: the leases of the others have ended", ErrUnrecoverable, g.wholes(), g.k)
			}
			return nil, fmt.Errorf("%w: %d of %d needed pieces reached: %w", ErrUnrecoverable, g.wholes(), g.k, g.errs)
		}
		select {
		case a := <-g.answers:
			g.take(ctx, a)
		case now := <-tick.C:
			g.lookForLate(now, patience)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// muchTooLate is how many times its patience a fetch may take before it is
// replaced whatever the allowance says.
const muchTooLate = 8

func (g *gather) lookForLate(now time.Time, patience time.Duration) {
	for _, s := range g.sources {
		if s == nil || s.running == 0 || s.late {
			continue
		}
		took := now.Sub(s.began)
		s.late = took > muchTooLate*patience || (took > patience && g.r.e.hedges.spend())
	}
}

// doubtful sources are asked only when there are not enough others.
func (g *gather) doubtful(s *source) bool {
	fails, _ := s.link.pulse.rank()
	return fails >= 2
}

// complete reports whether the window can be decoded.
func (g *gather) complete() bool {
	all := true
	for j, s := range g.spans {
		if s.Length > 0 && (g.sources[j] == nil || !g.sources[j].got) {
			all = false
		}
	}
	return all || g.wholes() >= g.k
}

func (g *gather) wholes() (n int) {
	for _, s := range g.sources {
		if s != nil && s.gotAll {
			n++
		}
	}
	return n
}

func (g *gather) anyRunning() bool {
	for _, s := range g.sources {
		if s != nil && s.running > 0 {
			return true
		}
	}
	return false
}

// someLate reports whether a fetch is under way that has not come in time.
func (g *gather) someLate() bool {
	return slices.ContainsFunc(g.sources, func(s *source) bool { return s != nil && s.late && !s.got })
}

// troubled reports whether a data block that is needed will not come in time.
func (g *gather) troubled() bool {
	for j, s := range g.spans {
		if s.Length == 0 {
			continue
		}
		src := g.sources[j]
		if src == nil || (!src.got && (src.failed || src.late || src.running == 0)) {
			return true
		}
	}
	return false
}

// reinforce asks more shards for whole spans until k are there or on their way.
func (g *gather) reinforce(ctx context.Context) {
	if !g.troubled() {
		return
	}
	expected := 0
	var free []*source
	for _, s := range g.sources {
		switch {
		case s == nil || s.failed:
		case s.gotAll || (s.running > 0 && s.whole && !s.late):
			expected++
		case s.running == 0:
			free = append(free, s)
		}
	}
	slices.SortStableFunc(free, func(a, b *source) int {
		af, al := a.link.pulse.rank()
		bf, bl := b.link.pulse.rank()
		return cmp.Or(cmp.Compare(af, bf), cmp.Compare(al, bl))
	})
	for _, s := range free {
		if expected >= g.k {
			return
		}
		g.ask(ctx, s, true)
		expected++
	}
}

// ask starts one fetch of s: its systematic span, or the whole one.
func (g *gather) ask(ctx context.Context, s *source, whole bool) {
	span := g.whole
	if !whole {
		span = g.spans[s.shard]
	}
	try := "data"
	switch {
	case g.someLate():
		try = "hedge"
	case whole && s.shard >= g.k:
		try = "spare"
	}
	s.running++
	s.began, s.whole, s.late = time.Now(), whole, false
	e, p := g.r.e, g.r.seg.Pieces[s.shard]
	size := g.r.seg.geometry().ShardSize()
	answers := g.answers
	e.wg.Go(func() {
		began := time.Now()
		ctx, traced := e.pieceSpan(ctx, "read piece", &g.r.seg, s.shard, try)
		data, err := e.readRange(ctx, s.link, p.Root, size, span)
		trace.End(traced, err)
		if err != nil { // also when the window no longer waits for it
			g.r.failed(s.shard, err)
		}
		answers <- answer{shard: s.shard, whole: whole, data: erasure.Fetched{Offset: span.Offset, Data: data}, took: time.Since(began), err: err}
	})
}

func (g *gather) take(ctx context.Context, a answer) {
	s := g.sources[a.shard]
	s.running--
	if a.err != nil {
		s.failed = true
		g.errs = append(g.errs, fmt.Errorf("piece %d: %w", a.shard, a.err))
		g.r.e.log.Debug("piece not read", "segment", fmt.Sprintf("%x", g.r.seg.ID[:8]), "shard", a.shard,
			"lease", fmt.Sprintf("%x", s.link.id[:8]), "err", a.err, "trace", trace.ID(ctx))
		return
	}
	g.r.e.reads(int64(len(a.data.Data))).add(a.took)
	g.r.e.hedges.earn()
	if s.gotAll {
		return
	}
	g.out[a.shard] = a.data
	s.got = true
	if a.whole {
		s.gotAll = true
	}
}

// failed draws the consequences of a shard that could not be read.
func (r *reading) failed(shard int, err error) {
	switch {
	case errors.Is(err, piece.ErrInvalid), isStatus(err, http.StatusNotFound):
		r.kill(shard)
		r.e.pieceLost(r.seg.ID, shard, r.seg.Pieces[shard].Root)
	case !errors.Is(err, context.Canceled):
		r.kill(shard)
	}
}

// readRange reads and verifies one range of a piece.
func (e *Engine) readRange(ctx context.Context, l *link, root piece.Root, size int64, span erasure.Span) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, e.conf.Pace.PieceTimeout)
	defer cancel()
	l.noteLink(ctx)
	c, err := l.connection(e.conf.Tunnel)
	if err != nil {
		l.blame(ctx, err)
		return nil, err
	}
	data := newWindow(int(span.Length))
	if err := l.read(ctx, c, root, size, span.Offset, data); err != nil {
		l.blame(ctx, err)
		return nil, err
	}
	return data, nil
}

// windows are buffers of spans that have been decoded. A span whose answer came
// too late to be decoded is left to the garbage collector.
var windows sync.Pool

func newWindow(n int) []byte {
	if b, ok := windows.Get().(*[]byte); ok && cap(*b) >= n {
		return (*b)[:n]
	}
	return make([]byte, n)
}

// recycle takes back the spans that a window was decoded from.
func recycle(shards []io.ReaderAt) {
	for _, s := range shards {
		if f, ok := s.(erasure.Fetched); ok {
			windows.Put(&f.Data)
		}
	}
}
