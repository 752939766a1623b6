package ledgerview

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// Lease is a lease as the ledger has it.
type Lease struct {
	ID         string       `json:"id"`
	Offer      uint64       `json:"offer"`
	Payer      string       `json:"payer"`
	Owner      string       `json:"owner"`
	Device     string       `json:"device"`
	Kind       string       `json:"kind"`
	Use        Price        `json:"use"`
	Hold       Price        `json:"hold"`
	Capacity   uint64       `json:"capacity"`
	State      string       `json:"state"` // open, grace, closing, closed
	Until      uint64       `json:"until_epoch,omitempty"`
	Reason     string       `json:"reason,omitempty"`
	Opened     uint64       `json:"opened_epoch"`
	Expires    uint64       `json:"expires_epoch,omitempty"`
	HoldBudget uint64       `json:"hold_budget_ucredit"`
	HoldPaid   uint64       `json:"hold_paid_ucredit"`
	Deposited  uint64       `json:"deposited_ucredit"`
	Refunded   uint64       `json:"refunded_ucredit"`
	Paid       uint64       `json:"paid_ucredit"`
	Left       uint64       `json:"left_ucredit"`
	Faults     uint32       `json:"faults"` // in a row
	Next       uint64       `json:"next_epoch"`
	Lanes      []Lane       `json:"lanes"`
	Commits    []Commitment `json:"commitments"`
}

// Lane is one payer session of a lease with its newest settled receipt.
type Lane struct {
	ID      uint32 `json:"id"`
	Key     string `json:"key"`
	Cap     uint64 `json:"cap_ucredit"`
	Expires uint64 `json:"expires_epoch,omitempty"`
	Seq     uint64 `json:"seq"`
	Units   uint64 `json:"units"`
	Paid    uint64 `json:"paid_ucredit"`
}

// Commitment is what both sides signed that the provider holds.
type Commitment struct {
	Revision  uint64 `json:"revision"`
	Root      string `json:"root"`
	Units     uint64 `json:"units"`
	Effective uint64 `json:"effective_epoch"`
}

// Held is how many units the newest commitment holds.
func (l Lease) Held() uint64 {
	if len(l.Commits) == 0 {
		return 0
	}
	return l.Commits[len(l.Commits)-1].Units
}

// Leases returns the leases of a device, of a payer, or all when both are empty.
func (v *View) Leases(ctx context.Context, device, payer string) ([]Lease, error) {
	req := marketpb.QueryLeasesRequest{Payer: payer}
	if device != "" {
		id, err := ParseID(device)
		if err != nil {
			return nil, err
		}
		req.Device = id
	}
	out := []Lease{}
	err := pages(func(p *query.PageRequest) (*query.PageResponse, error) {
		ask := req
		ask.Pagination = p
		r, err := v.market.Leases(ctx, &ask)
		if err != nil {
			return nil, v.explain("list leases", err)
		}
		for i := range r.Leases {
			out = append(out, leaseOf(&r.Leases[i]))
		}
		return r.Pagination, nil
	})
	return out, err
}

// Lease returns the lease whose id is, or begins with, id.
func (v *View) Lease(ctx context.Context, id string) (Lease, error) {
	if raw, err := ParseID(id); err == nil {
		r, err := v.market.Lease(ctx, &marketpb.QueryLeaseRequest{Id: raw})
		if err != nil {
			return Lease{}, v.explain("find lease "+id, err)
		}
		return leaseOf(&r.Lease), nil
	}
	all, err := v.Leases(ctx, "", "")
	if err != nil {
		return Lease{}, err
	}
	return pick("lease", id, all, func(l Lease) string { return l.ID })
}

func leaseOf(l *marketpb.Lease) Lease {
	out := Lease{
		ID: hex.EncodeToString(l.Id), Offer: l.Offer, Payer: l.Payer, Owner: l.Owner, Device: hex.EncodeToString(l.Device),
		Kind: l.Kind, Use: Price(l.Use), Hold: Price(l.Hold), Capacity: l.Capacity, State: lastWord(l.State.String()),
		Until: l.Until, Reason: l.Reason, Opened: l.Opened, Expires: l.Expires, HoldBudget: l.HoldBudget, HoldPaid: l.HoldPaid,
		Deposited: l.Deposited, Refunded: l.Refunded, Paid: l.HoldPaid, Faults: l.Faults, Next: l.Next,
		Lanes: []Lane{}, Commits: []Commitment{},
	}
	for _, a := range l.Lanes {
		out.Lanes = append(out.Lanes, Lane{ID: a.Id, Key: hex.EncodeToString(a.Key), Cap: a.Cap, Expires: a.Expires, Seq: a.Seq, Units: a.Units, Paid: a.Paid})
		out.Paid += a.Paid
	}
	for _, c := range l.Commitments {
		out.Commits = append(out.Commits, Commitment{Revision: c.Revision, Root: hex.EncodeToString(c.Root), Units: c.Units, Effective: c.Effective})
	}
	out.Left = out.Deposited - out.Paid - out.Refunded
	return out
}

// Proof records that a device answered all challenges of an epoch.
type Proof struct {
	Sequence   uint64    `json:"sequence"`
	Epoch      uint64    `json:"epoch"`
	Device     string    `json:"device"`
	Signer     string    `json:"signer"`
	Height     int64     `json:"height"`
	Time       time.Time `json:"time"`
	Challenges uint32    `json:"challenges"`
	Units      uint64    `json:"units"`
	Size       uint64    `json:"size"`
}

// Proofs returns the newest proofs, of one device or of all, at most limit.
func (v *View) Proofs(ctx context.Context, device string, limit uint64) ([]Proof, error) {
	r, err := v.oracle.Proofs(ctx, &oraclepb.QueryProofsRequest{Device: device, Pagination: &query.PageRequest{Limit: limit}})
	if err != nil {
		return nil, v.explain("list proofs", err)
	}
	out := []Proof{}
	for _, p := range r.Proofs {
		out = append(out, Proof{
			Sequence: p.Sequence, Epoch: p.Epoch, Device: hex.EncodeToString(p.Device), Signer: p.Signer, Height: p.Height,
			Time: time.Unix(0, p.Time).UTC(), Challenges: p.Challenges, Units: p.Units, Size: p.Size_,
		})
	}
	return out, nil
}

// Receipt is the newest settled receipt of one lane, and what it paid.
type Receipt struct {
	Lease  string `json:"lease"`
	Device string `json:"device"`
	Payer  string `json:"payer"`
	Kind   string `json:"kind"`
	Use    Price  `json:"use"`
	Lane   Lane   `json:"lane"`
}

// Receipt returns the newest settled receipt of a lease's lane.
func (v *View) Receipt(ctx context.Context, lease string, lane uint32) (Receipt, error) {
	l, err := v.Lease(ctx, lease)
	if err != nil {
		return Receipt{}, err
	}
	for _, a := range l.Lanes {
		if a.ID == lane {
			return Receipt{Lease: l.ID, Device: l.Device, Payer: l.Payer, Kind: l.Kind, Use: l.Use, Lane: a}, nil
		}
	}
	return Receipt{}, fmt.Errorf("find lane %d of lease %s: %w", lane, l.ID, ErrNotFound)
}
