package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	"go.opentelemetry.io/otel/attribute"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/vertical/storage/erasure"
	"github.com/grange-network/grange/vertical/storage/piece"
)

// Put implements Segments.
func (e *Engine) Put(ctx context.Context, r io.Reader, size int64) (SegmentID, error) {
	ctx, span := e.span(ctx, "store segment", trace.Number(trace.Bytes, size))
	id, err := e.put(ctx, r, size)
	span.SetAttributes(trace.Hex(trace.Segment, id))
	trace.End(span, err)
	if err != nil {
		return SegmentID{}, fmt.Errorf("store segment: %w", err)
	}
	return id, nil
}

func (e *Engine) put(ctx context.Context, r io.Reader, size int64) (SegmentID, error) {
	ctx, done, err := e.begin(ctx)
	if err != nil {
		return SegmentID{}, err
	}
	defer done()
	if size < 1 || size > MaxSegment {
		return SegmentID{}, fmt.Errorf("%w: %d bytes, want 1 to %d", ErrSize, size, MaxSegment)
	}
	placing, span := e.span(ctx, "choose layout")
	layout, err := e.layout(placing, size)
	trace.End(span, err)
	if err != nil {
		return SegmentID{}, err
	}
	seg := Segment{Size: size, Layout: layout}
	rand.Read(seg.ID[:])
	_, span = e.span(ctx, "take in and encode", attribute.String("grange.code", fmt.Sprintf("%d of %d", layout.K, layout.N)))
	sp, roots, err := encode(e.spools, seg.geometry(), e.conf.Keys, r)
	trace.End(span, err)
	if err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return SegmentID{}, fmt.Errorf("%w: fewer than %d bytes given: %w", ErrSize, size, err)
		}
		return SegmentID{}, err
	}
	defer sp.close()
	seg.Pieces = make([]Piece, layout.N)
	want := make([]int, layout.N)
	for i := range want {
		seg.Pieces[i].Root, want[i] = roots[i], i
	}
	up := &upload{e: e, seg: &seg, spool: sp, enough: int(layout.Repair), taken: map[string]bool{},
		record: func(tried []place) error { return e.acknowledge(&seg, tried) }}
	if err := up.run(ctx, want); err != nil {
		return SegmentID{}, err
	}
	return seg.ID, nil
}

// layout picks the first configured layout for whose N there are owners, or
// says how many there are and how many the smallest needs.
func (e *Engine) layout(ctx context.Context, size int64) (erasure.Layout, error) {
	most, least := 0, 255
	for _, l := range e.conf.Layouts {
		least = min(least, int(l.N))
		if size > l.MaxSegment() {
			continue
		}
		piece := uint64(erasure.Segment{Size: size, Layout: l}.ShardSize())
		spots, err := e.book.spots(ctx, piece)
		if err != nil {
			return erasure.Layout{}, err
		}
		owners := map[string]bool{}
		for _, s := range spots {
			if usable(s.Candidate, piece) {
				owners[s.Owner] = true
			}
		}
		if len(owners) >= int(l.N) {
			return l, nil
		}
		most = max(most, len(owners))
	}
	if dry := len(e.book.exhausted()); dry > 0 && most+dry >= least {
		return erasure.Layout{}, fmt.Errorf("%w: %d leases can be read and not written, and only %d providers take the pieces of %d bytes, of the %d it needs", ErrSpent, dry, most, size, least)
	}
	return erasure.Layout{}, fmt.Errorf("%w: %d with room for the pieces of %d bytes, need %d", ErrTooFewOwners, most, size, least)
}

