package lease

import (
	"fmt"
	"slices"

	"github.com/grange-network/grange/core/money"
)

// MaxDisputeLanes is how many lanes' receipts one dispute may bring.
const MaxDisputeLanes = 8

// Part is what a receipt of one lane says a device has served.
type Part struct {
	Lane  uint32
	Units uint64 // cumulative
}

// Dispute is a provider's claim that statements leave him short of receipts he
// holds. Until the epoch Until the payer, or anybody, can answer it by settling
// the device's leaf; what is then still unpaid comes from escrow and bond.
//
// Only the payer has the tree behind a root, so a provider cannot show that he
// is missing in it, nor even know; the payer can show that he is not.
type Dispute struct {
	Standing [32]byte
	Device   [32]byte
	Parts    []Part // ascending by Lane
	Until    uint64 // last epoch for an answer
}

// Units is the sum of the parts.
func (d Dispute) Units() (sum uint64, err error) {
	for _, p := range d.Parts {
		if sum, err = money.Add(sum, p.Units); err != nil {
			return 0, err
		}
	}
	return sum, nil
}

// owed is the price of the units, or the most there is when it exceeds 64 bits.
func (s Standing) owed(units uint64, err error) money.Credit {
	if err == nil {
		var owed money.Credit
		if owed, err = s.Use.Of(units); err == nil {
			return owed
		}
	}
	return ^money.Credit(0)
}

// Contest files a dispute with receipts, their signatures already verified, of
// epochs that are over; of a closing lease any that a provider may accept, since
// no later time may be left. pending is the device's unresolved dispute, or nil: more
// units replace it and give the payer a new time to answer.
func (s Standing) Contest(a Account, claims []Claim, pending *Dispute, epoch uint64, rules Rules) (Standing, Dispute, error) {
	fail := func(format string, args ...any) (Standing, Dispute, error) {
		return s, Dispute{}, fmt.Errorf("dispute standing lease %x: device %x: %w", s.ID[:8], a.Device[:8], fmt.Errorf(format, args...))
	}
	if s.State == Closed || s.State == Closing && epoch > s.Until {
		return fail("it is %s (%s): the window for receipts is over", s.State, s.Reason)
	}
	if len(claims) == 0 || len(claims) > MaxDisputeLanes {
		return fail("%d receipts, want 1 to %d", len(claims), MaxDisputeLanes)
	}
	d := Dispute{Standing: s.ID, Device: a.Device, Until: epoch + rules.Dispute}
	for _, c := range claims {
		lane, ok := s.Lane(c.Lane)
		switch {
		case !ok:
			return fail("no lane %d", c.Lane)
		case len(d.Parts) > 0 && c.Lane <= d.Parts[len(d.Parts)-1].Lane:
			return fail("lane %d after lane %d: order receipts by lane, one for each", c.Lane, d.Parts[len(d.Parts)-1].Lane)
		case c.Epoch > epoch+1 || c.Epoch >= epoch && s.State != Closing:
			return fail("receipt of epoch %d, which the payer could not state yet: the ledger is in epoch %d", c.Epoch, epoch)
		case lane.Expires != 0 && c.Epoch > lane.Expires:
			return fail("receipt of epoch %d, lane %d expired in epoch %d", c.Epoch, c.Lane, lane.Expires)
		}
		d.Parts = append(d.Parts, Part{c.Lane, c.Units})
	}
	if owed := s.owed(d.Units()); owed <= a.Paid {
		return fail("receipts are worth %d ucredit, %d is paid: nothing is owed", owed, a.Paid)
	}
	if pending == nil {
		s.Disputes++
		return s, d, nil
	}
	if old := s.owed(pending.Units()); s.owed(d.Units()) <= old {
		return fail("receipts are worth no more than the %d ucredit already in dispute", old)
	}
	return s, d, nil
}

// Verdict is what a resolved dispute pays.
type Verdict struct {
	Short   money.Credit // found unpaid, within the caps of the lanes
	Escrow  money.Credit // paid of it from the escrow
	Bond    money.Credit // paid of it from the bond
	Penalty money.Credit // paid on top from the bond
}

// Paid is what counts as payment for units.
func (v Verdict) Paid() money.Credit { return v.Escrow + v.Bond }

// Resolve ends a dispute whose time to answer is over. What leaves unpaid is
// paid from the free escrow, then from the bond; a penalty on it from what is
// left of the bond. After the window of a closing lease nothing is kept for
// statements any more. What neither can pay stays owed: the provider may
// dispute again once the lease is funded.
func (s Standing) Resolve(d Dispute, a Account, epoch uint64, rules Rules) (Standing, Account, Verdict, error) {
	if epoch <= d.Until {
		return s, a, Verdict{}, fmt.Errorf("resolve dispute of device %x: the payer may answer until epoch %d, the ledger is in epoch %d", d.Device[:8], d.Until, epoch)
	}
	if s.Disputes == 0 || s.State == Closed {
		return s, a, Verdict{}, fmt.Errorf("resolve dispute of device %x: lease %x is %s with %d disputes", d.Device[:8], s.ID[:8], s.State, s.Disputes)
	}
	s.Disputes--
	owed := s.owed(d.Units())
	v := Verdict{Short: min(owed-min(owed, a.Paid), s.room(d))}
	if v.Short == 0 {
		return s, a, v, nil
	}
	free := s.Free()
	if s.State == Closing && epoch > s.Until {
		free = s.Held()
	}
	v.Escrow = min(v.Short, free)
	v.Bond = min(v.Short-v.Escrow, s.Bond)
	v.Penalty = min(money.Share(v.Short, rules.Penalty), s.Bond-v.Bond)
	s.Disputed += v.Escrow
	s.Bond -= v.Bond + v.Penalty
	s.Forfeited += v.Bond + v.Penalty
	a.Paid += v.Paid()
	s.Lanes = s.charge(d, v.Paid())
	return s, a, v, nil
}

// Drop ends a dispute that cannot be paid out because of its provider's own
// payout splits, so that it does not keep the lease from ending.
func (s Standing) Drop() Standing {
	s.Disputes -= min(s.Disputes, 1)
	return s
}

// room is what the lanes leave for the parts of a dispute: each part at most its
// price and at most the cap of its lane. A stolen session key can therefore
// cost no more than its lane.
func (s Standing) room(d Dispute) (sum money.Credit) {
	for _, p := range d.Parts {
		if lane, ok := s.Lane(p.Lane); ok {
			sum += s.roomOf(lane, p) // caps sum to Deposited, so this cannot wrap
		}
	}
	return sum
}

func (s Standing) roomOf(lane Lane, p Part) money.Credit {
	return min(s.owed(p.Units, nil), lane.Cap-lane.Paid)
}

// charge notes in the lanes what a dispute was paid, which room allows.
func (s Standing) charge(d Dispute, paid money.Credit) []Lane {
	lanes := slices.Clone(s.Lanes)
	for _, p := range d.Parts {
		for i := range lanes {
			if lanes[i].ID == p.Lane {
				part := min(paid, s.roomOf(lanes[i], p))
				lanes[i].Paid += part
				paid -= part
			}
		}
	}
	return lanes
}
