package market

import (
	"fmt"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

func priceOf(p marketpb.Price) money.Price { return money.Price{Credits: p.Credits, Per: p.Per} }

func pricePB(p money.Price) marketpb.Price { return marketpb.Price{Credits: p.Credits, Per: p.Per} }

// bytes32 checks the length of an identifier that came in a message.
func bytes32(what string, b []byte) (out [32]byte, err error) {
	if len(b) != len(out) {
		return out, fmt.Errorf("%s has %d bytes, want 32", what, len(b))
	}
	return [32]byte(b), nil
}

// lanesOf reads the terms of lanes; what a lane has been paid is never taken
// from a message.
func lanesOf(in []marketpb.Lane) ([]lease.Lane, error) {
	if len(in) > lease.MaxLanes {
		return nil, fmt.Errorf("%d lanes, at most %d are allowed", len(in), lease.MaxLanes)
	}
	out := make([]lease.Lane, 0, len(in))
	for _, l := range in {
		key, err := bytes32(fmt.Sprintf("key of lane %d", l.Id), l.Key)
		if err != nil {
			return nil, err
		}
		if err := receipt.Key(key).Valid(); err != nil {
			return nil, fmt.Errorf("key of lane %d verifies no receipt: %w", l.Id, err)
		}
		out = append(out, lease.Lane{ID: l.Id, Key: key, Cap: money.Credit(l.Cap), Expires: l.Expires})
	}
	return out, nil
}

// LeaseOf is the lease as core/lease works on it.
func LeaseOf(p marketpb.Lease) (lease.Lease, error) {
	id, err := bytes32("lease id", p.Id)
	if err != nil {
		return lease.Lease{}, err
	}
	device, err := bytes32("device id", p.Device)
	if err != nil {
		return lease.Lease{}, err
	}
	l := lease.Lease{
		ID: id, Offer: p.Offer, Payer: p.Payer, Owner: p.Owner, Device: device, Kind: p.Kind,
		Use: priceOf(p.Use), Hold: priceOf(p.Hold), Capacity: p.Capacity,
		HoldBudget: money.Credit(p.HoldBudget), HoldPaid: money.Credit(p.HoldPaid), HoldRemainder: p.HoldRemainder,
		Deposited: money.Credit(p.Deposited), Refunded: money.Credit(p.Refunded),
		Opened: p.Opened, Expires: p.Expires, Next: p.Next, HoldEnd: p.HoldEnd, Faults: p.Faults,
		State: lease.State(p.State), Until: p.Until, Reason: lease.Reason(p.Reason),
	}
	if l.Lanes, err = storedLanes(p.Lanes); err != nil {
		return lease.Lease{}, err
	}
	if len(p.Successor) > 0 {
		if l.Successor, err = bytes32("successor", p.Successor); err != nil {
			return lease.Lease{}, err
		}
	}
	for _, c := range p.Commitments {
		root, err := bytes32("commitment root", c.Root)
		if err != nil {
			return lease.Lease{}, err
		}
		l.Commitments = append(l.Commitments, lease.Commitment{Revision: c.Revision, Root: root, Units: c.Units, Effective: c.Effective})
	}
	return l, nil
}

func leasePB(l lease.Lease) marketpb.Lease {
	p := marketpb.Lease{
		Id: l.ID[:], Offer: l.Offer, Payer: l.Payer, Owner: l.Owner, Device: l.Device[:], Kind: l.Kind,
		Use: pricePB(l.Use), Hold: pricePB(l.Hold), Capacity: l.Capacity,
		HoldBudget: uint64(l.HoldBudget), HoldPaid: uint64(l.HoldPaid), HoldRemainder: l.HoldRemainder,
		Deposited: uint64(l.Deposited), Refunded: uint64(l.Refunded),
		Opened: l.Opened, Expires: l.Expires, Next: l.Next, HoldEnd: l.HoldEnd, Faults: l.Faults,
		State: marketpb.LeaseState(l.State), Until: l.Until, Reason: string(l.Reason),
	}
	p.Lanes = lanesPB(l.Lanes)
	if l.Successor != ([32]byte{}) {
		p.Successor = append([]byte(nil), l.Successor[:]...)
	}
	for _, c := range l.Commitments {
		p.Commitments = append(p.Commitments, marketpb.Commitment{Revision: c.Revision, Root: append([]byte(nil), c.Root[:]...), Units: c.Units, Effective: c.Effective})
	}
	return p
}

// storedLanes reads lanes of the state, with what they have been paid.
func storedLanes(in []marketpb.Lane) ([]lease.Lane, error) {
	var out []lease.Lane
	for _, x := range in {
		key, err := bytes32("lane key", x.Key)
		if err != nil {
			return nil, err
		}
		out = append(out, lease.Lane{ID: x.Id, Key: key, Cap: money.Credit(x.Cap), Expires: x.Expires, Seq: x.Seq, Units: x.Units, Paid: money.Credit(x.Paid)})
	}
	return out, nil
}

func lanesPB(in []lease.Lane) []marketpb.Lane {
	var out []marketpb.Lane
	for _, x := range in {
		out = append(out, marketpb.Lane{Id: x.ID, Key: append([]byte(nil), x.Key[:]...), Cap: uint64(x.Cap), Expires: x.Expires, Seq: x.Seq, Units: x.Units, Paid: uint64(x.Paid)})
	}
	return out
}
