package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
)

// Device is a device with its owner and payout splits, and the bond of its offer.
type Device struct {
	ID      [32]byte
	Owner   Account
	Splits  []device.Split
	Bond    money.Grain
	Faulty  bool // fails its proofs in this epoch
	slashed uint64
	cost    int64 // ucredit that an attacker paid for the bond
}

// market is what the device and market modules keep.
type market struct {
	devices uint64
	leases  []*Lease // not closed, in the order of opening
	opened  uint64
}

// Lease is a running lease: the rules' own state, and the accounts behind it.
type Lease struct {
	lease.Lease
	Payer  Account
	Device *Device
}

func name(a Account) string { return strconv.Itoa(int(a)) }

// identity derives an id that depends on what it is for and its number only.
func identity(kind string, n uint64) [32]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte("grange/sim/"+kind), n))
}

// Register adds a device and locks the bond of its offer, of the least size.
func (b *Book) Register(owner Account) (*Device, error) {
	bond := money.Grain(b.rules.MinBond)
	left, err := money.Sub(b.grain[owner], bond)
	if err != nil {
		return nil, fmt.Errorf("bond the offer of account %d: %w", owner, err)
	}
	b.grain[owner] = left
	b.bonds += bond
	b.market.devices++
	return &Device{ID: identity("device", b.market.devices), Owner: owner, Bond: bond}, nil
}

// Withdraw gives a device's bond back. The device must serve no lease.
func (b *Book) Withdraw(d *Device) {
	b.grain[d.Owner] += d.Bond
	b.bonds -= d.Bond
	d.Bond = 0
}

// Terms of a lease that a payer accepts.
type Terms struct {
	Use, Hold  money.Price
	Capacity   uint64
	TermEpochs uint64 // 0: no end
	HoldBudget money.Credit
	Cap        money.Credit // of its one lane
}

// Accept opens a lease with its deposit.
func (b *Book) Accept(payer Account, d *Device, t Terms) (*Lease, error) {
	terms := lease.Terms{
		ID: identity("lease", b.market.opened+1), Payer: name(payer), Owner: name(d.Owner), Device: d.ID, Kind: Vertical,
		Use: t.Use, Hold: t.Hold, Capacity: t.Capacity, HoldBudget: t.HoldBudget,
		Lanes: []lease.Lane{{ID: 1, Key: identity("lane", b.market.opened+1), Cap: t.Cap}},
	}
	if t.TermEpochs > 0 {
		terms.Expires = b.epoch + t.TermEpochs
	}
	l, err := lease.Begin(terms, b.epoch)
	if err != nil {
		return nil, err
	}
	if err := b.deposit(payer, l.Deposited); err != nil {
		return nil, err
	}
	b.market.opened++
	out := &Lease{Lease: l, Payer: payer, Device: d}
	b.market.leases = append(b.market.leases, out)
	return out, nil
}

func (b *Book) deposit(payer Account, amount money.Credit) error {
	left, err := money.Sub(b.credit[payer], amount)
	if err != nil {
		return fmt.Errorf("deposit of account %d: %w", payer, err)
	}
	b.credit[payer] = left
	b.escrow += amount
	return nil
}

// Fund adds to a lease's hold budget and to the cap of its lane.
func (b *Book) Fund(l *Lease, hold, capacity money.Credit) error {
	lane := lease.Lane{ID: 1, Key: l.Lanes[0].Key, Cap: capacity}
	next, total, err := l.Lease.Fund(hold, []lease.Lane{lane}, b.epoch)
	if err != nil {
		return err
	}
	if err := b.deposit(l.Payer, total); err != nil {
		return err
	}
	l.Lease = next
	return nil
}

// Hold commits both sides to units held from the next epoch on.
func (b *Book) Hold(l *Lease, units uint64) error {
	last := uint64(0)
	if n := len(l.Commitments); n > 0 {
		last = l.Commitments[n-1].Revision
	}
	next, err := l.Commit(lease.Commitment{Revision: last + 1, Units: units}, b.epoch)
	if err != nil {
		return err
	}
	l.Lease = next
	return nil
}

