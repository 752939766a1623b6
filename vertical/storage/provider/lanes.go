package provider

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/receipt"
)

type laneID struct {
	lease [32]byte
	lane  uint32
}

// lane is the receipt machine of one lane and the requests on it.
type lane struct {
	mu      sync.Mutex
	machine *receipt.Provider // nil until used, and after its state could not be stored
	terms   receipt.Terms
	flight  int    // reads under way
	unpaid  uint64 // epoch since which something served is unpaid; 0 when nothing is
}

func (p *Provider) laneOf(id laneID) *lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lanes[id]
	if l == nil {
		l = &lane{}
		p.lanes[id] = l
	}
	return l
}

// laneTerms are the machine's terms by the ledger's view of the lease.
func (p *Provider) laneTerms(view lease.Lease, ln lease.Lane) receipt.Terms {
	expires := ln.Expires
	if expires == 0 {
		expires = math.MaxUint64
	}
	return receipt.Terms{
		Chain: p.chain, Lease: view.ID, Lane: ln.ID, Payer: receipt.Key(ln.Key), Provider: p.key,
		Cap: view.Use.Units(ln.Cap), Expires: expires,
	}
}

// open makes the machine ready for the terms: from the stored state, or anew when
// the ledger raised a cap or an expiry. Call with mu held.
func (l *lane) open(p *Provider, terms receipt.Terms) error {
	state := []byte(nil)
	switch {
	case l.machine == nil:
		state = p.store.Lane(terms.Lease, terms.Lane)
	case l.terms == terms:
		return nil
	default:
		if l.flight == 0 {
			l.machine.Trim()
		}
		state = l.machine.State()
	}
	m, err := receipt.NewProvider(terms, p.conf.Window, state)
	if err != nil {
		return fmt.Errorf("open lane: %w", err)
	}
	l.machine, l.terms = m, terms
	return nil
}

// save stores the machine's state. When that fails the machine is dropped, so that
// memory never runs ahead of the disk. Call with mu held.
func (l *lane) save(p *Provider) error {
	err := p.store.SaveLane(l.terms.Lease, l.terms.Lane, l.machine.State())
	if err != nil {
		l.machine = nil
		return fmt.Errorf("store state of lease %x lane %d: %w", l.terms.Lease, l.terms.Lane, err)
	}
	return nil
}

// accept takes a payer's receipt and returns it with both signatures. The caller
// saves when the state changed. A stale receipt gives receipt.ErrStale. Call with mu
// held and the machine open.
func (l *lane) accept(ctx context.Context, p *Provider, r receipt.Receipt, epoch uint64) (signed receipt.Receipt, changed bool, err error) {
	before := l.machine.Newest()
	if before.Seq == r.Seq && bytes.Equal(payerPart(before), payerPart(r)) {
		return before, false, nil
	}
	signed, err = l.machine.Accept(r, epoch, p.conf.Key)
	if err != nil {
		return receipt.Receipt{}, false, err
	}
	l.noteUnpaid(epoch)
	if signed != before {
		noteReceipt(ctx, signed)
	}
	return signed, signed != before, nil
}

// payerPart is what the payer made of a receipt: all but the provider's signature.
func payerPart(r receipt.Receipt) []byte {
	return r.Encode()[:receipt.Size-receipt.SignatureSize]
}

// noteUnpaid remembers since when the payer owes: a payment, though not for all,
// starts the time anew.
func (l *lane) noteUnpaid(epoch uint64) {
	m := l.machine.Meter()
	if l.unpaid = 0; m.Served > m.Paid {
		l.unpaid = epoch
	}
}

// dueError says that the window is used up.
type dueError struct {
	want  uint64
	meter receipt.Meter
}

func (e *dueError) Error() string {
	return fmt.Sprintf("%d bytes asked for, %d may be served before the next receipt: %d served, %d paid, window %d; send a receipt or ask for less",
		e.want, e.meter.Available, e.meter.Served, e.meter.Paid, e.meter.Window)
}

// serve counts units as served, all of them or none (*dueError), after taking the
// receipt that came along, if any. It returns the newest receipt with both
// signatures. The receipt's own refusal is only an error when it forged a signature
// or names another lane: a stale one may have been overtaken by another request.
func (l *lane) serve(ctx context.Context, p *Provider, terms receipt.Terms, paid *receipt.Receipt, units, epoch uint64) (receipt.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.open(p, terms); err != nil {
		return receipt.Receipt{}, err
	}
	changed := false
	if paid != nil {
		var err error
		if _, changed, err = l.accept(ctx, p, *paid, epoch); err != nil && !errors.Is(err, receipt.ErrStale) {
			return receipt.Receipt{}, err
		}
	}
	grant, err := l.machine.Serve(units, epoch)
	if err == nil && grant.Units < units {
		l.machine.Release(grant.Units)
		err = &dueError{units, l.machine.Meter()}
	}
	if changed || grant.Store {
		if err := l.save(p); err != nil {
			return receipt.Receipt{}, err
		}
	}
	if err != nil {
		return l.machine.Newest(), err
	}
	l.flight++
	noteMeter(ctx, l.machine.Meter(), units)
	if l.unpaid == 0 {
		l.unpaid = epoch
	}
	return l.machine.Newest(), nil
}

// served ends a read of which unsent units never left.
func (l *lane) served(unsent uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flight--
	if l.machine != nil {
		l.machine.Release(unsent)
	}
}

// pay takes a receipt on its own.
func (l *lane) pay(ctx context.Context, p *Provider, terms receipt.Terms, r receipt.Receipt, epoch uint64) (receipt.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.open(p, terms); err != nil {
		return receipt.Receipt{}, err
	}
	signed, changed, err := l.accept(ctx, p, r, epoch)
	if err == nil && changed {
		err = l.save(p)
	}
	return signed, err
}

// newest returns the newest receipt of a lane that was used, else a zero one.
func (l *lane) newest(p *Provider, terms receipt.Terms) (receipt.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.machine == nil && p.store.Lane(terms.Lease, terms.Lane) == nil {
		return receipt.Receipt{}, nil
	}
	if err := l.open(p, terms); err != nil {
		return receipt.Receipt{}, err
	}
	return l.machine.Newest(), nil
}

// endEpoch withdraws the trust of a payer that owed for a whole epoch.
func (l *lane) endEpoch(epoch uint64) (missed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.machine == nil || l.unpaid == 0 || epoch <= l.unpaid+1 {
		return false
	}
	l.unpaid = epoch
	if m := l.machine.Meter(); m.Served <= m.Paid {
		l.unpaid = 0
		return false
	}
	l.machine.MissDeadline()
	return true
}

// trim stores the exact count of a lane at rest.
func (l *lane) trim(p *Provider) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.machine == nil || l.flight > 0 || l.machine.Meter().Served == 0 {
		return nil
	}
	l.machine.Trim()
	return l.save(p)
}
