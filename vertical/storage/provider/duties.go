package provider

import (
	"context"
	"errors"
	"fmt"
	"io"

	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/vertical/storage/piece"
	"github.com/grange-network/grange/vertical/storage/proof"
	"github.com/grange-network/grange/vertical/storage/provider/store"
)

// Prove answers the challenges that the seed draws over the heads, in their order.
// Each proof is verified before it is returned: the error names the piece that does
// not prove itself any more.
func (p *Provider) Prove(ctx context.Context, seed [32]byte, heads []proof.Head, c int) ([][]byte, error) {
	var proofs [][]byte
	for i, ch := range proof.Challenges(seed, p.conf.Device, heads, c) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b, err := p.proveOne(heads[ch.Head], ch)
		if err != nil {
			return nil, fmt.Errorf("answer challenge %d of %d: %w", i+1, c, err)
		}
		proofs = append(proofs, b)
	}
	return proofs, nil
}

func (p *Provider) proveOne(head proof.Head, ch proof.Challenge) ([]byte, error) {
	set, err := p.store.SetAt(head.Lease, head.Root)
	if err != nil {
		return nil, err
	}
	var open *store.File
	defer func() {
		if open != nil {
			open.Close()
		}
	}()
	pr, err := proof.Prove(set, ch.Offset, func(root piece.Root) (data, outboard io.ReaderAt, err error) {
		if open, err = p.store.Open(root); err != nil {
			return nil, nil, err
		}
		return open.Data(), open.Outboard(), nil
	})
	if err != nil {
		return nil, fmt.Errorf("lease %x: %w", head.Lease, err)
	}
	b, err := pr.Encode()
	if err != nil {
		return nil, err
	}
	if err := proof.Verify(head, ch, b); err != nil {
		return nil, fmt.Errorf("stored piece %v is damaged: %w", pr.Opening.Piece.Root, err)
	}
	return b, nil
}

// owed is what the ledger does not have yet.
type owed struct {
	receipts    []receipt.Receipt
	commitments []receipt.Commitment
}

// Owed returns the newest receipts and commitments, signed by both sides, that are
// newer than the ledger's. Leases the ledger does not tell about are reported and
// left out.
func (p *Provider) Owed(ctx context.Context) (receipts []receipt.Receipt, commitments []receipt.Commitment) {
	o := p.owed(ctx)
	return o.receipts, o.commitments
}

func (p *Provider) owed(ctx context.Context) owed {
	var o owed
	for _, id := range p.store.Leases() {
		view, err := p.leases.refresh(ctx, id)
		if err != nil {
			if !errors.Is(err, ErrNoLease) {
				p.problem("ledger", fmt.Errorf("look up lease %s: %w", hexOf(id), err))
			}
			continue
		}
		if view.State == lease.Closed {
			continue
		}
		for _, ln := range view.Lanes {
			r, err := p.laneOf(laneID{id, ln.ID}).newest(p, p.laneTerms(view, ln))
			if err != nil {
				p.problem("lease", err)
				continue
			}
			if r.Seq > ln.Seq && r.Units > ln.Units {
				o.receipts = append(o.receipts, r)
			}
		}
		if c, ok := p.store.Commitment(id); ok && postable(view, c) {
			o.commitments = append(o.commitments, c)
		}
	}
	return o
}

// postable reports whether the ledger would take the commitment.
func postable(view lease.Lease, c receipt.Commitment) bool {
	var last lease.Commitment
	if n := len(view.Commitments); n > 0 {
		last = view.Commitments[n-1]
	}
	if c.Revision <= last.Revision || c.Units > view.Capacity {
		return false
	}
	return view.State == lease.Open || view.State == lease.Grace && c.Units <= last.Units
}

// settle posts all that is owed, in parts. What the ledger refuses by rule is
// reported and does not hold up the rest.
func (p *Provider) settle(ctx context.Context) error {
	o := p.owed(ctx)
	for len(o.receipts)+len(o.commitments) > 0 {
		c := min(len(o.commitments), p.conf.SettleItems)
		r := min(len(o.receipts), p.conf.SettleItems-c)
		if err := p.post(ctx, owed{o.receipts[:r], o.commitments[:c]}); err != nil {
			return err
		}
		o.receipts, o.commitments = o.receipts[r:], o.commitments[c:]
	}
	p.leases.expire()
	return nil
}