// Settle hands in a receipt for more units used on the lease's lane and pays
// what it adds. The device's owner pays the fee; without it nothing happens.
func (b *Book) Settle(l *Lease, units uint64) (paid money.Credit, err error) {
	if !b.chargeFee(l.Device.Owner) {
		return 0, nil
	}
	lane := l.Lanes[0]
	next, paid, err := l.Claim(lease.Claim{Lane: 1, Seq: lane.Seq + 1, Units: lane.Units + units, Epoch: b.epoch}, b.epoch)
	if err != nil {
		return 0, err
	}
	l.Lease = next
	return paid, b.payFrom(l, paid)
}

// Close ends a lease; its refund comes when the window is over.
func (b *Book) Close(l *Lease, reason lease.Reason) error {
	next, err := l.Lease.Close(reason, b.epoch, b.rules.leases())
	if err != nil {
		return err
	}
	l.Lease = next
	return nil
}

// payFrom moves a payment out of the escrow: the take first, the rest to the
// device's payout splits.
func (b *Book) payFrom(l *Lease, gross money.Credit) error {
	if gross == 0 {
		return nil
	}
	b.escrow -= gross // the lease never pays more than it holds
	net, burned := b.take(gross)
	b.rewards.use(l.Device.ID, burned)
	return b.payOut(l.Device, money.CreditDenom, uint64(net))
}

// payOut shares an amount by a device's splits, liens first.
func (b *Book) payOut(d *Device, denom string, amount uint64) error {
	payments, after := b.distribute(amount, denom, d)
	for _, p := range payments {
		to, err := strconv.Atoi(p.To)
		if err != nil || to < 0 || to >= len(b.grain) {
			return fmt.Errorf("pay %d %s of device %x to %q: no such account", p.Amount, denom, d.ID[:8], p.To)
		}
		if denom == money.GrainDenom {
			b.grain[to] += money.Grain(p.Amount)
		} else {
			b.credit[to] += money.Credit(p.Amount)
		}
	}
	d.Splits = after
	return nil
}

// distribute divides a payment as the device module does. Without LienUp liens'
// parts are rounded down; the rest is divided as ever.
func (b *Book) distribute(amount uint64, denom string, d *Device) ([]device.Payment, []device.Split) {
	if b.rules.LienUp {
		return device.Distribute(amount, denom, name(d.Owner), d.Splits)
	}
	var payments []device.Payment
	var liens, others []device.Split
	left := amount
	for _, s := range d.Splits {
		if !s.Lien || s.Denom != denom {
			others = append(others, s)
			continue
		}
		if part := min(money.Share(amount, s.Share), s.Owed(), left); part > 0 {
			s.Paid, left = s.Paid+part, left-part
			payments = append(payments, device.Payment{To: s.To, Amount: part})
		}
		liens = append(liens, s)
	}
	rest, after := device.Distribute(left, denom, name(d.Owner), others)
	return append(payments, rest...), append(liens, after...)
}

// advanceLeases is the market's end of a block in a new epoch, for every lease:
// held epochs are accrued and paid, faults slashed, states advanced, windows
// that are over refunded.
func (b *Book) advanceLeases() error {
	rules := b.rules.leases()
	kept := b.market.leases[:0]
	for _, l := range b.market.leases {
		for l.Accruable(b.epoch) {
			if err := b.accrue(l); err != nil {
				return err
			}
		}
		l.Lease = l.Advance(b.epoch, rules)
		if l.Ended(b.epoch, rules) {
			next, refund, err := l.Finish(b.epoch, rules)
			if err != nil {
				return err
			}
			l.Lease = next
			b.escrow -= refund
			b.credit[l.Payer] += refund
		}
		if l.State != lease.Closed {
			kept = append(kept, l)
		}
	}
	clear(b.market.leases[len(kept):])
	b.market.leases = kept
	return nil
}

func (b *Book) accrue(l *Lease) error {
	outcome := lease.Proven
	if l.Device.Faulty {
		outcome = lease.Faulted
	}
	next, a, err := l.Accrue(outcome)
	if err != nil {
		return err
	}
	before := l.State
	l.Lease = next
	if a.Units > 0 && a.Outcome == lease.Faulted && before == lease.Open && l.Device.slashed < a.Epoch {
		amount := money.Share(l.Device.Bond, money.BPS(b.rules.SlashBPS))
		l.Device.slashed = a.Epoch
		l.Device.Bond -= amount
		b.bonds -= amount
		b.totals.GrainsSlashed += amount
	}
	return b.payFrom(l, a.Pay)
}
