package vertical

import (
	"context"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/evidence"
)

// Vertical is one kind of resource. Its methods are safe for concurrent use.
type Vertical interface {
	// Info never changes.
	Info() Info
	// Score weighs what the evidence and the usage of an ended epoch show, one
	// line for each device that did something, in any order.
	//
	// It is pure and deterministic: no clock, no randomness, no floats, no map
	// order in the result; the order of segments, rows and usage must not matter,
	// and a row that is there twice counts once. It verifies every signature it
	// relies on and passes over a row it does not believe, since anybody may
	// publish. It fails only when evidence cannot be read; then nothing is paid
	// and the epoch waits. ctx bounds the work and nothing else.
	//
	// Splitting a device into several must never earn more.
	Score(ctx context.Context, in Input) ([]Line, error)
}

// Info says what a vertical is.
type Info struct {
	// Name on the ledger: 1 to 32 of a-z, 0-9 and '-'. Offers of the kinds Name
	// and Name/… belong to it.
	Name  string
	Class Class
	Units []Unit // by kind of offer
	// Evidence lists the kinds of segments that Score reads. A vertical with none
	// earns by usage alone and its Score is not called; one with some has the
	// epoch after the scored one to publish in.
	Evidence []string
}

// Class says whether the place of a device matters.
type Class string

// The classes: physical and digital resource networks.
const (
	PRN Class = "prn" // wireless, sensing, energy
	DRN Class = "drn" // storage, compute, bandwidth
)

// Unit says what the units of receipts, of leases of one kind of offer, are.
type Unit struct {
	Kind string // "storage", "sensing/weather"
	Use  string // what one unit of use is: "byte read"; empty when none is sold
	Hold string // what one unit held through an epoch is: "byte held"; or empty
}

// Input is everything that a score may depend on.
type Input struct {
	ChainID string
	Epoch   uint64
	// Began and Ended are the times of the ledger's blocks at which the epoch
	// began and ended, in Unix seconds.
	Began, Ended int64
	// Seed is the epoch's randomness, unknown to everybody before the epoch began.
	// Decided is false when validators failed to make one: nothing may be held
	// against a device for a challenge drawn from it.
	Seed    [32]byte
	Decided bool
	// Usage is what was settled for the vertical while the epoch was the current
	// one, of every device and kind, sorted by both.
	Usage []Usage
	// Evidence is what was published for the epoch, by all publishers, fetched and
	// checked; never nil. Read it with evidence.Rows.
	Evidence *evidence.Inputs
	// Registry knows the devices. Never nil.
	Registry Registry
}

// Usage is what one device was paid for one kind of offers.
type Usage struct {
	Device [32]byte
	Kind   string
	Paid   money.Credit // before the take
	Burned money.Credit // part of Paid
}

// Registry answers what the ledger knows of a device. What was asked and answered is
// published with the score, so that it can be recomputed.
type Registry interface {
	// Device reports false for one that is not registered: it cannot be paid.
	Device(id [32]byte) (Device, bool)
}

// Device is what Score may know of a registered device.
type Device struct {
	ID    [32]byte `json:"-"`
	Owner string   `json:"owner"`
	Class Class    `json:"class"`
	Cell  uint64   `json:"cell,string"` // H3 index, 0 for none
	// Registered is the height of its registration; Moved is when it last changed
	// its cell, in Unix seconds, 0 if it is where it first said.
	Registered int64 `json:"registered_height,string,omitempty"`
	Moved      int64 `json:"moved,string,omitempty"`
}

// Ed25519 asks about the device that has an ed25519 key.
func Ed25519(r Registry, key [32]byte) (Device, bool) {
	k, err := device.NewPublicKey(device.Ed25519, key[:])
	if err != nil {
		return Device{}, false
	}
	return r.Device(k.ID())
}

// Of returns the name of the vertical that a kind of offer belongs to.
func Of(kind string) string { return lease.Vertical(kind) }
