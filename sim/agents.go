package sim

import (
	"math/rand/v2"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/price"
)

// validator votes and earns by its power. owner is the attacker it belongs to.
type validator struct {
	account Account
	power   uint64
	usd     *int64
	owner   *party
}

type voting struct {
	random   *rand.Rand
	outUntil int64 // nobody votes before
	list     []price.Vote
}

func (w *world) newVoting(seed uint64) {
	w.votes.random = stream(seed, streamVotes)
	for i := range w.s.Validators.Count {
		v := validator{power: ppm / uint64(i+1), usd: new(int64)}
		v.account = w.join(v.usd)
		w.validators = append(w.validators, v)
	}
}

// distribute pays validators their share of the take and lets them redeem it.
func (w *world) distribute() {
	accounts, power := make([]Account, len(w.validators)), make([]uint64, len(w.validators))
	for i, v := range w.validators {
		accounts[i], power[i] = v.account, v.power
	}
	w.book.Distribute(accounts, power)
}

// demand is what buyers want, in MB held.
type demand struct {
	random   *rand.Rand
	buyers   []*party
	weights  []uint64
	index    uint64 // growth since the start, ppm
	answer   uint64 // to prices, ppm
	shock    uint64 // what shocks left, ppm
	wantedMB uint64
}

func (w *world) newDemand(seed uint64) {
	d := &w.demand
	d.random, d.index, d.answer, d.shock = stream(seed, streamDemand), ppm, ppm, ppm
	for i := range w.s.Demand.Buyers {
		p := new(party)
		p.account = w.join(&p.usd)
		d.buyers = append(d.buyers, p)
		d.weights = append(d.weights, ppm/uint64(i+1))
	}
}

// next passes a day.
func (d *demand) next(w *world) {
	r := w.s.Demand
	d.index = min(scale(d.index, r.GrowthPPM), 1_000_000*ppm)
	d.shock += mulDiv(ppm-min(d.shock, ppm), r.RecoveryPPM, ppm)
	if chance(d.random, r.ShocksPPM) {
		d.shock = scale(d.shock, -int64(r.ShockBPS)*100)
	}
	d.wantedMB = mulDiv(mulDiv(mulDiv(r.StartGB*1000, d.index, ppm), d.answer, ppm), d.shock, ppm)
}

// repriced answers a change of the price by change ppm.
func (d *demand) repriced(elasticity uint64, change int64) {
	d.answer = min(scale(d.answer, -change*int64(elasticity)/int64(money.Whole)), 1000*ppm)
}

// pick chooses a buyer by weight.
func (d *demand) pick() *party {
	var total uint64
	for _, w := range d.weights {
		total += w
	}
	at := d.random.Uint64N(total)
	for i, w := range d.weights {
		if at < w {
			return d.buyers[i]
		}
		at -= w
	}
	return d.buyers[0]
}

// whales trade much and seldom: GRAIN on the exchange, or credits.
type whales struct {
	random *rand.Rand
	list   []*party
}

func (w *world) newWhales(seed uint64) {
	w.whales.random = stream(seed, streamWhales)
	for range w.s.Whales.Count {
		p := new(party)
		p.account = w.join(&p.usd)
		w.whales.list = append(w.whales.list, p)
	}
}

func (h *whales) trade(w *world) error {
	for _, p := range h.list {
		if h.random.Uint64N(ppm*uint64(w.s.Rounds)) >= w.s.Whales.TradePPM {
			continue
		}
		usd := money.Credit(w.s.Whales.TradeUSD * dollar / 10) // of credits; ten times as much of GRAIN
		g := money.Grain(mulDiv(uint64(usd), grainOf, w.exchange.price())) * 10
		var err error
		switch h.random.IntN(4) {
		case 0:
			err = w.purchase(p.account, min(g, w.book.Grain(float)))
		case 1:
			err = w.dump(p.account, min(g, w.book.Grain(p.account)))
		case 2:
			err = w.topUp(p.account, w.book.Credit(p.account)+usd)
		case 3:
			_, err = w.book.Redeem(p.account, min(usd, w.book.Credit(p.account)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
