package receipt

import (
	"crypto"
	"errors"
	"fmt"
)

// ErrAhead is a receipt dated after the epoch the provider knows of.
var ErrAhead = errors.New("receipt is from a later epoch")

// Grant is the answer to Serve.
type Grant struct {
	// Units may be sent now: at most what was asked for, 0 to wait for a
	// receipt.
	Units uint64
	// Store is set when State must be stored before these units leave. Other
	// calls on the lane wait for it too: a grant without Store relies on the
	// last State returned being on disk.
	Store bool
}

// Provider is the serving side of one lane. It decides how much may be served
// before the next receipt, and which receipts count.
//
// At every moment the units served and not paid are at most the largest window
// in force since the lane was last paid up, and so at most Bound, even when the
// process is killed at any point, provided State is stored where Serve and
// Accept say so. A killed process comes back having counted up to an eighth of
// a window more than it served; it never counts less.
type Provider struct {
	terms    Terms
	window   Window
	trust    trust
	served   uint64  // granted so far, never less than newest.Units
	reserved uint64  // what the stored state says is served: at least served
	newest   Receipt // newest receipt, both signatures
}

// NewProvider returns the machine of a lane from the state it last stored, nil
// for a new lane. It refuses a state that is of another lane or damaged.
func NewProvider(terms Terms, window Window, state []byte) (*Provider, error) {
	if err := terms.check(); err != nil {
		return nil, fmt.Errorf("open provider: %w", err)
	}
	p := &Provider{terms: terms, window: window}
	p.trust = newTrust(window, p.Bound())
	if state == nil {
		return p, nil
	}
	if err := p.restore(state); err != nil {
		return nil, fmt.Errorf("open provider of lease %x lane %d: %w", terms.Lease, terms.Lane, err)
	}
	return p, nil
}

// Bound is the most units this lane can ever have served and not paid.
func (p *Provider) Bound() uint64 { return min(p.window.Limit(p.terms.Cap), p.terms.Cap) }

// Newest returns the newest receipt with both signatures; the zero Receipt when
// there is none. It is what the provider settles with, and what it sends to a
// payer that asks or whose receipt was stale.
func (p *Provider) Newest() Receipt { return p.newest }

// Meter is where a lane stands, in units; a 402 answer carries it.
type Meter struct {
	Served    uint64 // counted as served, cumulative
	Paid      uint64 // units of the newest receipt
	Window    uint64 // Served may exceed Paid by this much
	Available uint64 // what Serve would grant now at most
}

// Meter returns the lane's counts.
func (p *Provider) Meter() Meter {
	return Meter{Served: p.served, Paid: p.newest.Units, Window: p.trust.size, Available: p.available()}
}

func (p *Provider) available() uint64 {
	unpaid := less(p.served, p.newest.Units)
	return min(less(p.trust.size, unpaid), less(p.terms.Cap, p.served))
}

// Serve asks to send n units in the given ledger epoch. The grant is at most n
// and at most what is left of the window: a request larger than the window is
// served in pieces, each after the receipt for the one before. A grant counts as
// served at once. Call Release for what was not sent in the end.
//
// The error is ErrExpired after the lane's last epoch and ErrCap when all the
// lane pays for has been served.
func (p *Provider) Serve(n, epoch uint64) (Grant, error) {
	if epoch > p.terms.Expires {
		return Grant{}, fmt.Errorf("serve %d units on lease %x lane %d in epoch %d, last is %d: %w",
			n, p.terms.Lease, p.terms.Lane, epoch, p.terms.Expires, ErrExpired)
	}
	if n > 0 && p.served >= p.terms.Cap {
		return Grant{}, fmt.Errorf("serve %d units on lease %x lane %d: served %d of %d: %w",
			n, p.terms.Lease, p.terms.Lane, p.served, p.terms.Cap, ErrCap)
	}
	g := Grant{Units: min(n, p.available())}
	p.served += g.Units
	if p.served > p.reserved {
		p.reserved = p.ahead()
		g.Store = true
	}
	return g, nil
}

