package statuspage

import (
	"time"

	"github.com/grange-network/grange/node"
)

// Snapshot is everything the page shows. Amounts are in ucredit and ugrain,
// sizes in bytes. Nothing in it is secret.
type Snapshot struct {
	Time      time.Time      `json:"time"`
	Home      string         `json:"home"`
	PID       int            `json:"pid"`
	Endpoints []Endpoint     `json:"endpoints"`
	Roles     []node.Info    `json:"roles"`
	Chain     Chain          `json:"chain"`
	Devices   []Device       `json:"devices"`
	Leases    []Lease        `json:"leases"`
	Receipts  []Receipt      `json:"receipts"`
	Problems  []node.Problem `json:"problems"`
}

// Endpoint is a door of this node.
type Endpoint struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

// Chain is where the ledger stands. Error says why the rest may be old.
type Chain struct {
	ID        string    `json:"id"`
	Height    int64     `json:"height"`
	BlockTime time.Time `json:"block_time"`
	Epoch     uint64    `json:"epoch"`
	Seed      string    `json:"seed"` // of Epoch, or of the last epoch that has one
	SeedEpoch uint64    `json:"seed_epoch"`
	Error     string    `json:"error,omitempty"`
}

// Device is a registered device with its offer.
type Device struct {
	ID       string `json:"id"`
	Owner    string `json:"owner"`
	Endpoint string `json:"endpoint"`
	Role     string `json:"role,omitempty"` // when it is one of this node's
	Bond     uint64 `json:"bond_ugrain"`
	Slashed  uint64 `json:"slashed_ugrain"`
	Sold     uint64 `json:"sold_bytes"`
	Capacity uint64 `json:"capacity_bytes"`
	Outcome  string `json:"outcome"` // of the last decided epoch
}

// Lease is a lease with what is left of its escrow.
type Lease struct {
	ID        string `json:"id"`
	Device    string `json:"device"`
	State     string `json:"state"`
	Held      uint64 `json:"held_bytes"`
	Deposited uint64 `json:"deposited_ucredit"`
	Paid      uint64 `json:"paid_ucredit"`
	Left      uint64 `json:"left_ucredit"`
	Faults    uint32 `json:"faults"`
}

// Receipt is the newest settled receipt of one lane.
type Receipt struct {
	Lease string `json:"lease"`
	Lane  uint32 `json:"lane"`
	Seq   uint64 `json:"seq"`
	Units uint64 `json:"units"`
	Paid  uint64 `json:"paid_ucredit"`
	Cap   uint64 `json:"cap_ucredit"`
}

// filled has empty lists where there were none, so that the JSON form has the
// same types always.
func (s Snapshot) filled() Snapshot {
	s.Endpoints, s.Roles, s.Devices = list(s.Endpoints), list(s.Roles), list(s.Devices)
	s.Leases, s.Receipts, s.Problems = list(s.Leases), list(s.Receipts), list(s.Problems)
	return s
}

func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}
