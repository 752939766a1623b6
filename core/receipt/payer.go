package receipt

import (
	"crypto"
	"errors"
	"fmt"

	"github.com/grange-network/grange/core/merkle"
)

// ErrNothing is returned by Sign when there is nothing new to sign for; the
// last receipt still stands and may be sent again.
var ErrNothing = errors.New("nothing new to sign for")

// Payer is the paying side of one lane. It counts what was delivered and makes
// the receipts. It never signs for more than was delivered or conceded, nor
// beyond the lane's cap or last epoch, nor less than it signed before.
//
// After Sign the caller stores State before the receipt leaves. A payer killed
// at any moment then never contradicts a receipt it sent; it forgets at most
// what was delivered since, which Concede can make good.
type Payer struct {
	terms      Terms
	window     Window
	concession uint64

	trust    trust // the provider's window as far as the payer can know it
	received uint64
	conceded uint64
	evidence merkle.Log
	seq      uint64  // highest seq this payer knows it signed
	last     Receipt // newest receipt this payer signed
	acked    Receipt // newest receipt the provider countersigned
}

// NewPayer returns the machine of a lane from the state it last stored, nil for
// a new lane or when the state was lost: then ask the provider for its newest
// receipt and Acknowledge it before the first Sign. Window is what the payer
// expects of the provider. Concession is the most units, in total over the life
// of the lane, that Concede may add; 0 forbids it.
func NewPayer(terms Terms, window Window, concession uint64, state []byte) (*Payer, error) {
	if err := terms.check(); err != nil {
		return nil, fmt.Errorf("open payer: %w", err)
	}
	p := &Payer{terms: terms, window: window, concession: concession}
	p.trust = newTrust(window, p.limit())
	if state == nil {
		return p, nil
	}
	if err := p.restore(state); err != nil {
		return nil, fmt.Errorf("open payer of lease %x lane %d: %w", terms.Lease, terms.Lane, err)
	}
	return p, nil
}

func (p *Payer) limit() uint64 { return min(p.window.Limit(p.terms.Cap), p.terms.Cap) }

// Delivered counts n units that arrived and adds leaf to the evidence: the
// vertical's description of what they were. Units beyond the lane's cap are not
// counted, and ErrCap says so. Where no unit is counted no leaf is added.
func (p *Payer) Delivered(n uint64, leaf []byte) error {
	if n == 0 {
		return nil
	}
	room := p.Remaining()
	if room > 0 {
		p.evidence.Append(leaf)
	}
	p.received += min(n, room)
	if n > room {
		return fmt.Errorf("count %d units on lease %x lane %d: %d of %d left: %w",
			n, p.terms.Lease, p.terms.Lane, room, p.terms.Cap, ErrCap)
	}
	return nil
}

// Remaining is how many units the lane can still pay for.
func (p *Payer) Remaining() uint64 { return less(p.terms.Cap, p.received) }

// Unsigned is how many units were counted since the last receipt.
func (p *Payer) Unsigned() uint64 { return less(p.received, p.last.Units) }

// Due reports whether a receipt should be sent now so that the provider need not
// stop: half the window is unsigned, or all that the lane can still pay for. A
// payer that is refused for want of a receipt signs whether due or not.
func (p *Payer) Due() bool {
	unsigned := p.Unsigned()
	return unsigned > 0 && (unsigned >= p.trust.size/2 || p.Remaining() == 0)
}

// Sign makes the receipt for everything counted so far, in the given ledger
// epoch, with the lane's session key. Store State before the receipt leaves.
// The error is ErrNothing, ErrExpired, or the key's; then nothing has changed.
// An epoch before that of the last receipt counts as that one.
func (p *Payer) Sign(epoch uint64, key crypto.Signer) (Receipt, error) {
	epoch = max(epoch, p.last.Epoch)
	if epoch > p.terms.Expires {
		return Receipt{}, fmt.Errorf("sign on lease %x lane %d in epoch %d, last is %d: %w",
			p.terms.Lease, p.terms.Lane, epoch, p.terms.Expires, ErrExpired)
	}
	if p.Unsigned() == 0 {
		return Receipt{}, fmt.Errorf("sign on lease %x lane %d after %d units: %w",
			p.terms.Lease, p.terms.Lane, p.last.Units, ErrNothing)
	}
	if err := p.terms.Payer.heldBy(key); err != nil {
		return Receipt{}, fmt.Errorf("sign on lease %x lane %d: %w", p.terms.Lease, p.terms.Lane, err)
	}
	r := Receipt{
		Lease: p.terms.Lease, Lane: p.terms.Lane,
		Seq: p.seq + 1, Units: p.received, Epoch: epoch,
		Evidence: p.evidence.Root(),
	}
	if err := r.SignPayer(p.terms.Chain, key); err != nil {
		return Receipt{}, err
	}
	p.seq, p.last = r.Seq, r
	return r, nil
}

