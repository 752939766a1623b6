package lease

import (
	"fmt"

	"github.com/grange-network/grange/core/money"
)

// Claim is the part of a receipt, its signatures already verified, that the
// use meter needs.
type Claim struct {
	Lane  uint32
	Seq   uint64
	Units uint64 // cumulative
	Epoch uint64
}

// Claim settles a receipt and returns what it adds to what the lane has paid.
// Only the newest receipt of a lane matters: an older one, or the same again,
// pays nothing and is no error, so the order of settling never changes the sum.
func (l Lease) Claim(c Claim, epoch uint64) (Lease, money.Credit, error) {
	if l.State == Closed {
		return l, 0, fmt.Errorf("settle lease %x: closed (%s): the window for receipts is over", l.ID[:8], l.Reason)
	}
	at := -1
	for i := range l.Lanes {
		if l.Lanes[i].ID == c.Lane {
			at = i
		}
	}
	if at < 0 {
		return l, 0, fmt.Errorf("settle lease %x: no lane %d", l.ID[:8], c.Lane)
	}
	lane := l.Lanes[at]
	if c.Epoch > epoch+1 {
		return l, 0, fmt.Errorf("settle lease %x lane %d: receipt of epoch %d, the ledger is in epoch %d", l.ID[:8], c.Lane, c.Epoch, epoch)
	}
	if lane.Expires != 0 && c.Epoch > lane.Expires {
		return l, 0, fmt.Errorf("settle lease %x lane %d: receipt of epoch %d, the lane expired in epoch %d", l.ID[:8], c.Lane, c.Epoch, lane.Expires)
	}
	if c.Units <= lane.Units || c.Seq <= lane.Seq {
		return l, 0, nil
	}
	owed, err := l.Use.Of(c.Units)
	if err != nil {
		owed = lane.Cap // more than 64 bits is certainly more than the cap
	}
	owed = min(owed, lane.Cap)
	pay := owed - lane.Paid // owed never falls: units only grow, and so does the cap
	lane.Seq, lane.Units, lane.Paid = c.Seq, c.Units, owed
	l.Lanes = append([]Lane(nil), l.Lanes...)
	l.Lanes[at] = lane
	return l, pay, nil
}

// Commit records what both sides, their signatures already verified, agreed is
// held. It is in force from the next epoch on. A repeated or older revision is
// no error and changes nothing.
func (l Lease) Commit(c Commitment, epoch uint64) (Lease, error) {
	if l.State != Open && l.State != Grace {
		return l, fmt.Errorf("commit to lease %x: it is %s (%s)", l.ID[:8], l.State, l.Reason)
	}
	last := l.last()
	if c.Revision <= last.Revision {
		return l, nil
	}
	if c.Units > l.Capacity {
		return l, fmt.Errorf("commit to lease %x: %d units held, its capacity is %d", l.ID[:8], c.Units, l.Capacity)
	}
	if l.State == Grace && c.Units > last.Units {
		return l, fmt.Errorf("commit to lease %x: %d units held, more than %d, while the escrow is exhausted: fund it first", l.ID[:8], c.Units, last.Units)
	}
	c.Effective = epoch + 1
	kept := append([]Commitment(nil), l.Commitments...)
	if n := len(kept); n > 0 && kept[n-1].Effective == c.Effective {
		kept[n-1] = c
	} else {
		kept = append(kept, c)
	}
	if len(kept) > MaxCommitments {
		return l, fmt.Errorf("commit to lease %x: %d commitments wait for epochs to be decided, at most %d may", l.ID[:8], len(kept), MaxCommitments)
	}
	l.Commitments = kept
	return l, nil
}

// HeadAt is the commitment in force in an epoch that is not accrued yet.
func (l Lease) HeadAt(epoch uint64) Commitment {
	var head Commitment
	for _, c := range l.Commitments {
		if c.Effective <= epoch {
			head = c
		}
	}
	return head
}

func (l Lease) last() Commitment {
	if n := len(l.Commitments); n > 0 {
		return l.Commitments[n-1]
	}
	return Commitment{}
}

// Accrual is what one epoch did to a lease.
type Accrual struct {
	Epoch   uint64
	Units   uint64 // held, by the commitment in force
	Outcome Outcome
	Owed    money.Credit // price of Units when proven, else 0
	Pay     money.Credit // Owed, or what was left of the budget
}