// Prepare opens the leases that the first segments will need, so that no client
// waits for the ledger. It is optional: Put opens what is missing.
func (e *Engine) Prepare(ctx context.Context) error {
	ctx, done, err := e.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	layout, err := e.layout(ctx, 1)
	if err != nil {
		return fmt.Errorf("prepare leases: %w", err)
	}
	size := uint64(erasure.Segment{Size: min(MaxSegment, layout.MaxSegment()), Layout: layout}.ShardSize())
	spots, order, err := e.ranked(ctx, size, nil)
	if err != nil {
		return fmt.Errorf("prepare leases: %w", err)
	}
	errs := make(reasons, len(order))
	var wg sync.WaitGroup
	for i, s := range order[:min(len(order), int(layout.N))] {
		wg.Go(func() { _, errs[i] = e.book.open(ctx, spots[s], size) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// ranked lists the spots for pieces of size bytes and the order to try them in.
func (e *Engine) ranked(ctx context.Context, size uint64, taken map[string]bool) ([]spot, []int, error) {
	spots, err := e.book.spots(ctx, size)
	if err != nil {
		return nil, nil, err
	}
	candidates := make([]Candidate, len(spots))
	for i, s := range spots {
		candidates[i] = s.Candidate
	}
	rng := mathrand.New(mathrand.NewPCG(mathrand.Uint64(), mathrand.Uint64()))
	return spots, Rank(rng, candidates, size, taken), nil
}

// upload brings pieces of one segment to distinct owners.
type upload struct {
	e      *Engine
	seg    *Segment
	spool  *spool
	enough int             // good pieces of the segment that make it a success
	taken  map[string]bool // owners that hold a piece or are being given one
	record func(tried []place) error

	spares  []spot
	busy    map[int]int // attempts under way, by shard index
	late    map[int]time.Time
	results chan attempt
	tried   []place // every lease a piece was sent to
	errs    reasons
}

// attempt is the outcome of sending one piece to one provider.
type attempt struct {
	index int
	owner string
	link  *link
	took  time.Duration
	err   error
}

// place is a piece that may lie under a lease.
type place struct {
	lease LeaseID
	index int
}

// run uploads the pieces in want and records the segment. It succeeds when at
// least enough pieces of the segment are good.
func (u *upload) run(ctx context.Context, want []int) error {
	size := uint64(u.spool.size)
	spots, order, err := u.e.ranked(ctx, size, u.taken)
	if err != nil {
		return err
	}
	for _, i := range order {
		u.spares = append(u.spares, spots[i])
	}
	good := u.good()
	if good+len(u.spares) < u.enough {
		return fmt.Errorf("%w: %d with room for a piece of %d bytes, need %d", ErrTooFewOwners, len(u.spares), size, u.enough-good)
	}
	sendCtx, cancel := context.WithCancel(ctx)
	u.busy, u.late = map[int]int{}, map[int]time.Time{}
	u.results = make(chan attempt)
	for _, i := range want {
		u.start(sendCtx, i)
	}
	u.collect(ctx, sendCtx, want)
	cancel()
	for u.inFlight() > 0 { // losers have been cancelled: they end soon
		u.take(<-u.results)
	}
	if err := ctx.Err(); err != nil {
		u.abandon()
		return err
	}
	if got := u.good(); got < u.enough {
		u.abandon()
		return fmt.Errorf("%w: %d of %d pieces stored, need %d: %w", ErrNotStored, got, len(u.seg.Pieces), u.enough, u.errs)
	}
	return u.record(u.tried)
}

// collect takes results and hedges until all is stored, nothing more can be
// tried, or enough is stored and the stragglers have had their time.
func (u *upload) collect(ctx, sendCtx context.Context, want []int) {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	var deadline time.Time
	for u.inFlight() > 0 {
		select {
		case a := <-u.results:
			if u.take(a); u.seg.Pieces[a.index].State != PieceGood && u.busy[a.index] == 0 {
				u.start(sendCtx, a.index)
			}
		case now := <-tick.C:
			u.hedge(sendCtx, now)
			if !deadline.IsZero() && now.After(deadline) {
				return
			}
		case <-ctx.Done():
			return
		}
		if u.missing(want) == 0 {
			return
		}
		if deadline.IsZero() && u.good() >= u.enough {
			// Stragglers get as long again as half of what the others took.
			deadline = time.Now().Add(max(time.Since(began)/2, u.e.conf.Pace.UploadLinger))
		}
	}
}

func (u *upload) good() (n int) {
	for _, p := range u.seg.Pieces {
		if p.State == PieceGood {
			n++
		}
	}
	return n
}

func (u *upload) missing(want []int) (n int) {
	for _, i := range want {
		if u.seg.Pieces[i].State != PieceGood {
			n++
		}
	}
	return n
}

func (u *upload) inFlight() (n int) {
	for _, b := range u.busy {
		n += b
	}
	return n
}

// hedge gives a late piece to one more provider.
func (u *upload) hedge(ctx context.Context, now time.Time) {
	for i, at := range u.late {
		if u.busy[i] == 1 && now.After(at) && u.seg.Pieces[i].State != PieceGood {
			u.start(ctx, i)
		}
	}
}

// start sends piece i to the next spare, if there is one.
func (u *upload) start(ctx context.Context, i int) {
	for len(u.spares) > 0 && u.taken[u.spares[0].Owner] {
		u.spares = u.spares[1:]
	}
	if len(u.spares) == 0 {
		return
	}
	s := u.spares[0]
	u.spares = u.spares[1:]
	u.taken[s.Owner] = true
	try := "first"
	if _, again := u.late[i]; again {
		try = "other provider"
	}
	if u.busy[i]++; u.busy[i] > 1 {
		try = "hedge"
	}
	u.late[i] = time.Now().Add(max(3*u.e.uploads.quantile(0.95, u.e.conf.Pace.PieceTimeout/3), u.e.conf.Pace.HedgeFloor))
	u.e.wg.Go(func() {
		began := time.Now()
		ctx, span := u.e.pieceSpan(ctx, "put piece", u.seg, i, try)
		l, err := u.send(ctx, s, i)
		trace.End(span, err)
		u.results <- attempt{index: i, owner: s.Owner, link: l, took: time.Since(began), err: err}
	})
}

// send brings piece i to spot s. The link is not nil from the moment the piece
// may have reached the provider.
func (u *upload) send(ctx context.Context, s spot, i int) (*link, error) {
	size := u.spool.size
	l, err := u.e.book.open(ctx, s, uint64(size))
	if err != nil {
		return nil, err
	}
	c, err := l.connection(u.e.conf.Tunnel)
	if err != nil {
		l.blame(ctx, err)
		return nil, err
	}
	root := u.seg.Pieces[i].Root
	l.noteLink(ctx)
	oteltrace.SpanFromContext(ctx).SetAttributes(trace.Roots.String(trace.RootList([]piece.Root{root})), trace.Number(trace.Bytes, size))
	if err := u.e.intend(l.id, holding{Root: root, Segment: u.seg.ID, Index: uint8(i), Size: uint64(size), Mark: markPut}); err != nil {
		return nil, err
	}
	l.addStored(uint64(size))
	putCtx, cancel := context.WithTimeout(ctx, u.e.conf.Pace.PieceTimeout)
	defer cancel()
	err = l.put(putCtx, c, root, u.spool.shard(i), size)
	l.blame(ctx, err)
	return l, err
}

// take records the outcome of an attempt.
func (u *upload) take(a attempt) {
	u.busy[a.index]--
	if a.link != nil {
		u.tried = append(u.tried, place{a.link.id, a.index})
	}
	p := &u.seg.Pieces[a.index]
	if a.err != nil {
		if !errors.Is(a.err, context.Canceled) {
			u.errs = append(u.errs, fmt.Errorf("piece %d at %s: %w", a.index, a.owner, a.err))
		}
		return
	}
	u.e.uploads.add(a.took)
	if p.State != PieceGood {
		p.State, p.Lease = PieceGood, a.link.id
	}
}

// intend records that a piece is about to be sent, before it is.
func (e *Engine) intend(id LeaseID, h holding) error {
	return e.store.db.Batch(func(tx *bbolt.Tx) error {
		// A piece that repair sends back to where it once was keeps its mark if
		// the provider is still committed to it.
		old, ok, err := getHolding(tx, id, h.Root)
		if err != nil {
			return err
		}
		if ok && (old.Mark == markHeld || old.Mark == markDrop) {
			return nil
		}
		return putHolding(tx, id, h)
	})
}

// acknowledge makes the segment durable: from here on it is never lost by a
// crash. Every other place that was tried becomes an orphan.
func (e *Engine) acknowledge(seg *Segment, tried []place) error {
	err := e.store.db.Batch(func(tx *bbolt.Tx) error {
		if err := putSegment(tx, *seg); err != nil {
			return err
		}
		return settlePlaces(tx, seg, tried)
	})
	if err != nil {
		return fmt.Errorf("record segment %x: %w", seg.ID, err)
	}
	e.changed()
	return nil
}

// settlePlaces marks the pieces where seg now has them as wanted and the other
// places tried as orphans.
func settlePlaces(tx *bbolt.Tx, seg *Segment, tried []place) error {
	for _, t := range tried {
		p := seg.Pieces[t.index]
		if p.State != PieceGood || p.Lease != t.lease {
			if err := release(tx, t.lease, p.Root); err != nil {
				return err
			}
			continue
		}
		h, ok, err := getHolding(tx, t.lease, p.Root)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("piece %s under lease %x has no record", p.Root, t.lease)
		}
		switch h.Mark {
		case markPut, markOrphan:
			h.Mark = markAdd
		case markDrop:
			h.Mark = markHeld
		}
		if err := putHolding(tx, t.lease, h); err != nil {
			return err
		}
	}
	return nil
}

// abandon turns everything this upload sent into orphans.
func (u *upload) abandon() {
	places := u.tried
	err := u.e.store.db.Batch(func(tx *bbolt.Tx) error {
		for _, t := range places {
			if err := release(tx, t.lease, u.seg.Pieces[t.index].Root); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		u.e.log.Error("upload not swept", "segment", fmt.Sprintf("%x", u.seg.ID), "err", err)
	}
	u.e.changed()
}
