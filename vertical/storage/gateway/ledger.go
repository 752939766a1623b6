package gateway

import (
	"context"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/receipt"
)

// Ledger is what the engine needs of the ledger, on behalf of one paying
// account. Calls are safe for concurrent use and return when the ledger has
// decided: after Accept or Fund returns nil, Leases shows the result.
type Ledger interface {
	// Epoch returns the current epoch, from 1.
	Epoch(ctx context.Context) (uint64, error)
	// WaitEpoch returns the current epoch as soon as it is above after.
	WaitEpoch(ctx context.Context, after uint64) (uint64, error)
	// Offers returns the open supply offers of kind "storage".
	Offers(ctx context.Context) ([]Offer, error)
	// Leases returns every lease this account pays for that is not forgotten
	// by the ledger, closed ones included.
	Leases(ctx context.Context) ([]Lease, error)
	// Accept opens a lease on an offer and pays its escrow, and returns the
	// lease as the ledger has it.
	Accept(ctx context.Context, t Terms) (Lease, error)
	// Fund adds hold ucredit to a lease's hold budget and lane.Cap ucredit to
	// each lane, and may extend the lanes' expiry.
	Fund(ctx context.Context, id LeaseID, hold money.Credit, lanes []lease.Lane) error
	// Commit posts commitments that both sides have signed. An older revision
	// than the ledger's is no error.
	Commit(ctx context.Context, signed []receipt.Commitment) error
}

// LeaseID is the ledger's 32-byte id of a lease.
type LeaseID = [32]byte

// DeviceID is the ledger's 32-byte id of a provider device.
type DeviceID = [32]byte

// Provider is who answers for an offer or a lease.
type Provider struct {
	Owner    string   // account; pieces of one segment never share it
	Device   DeviceID // id of the device on the ledger
	Key      [32]byte // its ed25519 public key: pinned when dialling, checks countersignatures
	Endpoint string   // see tunnel.ParseEndpoint
}

// Offer is one supply offer as placement needs it.
type Offer struct {
	ID       uint64
	Provider Provider
	Use      money.Price // per byte read
	Hold     money.Price // per byte held through one epoch
	Free     uint64      // bytes of capacity not leased yet
}

// Lease is a lease of this account, with its provider as registered now.
type Lease struct {
	lease.Lease
	Provider Provider
}

// Terms ask for a lease. The escrow is HoldBudget + Lane.Cap.
type Terms struct {
	Offer      uint64
	Capacity   uint64       // bytes that commitments may hold at most
	HoldBudget money.Credit // for bytes held
	Lane       lease.Lane   // the one lane: id, session key, cap, expiry
}