// ahead is what to reserve, so that not every request waits for the disk: an
// eighth of the window more than is served, but nothing that Serve would refuse.
func (p *Provider) ahead() uint64 { return p.served + min(p.trust.size/8, p.available()) }

// Release takes back n units that were granted and never sent: a failed disk
// read, a client gone before the first byte.
func (p *Provider) Release(n uint64) {
	p.served = max(less(p.served, n), p.newest.Units)
	p.reserved = min(p.reserved, p.ahead())
}

// Trim gives up what is reserved and not served. Call it when no request is in
// progress and store State: a clean stop then leaves an exact count behind.
func (p *Provider) Trim() { p.reserved = p.served }

// Accept checks a payer's receipt in the given ledger epoch, countersigns it
// with the device key, and returns it. State must be stored before the receipt
// is sent. The newest receipt again returns the same answer at no cost, so it
// may travel with every request.
//
// A receipt that is refused changes nothing. The error is ErrWrongLane, ErrStale
// (answer with Newest), ErrCap, ErrExpired, ErrAhead for an epoch more than one
// ahead, ErrPayerSignature, or the key's. A receipt for more units than were
// counted as served is taken: a provider that lost its state learns the count
// this way, and it is the payer's own signature.
func (p *Provider) Accept(r Receipt, epoch uint64, key crypto.Signer) (Receipt, error) {
	if p.newest.Seq > 0 && r.samePayerPart(p.newest) {
		return p.newest, nil
	}
	if err := p.check(r, epoch); err != nil {
		return Receipt{}, err
	}
	if err := r.VerifyPayer(p.terms.Chain, p.terms.Payer); err != nil {
		return Receipt{}, err
	}
	if err := p.terms.Provider.heldBy(key); err != nil {
		return Receipt{}, fmt.Errorf("countersign on lease %x lane %d: %w", r.Lease, r.Lane, err)
	}
	if err := r.CountersignProvider(p.terms.Chain, key); err != nil {
		return Receipt{}, err
	}
	p.trust.honour(r.Units-p.newest.Units, p.Bound())
	p.newest = r
	p.served = max(p.served, r.Units)
	p.reserved = max(p.reserved, p.served)
	return r, nil
}

// check is all of Accept but the signatures: the cheap part first.
func (p *Provider) check(r Receipt, epoch uint64) error {
	if err := p.terms.covers(r); err != nil {
		return err
	}
	if err := r.Supersedes(p.newest); err != nil {
		return err
	}
	if r.Epoch > addCapped(epoch, 1, ^uint64(0)) {
		return fmt.Errorf("accept receipt of lease %x lane %d seq %d: epoch %d, ledger is at %d: %w",
			r.Lease, r.Lane, r.Seq, r.Epoch, epoch, ErrAhead)
	}
	return nil
}

// MissDeadline resets the window to its start: a receipt was due, for as long
// as the caller waits for one, and did not come. Nothing is granted until what
// is unpaid fits the window again.
func (p *Provider) MissDeadline() { p.trust = newTrust(p.window, p.Bound()) }

// State returns what must survive a crash, for NewProvider.
func (p *Provider) State() []byte {
	w := newState(providerState)
	w.uint64s(p.reserved, p.trust.size, p.trust.since)
	w.receipt(p.newest)
	return w.b
}

func (p *Provider) restore(state []byte) error {
	r := readState(providerState, state)
	r.uint64s(&p.reserved, &p.trust.size, &p.trust.since)
	r.receipt(&p.newest)
	if err := r.done(); err != nil {
		return err
	}
	p.served = p.reserved
	p.trust.size = min(p.trust.size, p.Bound())
	if p.trust.size == 0 && p.terms.Cap > 0 {
		return errors.New("read state: window of 0 units")
	}
	if p.newest.Units > p.reserved {
		return fmt.Errorf("read state: %d units paid, %d served", p.newest.Units, p.reserved)
	}
	if p.newest.Seq == 0 {
		return nil
	}
	if err := p.terms.ours(p.newest); err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	return p.newest.Verify(p.terms.Chain, p.terms.Payer, p.terms.Provider)
}
