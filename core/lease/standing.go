package lease

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/money"
)

// MaxStatements is how many of its newest statements a standing lease keeps, so
// that a proof against one is not void because the payer posted the next.
const MaxStatements = 4

// ReasonBond says that the payer's bond stayed below its minimum.
const ReasonBond Reason = "bond"

// AccountID is the lease id that receipts of a device under a standing lease
// carry: SHA-256("grange/standing/v1" ‖ standing lease ‖ device). The payer's
// signature thereby names the device, and no other device can use the receipt.
func AccountID(standing, device [32]byte) [32]byte {
	b := append([]byte("grange/standing/v1"), standing[:]...)
	return sha256.Sum256(append(b, device[:]...))
}

// Statement is what a payer says it owes: the root of a sum tree that maps each
// device to all its units since the lease began.
type Statement struct {
	Epoch uint64
	Root  [32]byte // hash of the sum root, which covers Size and Total
	Size  uint64   // devices
	Total uint64   // units of all devices
}

// Account is what one device has been paid under one standing lease, from the
// escrow and from the bond.
type Account struct {
	Device [32]byte
	Units  uint64 // the most a settled leaf has stated
	Paid   money.Credit
}

// Standing is a lease with one payer and any number of providers, who need not
// be known when it opens. The zero Standing is not valid; see Stand.
//
// Statements are paid from the escrow and can never promise more than it holds.
// Disputes are paid from what no statement has promised, and then from the bond.
type Standing struct {
	ID         [32]byte
	Payer      string
	Kind       string
	Attributes [][2]string // what providers are asked for; the rules do not read it
	Use        money.Price // per unit
	Lanes      []Lane      // Paid is what disputes took; Seq and Units stay 0
	Statements []Statement // ascending by Epoch

	Deposited money.Credit // into the escrow
	Stated    money.Credit // paid from the escrow by statements
	Disputed  money.Credit // paid from the escrow by disputes
	Refunded  money.Credit
	Bond      money.Credit // what is left of it
	Forfeited money.Credit // paid from the bond, penalties included
	Disputes  uint32       // not yet resolved

	Opened  uint64
	Expires uint64 // last epoch of the term; 0 is no end
	State   State
	Until   uint64 // epoch at which grace or closing ends
	Reason  Reason
}

// Order is what a payer asks for with a standing lease.
type Order struct {
	ID         [32]byte
	Payer      string
	Kind       string
	Attributes [][2]string
	Use        money.Price
	Lanes      []Lane // their caps are the escrow
	Bond       money.Credit
	Expires    uint64
}

// Stand opens a standing lease. It needs the sum of the lane caps as escrow and
// the bond on top.
func Stand(o Order, epoch uint64, rules Rules) (Standing, error) {
	s := Standing{
		ID: o.ID, Payer: o.Payer, Kind: o.Kind, Attributes: o.Attributes, Use: o.Use,
		Opened: epoch, Expires: o.Expires, State: Open,
	}
	if err := o.Use.Valid(); err != nil {
		return s, fmt.Errorf("open standing lease: %w", err)
	}
	if o.Use.Credits == 0 {
		return s, fmt.Errorf("open standing lease: units are free: nothing would ever be owed")
	}
	if o.Expires != 0 && o.Expires < epoch {
		return s, fmt.Errorf("open standing lease: term ends in epoch %d, before this epoch %d", o.Expires, epoch)
	}
	if len(o.Lanes) == 0 {
		return s, fmt.Errorf("open standing lease: no lane: name at least one session key")
	}
	s, _, err := s.Fund(o.Lanes, o.Bond, epoch, rules)
	if err != nil {
		return s, err
	}
	if why := s.lacks(rules); why != "" {
		return s, fmt.Errorf("open standing lease: bond of %d for an escrow of %d, at least %d is needed: %s", s.Bond, s.Held(), s.MinBond(rules), why)
	}
	return s, nil
}

// Held is the part of the escrow that is neither paid nor refunded.
func (s Standing) Held() money.Credit { return s.Deposited - s.Stated - s.Disputed - s.Refunded }

// Promised is what all statements so far may cost.
func (s Standing) Promised() money.Credit {
	owed, err := s.Use.Of(s.last().Total)
	if err != nil {
		return s.Deposited // not reached: State refuses such a total
	}
	return owed
}

