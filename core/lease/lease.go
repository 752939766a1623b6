package lease

import (
	"fmt"

	"github.com/grange-network/grange/core/money"
)

// State is where a lease stands in its life.
type State uint8

// States of a lease, in the order they are passed.
const (
	Open    State = iota + 1 // serving
	Grace                    // hold budget exhausted: read-only until funded or Until passes
	Closing                  // no new service; only higher receipts count until Until
	Closed                   // refunded; final
)

// String names the state as the ledger's queries show it.
func (s State) String() string {
	switch s {
	case Open:
		return "open"
	case Grace:
		return "grace"
	case Closing:
		return "closing"
	case Closed:
		return "closed"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Reason says why a lease left the open state.
type Reason string

// Reasons the ledger itself gives; either party may close with words of its own.
const (
	ReasonExhausted Reason = "exhausted" // grace passed without a top-up
	ReasonExpired   Reason = "expired"   // the agreed term ended
	ReasonFaulted   Reason = "faulted"   // too many epochs in a row without proof
	ReasonPayer     Reason = "payer"     // the payer closed it
	ReasonProvider  Reason = "provider"  // the provider closed it
)

// Outcome is what the oracle knows of a device and an epoch.
type Outcome uint8

// Outcomes of an epoch for one device.
const (
	Undecided Outcome = iota // the epoch takes the outcome of the next decided one
	Proven
	Faulted
)

// String names the outcome as the ledger's queries show it.
func (o Outcome) String() string {
	switch o {
	case Proven:
		return "proven"
	case Faulted:
		return "faulted"
	}
	return "open"
}

// Limits of one lease.
const (
	MaxLanes       = 128 // lanes of a lease
	MaxCommitments = 16  // commitments waiting for their epochs to be decided
)

// Rules are the network's parameters that a lease is judged by, in epochs.
type Rules struct {
	Grace      uint64 // epochs between exhaustion and closing
	Window     uint64 // epochs between closing and refund
	FaultLimit uint32 // faulted epochs in a row that close a lease

	// Of standing leases only.
	Dispute uint64    // epochs in which the payer may answer a dispute
	Bond    money.BPS // least bond, as a share of the escrow held
	Penalty money.BPS // on top of what a dispute finds unpaid, from the bond
}

// Lane is one payer session: a key that may sign receipts up to a cap.
type Lane struct {
	ID      uint32
	Key     [32]byte     // ed25519 session key
	Cap     money.Credit // most that receipts of this lane can ever be paid
	Expires uint64       // last epoch a receipt may carry; 0 is no end
	Seq     uint64       // newest receipt settled
	Units   uint64       // its cumulative units
	Paid    money.Credit
}

// Commitment is what both sides agreed is held, from an epoch on.
type Commitment struct {
	Revision  uint64
	Root      [32]byte
	Units     uint64
	Effective uint64 // first epoch it is in force
}

// Lease is the whole state of one lease. The zero Lease is not valid; see Open.
type Lease struct {
	ID       [32]byte
	Offer    uint64
	Payer    string // account
	Owner    string // account of the provider
	Device   [32]byte
	Kind     string
	Use      money.Price // per unit metered by receipts
	Hold     money.Price // per unit held through one epoch
	Capacity uint64      // most units a commitment may hold

	HoldBudget    money.Credit
	HoldPaid      money.Credit
	HoldRemainder uint64 // rounding carried from epoch to epoch, in Hold.Credits·units
	Lanes         []Lane // Lanes[0].Key also signs commitments
	Deposited     money.Credit
	Refunded      money.Credit // to the payer, or on to Successor

	Commitments []Commitment // ascending by Effective; the first may be in force
	Opened      uint64       // epoch
	Expires     uint64       // last epoch of the term; 0 is no end
	Next        uint64       // first epoch the hold meter has not accrued
	HoldEnd     uint64       // last epoch the hold meter accrues; 0 while serving
	Faults      uint32       // faulted epochs in a row
	State       State
	Until       uint64 // epoch at which grace or closing ends
	Reason      Reason

	Successor [32]byte // lease at another provider that follows this one; zero is none
}

// Terms are what an accepted offer and its payer agree on.
type Terms struct {
	ID           [32]byte
	Offer        uint64
	Payer, Owner string
	Device       [32]byte
	Kind         string
	Use, Hold    money.Price
	Capacity     uint64
	Expires      uint64
	HoldBudget   money.Credit
	Lanes        []Lane
}

// Begin opens a lease in epoch. The escrow it needs is Deposited.
func Begin(t Terms, epoch uint64) (Lease, error) {
	l := Lease{
		ID: t.ID, Offer: t.Offer, Payer: t.Payer, Owner: t.Owner, Device: t.Device, Kind: t.Kind,
		Use: t.Use, Hold: t.Hold, Capacity: t.Capacity, Expires: t.Expires,
		Opened: epoch, Next: epoch, State: Open,
	}
	if err := t.Use.Valid(); err != nil {
		return Lease{}, fmt.Errorf("open lease: use price: %w", err)
	}
	if err := t.Hold.Valid(); err != nil {
		return Lease{}, fmt.Errorf("open lease: hold price: %w", err)
	}
	if t.Expires != 0 && t.Expires < epoch {
		return Lease{}, fmt.Errorf("open lease: term ends in epoch %d, before this epoch %d", t.Expires, epoch)
	}
	if len(t.Lanes) == 0 {
		return Lease{}, fmt.Errorf("open lease: no lane: name at least one session key")
	}
	l, _, err := l.Fund(t.HoldBudget, t.Lanes, epoch)
	return l, err
}

// Held is the part of the escrow that is neither paid nor refunded.
func (l Lease) Held() money.Credit { return l.Deposited - l.Paid() - l.Refunded }

// Paid is all that the lease has paid on both meters.
func (l Lease) Paid() money.Credit {
	paid := l.HoldPaid
	for _, lane := range l.Lanes {
		paid += lane.Paid
	}
	return paid
}

// Lane returns the lane with the given id.
func (l Lease) Lane(id uint32) (Lane, bool) {
	for _, lane := range l.Lanes {
		if lane.ID == id {
			return lane, true
		}
	}
	return Lane{}, false
}

// Fund adds to the hold budget and to lanes. A lane that is already there gains
// cap (its key must be the same) and may expire later; any other is opened. It
// returns the credits that must enter the escrow. A lease in grace that can pay
// for another epoch is open again.
func (l Lease) Fund(hold money.Credit, lanes []Lane, epoch uint64) (Lease, money.Credit, error) {
	if l.State != Open && l.State != Grace {
		return l, 0, fmt.Errorf("fund lease %x: it is %s (%s): open a new lease", l.ID[:8], l.State, l.Reason)
	}
	budget, err := money.Add(l.HoldBudget, hold)
	if err != nil {
		return l, 0, fmt.Errorf("fund lease %x: hold budget: %w", l.ID[:8], err)
	}
	total := hold
	out := l
	out.HoldBudget = budget
	out.Lanes = append([]Lane(nil), l.Lanes...)
	for _, add := range lanes {
		if out.Lanes, err = fundLane(out.Lanes, add, epoch); err != nil {
			return l, 0, fmt.Errorf("fund lease %x: %w", l.ID[:8], err)
		}
		if total, err = money.Add(total, add.Cap); err != nil {
			return l, 0, fmt.Errorf("fund lease %x: lane %d: %w", l.ID[:8], add.ID, err)
		}
	}
	if out.Deposited, err = money.Add(l.Deposited, total); err != nil {
		return l, 0, fmt.Errorf("fund lease %x: escrow: %w", l.ID[:8], err)
	}
	if out.State == Grace && !out.exhausted() {
		out.State, out.Until, out.Reason = Open, 0, ""
	}
	return out, total, nil
}

func fundLane(lanes []Lane, add Lane, epoch uint64) ([]Lane, error) {
	if add.Expires != 0 && add.Expires < epoch {
		return nil, fmt.Errorf("lane %d expires in epoch %d, before this epoch %d", add.ID, add.Expires, epoch)
	}
	for i, lane := range lanes {
		if lane.ID != add.ID {
			if lane.Key == add.Key {
				return nil, fmt.Errorf("lane %d repeats the key of lane %d: one key, one lane", add.ID, lane.ID)
			}
			continue
		}
		if lane.Key != add.Key {
			return nil, fmt.Errorf("lane %d has key %x, not %x: open another lane", add.ID, lane.Key[:8], add.Key[:8])
		}
		lane.Cap += add.Cap // Fund has checked the sum
		if lane.Cap < add.Cap {
			return nil, fmt.Errorf("lane %d: %w", add.ID, money.ErrOverflow)
		}
		if add.Expires == 0 || (lane.Expires != 0 && add.Expires > lane.Expires) {
			lane.Expires = add.Expires
		}
		lanes[i] = lane
		return lanes, nil
	}
	if len(lanes) == MaxLanes {
		return nil, fmt.Errorf("lane %d is one too many: a lease has at most %d", add.ID, MaxLanes)
	}
	return append(lanes, Lane{ID: add.ID, Key: add.Key, Cap: add.Cap, Expires: add.Expires}), nil
}
