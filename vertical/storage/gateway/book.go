package gateway

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/vertical/storage/proof"
)

// theLane is the id of the one lane of every lease this engine opens.
const theLane = 1

// book is all leases of this engine and the offers it could lease.
type book struct {
	conf  Config
	store *store
	log   *slog.Logger
	epoch func() uint64
	low   func() bool    // asks for tend and refresh soon; false when nothing is ever topped up
	wg    sync.WaitGroup // Accepts under way

	keeping sync.Mutex // before mu

	mu      sync.Mutex
	links   map[LeaseID]*link
	offers  []Offer
	asked   time.Time                // when offers were asked for
	opening map[uint64]chan struct{} // offers an Accept is under way for
}

func newBook(conf Config, s *store, epoch func() uint64, low func() bool) *book {
	return &book{
		conf: conf, store: s, log: conf.Log, epoch: epoch, low: low,
		links: map[LeaseID]*link{}, opening: map[uint64]chan struct{}{},
	}
}

func (b *book) close() {
	b.wg.Wait()
	b.mu.Lock()
	links := b.links
	b.links = map[LeaseID]*link{}
	b.mu.Unlock()
	for _, l := range links {
		l.close()
	}
}

// link returns the lease's link, nil when it is not (or no longer) ours.
func (b *book) link(id LeaseID) *link {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.links[id]
}

func (b *book) all() []*link {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]*link, 0, len(b.links))
	for _, l := range b.links {
		out = append(out, l)
	}
	return out
}

// refresh takes the ledger's view of our leases: it adopts leases whose session
// key is ours, updates those known, and retires those that are gone.
func (b *book) refresh(ctx context.Context) error {
	before := b.all() // a lease opened while the ledger answers is not gone
	now, err := b.conf.Ledger.Leases(ctx)
	if err != nil {
		return fmt.Errorf("ask ledger for leases: %w", err)
	}
	seen := map[LeaseID]bool{}
	for _, view := range now {
		seen[view.ID] = true
		if err := b.adopt(view); err != nil {
			b.log.Warn("lease left out", "lease", fmt.Sprintf("%x", view.ID), "err", err)
		}
	}
	for _, l := range before {
		if !seen[l.id] {
			l.close()
		}
	}
	return nil
}

// adopt updates or makes the link of a lease on the ledger. A lease whose key
// we do not hold belongs to another gateway of the account and is left alone.
func (b *book) adopt(view Lease) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.links[view.ID]; l != nil {
		changed, old := l.show(view)
		if old != nil {
			old.close()
		}
		if !changed {
			return nil
		}
		terms, err := laneTerms(b.conf.Chain, view, l.lane)
		if err != nil {
			return err
		}
		return l.meter.retarget(terms, concession(terms.Cap))
	}
	rec, ok, err := b.record(view)
	if err != nil || !ok {
		return err
	}
	l, err := b.makeLink(view, rec)
	if err == nil {
		b.links[view.ID] = l
	}
	return err
}

// record reads our record of the lease, or turns the opening it came from into
// one.
func (b *book) record(view Lease) (rec leaseRecord, ok bool, err error) {
	err = b.store.db.View(func(tx *bbolt.Tx) error {
		ok, err = getJSON(tx, bucketLeases, view.ID[:], &rec)
		return err
	})
	if err != nil || ok {
		return rec, ok, err
	}
	lane, has := view.Lane(theLane)
	if !has {
		return rec, false, nil
	}
	err = b.store.db.Update(func(tx *bbolt.Tx) error {
		var o openingRecord
		if ok, err = getJSON(tx, bucketOpenings, lane.Key[:], &o); err != nil || !ok {
			return err
		}
		rec = leaseRecord{Offer: o.Offer, Seed: o.Seed, Lane: theLane, Device: view.Device[:], Owner: view.Provider.Owner}
		if err := putJSON(tx, bucketLeases, view.ID[:], rec); err != nil {
			return err
		}
		return tx.Bucket(bucketOpenings).Delete(lane.Key[:])
	})
	return rec, ok && err == nil, err
}

