package sim

import (
	"cmp"
	"fmt"

	"github.com/grange-network/grange/core/money"
)

// Attack is a kind of attacker.
type Attack struct {
	Kind  string // as in a scenario
	Title string
	About string // what it does, and what its dollars mean
	// Held says which rule makes it lose, and Safeguards names it. The others lose
	// by how the take and the bonus are related.
	Held       string
	Safeguards []string
	begin      func(Attacker) attack
}

// Attacks are all kinds, in the order in which they are shown.
var Attacks = []Attack{
	{"self", "buy from oneself", "pays its own device its dollars every day and claims the bonus", "", nil,
		func(a Attacker) attack { return &dealer{volume: a.USD, devices: max(a.Parties, 1)} }},
	{"ring", "ring of sybils", "accounts pay each other's devices in a circle, its dollars every day in all", "", nil,
		func(a Attacker) attack {
			n := a.Parties
			if n == 0 {
				n = 8
			}
			return &dealer{volume: a.USD, devices: n, ring: true}
		}},
	{"split", "split a device into k", "as from oneself, through k devices with equal parts", "", nil,
		func(a Attacker) attack {
			n := a.Parties
			if n == 0 {
				n = 64
			}
			return &dealer{volume: a.USD, devices: n}
		}},
	{"timing", "time the lag of the averages", "deals with itself only in the last round of epochs in which others burned far less than their average", "", nil,
		func(a Attacker) attack { return &dealer{volume: a.USD, devices: max(a.Parties, 1), dips: true} }},
	{"tiny", "tiny settlements with oneself", "deals with itself in payments of 33 to 100 ucredit, so that the take rounds to nothing", "", nil,
		func(a Attacker) attack { return &tiny{limit: a.USD} }},
	{"run", "run on the redemptions", "holds its dollars in credits and redeems them all when GRAIN falls, before others do", "", nil,
		func(a Attacker) attack { return &runner{usd: a.USD} }},
	{"cartel", "validators deal with themselves", "a part of the validators buys from itself, gets its part of the take back, and votes the price its way", "", nil,
		func(a Attacker) attack { return &cartel{dealer: dealer{volume: a.USD, devices: 1}, power: a.PowerBPS} }},
	{"lien", "cheat a lender's lien", "tries every day to put others before the lien on its device; half of what it earns is the lender's",
		"a lien's part is rounded up", []string{"lien_up"},
		func(a Attacker) attack { return &debtor{volume: a.USD} }},
	{"evade", "evade the take by rounding", "serves real buyers through many leases that each pay 33 ucredit a day; profit is what an honest provider would have paid",
		"the rounding of the take is carried from payment to payment", []string{"carry_take"},
		func(a Attacker) attack { return &evader{leases: max(a.Parties, 1)} }},
	{"latency", "trade on a price the ledger has not seen", "between two rounds buys credits after a fall and redeems them after a rise of GRAIN",
		"trades take the price of a round whose votes were cast after them", []string{"forward_buy", "forward_redeem"},
		func(a Attacker) attack { return &sniper{usd: a.USD} }},
	{"pump", "pump the price and burn", "collects GRAIN, pushes its price up and holds it for some minutes, and burns all of it for credits",
		"the price is an average of hours", []string{"slow_average"},
		func(a Attacker) attack { return &pumper{usd: a.USD, hold: cmp.Or(a.Parties, pumpHold)} }},
	{"stale", "deal with oneself on a stale price", "deals with itself only while validators are silent and GRAIN has risen far above the ledger's price",
		"no bonus for an epoch that ends with a stale price", []string{"stale_no_bonus"},
		func(a Attacker) attack { return &dealer{volume: a.USD, devices: max(a.Parties, 1), stale: true} }},
}

func attackKinds() []string {
	kinds := make([]string, len(Attacks))
	for i, a := range Attacks {
		kinds[i] = a.Kind
	}
	return kinds
}

