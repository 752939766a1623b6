package gateway

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/vertical/storage/piece"
)

// meter is the paying side of one lane under concurrent requests. Units under
// way and units not signed for together never exceed the window the provider is
// known to grant, so a well-behaved provider never has to refuse.
//
// Lock order: meter.mu before the store's transactions.
type meter struct {
	key   ed25519.PrivateKey
	epoch func() uint64
	save  func(state []byte) error // durable when it returns
	low   func() bool              // asks for a top-up; false when there will be none

	mu      sync.Mutex
	payer   *receipt.Payer
	window  uint64
	failed  error         // why the payer's state could not be stored: nothing is signed or sent any more
	flight  uint64        // units of requests under way
	settled chan struct{} // closed and renewed whenever flight falls or a receipt is honoured
}

func newMeter(terms receipt.Terms, concession uint64, state []byte, key ed25519.PrivateKey, epoch func() uint64, save func([]byte) error, low func() bool) (*meter, error) {
	payer, err := receipt.NewPayer(terms, receipt.ByteWindow, concession, state)
	if err != nil {
		return nil, err
	}
	return &meter{
		key: key, epoch: epoch, save: save, low: low, payer: payer,
		window: max(payer.Window(), 1), settled: make(chan struct{}),
	}, nil
}

// grant is the permission to ask for units bytes, with the receipt to send
// along.
type grant struct {
	units   uint64
	receipt receipt.Receipt // zero Seq when there is none
}

// begin waits until part or all of n units fit the window and reserves them.
// It signs, and stores what it signed, when that makes room.
func (m *meter) begin(ctx context.Context, n uint64) (grant, error) {
	for {
		m.mu.Lock()
		if m.failed != nil {
			m.mu.Unlock()
			return grant{}, m.failed
		}
		left, wait := m.payer.Remaining(), m.settled
		if used := m.payer.Last().Units + m.payer.Unsigned(); left < used/3 && !m.low() && left <= m.flight {
			m.mu.Unlock()
			return grant{}, ErrSpent
		}
		if left <= m.flight { // until the top-up, or until others give units back
			m.mu.Unlock()
			if err := until(ctx, wait); err != nil {
				return grant{}, fmt.Errorf("%w: %w", ErrSpent, err)
			}
			continue
		}
		n = min(n, left-m.flight)
		if m.payer.Due() || m.flight+m.payer.Unsigned()+n > m.window {
			if err := m.sign(); err != nil {
				m.mu.Unlock()
				return grant{}, err
			}
		}
		used := m.flight + m.payer.Unsigned()
		room := m.window - min(used, m.window)
		if room >= n || (m.flight == 0 && room > 0) {
			g := grant{units: min(n, room), receipt: m.payer.Last()}
			m.flight += g.units
			m.mu.Unlock()
			return g, nil
		}
		m.mu.Unlock()
		if err := until(ctx, wait); err != nil {
			return grant{}, err
		}
	}
}

func until(ctx context.Context, wait <-chan struct{}) error {
	select {
	case <-wait:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end gives a grant back: delivered of its units arrived, described by leaf.
func (m *meter) end(g grant, delivered uint64, leaf []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.flight -= g.units
	m.wake()
	if delivered == 0 {
		return nil
	}
	return m.payer.Delivered(delivered, leaf)
}

// sign makes and stores the receipt for all that is counted. Nothing to sign
// for is no error. Call with mu held.
func (m *meter) sign() error {
	_, err := m.payer.Sign(m.epoch(), m.key)
	if errors.Is(err, receipt.ErrNothing) {
		return nil
	}
	if err != nil {
		return err
	}
	return m.keep()
}

// keep stores the payer's state. After a failure the receipt in memory is not
// the one on disk, so it must never leave: the meter stops until the gateway is
// started again. Call with mu held.
func (m *meter) keep() error {
	if err := m.save(m.payer.State()); err != nil {
		m.failed = fmt.Errorf("store receipt %d: %w", m.payer.Last().Seq, err)
		return m.failed
	}
	return nil
}

// honoured takes a receipt the provider countersigned; fresh says that it is
// newer than those before.
func (m *meter) honoured(r receipt.Receipt) (fresh bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.payer.Acknowledged().Seq
	if err := m.payer.Acknowledge(r); err != nil {
		return false, err
	}
	if m.payer.Acknowledged().Seq == before {
		return false, nil
	}
	m.window = max(m.payer.Window(), 1)
	m.wake()
	return true, m.keep()
}

// refused takes the counts of a provider that would not serve. With nothing
// else under way it raises our count to the provider's, within the concession,
// and signs; it returns the receipt to send. ok is false when others are under
// way: their end will tell, and the caller tries again.
func (m *meter) refused(served, window uint64) (r receipt.Receipt, ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if window > 0 {
		m.payer.SetWindow(window)
		m.window = max(m.payer.Window(), 1)
	}
	if m.flight > 0 {
		return receipt.Receipt{}, false, nil
	}
	m.payer.Concede(served)
	if err := m.sign(); err != nil {
		return receipt.Receipt{}, false, err
	}
	last := m.payer.Last()
	return last, last.Seq > 0, nil
}

// idle waits until no request is under way.
func (m *meter) idle(ctx context.Context) error {
	for {
		m.mu.Lock()
		flight, wait := m.flight, m.settled
		m.mu.Unlock()
		if flight == 0 {
			return nil
		}
		if err := until(ctx, wait); err != nil {
			return err
		}
	}
}

// due returns the receipt to send now so that the provider need not wait, or
// false. With all set it signs for the last unit, as at the end of an epoch.
func (m *meter) due(all bool) (receipt.Receipt, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failed != nil {
		return receipt.Receipt{}, false, m.failed
	}
	if all || m.payer.Due() {
		if err := m.sign(); err != nil {
			return receipt.Receipt{}, false, err
		}
	}
	last := m.payer.Last()
	return last, last.Seq > m.payer.Acknowledged().Seq, nil
}

// retarget rebuilds the machine after the ledger changed the lane's cap or
// expiry.
func (m *meter) retarget(terms receipt.Terms, concession uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	payer, err := receipt.NewPayer(terms, receipt.ByteWindow, concession, m.payer.State())
	if err != nil {
		return fmt.Errorf("renew lane: %w", err)
	}
	m.payer = payer
	m.wake()
	return nil
}

// spent returns the units counted and the units the lane can still pay for.
func (m *meter) spent() (used, left uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.payer.Last().Units + m.payer.Unsigned(), m.payer.Remaining()
}

func (m *meter) wake() {
	close(m.settled)
	m.settled = make(chan struct{})
}

// evidence describes one delivery: piece root ‖ offset u64 ‖ length u64.
func evidence(root piece.Root, offset, length uint64) []byte {
	b := append(make([]byte, 0, 48), root[:]...)
	b = binary.BigEndian.AppendUint64(b, offset)
	return binary.BigEndian.AppendUint64(b, length)
}

// unsigned returns the units counted and not signed for.
func (m *meter) unsigned() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.payer.Unsigned()
}
