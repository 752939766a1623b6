package market

import (
	"bytes"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

// DemandOf is the demand as core/lease works on it.
func DemandOf(p marketpb.Demand) (lease.Demand, error) {
	d := lease.Demand{
		ID: p.Id, Buyer: p.Buyer, Kind: p.Kind, Use: priceOf(p.Use), Hold: priceOf(p.Hold), Capacity: p.Capacity,
		Term: p.TermEpochs, HoldBudget: money.Credit(p.HoldBudget), Deposit: money.Credit(p.Deposit),
		Expires: p.Expires, Reason: lease.Reason(p.Reason),
	}
	var err error
	if d.Lanes, err = storedLanes(p.Lanes); err != nil {
		return d, err
	}
	if len(p.Lease) > 0 {
		if d.Lease, err = bytes32("lease id", p.Lease); err != nil {
			return d, err
		}
	}
	for _, b := range p.Bids {
		d.Bids = append(d.Bids, lease.Bid{Offer: b.Offer, Owner: b.Owner, Use: priceOf(b.Use), Hold: priceOf(b.Hold), Deposit: money.Grain(b.Deposit)})
	}
	return d, nil
}

// demandPB writes what the rules know of a demand over what is stored of it.
func demandPB(stored marketpb.Demand, d lease.Demand) marketpb.Demand {
	p := marketpb.Demand{
		Id: d.ID, Buyer: d.Buyer, Kind: d.Kind, Use: pricePB(d.Use), Hold: pricePB(d.Hold), Capacity: d.Capacity,
		TermEpochs: d.Term, HoldBudget: uint64(d.HoldBudget), Lanes: lanesPB(d.Lanes), Deposit: uint64(d.Deposit),
		Expires: d.Expires, Reason: string(d.Reason), Attributes: stored.Attributes, Prune: stored.Prune,
	}
	if d.Lease != ([32]byte{}) {
		p.Lease = bytes.Clone(d.Lease[:])
	}
	for _, b := range d.Bids {
		p.Bids = append(p.Bids, marketpb.Bid{Offer: b.Offer, Owner: b.Owner, Use: pricePB(b.Use), Hold: pricePB(b.Hold), Deposit: uint64(b.Deposit)})
	}
	return p
}

func attributesOf(in []marketpb.Attribute) (out [][2]string) {
	for _, a := range in {
		out = append(out, [2]string{a.Key, a.Value})
	}
	return out
}

func attributesPB(in [][2]string) (out []marketpb.Attribute) {
	for _, a := range in {
		out = append(out, marketpb.Attribute{Key: a[0], Value: a[1]})
	}
	return out
}

// StandingOf is the standing lease as core/lease works on it.
func StandingOf(p marketpb.Standing) (lease.Standing, error) {
	id, err := bytes32("standing lease id", p.Id)
	if err != nil {
		return lease.Standing{}, err
	}
	s := lease.Standing{
		ID: id, Payer: p.Payer, Kind: p.Kind, Attributes: attributesOf(p.Attributes), Use: priceOf(p.Use),
		Deposited: money.Credit(p.Deposited), Stated: money.Credit(p.Stated), Disputed: money.Credit(p.Disputed),
		Refunded: money.Credit(p.Refunded), Bond: money.Credit(p.Bond), Forfeited: money.Credit(p.Forfeited),
		Disputes: p.Disputes, Opened: p.Opened, Expires: p.Expires,
		State: lease.State(p.State), Until: p.Until, Reason: lease.Reason(p.Reason),
	}
	if s.Lanes, err = storedLanes(p.Lanes); err != nil {
		return s, err
	}
	for _, x := range p.Statements {
		root, err := bytes32("statement root", x.Root)
		if err != nil {
			return s, err
		}
		s.Statements = append(s.Statements, lease.Statement{Epoch: x.Epoch, Root: root, Size: x.Size_, Total: x.Total})
	}
	return s, nil
}

func standingPB(s lease.Standing) marketpb.Standing {
	p := marketpb.Standing{
		Id: bytes.Clone(s.ID[:]), Payer: s.Payer, Kind: s.Kind, Attributes: attributesPB(s.Attributes), Use: pricePB(s.Use),
		Lanes: lanesPB(s.Lanes), Deposited: uint64(s.Deposited), Stated: uint64(s.Stated), Disputed: uint64(s.Disputed),
		Refunded: uint64(s.Refunded), Bond: uint64(s.Bond), Forfeited: uint64(s.Forfeited), Disputes: s.Disputes,
		Opened: s.Opened, Expires: s.Expires, State: marketpb.LeaseState(s.State), Until: s.Until, Reason: string(s.Reason),
	}
	for _, x := range s.Statements {
		p.Statements = append(p.Statements, marketpb.Statement{Epoch: x.Epoch, Root: bytes.Clone(x.Root[:]), Size_: x.Size, Total: x.Total})
	}
	return p
}

func accountOf(p marketpb.Account) (lease.Account, error) {
	device, err := bytes32("device id", p.Device)
	return lease.Account{Device: device, Units: p.Units, Paid: money.Credit(p.Paid)}, err
}

func accountPB(standing [32]byte, a lease.Account) marketpb.Account {
	return marketpb.Account{Standing: bytes.Clone(standing[:]), Device: bytes.Clone(a.Device[:]), Units: a.Units, Paid: uint64(a.Paid)}
}

func disputeOf(p marketpb.Dispute) (lease.Dispute, error) {
	standing, err := bytes32("standing lease id", p.Standing)
	if err != nil {
		return lease.Dispute{}, err
	}
	device, err := bytes32("device id", p.Device)
	d := lease.Dispute{Standing: standing, Device: device, Until: p.Until}
	for _, x := range p.Parts {
		d.Parts = append(d.Parts, lease.Part{Lane: x.Lane, Units: x.Units})
	}
	return d, err
}

func disputePB(d lease.Dispute) marketpb.Dispute {
	p := marketpb.Dispute{Standing: bytes.Clone(d.Standing[:]), Device: bytes.Clone(d.Device[:]), Until: d.Until}
	for _, x := range d.Parts {
		p.Parts = append(p.Parts, marketpb.DisputePart{Lane: x.Lane, Units: x.Units})
	}
	return p
}