// Free is what the next statement may add and what disputes may take before the
// bond. A dispute that was paid from the escrow lowers it for good: the payer
// must fund again what it should have stated.
func (s Standing) Free() money.Credit {
	free := s.Deposited - s.Disputed
	return min(free-min(free, s.Promised()), s.Held())
}

// MinBond is the least bond for the escrow that is held.
func (s Standing) MinBond(rules Rules) money.Credit { return money.Share(s.Held(), rules.Bond) }

func (s Standing) last() Statement {
	if n := len(s.Statements); n > 0 {
		return s.Statements[n-1]
	}
	return Statement{}
}

// lacks says why the lease cannot serve, or "".
func (s Standing) lacks(rules Rules) Reason {
	switch {
	case s.Bond < s.MinBond(rules):
		return ReasonBond
	case s.Free() == 0:
		return ReasonExhausted
	}
	return ""
}

// Fund adds to lanes, which is adding to the escrow, and to the bond. It returns
// the credits that must enter. A lease in grace that lacks nothing any more is
// open again.
func (s Standing) Fund(lanes []Lane, bond money.Credit, epoch uint64, rules Rules) (Standing, money.Credit, error) {
	if s.State != Open && s.State != Grace {
		return s, 0, fmt.Errorf("fund standing lease %x: it is %s (%s): open a new one", s.ID[:8], s.State, s.Reason)
	}
	out, total := s, bond
	var err error
	if out.Bond, err = money.Add(s.Bond, bond); err != nil {
		return s, 0, fmt.Errorf("fund standing lease %x: bond: %w", s.ID[:8], err)
	}
	out.Lanes = slices.Clone(s.Lanes)
	for _, add := range lanes {
		if out.Lanes, err = fundLane(out.Lanes, add, epoch); err != nil {
			return s, 0, fmt.Errorf("fund standing lease %x: %w", s.ID[:8], err)
		}
		if out.Deposited, err = money.Add(out.Deposited, add.Cap); err != nil {
			return s, 0, fmt.Errorf("fund standing lease %x: escrow: %w", s.ID[:8], err)
		}
		if total, err = money.Add(total, add.Cap); err != nil {
			return s, 0, fmt.Errorf("fund standing lease %x: lane %d: %w", s.ID[:8], add.ID, err)
		}
	}
	if _, err = money.Add(out.Deposited, out.Bond); err != nil {
		return s, 0, fmt.Errorf("fund standing lease %x: escrow and bond: %w", s.ID[:8], err)
	}
	if out.State == Grace && out.lacks(rules) == "" {
		out.State, out.Until, out.Reason = Open, 0, ""
	}
	return out, total, nil
}

// Lane returns the lane with the given id.
func (s Standing) Lane(id uint32) (Lane, bool) {
	for _, lane := range s.Lanes {
		if lane.ID == id {
			return lane, true
		}
	}
	return Lane{}, false
}

// Declare takes a statement of the payer: at most one for each epoch, units never fall, and
// what it promises must be in the escrow.
func (s Standing) Declare(st Statement, epoch uint64) (Standing, error) {
	last := s.last()
	switch {
	case s.State == Closed || s.State == Closing && epoch > s.Until:
		return s, fmt.Errorf("state for lease %x: it is %s (%s)", s.ID[:8], s.State, s.Reason)
	case st.Epoch > epoch:
		return s, fmt.Errorf("state for lease %x: epoch %d, the ledger is in epoch %d", s.ID[:8], st.Epoch, epoch)
	case st.Epoch <= last.Epoch:
		return s, fmt.Errorf("state for lease %x: epoch %d, the last statement is of epoch %d", s.ID[:8], st.Epoch, last.Epoch)
	case st.Total < last.Total:
		return s, fmt.Errorf("state for lease %x: %d units in all, fewer than the %d stated before", s.ID[:8], st.Total, last.Total)
	case st.Size == 0 || st.Total == 0:
		return s, fmt.Errorf("state for lease %x: a statement of nothing", s.ID[:8])
	}
	owed, err := s.Use.Of(st.Total)
	if limit := s.Deposited - s.Disputed; err != nil || owed > limit {
		return s, fmt.Errorf("state for lease %x: %d units cost more than the escrow of %d less %d paid to disputes: fund it first", s.ID[:8], st.Total, s.Deposited, s.Disputed)
	}
	kept := append(slices.Clone(s.Statements), st)
	s.Statements = kept[max(0, len(kept)-MaxStatements):]
	return s, nil
}