func (b *book) makeLink(view Lease, rec leaseRecord) (*link, error) {
	if len(rec.Seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("lease %x: session seed of %d bytes, want %d", view.ID, len(rec.Seed), ed25519.SeedSize)
	}
	l := &link{id: view.ID, key: ed25519.NewKeyFromSeed(rec.Seed), lane: rec.Lane, lease: view, revision: rec.Revision}
	l.retired = view.State != lease.Open && view.State != lease.Grace
	var state []byte
	var held []proof.Piece
	err := b.store.db.View(func(tx *bbolt.Tx) error {
		if v := tx.Bucket(bucketPayers).Get(view.ID[:]); v != nil {
			state = append([]byte(nil), v...)
		}
		return eachHolding(tx, &view.ID, func(_ LeaseID, h holding) error {
			l.stored += h.Size
			if h.Mark == markHeld || h.Mark == markDrop {
				held = append(held, proof.Piece{Root: h.Root, Size: int64(h.Size)})
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	if l.set, err = proof.NewSet(held); err != nil {
		return nil, fmt.Errorf("lease %x: %w", view.ID, err)
	}
	terms, err := laneTerms(b.conf.Chain, view, rec.Lane)
	if err != nil {
		return nil, err
	}
	save := func(state []byte) error {
		return b.store.db.Batch(func(tx *bbolt.Tx) error { return tx.Bucket(bucketPayers).Put(view.ID[:], state) })
	}
	l.meter, err = newMeter(terms, concession(terms.Cap), state, l.key, b.epoch, save, b.low)
	return l, err
}

// spot is a place for a piece: an open lease with room, or an offer to lease.
type spot struct {
	link  *link
	offer *Offer
	Candidate
}

// spots lists the places for pieces of size bytes, asking the ledger for offers
// when those known are old.
func (b *book) spots(ctx context.Context, size uint64) ([]spot, error) {
	offers, err := b.currentOffers(ctx)
	if err != nil {
		return nil, err
	}
	var out []spot
	leased := map[uint64]bool{}
	dry := map[uint64]bool{}  // offers whose lease has no money left, nor gets any
	ended := map[uint64]int{} // leases that an offer's provider ended or failed
	for _, l := range b.all() {
		view := l.view()
		if !l.alive() {
			if view.Reason == lease.ReasonFaulted || view.Reason == lease.ReasonProvider {
				ended[view.Offer]++
			}
			dry[view.Offer] = dry[view.Offer] || b.isDry(view)
			continue
		}
		dry[view.Offer] = dry[view.Offer] || b.isDry(view)
		room := l.room()
		if room >= size {
			leased[view.Offer] = true
		}
		health := l.pulse.score()
		if view.Faults > 0 {
			health /= float64(1 + view.Faults*view.Faults)
		}
		out = append(out, spot{link: l, Candidate: Candidate{
			Owner: view.Provider.Owner, Free: room, Health: health,
			Cost: cost(view.Hold, view.Use, size, b.conf.Lease.Epochs),
		}})
	}
	for i := range offers {
		o := &offers[i]
		if !leased[o.ID] && !dry[o.ID] {
			out = append(out, spot{offer: o, Candidate: Candidate{
				Owner: o.Provider.Owner, Free: o.Free, Health: 0.9 / float64(1+9*ended[o.ID]),
				Cost: cost(o.Hold, o.Use, size, b.conf.Lease.Epochs),
			}})
		}
	}
	return out, nil
}

// isDry reports whether the escrow of a lease ran dry and nobody but the operator
// puts more in: a further lease on the offer would be a top-up by another name.
func (b *book) isDry(view Lease) bool {
	return b.conf.Lease.NoTopUp && (view.State == lease.Grace || view.State >= lease.Closing && view.Reason == lease.ReasonExhausted)
}

// exhausted lists the owners of leases that are dry.
func (b *book) exhausted() map[string]bool {
	owners := map[string]bool{}
	for _, l := range b.all() {
		if view := l.view(); b.isDry(view) {
			owners[view.Provider.Owner] = true
		}
	}
	return owners
}

// cost compares offers: size bytes held for the planned term and read once.
func cost(hold, use money.Price, size, epochs uint64) float64 {
	rate := func(p money.Price) float64 {
		if p.Credits == 0 || p.Per == 0 {
			return 0
		}
		return float64(p.Credits) / float64(p.Per)
	}
	return float64(size) * (rate(hold)*float64(epochs) + rate(use))
}

func (b *book) currentOffers(ctx context.Context) ([]Offer, error) {
	b.mu.Lock()
	offers, fresh := b.offers, !b.asked.IsZero() && time.Since(b.asked) < b.conf.Pace.OfferAge
	b.mu.Unlock()
	if fresh {
		return offers, nil
	}
	now, err := b.conf.Ledger.Offers(ctx)
	if err != nil {
		if offers != nil { // an unreachable ledger does not stop storage
			b.log.Warn("offers are old", "err", err)
			return offers, nil
		}
		return nil, fmt.Errorf("ask ledger for offers: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.offers, b.asked = now, time.Now()
	return now, nil
}

// open returns the link of a spot, opening a lease on the offer when there is
// none. Callers that need the same offer wait for one Accept.
func (b *book) open(ctx context.Context, s spot, size uint64) (*link, error) {
	if s.link != nil {
		return s.link, nil
	}
	for {
		b.mu.Lock()
		if l := b.withRoom(s.offer.ID, size); l != nil {
			b.mu.Unlock()
			return l, nil
		}
		wait, busy := b.opening[s.offer.ID]
		if !busy {
			b.opening[s.offer.ID] = make(chan struct{})
		}
		b.mu.Unlock()
		if !busy {
			break
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	// The Accept outlives a caller that gives up: it may be paid already.
	type result struct {
		l   *link
		err error
	}
	done := make(chan result, 1)
	b.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		ctx, span := trace.Start(ctx, "open lease", trace.Hex(trace.Device, s.offer.Provider.Device))
		l, err := b.accept(ctx, *s.offer, size)
		trace.End(span, err)
		b.mu.Lock()
		close(b.opening[s.offer.ID])
		delete(b.opening, s.offer.ID)
		b.mu.Unlock()
		done <- result{l, err}
	})
	select {
	case r := <-done:
		return r.l, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// withRoom finds an open lease on the offer that takes size bytes. Call with mu
// held.
func (b *book) withRoom(offer, size uint64) *link {
	for _, l := range b.links {
		if l.view().Offer == offer && l.room() >= size {
			return l
		}
	}
	return nil
}

// accept opens a lease on o. The session key is durable before the escrow is
// paid.
func (b *book) accept(ctx context.Context, o Offer, size uint64) (*link, error) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	err = b.store.db.Update(func(tx *bbolt.Tx) error {
		return putJSON(tx, bucketOpenings, pub, openingRecord{Offer: o.ID, Seed: key.Seed()})
	})
	if err != nil {
		return nil, fmt.Errorf("open lease on offer %d: %w", o.ID, err)
	}
	terms, err := b.terms(o, size, [32]byte(pub))
	if err != nil {
		return nil, err
	}
	view, err := b.conf.Ledger.Accept(ctx, terms)
	if err != nil {
		return nil, fmt.Errorf("open lease on offer %d: %w", o.ID, err)
	}
	if err := b.adopt(view); err != nil {
		return nil, fmt.Errorf("open lease on offer %d: %w", o.ID, err)
	}
	l := b.link(view.ID)
	if l == nil {
		return nil, fmt.Errorf("open lease on offer %d: ledger answered lease %x without our key", o.ID, view.ID)
	}
	b.log.Info("lease opened", "lease", fmt.Sprintf("%x", view.ID), "offer", o.ID, "owner", o.Provider.Owner,
		"capacity", view.Capacity, "deposit_ucredit", uint64(view.Deposited))
	return l, nil
}

func (b *book) terms(o Offer, size uint64, key [32]byte) (Terms, error) {
	p := b.conf.Lease
	capacity := min(max(p.Capacity, size), o.Free)
	if capacity < size {
		return Terms{}, fmt.Errorf("open lease on offer %d: %d bytes free, need %d", o.ID, o.Free, size)
	}
	hold, err := holdCost(o.Hold, min(max(p.HoldBytes, size), capacity), p.Epochs)
	if err != nil {
		return Terms{}, fmt.Errorf("open lease on offer %d: %w", o.ID, err)
	}
	read, err := o.Use.Of(p.ReadBytes)
	if err != nil {
		return Terms{}, fmt.Errorf("open lease on offer %d: %w", o.ID, err)
	}
	return Terms{Offer: o.ID, Capacity: capacity, HoldBudget: hold,
		Lane: lease.Lane{ID: theLane, Key: key, Cap: read}}, nil
}

// holdCost is the price of holding bytes for epochs, rounded up.
func holdCost(p money.Price, bytes, epochs uint64) (money.Credit, error) {
	if epochs != 0 && bytes > ^uint64(0)/epochs {
		return 0, fmt.Errorf("hold %d bytes for %d epochs: %w", bytes, epochs, money.ErrOverflow)
	}
	c, err := p.Of(bytes * epochs)
	if err != nil || p.Credits == 0 {
		return c, err
	}
	return money.Add(c, 1)
}

// keep refreshes our view of the leases and funds what runs low. One caller at a
// time, so that nothing is funded twice on one view. It returns the joined
// failures; each lease is looked at.
func (b *book) keep(ctx context.Context) error {
	b.keeping.Lock()
	defer b.keeping.Unlock()
	if err := b.refresh(ctx); err != nil || b.conf.Lease.NoTopUp {
		return err
	}
	var errs []error
	funded := false
	for _, l := range b.all() {
		yes, err := b.fund(ctx, l)
		funded = funded || yes
		errs = append(errs, err)
	}
	if funded {
		errs = append(errs, b.refresh(ctx))
	}
	return errors.Join(errs...)
}

// fund tops l up when its hold budget lasts fewer than Low epochs for what is
// stored, or three quarters of its lane's cap are spent: by as much as has been
// read so far, so that a fast reader is not held up by one top-up after another.
func (b *book) fund(ctx context.Context, l *link) (bool, error) {
	l.mu.Lock()
	view, stored, retired := l.lease, l.stored, l.retired
	l.mu.Unlock()
	if retired {
		return false, nil
	}
	p := b.conf.Lease
	var hold money.Credit
	low, err := holdCost(view.Hold, stored, p.Low)
	if err != nil {
		return false, fmt.Errorf("fund lease %x: %w", l.id, err)
	}
	if view.HoldBudget-view.HoldPaid < low || view.State == lease.Grace {
		if hold, err = holdCost(view.Hold, max(stored, 1), p.Epochs); err != nil {
			return false, fmt.Errorf("fund lease %x: %w", l.id, err)
		}
	}
	var lanes []lease.Lane
	if used, left := l.meter.spent(); left < used/3 {
		lane, ok := view.Lane(l.lane)
		read, err := view.Use.Of(max(p.ReadBytes, used))
		if ok && err == nil && read > 0 {
			lanes = append(lanes, lease.Lane{ID: l.lane, Key: lane.Key, Cap: read, Expires: lane.Expires})
		}
	}
	if hold == 0 && len(lanes) == 0 {
		return false, nil
	}
	if err := b.conf.Ledger.Fund(ctx, l.id, hold, lanes); err != nil {
		return false, fmt.Errorf("fund lease %x with %d ucredit: %w", l.id, hold, err)
	}
	b.log.Info("lease funded", "lease", fmt.Sprintf("%x", l.id), "hold_ucredit", uint64(hold), "lanes", len(lanes))
	return true, nil
}