// post settles a part, and halves it as long as the ledger refuses it by rule, until
// what it refuses stands alone.
func (p *Provider) post(ctx context.Context, o owed) error {
	r, c := len(o.receipts), len(o.commitments)
	tctx, span := p.conf.Tracer.Start(ctx, "settle", oteltrace.WithAttributes(trace.Keep.Bool(true), trace.Hex(trace.Device, p.conf.Device)))
	err := p.conf.Market.Settle(tctx, o.receipts, o.commitments)
	trace.End(span, err)
	if err == nil {
		p.conf.Log.Info("settled", "receipts", r, "commitments", c)
		return nil
	}
	err = fmt.Errorf("post %d receipts and %d commitments: %w", r, c, err)
	if !errors.Is(err, ErrRefused) {
		return err
	}
	if r+c == 1 {
		p.problem("settle", err)
		return nil
	}
	a, b := o.halve()
	if err := p.post(ctx, a); err != nil {
		return err
	}
	return p.post(ctx, b)
}

// halve splits more than one item into two parts, neither empty.
func (o owed) halve() (a, b owed) {
	if len(o.receipts) > 0 && len(o.commitments) > 0 {
		return owed{receipts: o.receipts}, owed{commitments: o.commitments}
	}
	r, c := len(o.receipts)/2, len(o.commitments)/2
	return owed{o.receipts[:r], o.commitments[:c]}, owed{o.receipts[r:], o.commitments[c:]}
}

// sweep gives back the space that nobody pays for any more.
func (p *Provider) sweep(ctx context.Context, epoch uint64) {
	for _, id := range p.store.Leases() {
		if err := p.sweepLease(ctx, id, epoch); err != nil {
			p.problem("sweep", fmt.Errorf("lease %s: %w", hexOf(id), err))
		}
	}
}

func (p *Provider) sweepLease(ctx context.Context, id [32]byte, epoch uint64) error {
	view, err := p.leases.get(ctx, id)
	if errors.Is(err, ErrNoLease) {
		return p.sweepUnknown(id)
	}
	if err != nil {
		return err
	}
	p.mu.Lock()
	delete(p.missing, id)
	p.mu.Unlock()
	if view.State == lease.Closed {
		return p.forget(id, "closed")
	}
	expired, err := p.store.Expire(id, p.conf.PendingAge)
	if err != nil {
		return err
	}
	retired := 0
	if head := view.HeadAt(epoch); head.Revision > 0 {
		if retired, err = p.store.Retire(id, head.Revision); err != nil {
			return err
		}
	}
	if expired+retired > 0 {
		p.conf.Log.Info("pieces removed", "lease", hexOf(id), "never_committed", expired, "removed", retired)
	}
	return nil
}

// sweepUnknown forgets a lease that the ledger has not known for as long as an
// uncommitted piece may wait: a ledger that is behind or restored must not cost
// anybody data.
func (p *Provider) sweepUnknown(id [32]byte) error {
	p.mu.Lock()
	since, ok := p.missing[id]
	if !ok {
		since = p.conf.Now()
		p.missing[id] = since
	}
	p.mu.Unlock()
	if p.conf.Now().Sub(since) <= p.conf.PendingAge {
		return nil
	}
	return p.forget(id, "unknown to the ledger")
}

func (p *Provider) forget(id [32]byte, why string) error {
	m := p.agreement(id)
	m.Lock()
	defer m.Unlock()
	n, err := p.store.Forget(id)
	if err != nil {
		return err
	}
	p.mu.Lock()
	for l := range p.lanes {
		if l.lease == id {
			delete(p.lanes, l)
		}
	}
	delete(p.missing, id)
	delete(p.agreements, id)
	p.mu.Unlock()
	p.conf.Log.Info("lease forgotten", "lease", hexOf(id), "why", why, "pieces_removed", n)
	return nil
}

// Scrub reads every stored piece once and reports those whose bytes no longer have
// their root as problems. It returns how many were read and how many are damaged, and
// ctx's error when it was cut short. It reads as fast as the disk gives; the caller
// decides when.
func (p *Provider) Scrub(ctx context.Context) (checked, damaged int, err error) {
	for root := range p.store.Pieces() {
		if err := ctx.Err(); err != nil {
			return checked, damaged, err
		}
		there, err := p.checkPiece(root)
		if !there {
			continue
		}
		checked++
		if err != nil {
			damaged++
		}
	}
	return checked, damaged, nil
}

// checkPiece reads one piece and makes a problem of its damage; there is false
// when it was removed meanwhile.
func (p *Provider) checkPiece(root piece.Root) (there bool, err error) {
	if err = p.store.Check(root); err == nil {
		return true, nil
	}
	if !p.store.Has(root) {
		return false, err
	}
	p.problem("piece", err)
	return true, err
}
