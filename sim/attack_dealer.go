package sim

import "github.com/grange-network/grange/core/money"

// dealer buys from itself. One account may be payer and owner at once, so that
// the credits come back at once and only the take has to be bought again; that
// is the cheapest way there is.
type dealer struct {
	idle
	volume  uint64 // USD a day
	devices int
	ring    bool // an account for each device, each paying the next
	dips    bool // only when others burn little
	stale   bool // only while the price is stale and too low

	accounts []Account
	list     []*Device
	leases   []*Lease
}

func (d *dealer) setup(w *world, p *party) error {
	d.accounts = []Account{p.account}
	if d.ring {
		for len(d.accounts) < d.devices {
			d.accounts = append(d.accounts, w.join(&p.usd))
		}
	}
	n := len(d.accounts)
	for i := range d.devices {
		payer, owner := d.accounts[i%n], d.accounts[(i+1)%n]
		dev, err := w.registered(owner)
		if err != nil {
			return err
		}
		l, err := w.book.Accept(payer, dev, Terms{Use: unitPrice, Capacity: 1})
		if err != nil {
			return err
		}
		d.list, d.leases = append(d.list, dev), append(d.leases, l)
	}
	return nil
}

// afterVote deals in the last round of an epoch, when the price at which it will
// be scored is known and nobody can answer any more.
func (d *dealer) afterVote(w *world, p *party) error {
	if d.stale && w.book.Quote().Low >= w.exchange.price()*985/1000 {
		// While the price is stale nobody can buy, and right after it credits are
		// dear: have what the take will eat.
		if err := w.topUp(p.account, money.Credit(3*d.volume*dollar)); err != nil {
			return err
		}
	}
	if w.round != w.s.Rounds-1 || !d.worthwhile(w) {
		return nil
	}
	part := money.Credit(d.volume * dollar / uint64(d.devices))
	for _, l := range d.leases {
		if _, err := d.deal(w, l, part); err != nil {
			return err
		}
	}
	return nil
}

func (d *dealer) worthwhile(w *world) bool {
	switch {
	case d.dips:
		usual := mulDiv(uint64(w.book.average), w.book.Quote().Mid, grainOf) // ucredit
		return uint64(w.book.burned) < usual*7/10
	case d.stale:
		// The bonus is at most ρ of the burn at the ledger's price and the take
		// is lost: above that ratio of prices dealing pays.
		r := w.s.Rules
		take := uint64(r.BurnBPS + r.ValidatorsBPS + r.TreasuryBPS)
		back := mulDiv(uint64(r.BurnBPS), uint64(r.RebateBPS), uint64(money.Whole))
		return w.book.Stale() && mulDiv(w.exchange.price(), back, take) > w.book.Quote().High
	}
	return true
}

// deal pays amount ucredit through a lease, as far as credits can be had.
func (d *dealer) deal(w *world, l *Lease, amount money.Credit) (money.Credit, error) {
	if err := w.topUp(l.Payer, amount); err != nil {
		return 0, err
	}
	amount = min(amount, w.book.Credit(l.Payer))
	if amount == 0 {
		return 0, nil
	}
	if w.book.Grain(l.Device.Owner) < money.Grain(w.s.Rules.SettleNanoGrain/1000+1) {
		if err := w.feesFor(l.Device.Owner, 100); err != nil {
			return 0, err
		}
	}
	if err := w.book.Fund(l, 0, amount); err != nil {
		return 0, err
	}
	paid, err := w.book.Settle(l, uint64(amount))
	d.sum += paid
	return paid, err
}

func (d *dealer) evening(w *world, _ *party) error {
	if w.day%7 != 0 {
		return nil
	}
	for _, dev := range d.list {
		if err := w.claimAndSell(dev, dev.Owner); err != nil {
			return err
		}
	}
	return nil
}

func (d *dealer) wealth(w *world, _ *party) (sum int64) {
	for _, a := range d.accounts {
		sum += w.worthOf(a)
	}
	for _, dev := range d.list {
		sum += w.worthOfDevice(dev)
	}
	return sum
}

// tiny deals with itself in payments so small that parts of the take round down.
type tiny struct {
	dealer
	limit uint64 // USD a day
}

// tinyAmounts are the payments around which a part of the take becomes one more
// ucredit: 3 % of 34 and 67, 1 % of 100.
var tinyAmounts = []uint64{33, 34, 66, 67, 99, 100, 133, 134}

// tinyPerDay bounds the work of a day.
const tinyPerDay = 500

func (t *tiny) setup(w *world, p *party) error {
	t.devices = 1
	return t.dealer.setup(w, p)
}

func (t *tiny) afterVote(w *world, p *party) error {
	if w.round != w.s.Rounds-1 {
		return nil
	}
	amount := tinyAmounts[w.day%len(tinyAmounts)]
	n := min(tinyPerDay, t.limit*dollar/amount)
	if err := w.feesFor(p.account, n); err != nil {
		return err
	}
	for range n {
		if _, err := t.deal(w, t.leases[0], money.Credit(amount)); err != nil {
			return err
		}
	}
	return nil
}

// cartel is validators who deal with themselves. What others' usage pays them
// is no profit of the attack and not counted.
type cartel struct {
	dealer
	power uint64       // bps of all
	own   money.Credit // dealt since the last distribution
	all   money.Credit // everybody's, since then
	gain  int64        // own part of the validators' share
}

func (c *cartel) setup(w *world, p *party) error {
	var others uint64
	for _, v := range w.validators {
		others += v.power
	}
	usd := new(int64)
	w.validators = append(w.validators, validator{
		account: w.join(usd), power: mulDiv(others, c.power, uint64(money.Whole)-c.power), usd: usd, owner: p,
	})
	return c.dealer.setup(w, p)
}

func (c *cartel) afterVote(w *world, p *party) error {
	before := c.sum
	if err := c.dealer.afterVote(w, p); err != nil {
		return err
	}
	c.own += c.sum - before
	return nil
}

func (c *cartel) evening(w *world, p *party) error {
	c.all += w.record.Revenue
	if w.day%7 == 6 && c.all > 0 {
		share := money.Share(c.own, money.BPS(w.s.Rules.ValidatorsBPS))
		c.gain += int64(money.Share(share, money.BPS(c.power)))
		c.own, c.all = 0, 0
	}
	return c.dealer.evening(w, p)
}

// bid votes high while it buys, which is most of the time, and low when the
// epoch is scored, so that a bonus is more GRAIN.
func (c *cartel) bid(w *world, price uint64) uint64 {
	if w.round > w.s.Rounds*3/4 {
		return price - price/10
	}
	return price + price/10
}

func (c *cartel) wealth(w *world, p *party) int64 { return c.dealer.wealth(w, p) + c.gain }
