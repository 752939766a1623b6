package sim

import (
	"fmt"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/price"
)

// Accounts that every world has.
const float Account = 0 // GRAIN of everybody else: what is bought and sold

// world is one run under way.
type world struct {
	s        Scenario
	book     *Book
	exchange exchange

	validators []validator
	votes      voting
	demand     demand
	supply     supply
	whales     whales
	attackers  []*party

	day    int
	round  int
	cash   map[Account]*int64 // of those whose redemptions are sold at once
	record EpochRecord
}

// party is anyone who trades: an account and the dollars it made or lost, in
// ucredit. Redeemed GRAIN is sold at once.
type party struct {
	account Account
	usd     int64
	attack  attack // nil for the others
}

func newWorld(s Scenario, seed uint64) (*world, error) {
	if err := s.Valid(); err != nil {
		return nil, err
	}
	rules := s.Rules
	rules.WeightBPS = rules.weightAt(s.Rounds)
	book, err := NewBook(rules, money.Grain(s.Exchange.SupplyGrain*grainOf))
	if err != nil {
		return nil, err
	}
	w := &world{s: s, book: book, exchange: newExchange(s, seed), cash: map[Account]*int64{}}
	w.newVoting(seed)
	// A price is known before anybody trades.
	if err := w.vote(); err != nil {
		return nil, err
	}
	w.newDemand(seed)
	if err := w.newSupply(seed); err != nil {
		return nil, err
	}
	w.newWhales(seed)
	return w, w.newAttackers(seed)
}

// join opens an account whose dollars are counted in usd.
func (w *world) join(usd *int64) Account {
	a := w.book.Open()
	w.cash[a] = usd
	return a
}

// purchase buys g ugrain with dollars.
func (w *world) purchase(to Account, g money.Grain) error {
	if g == 0 {
		return nil
	}
	*w.cash[to] -= w.exchange.buy(g)
	return w.book.Send(float, to, g)
}

// dump sells g ugrain for dollars.
func (w *world) dump(from Account, g money.Grain) error {
	if g == 0 {
		return nil
	}
	*w.cash[from] += w.exchange.sell(g)
	return w.book.Send(from, float, g)
}

// topUp buys GRAIN and turns it into credits until the account has at least
// want ucredit. It does nothing while the price is stale.
func (w *world) topUp(a Account, want money.Credit) error {
	have := w.book.Credit(a)
	if have >= want || w.book.Stale() {
		return nil
	}
	low := w.book.Quote().Low
	g := money.Grain(mulDiv(uint64(want-have), grainOf, low) + 1)
	if g > w.book.Grain(float) {
		return nil // nobody sells that much
	}
	if err := w.purchase(a, g); err != nil {
		return err
	}
	made, err := w.book.Buy(a, g)
	if made == 0 && err == nil {
		return w.dump(a, g)
	}
	return err
}

// vote closes a price round, unless validators are out.
func (w *world) vote() error {
	v := &w.votes
	if w.s.Validators.OutagePPM > 0 && w.round == 0 && w.book.now >= v.outUntil && chance(v.random, w.s.Validators.OutagePPM) {
		v.outUntil = w.book.now + int64(w.s.Validators.OutageHours)*3600
	}
	if w.book.now < v.outUntil {
		return nil
	}
	at := w.exchange.price()
	v.list = v.list[:0]
	for _, val := range w.validators {
		noise := int64(0)
		if n := int64(w.s.Validators.NoiseBPS) * 100; n > 0 {
			noise = between(v.random, -n, n)
		}
		seen := scale(at, noise)
		if val.owner != nil {
			seen = val.owner.attack.bid(w, at)
		}
		v.list = append(v.list, price.Vote{Price: min(max(seen, price.Min), price.Max), Power: val.power})
	}
	return w.book.Vote(v.list)
}

// settleQueue lets redemptions be paid as often as the ledger has rounds in the
// time of one here, and sells what they made.
func (w *world) settleQueue() error {
	for range max(ledgerRounds/w.s.Rounds, 1) {
		paid, err := w.book.PayRedemptions()
		if err != nil {
			return err
		}
		if len(paid) == 0 {
			return nil
		}
		for _, p := range paid {
			if err := w.dump(p.Holder, p.Grain); err != nil {
				return err
			}
		}
	}
	return nil
}

// runDay runs one epoch and ends it.
func (w *world) runDay(day int) error { return w.runDayEach(day, func() {}) }

// runDayEach does, and calls after when a round is over.
func (w *world) runDayEach(day int, after func()) error {
	w.day = day
	if err := w.morning(); err != nil {
		return fmt.Errorf("day %d: %w", day, err)
	}
	for w.round = 0; w.round < w.s.Rounds; w.round++ {
		if err := w.runRound(); err != nil {
			return fmt.Errorf("day %d, round %d: %w", day, w.round, err)
		}
		after()
	}
	w.book.Advance(int64(day+1)*EpochSeconds - 1)
	var err error
	if w.record, err = w.book.EndEpoch(); err != nil {
		return err
	}
	if err := w.evening(); err != nil {
		return fmt.Errorf("after day %d: %w", day, err)
	}
	return w.book.Check()
}

// morning is what agents decide once a day, before trade begins.
func (w *world) morning() error {
	w.demand.next(w)
	if err := w.serve(); err != nil {
		return err
	}
	return w.eachAttacker(attack.morning)
}

func (w *world) runRound() error {
	seconds := int64(EpochSeconds / w.s.Rounds)
	w.exchange.move(w.s.Rounds)
	w.book.Advance(int64(w.day)*EpochSeconds + int64(w.round)*seconds + seconds/2)
	// Between two rounds of votes the exchange knows more than the ledger.
	if err := w.eachAttacker(attack.beforeVote); err != nil {
		return err
	}
	if err := w.settleQueue(); err != nil {
		return err
	}
	w.book.Advance(int64(w.day)*EpochSeconds + int64(w.round+1)*seconds - 1)
	if err := w.vote(); err != nil {
		return err
	}
	if err := w.whales.trade(w); err != nil {
		return err
	}
	if err := w.eachAttacker(attack.afterVote); err != nil {
		return err
	}
	if w.round == w.s.Rounds/2 {
		if err := w.cashIn(); err != nil {
			return err
		}
	}
	return w.settleQueue()
}

// evening is what happens when an epoch has ended: devices claim, the
// validators' share is distributed, providers come and go.
func (w *world) evening() error {
	if err := w.turnover(); err != nil {
		return err
	}
	if w.day%7 == 6 {
		w.distribute()
	}
	return w.eachAttacker(attack.evening)
}

func (w *world) eachAttacker(do func(attack, *world, *party) error) error {
	for _, a := range w.attackers {
		if err := do(a.attack, w, a); err != nil {
			return err
		}
	}
	return nil
}
