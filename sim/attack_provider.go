package sim

import (
	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/money"
)

// customer is somebody who really buys from an attacker's device. His money is
// not the attacker's.
func (w *world) customer() Account { return w.join(new(int64)) }

// debtor owns a device on which a lender has a lien of half of what it earns. It
// earns from a real customer, and tries to get more of it than its half: by
// liens and splits of its own before and beside the lender's, by dropping it,
// and by payments so small that the lender's part rounds to nothing.
type debtor struct {
	idle
	volume uint64 // USD a day
	device *Device
	lease  *Lease
	lender Account
	friend Account
}

const lienShare = money.Whole / 2

func (d *debtor) setup(w *world, p *party) error {
	d.lender, d.friend = w.book.Open(), w.join(&p.usd)
	dev, err := w.registered(p.account)
	if err != nil {
		return err
	}
	dev.Splits = []device.Split{{To: name(d.lender), Share: lienShare, Denom: money.CreditDenom, Cap: ^uint64(0) >> 1, Lien: true}}
	d.device = dev
	d.lease, err = w.book.Accept(w.customer(), dev, Terms{Use: unitPrice, Capacity: 1})
	return err
}

func (d *debtor) morning(w *world, p *party) error {
	// Ask for something else every day; what is refused stays as it was.
	friend := device.Split{To: name(d.friend), Share: money.Whole, Denom: money.CreditDenom, Cap: 1 << 60, Lien: true}
	half := friend
	half.Share = lienShare
	plain := device.Split{To: name(d.friend), Share: money.Whole}
	wanted := [][]device.Split{nil, {friend}, {half}, {plain}, {half, plain}, {}}[w.day%6]
	if splits, err := device.Replace(d.device.Splits, wanted); err == nil {
		d.device.Splits = splits
	}
	amount := money.Credit(d.volume * dollar)
	if err := w.topUp(d.lease.Payer, amount); err != nil || w.book.Credit(d.lease.Payer) < amount {
		return err
	}
	if err := w.book.Fund(d.lease, 0, amount); err != nil {
		return err
	}
	return d.settle(w, p, uint64(amount))
}

// settle hands in the day's receipts: all in one on most days, and in steps of 1
// to 100 ucredit on every fourth, as far as the day's work goes. The bonus is the
// owner's by right; it is not claimed and not counted.
func (d *debtor) settle(w *world, p *party, amount uint64) error {
	steps, each := uint64(0), uint64(0)
	if w.day%4 == 3 {
		each = []uint64{1, 3, 33, 100}[w.day/4%4]
		steps = min(tinyPerDay, amount/each)
		if err := w.feesFor(p.account, steps); err != nil {
			return err
		}
	}
	for range steps {
		if err := d.once(w, each); err != nil {
			return err
		}
	}
	return d.once(w, amount-steps*each)
}

func (d *debtor) once(w *world, units uint64) error {
	if units == 0 {
		return nil
	}
	if err := w.feesFor(d.device.Owner, 1); err != nil {
		return err
	}
	paid, err := w.book.Settle(d.lease, units)
	if err != nil {
		return err
	}
	d.sum += paid
	return nil
}

func (d *debtor) wealth(w *world, p *party) int64 {
	kept, lender := w.book.Credit(p.account)+w.book.Credit(d.friend), w.book.Credit(d.lender)
	entitled := kept + lender - money.Share(kept+lender, lienShare)
	return int64(kept) - int64(entitled) + d.device.cost // the rest of its dollars went into fees
}

// evader serves a real customer through many leases whose daily price for what
// is held is below the payment from which on a take is due. The ledger pays for
// held units by itself, so it costs no fee.
type evader struct {
	idle
	leases int
	device *Device
	list   []*Lease
}

const evadeDaily = 33 // ucredit: 3 % of it round down to nothing

func (e *evader) setup(w *world, p *party) error {
	dev, err := w.registered(p.account)
	if err != nil {
		return err
	}
	e.device = dev
	days := uint64(w.s.Days - w.day + 2)
	buyer := w.customer()
	if err := w.topUp(buyer, money.Credit(days*evadeDaily*uint64(e.leases))); err != nil {
		return err
	}
	for range e.leases {
		l, err := w.book.Accept(buyer, dev, Terms{Hold: unitPrice, Capacity: evadeDaily, HoldBudget: money.Credit(days * evadeDaily)})
		if err != nil {
			return err
		}
		if err := w.book.Hold(l, evadeDaily); err != nil {
			return err
		}
		e.list = append(e.list, l)
	}
	return nil
}

func (e *evader) moved() (sum money.Credit) {
	for _, l := range e.list {
		sum += l.Paid()
	}
	return sum
}

// wealth is what came in above what is left after the whole take of the same
// revenue paid at once.
func (e *evader) wealth(w *world, p *party) int64 {
	gross := e.moved()
	r := w.s.Rules
	take := money.Share(gross, money.BPS(r.BurnBPS+r.ValidatorsBPS+r.TreasuryBPS))
	return int64(w.book.Credit(p.account)) + e.device.cost - int64(gross-take)
}