// Last returns the newest receipt this payer signed, to be sent with each
// request and again when an answer was lost. Zero when there is none.
func (p *Payer) Last() Receipt { return p.last }

// Acknowledged returns the newest receipt with both signatures, zero when there
// is none. The payer keeps it too: a provider that lost its disk asks for it.
func (p *Payer) Acknowledged() Receipt { return p.acked }

// Acknowledge takes a countersigned receipt from the provider: the answer to one
// that was sent, or the provider's newest where it says that ours is stale. One
// that is older than what was already taken changes nothing and is no error.
//
// One that this payer does not remember signing is its own from before it lost
// its state: it goes on from there, those units signed for already. The error is
// ErrWrongLane, ErrCap, ErrExpired, ErrPayerSignature or ErrProviderSignature.
func (p *Payer) Acknowledge(r Receipt) error {
	if err := p.terms.covers(r); err != nil {
		return err
	}
	if err := r.Verify(p.terms.Chain, p.terms.Payer, p.terms.Provider); err != nil {
		return err
	}
	forgotten := r.Seq > p.seq || r.Units > p.last.Units || r.Seq == p.last.Seq && !r.samePayerPart(p.last)
	if forgotten {
		p.resume(r)
	} else if r.Seq <= p.acked.Seq {
		return nil
	}
	p.trust.honour(less(r.Units, p.acked.Units), p.limit())
	p.acked = r
	return nil
}

// resume adopts a receipt signed before the state was lost. What was counted
// since is kept only as far as it exceeds the receipt, because part of it may be
// paid by it. The evidence starts again with the old root as its first leaf.
func (p *Payer) resume(r Receipt) {
	p.received = max(p.received, r.Units)
	p.evidence = merkle.Log{}
	p.evidence.Append(r.Evidence[:])
	p.seq, p.last = max(p.seq, r.Seq), r
}

// Window is how many units the provider is expected to serve beyond the newest
// receipt it has honoured: a payer keeps what is under way and unsigned within it.
func (p *Payer) Window() uint64 { return p.trust.size }

// SetWindow takes the window a provider names when it refuses to serve on. It
// only moves the moment when Due turns true.
func (p *Payer) SetWindow(size uint64) {
	if size = min(size, p.limit()); size != p.trust.size {
		p.trust = trust{size: max(size, 1)}
	}
}

// Concede raises the count towards served, what the provider says it has served
// so far, and returns by how much. A payer does so when its own count is short:
// it was killed, or gave up a transfer that was under way. It is the one way to
// sign for units that did not arrive; in total it adds at most the concession
// given to NewPayer, and never goes beyond the cap.
func (p *Payer) Concede(served uint64) uint64 {
	n := less(min(served, p.terms.Cap), p.received)
	n = min(n, less(p.concession, p.conceded))
	p.received += n
	p.conceded += n
	return n
}

// State returns what must survive a crash, for NewPayer.
func (p *Payer) State() []byte {
	w := newState(payerState)
	w.uint64s(p.received, p.conceded, p.trust.size, p.trust.since, p.seq)
	w.receipt(p.last)
	w.receipt(p.acked)
	w.b = append(w.b, p.evidence.Encode()...)
	return w.b
}

func (p *Payer) restore(state []byte) (err error) {
	r := readState(payerState, state)
	r.uint64s(&p.received, &p.conceded, &p.trust.size, &p.trust.since, &p.seq)
	r.receipt(&p.last)
	r.receipt(&p.acked)
	if p.evidence, err = merkle.DecodeLog(r.rest()); err != nil {
		return fmt.Errorf("read state: %w", errors.Join(r.done(), err))
	}
	if err := r.done(); err != nil {
		return err
	}
	p.trust.size = min(p.trust.size, p.limit())
	if p.trust.size == 0 && p.terms.Cap > 0 {
		return errors.New("read state: window of 0 units")
	}
	return p.checkRestored()
}

func (p *Payer) checkRestored() error {
	if p.received < p.last.Units || p.received > p.terms.Cap || p.conceded > p.received {
		return fmt.Errorf("read state: %d units received, %d conceded, %d signed, cap %d",
			p.received, p.conceded, p.last.Units, p.terms.Cap)
	}
	if p.last.Seq > p.seq || p.acked.Units > p.last.Units {
		return fmt.Errorf("read state: %d units acknowledged, %d signed, seq %d of %d",
			p.acked.Units, p.last.Units, p.last.Seq, p.seq)
	}
	for _, r := range []Receipt{p.last, p.acked} {
		if r == (Receipt{}) {
			continue
		}
		if err := p.terms.ours(r); err != nil {
			return fmt.Errorf("read state: %w", err)
		}
		if err := r.VerifyPayer(p.terms.Chain, p.terms.Payer); err != nil {
			return fmt.Errorf("read state: %w", err)
		}
	}
	return nil
}
