package gateway

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
)

// Health is how the engine's data and leases stand.
type Health struct {
	Epoch    uint64
	Segments int
	Bytes    int64 // plaintext

	// Segments by how many of their pieces are usable: all n; fewer than n and
	// more than the repair threshold; at or below it and at least k; below k.
	Full, Thin, Low, Unreadable int

	Exhausted int           // leases whose escrow has run dry
	Leases    []LeaseHealth // by lease id
	Problems  []Problem     // what providers did wrong, oldest first
}

// LeaseHealth is one lease as the engine and the ledger see it.
type LeaseHealth struct {
	ID        LeaseID
	Device    DeviceID
	Owner     string
	Endpoint  string
	State     string // open, grace, closing or closed; "ended" when the ledger forgot it
	Capacity  uint64 // bytes
	Stored    uint64 // bytes, committed or not
	Committed uint64 // bytes in the last commitment both signed
	Revision  uint64
	HoldLeft  money.Credit // of the hold budget
	Epochs    uint64       // that HoldLeft pays for what is stored; MaxUint64 when it costs nothing
	Read      uint64       // bytes read and counted on the lane
	ReadLeft  uint64       // bytes the lane can still pay for
	Faults    uint32       // epochs in a row without proof
	Failures  int          // requests in a row without a good answer
	Silent    time.Duration
	Latency   time.Duration
}

// Health reports on every segment and lease. It reads the whole segment table.
func (e *Engine) Health(ctx context.Context) (Health, error) {
	_, done, err := e.begin(ctx)
	if err != nil {
		return Health{}, err
	}
	defer done()
	h := Health{Epoch: e.epoch.Load(), Problems: []Problem{}}
	err = e.store.eachSegment(func(s Segment) error {
		h.Segments++
		h.Bytes += s.Size
		switch n := len(e.usablePieces(s)); {
		case n == int(s.Layout.N):
			h.Full++
		case n > int(s.Layout.Repair):
			h.Thin++
		case n >= int(s.Layout.K):
			h.Low++
		default:
			h.Unreadable++
		}
		return ctx.Err()
	})
	if err != nil {
		return Health{}, err
	}
	for _, l := range e.book.all() {
		h.Leases = append(h.Leases, l.health())
		h.Problems = append(h.Problems, l.faults.all(l.view())...)
		if l.view().State == lease.Grace {
			h.Exhausted++
		}
	}
	slices.SortStableFunc(h.Problems, func(a, b Problem) int { return a.Last.Compare(b.Last) })
	slices.SortFunc(h.Leases, func(a, b LeaseHealth) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return h, nil
}

func (l *link) health() LeaseHealth {
	l.mu.Lock()
	view := l.lease
	h := LeaseHealth{
		ID: l.id, Device: view.Provider.Device, Owner: view.Provider.Owner, Endpoint: view.Provider.Endpoint,
		State: view.State.String(), Capacity: view.Capacity, Stored: l.stored, Committed: l.set.Units(),
		Revision: l.revision, HoldLeft: view.HoldBudget - view.HoldPaid, Faults: view.Faults,
	}
	if l.retired && (h.State == "open" || h.State == "grace") {
		h.State = "ended"
	}
	l.mu.Unlock()
	h.Epochs = epochsLeft(view.Hold, h.HoldLeft, h.Stored)
	h.Read, h.ReadLeft = l.meter.spent()
	h.Failures, h.Latency = l.pulse.rank()
	h.Silent = l.pulse.silent()
	return h
}

// epochsLeft is how many epochs of holding bytes a budget pays for.
func epochsLeft(p money.Price, budget money.Credit, bytes uint64) uint64 {
	if bytes == 0 {
		return ^uint64(0)
	}
	units := p.Units(budget)
	if units == ^uint64(0) {
		return units
	}
	return units / bytes
}
