// Package gatewaytest is a ledger in memory for tests of the storage gateway:
// real lease rules (core/lease), epochs that turn when the test says so, and no
// consensus, fees or balances.
package gatewaytest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/vertical/storage/gateway"
)

// Ledger is a gateway.Ledger for one paying account.
type Ledger struct {
	Chain receipt.Chain
	Rules lease.Rules

	mu      sync.Mutex
	epoch   uint64
	turned  chan struct{} // closed and renewed at each epoch
	offers  []gateway.Offer
	leases  map[gateway.LeaseID]lease.Lease
	order   []gateway.LeaseID
	faulted map[gateway.DeviceID]bool
	refuse  error
	funded  int
	commits int
}

// NewLedger starts in epoch 1.
func NewLedger(chainID string) *Ledger {
	return &Ledger{
		Chain: receipt.ChainOf(chainID), Rules: lease.Rules{Grace: 3, Window: 2, FaultLimit: 3},
		epoch: 1, turned: make(chan struct{}), leases: map[gateway.LeaseID]lease.Lease{}, faulted: map[gateway.DeviceID]bool{},
	}
}

// Post adds an offer and returns its id.
func (l *Ledger) Post(o gateway.Offer) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	o.ID = uint64(len(l.offers) + 1)
	l.offers = append(l.offers, o)
	return o.ID
}

// Move changes the endpoint of a device.
func (l *Ledger) Move(device gateway.DeviceID, endpoint string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.offers {
		if l.offers[i].Provider.Device == device {
			l.offers[i].Provider.Endpoint = endpoint
		}
	}
}

// Fault makes the device's epochs count as faulted from now on, or proven again.
func (l *Ledger) Fault(device gateway.DeviceID, yes bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faulted[device] = yes
}

// Refuse makes Accept and Fund fail with err; nil ends it.
func (l *Ledger) Refuse(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuse = err
}

// Turn begins the next epoch: leases accrue the one that ends, then move on.
func (l *Ledger) Turn() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epoch++
	for id, le := range l.leases {
		for le.Accruable(l.epoch) {
			outcome := lease.Proven
			if l.faulted[le.Device] {
				outcome = lease.Faulted
			}
			next, _, err := le.Accrue(outcome)
			if err != nil {
				panic(err) // outcomes are always decided here
			}
			le = next
		}
		le = le.Advance(l.epoch, l.Rules)
		if le.Ended(l.epoch, l.Rules) {
			le, _, _ = le.Finish(l.epoch, l.Rules)
		}
		l.leases[id] = le
	}
	close(l.turned)
	l.turned = make(chan struct{})
	return l.epoch
}

// Close closes a lease as the provider or the payer would.
func (l *Ledger) Close(id gateway.LeaseID, reason lease.Reason) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	le, err := l.leases[id].Close(reason, l.epoch, l.Rules)
	if err == nil {
		l.leases[id] = le
	}
	return err
}

// Lease returns a lease's state; ok is false when there is none.
func (l *Ledger) Lease(id gateway.LeaseID) (lease.Lease, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	le, ok := l.leases[id]
	return le, ok
}

// LeasesOf returns the leases on a device in the order they were opened.
func (l *Ledger) LeasesOf(device gateway.DeviceID) (out []lease.Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range l.order {
		if le := l.leases[id]; le.Device == device {
			out = append(out, le)
		}
	}
	return out
}

// Counts returns how often Fund and Commit were called with effect.
func (l *Ledger) Counts() (funded, commits int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.funded, l.commits
}

// Epoch implements gateway.Ledger.
func (l *Ledger) Epoch(context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch, nil
}

// WaitEpoch implements gateway.Ledger.
func (l *Ledger) WaitEpoch(ctx context.Context, after uint64) (uint64, error) {
	for {
		l.mu.Lock()
		now, turned := l.epoch, l.turned
		l.mu.Unlock()
		if now > after {
			return now, nil
		}
		select {
		case <-turned:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// Offers implements gateway.Ledger.
func (l *Ledger) Offers(context.Context) ([]gateway.Offer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]gateway.Offer(nil), l.offers...), nil
}

// Leases implements gateway.Ledger.
func (l *Ledger) Leases(context.Context) ([]gateway.Lease, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]gateway.Lease, 0, len(l.order))
	for _, id := range l.order {
		out = append(out, l.view(l.leases[id]))
	}
	return out, nil
}

func (l *Ledger) view(le lease.Lease) gateway.Lease {
	return gateway.Lease{Lease: le, Provider: l.offers[le.Offer-1].Provider}
}

// Accept implements gateway.Ledger.
func (l *Ledger) Accept(_ context.Context, t gateway.Terms) (gateway.Lease, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		return gateway.Lease{}, l.refuse
	}
	if t.Offer == 0 || t.Offer > uint64(len(l.offers)) {
		return gateway.Lease{}, fmt.Errorf("accept offer %d: no such offer", t.Offer)
	}
	o := &l.offers[t.Offer-1]
	if t.Capacity > o.Free {
		return gateway.Lease{}, fmt.Errorf("accept offer %d: capacity %d, free %d", t.Offer, t.Capacity, o.Free)
	}
	var seq [16]byte
	binary.BigEndian.PutUint64(seq[:], t.Offer)
	binary.BigEndian.PutUint64(seq[8:], uint64(len(l.order)))
	le, err := lease.Begin(lease.Terms{
		ID: sha256.Sum256(append([]byte("grange/lease/v1"), seq[:]...)), Offer: t.Offer,
		Payer: "payer", Owner: o.Provider.Owner, Device: o.Provider.Device, Kind: "storage",
		Use: o.Use, Hold: o.Hold, Capacity: t.Capacity, HoldBudget: t.HoldBudget, Lanes: []lease.Lane{t.Lane},
	}, l.epoch)
	if err != nil {
		return gateway.Lease{}, err
	}
	o.Free -= t.Capacity
	l.leases[le.ID] = le
	l.order = append(l.order, le.ID)
	return l.view(le), nil
}

// Fund implements gateway.Ledger.
func (l *Ledger) Fund(_ context.Context, id gateway.LeaseID, hold money.Credit, lanes []lease.Lane) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		return l.refuse
	}
	le, ok := l.leases[id]
	if !ok {
		return fmt.Errorf("fund lease %x: no such lease", id)
	}
	le, _, err := le.Fund(hold, lanes, l.epoch)
	if err != nil {
		return err
	}
	l.leases[id] = le
	l.funded++
	return nil
}

// Commit implements gateway.Ledger. It verifies both signatures.
func (l *Ledger) Commit(_ context.Context, signed []receipt.Commitment) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range signed {
		le, ok := l.leases[c.Lease]
		if !ok {
			return fmt.Errorf("commit to lease %x: no such lease", c.Lease)
		}
		provider := l.offers[le.Offer-1].Provider
		if err := c.Verify(l.Chain, receipt.Key(le.Lanes[0].Key), receipt.Key(provider.Key)); err != nil {
			return err
		}
		le, err := le.Commit(lease.Commitment{Revision: c.Revision, Root: c.Root, Units: c.Units}, l.epoch)
		if err != nil {
			return err
		}
		l.leases[c.Lease] = le
		l.commits++
	}
	return nil
}

var _ gateway.Ledger = (*Ledger)(nil)