// attack is a strategy. Its methods are called at the times their names say;
// wealth is what it has in the end beside its dollars, in ucredit, and volume
// what it moved to get there.
type attack interface {
	setup(w *world, p *party) error
	morning(w *world, p *party) error
	beforeVote(w *world, p *party) error
	afterVote(w *world, p *party) error
	evening(w *world, p *party) error
	bid(w *world, price uint64) uint64
	wealth(w *world, p *party) int64
	moved() money.Credit
}

// idle does nothing at any time.
type idle struct{ sum money.Credit }

func (idle) setup(*world, *party) error      { return nil }
func (idle) morning(*world, *party) error    { return nil }
func (idle) beforeVote(*world, *party) error { return nil }
func (idle) afterVote(*world, *party) error  { return nil }
func (idle) evening(*world, *party) error    { return nil }
func (idle) bid(_ *world, p uint64) uint64   { return p }
func (i idle) moved() money.Credit           { return i.sum }
func (idle) wealth(w *world, p *party) int64 { return w.worthOf(p.account) }

func (w *world) newAttackers(seed uint64) error {
	for _, a := range w.s.Attackers {
		p := new(party)
		p.account = w.join(&p.usd)
		for _, k := range Attacks {
			if k.Kind == a.Kind {
				p.attack = &waiting{attack: k.begin(a), until: a.StartDay}
			}
		}
		w.attackers = append(w.attackers, p)
	}
	return nil
}

// waiting starts an attack on its day.
type waiting struct {
	attack
	until   int
	started bool
}

func (a *waiting) morning(w *world, p *party) error {
	if w.day < a.until {
		return nil
	}
	if !a.started {
		a.started = true
		if err := a.attack.setup(w, p); err != nil {
			return fmt.Errorf("set up attack: %w", err)
		}
	}
	return a.attack.morning(w, p)
}

func (a *waiting) beforeVote(w *world, p *party) error { return a.when(a.attack.beforeVote, w, p) }
func (a *waiting) afterVote(w *world, p *party) error  { return a.when(a.attack.afterVote, w, p) }
func (a *waiting) evening(w *world, p *party) error    { return a.when(a.attack.evening, w, p) }

func (a *waiting) when(do func(*world, *party) error, w *world, p *party) error {
	if !a.started {
		return nil
	}
	return do(w, p)
}

// worthOf is what an account has on the ledger, in ucredit: credits at their
// face value, those in the queue and in the escrow of its leases as well, and
// GRAIN at the exchange's price. It is never less than could be got for it.
func (w *world) worthOf(a Account) int64 {
	sum := int64(w.book.Credit(a)) + w.exchange.worth(w.book.Grain(a))
	for _, r := range w.book.queue {
		if r.holder == a {
			sum += int64(r.remaining)
		}
	}
	for _, l := range w.book.market.leases {
		if l.Payer == a {
			sum += int64(l.Held())
		}
	}
	return sum
}

// worthOfDevice is a device's bond, at what it cost so that the price of GRAIN
// makes no difference, and what it earned and has not claimed.
func (w *world) worthOfDevice(d *Device) int64 {
	left := w.book.rewards.state.Lifetime(d.ID) - w.book.rewards.claimed[d.ID]
	return d.cost + w.exchange.worth(left)
}

// registered opens a device and buys the GRAIN for its bond.
func (w *world) registered(owner Account) (*Device, error) {
	before := *w.cash[owner]
	if err := w.purchase(owner, money.Grain(w.s.Rules.MinBond)); err != nil {
		return nil, err
	}
	d, err := w.book.Register(owner)
	if err == nil {
		d.cost = before - *w.cash[owner]
	}
	return d, err
}

// feesFor buys the GRAIN that n settlements cost.
func (w *world) feesFor(owner Account, n uint64) error {
	need := money.Grain(n*w.s.Rules.SettleNanoGrain/1000 + 1)
	if have := w.book.Grain(owner); have < need {
		return w.purchase(owner, need-have)
	}
	return nil
}

// unitPrice makes units and ucredit the same.
var unitPrice = money.Price{Credits: 1, Per: 1}

// claimAndSell claims a device's bonus and sells it.
func (w *world) claimAndSell(d *Device, owner Account) error {
	g, err := w.book.Claim(d)
	if err != nil {
		return err
	}
	return w.dump(owner, g)
}