// Accrue takes the hold meter over epoch Next, whose outcome must be decided
// unless nothing was held. Call it only for epochs that are over.
func (l Lease) Accrue(outcome Outcome) (Lease, Accrual, error) {
	head := l.HeadAt(l.Next)
	a := Accrual{Epoch: l.Next, Units: head.Units, Outcome: outcome}
	if head.Units > 0 {
		switch outcome {
		case Undecided:
			return l, a, fmt.Errorf("accrue lease %x: epoch %d is undecided", l.ID[:8], l.Next)
		case Faulted:
			if l.State == Open {
				l.Faults++
			}
		case Proven:
			owed, rem, err := l.Hold.Carry(head.Units, l.HoldRemainder)
			if err != nil {
				owed, rem = l.HoldBudget, 0
			}
			a.Owed, a.Pay = owed, min(owed, l.HoldBudget-l.HoldPaid)
			l.HoldPaid += a.Pay
			l.HoldRemainder, l.Faults = rem, 0
		}
	}
	l.Next++
	kept := l.Commitments
	for len(kept) > 1 && kept[1].Effective <= l.Next {
		kept = kept[1:]
	}
	l.Commitments = append([]Commitment(nil), kept...)
	return l, a, nil
}

// exhausted reports whether the hold budget cannot pay for one more epoch of
// what is held now.
func (l Lease) exhausted() bool {
	next, _, err := l.Hold.Carry(l.last().Units, l.HoldRemainder)
	return err != nil || next > l.HoldBudget-l.HoldPaid
}

// Advance moves the lease through its states at the given epoch, after Accrue
// has been called for every decided epoch before it.
func (l Lease) Advance(epoch uint64, rules Rules) Lease {
	if l.State == Open {
		switch {
		case l.Faults >= rules.FaultLimit && rules.FaultLimit > 0:
			return l.close(ReasonFaulted, epoch, rules)
		case l.Expires != 0 && epoch > l.Expires:
			return l.close(ReasonExpired, epoch, rules)
		case l.exhausted():
			l.State, l.Until, l.Reason = Grace, epoch+rules.Grace, ReasonExhausted
		}
	}
	if l.State == Grace && epoch >= l.Until {
		return l.close(ReasonExhausted, epoch, rules)
	}
	return l
}

// Close ends the service at once, by the payer, the provider or the ledger.
// Until the window ends only higher receipts count.
func (l Lease) Close(reason Reason, epoch uint64, rules Rules) (Lease, error) {
	if l.State != Open && l.State != Grace {
		return l, fmt.Errorf("close lease %x: it is already %s (%s)", l.ID[:8], l.State, l.Reason)
	}
	return l.close(reason, epoch, rules), nil
}

func (l Lease) close(reason Reason, epoch uint64, rules Rules) Lease {
	l.State, l.Reason, l.HoldEnd, l.Until = Closing, reason, epoch, epoch+rules.Window
	return l
}

// Accruable reports whether epoch Next is over and still counts on the hold meter.
func (l Lease) Accruable(epoch uint64) bool {
	return l.State != Closed && l.Next < epoch && (l.HoldEnd == 0 || l.Next <= l.HoldEnd)
}

// Ended reports whether a closing lease can be finished: its window is over and
// every epoch the hold meter still owes is accrued. Epochs that nobody decided
// hold the refund back for one more window, not for ever.
func (l Lease) Ended(epoch uint64, rules Rules) bool {
	if l.State != Closing || epoch <= l.Until {
		return false
	}
	return l.Next > l.HoldEnd || epoch > l.Until+rules.Window
}

// Finish closes the lease for good and returns the refund due to the payer.
func (l Lease) Finish(epoch uint64, rules Rules) (Lease, money.Credit, error) {
	if !l.Ended(epoch, rules) {
		return l, 0, fmt.Errorf("finish lease %x: it is %s until epoch %d, the ledger is in epoch %d", l.ID[:8], l.State, l.Until, epoch)
	}
	refund := l.Held()
	l.Refunded, l.State = l.Refunded+refund, Closed
	return l, refund, nil
}
