package receipt

import (
	"fmt"
	"math/bits"
)

// Terms are what the ledger says of one lane; both machines are built on them.
// When the ledger raises a cap or an expiry, build the machine anew from its
// state with the new terms.
type Terms struct {
	Chain    Chain
	Lease    [32]byte
	Lane     uint32
	Payer    Key    // session key of the lane
	Provider Key    // device key of the provider
	Cap      uint64 // most units the lane pays for: money.Price.Units(lane cap)
	Expires  uint64 // last epoch in which the lane serves and receipts are signed
}

func (t Terms) check() error {
	if err := t.Payer.Valid(); err != nil {
		return fmt.Errorf("lease %x lane %d: payer: %w", t.Lease, t.Lane, err)
	}
	if err := t.Provider.Valid(); err != nil {
		return fmt.Errorf("lease %x lane %d: provider: %w", t.Lease, t.Lane, err)
	}
	return nil
}

// Window says how far a provider trusts a payer, in units of the lane.
type Window struct {
	Start   uint64 // window of a payer who has not paid yet
	Ceiling uint64 // no window grows beyond it, nor beyond 1 % of the lane cap,
	Request uint64 // but the window may always grow to one largest request
}

// ByteWindow is the window of lanes metered in bytes: 256 KiB to 64 MiB, and
// one read of a storage piece with its proof (17 MiB) always fits in the end.
var ByteWindow = Window{Start: 256 << 10, Ceiling: 64 << 20, Request: 17 << 20}

// Limit is the largest window on a lane with the given cap in units:
// max(min(Ceiling, cap/100), Request), at least 1.
func (w Window) Limit(laneCap uint64) uint64 {
	return max(min(w.Ceiling, laneCap/100), w.Request, 1)
}

// trust is a window that grows as receipts are honoured. It doubles once per
// receipt, and only when at least half of it was paid since the last doubling,
// so that many small receipts buy no more trust than a few large ones: a window
// of w has cost its payer at least (w − Start)/2.
type trust struct {
	size  uint64
	since uint64 // units paid since size last changed
}

func newTrust(w Window, limit uint64) trust { return trust{size: max(min(w.Start, limit), 1)} }

// honour records a receipt that pays units more.
func (t *trust) honour(units, limit uint64) {
	t.since = addCapped(t.since, units, ^uint64(0))
	if t.since < t.size/2 {
		return
	}
	t.size, t.since = addCapped(t.size, t.size, limit), 0
}

// addCapped returns a+b, or limit when that is less.
func addCapped(a, b, limit uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	if carry != 0 {
		return limit
	}
	return min(sum, limit)
}

// less returns a−b, or 0 when b is the larger.
func less(a, b uint64) uint64 { return a - min(a, b) }