// Collect pays a device the leaf that proof shows to be in one of the kept
// statements, less what it has been paid. The same leaf again, or an older one,
// pays nothing and is no error, so the order of collecting never changes the sum.
func (s Standing) Collect(a Account, leaf merkle.SumLeaf, proof merkle.SumProof) (Standing, Account, money.Credit, error) {
	if s.State == Closed {
		return s, a, 0, fmt.Errorf("settle standing lease %x: closed (%s)", s.ID[:8], s.Reason)
	}
	if leaf.Key != a.Device {
		return s, a, 0, fmt.Errorf("settle standing lease %x: leaf of device %x, account of %x", s.ID[:8], leaf.Key[:8], a.Device[:8])
	}
	if err := s.proves(leaf, proof); err != nil {
		return s, a, 0, err
	}
	owed, err := s.Use.Of(leaf.Amount)
	if err != nil {
		return s, a, 0, fmt.Errorf("settle standing lease %x: device %x: %w", s.ID[:8], a.Device[:8], err)
	}
	// A payer that moves stated units from one device to another can make the
	// statements of all time promise more than the escrow. Whoever comes last
	// is short then and has his receipts to dispute with.
	pay := min(owed-min(owed, a.Paid), s.Held())
	s.Stated += pay
	a.Paid += pay
	a.Units = max(a.Units, leaf.Amount)
	return s, a, pay, nil
}

func (s Standing) proves(leaf merkle.SumLeaf, proof merkle.SumProof) error {
	err := fmt.Errorf("none of the %d kept statements has %d leaves", len(s.Statements), proof.Size)
	for i := len(s.Statements) - 1; i >= 0; i-- {
		st := s.Statements[i]
		if st.Size != proof.Size {
			continue
		}
		root := merkle.SumRoot{Hash: st.Root, Size: st.Size, Total: st.Total}
		if _, err = proof.Verify(root, leaf); err == nil {
			return nil
		}
	}
	return fmt.Errorf("settle standing lease %x: device %x: %w", s.ID[:8], leaf.Key[:8], err)
}

// Advance moves the lease through its states at the given epoch.
func (s Standing) Advance(epoch uint64, rules Rules) Standing {
	if s.State == Open {
		why := s.lacks(rules)
		switch {
		case s.Expires != 0 && epoch > s.Expires:
			return s.close(ReasonExpired, epoch, rules)
		case why != "":
			s.State, s.Until, s.Reason = Grace, epoch+rules.Grace, why
		}
	}
	if s.State == Grace && epoch >= s.Until {
		return s.close(s.Reason, epoch, rules)
	}
	return s
}

// Close ends the service at once. Statements, leaves and disputes are taken
// until the window is over.
func (s Standing) Close(reason Reason, epoch uint64, rules Rules) (Standing, error) {
	if s.State != Open && s.State != Grace {
		return s, fmt.Errorf("close standing lease %x: it is already %s (%s)", s.ID[:8], s.State, s.Reason)
	}
	return s.close(reason, epoch, rules), nil
}

func (s Standing) close(reason Reason, epoch uint64, rules Rules) Standing {
	s.State, s.Reason, s.Until = Closing, reason, epoch+rules.Window
	return s
}

// Ended reports whether a closing lease can be finished: its window is over and
// every dispute filed in it is resolved.
func (s Standing) Ended(epoch uint64) bool {
	return s.State == Closing && epoch > s.Until && s.Disputes == 0
}

// Finish closes the lease for good and returns what goes back to the payer: the
// rest of the escrow and of the bond.
func (s Standing) Finish(epoch uint64) (Standing, money.Credit, error) {
	if !s.Ended(epoch) {
		return s, 0, fmt.Errorf("finish standing lease %x: it is %s until epoch %d with %d disputes, the ledger is in epoch %d", s.ID[:8], s.State, s.Until, s.Disputes, epoch)
	}
	held, bond := s.Held(), s.Bond
	s.Refunded, s.Bond, s.State = s.Refunded+held, 0, Closed
	return s, held + bond, nil
}
