package receipt

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// First byte of a stored state: its kind and version.
const (
	providerState = 0x11
	payerState    = 0x21
)

type stateWriter struct{ b []byte }

func newState(kind byte) *stateWriter { return &stateWriter{b: []byte{kind}} }

func (w *stateWriter) uint64s(values ...uint64) {
	for _, v := range values {
		w.b = binary.BigEndian.AppendUint64(w.b, v)
	}
}

func (w *stateWriter) receipt(r Receipt) { w.b = append(w.b, r.Encode()...) }

// stateReader reads what stateWriter wrote; the first failure sticks.
type stateReader struct {
	b   []byte
	err error
}

func readState(kind byte, b []byte) *stateReader {
	if len(b) == 0 {
		return &stateReader{err: errors.New("read state: empty")}
	}
	if b[0] != kind {
		return &stateReader{err: fmt.Errorf("read state: kind 0x%02x, want 0x%02x", b[0], kind)}
	}
	return &stateReader{b: b[1:]}
}

func (r *stateReader) take(n int) []byte {
	if r.err == nil && len(r.b) < n {
		r.err = fmt.Errorf("read state: %d bytes left, want %d", len(r.b), n)
	}
	if r.err != nil {
		return make([]byte, n)
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *stateReader) uint64s(into ...*uint64) {
	for _, v := range into {
		*v = binary.BigEndian.Uint64(r.take(8))
	}
}

func (r *stateReader) receipt(into *Receipt) {
	*into, _ = Decode(r.take(Size)) // take returns exactly Size bytes
}

func (r *stateReader) rest() []byte { return r.take(len(r.b)) }

func (r *stateReader) done() error {
	if r.err == nil && len(r.b) > 0 {
		r.err = fmt.Errorf("read state: %d bytes too many", len(r.b))
	}
	return r.err
}

// ours refuses a receipt of another lane.
func (t Terms) ours(r Receipt) error {
	if r.Lease != t.Lease || r.Lane != t.Lane {
		return fmt.Errorf("check receipt of lease %x lane %d against lease %x lane %d: %w",
			r.Lease, r.Lane, t.Lease, t.Lane, ErrWrongLane)
	}
	return nil
}

// covers refuses a receipt that the lane can never pay.
func (t Terms) covers(r Receipt) error {
	if err := t.ours(r); err != nil {
		return err
	}
	if r.Units > t.Cap {
		return fmt.Errorf("check receipt of lease %x lane %d seq %d: %d units, cap %d: %w", r.Lease, r.Lane, r.Seq, r.Units, t.Cap, ErrCap)
	}
	if r.Epoch > t.Expires {
		return fmt.Errorf("check receipt of lease %x lane %d seq %d: epoch %d, last is %d: %w", r.Lease, r.Lane, r.Seq, r.Epoch, t.Expires, ErrExpired)
	}
	return nil
}

// samePayerPart reports whether both are the same receipt, countersigned or not.
func (r Receipt) samePayerPart(other Receipt) bool {
	r.ProviderSig, other.ProviderSig = Signature{}, Signature{}
	return r == other
}
