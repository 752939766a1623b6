package project

import (
	"math"
	"math/bits"

	"github.com/grange-network/grange/core/emission"
	"github.com/grange-network/grange/core/money"
)

// NoCoverage stands for revenue over an emission of nothing.
const NoCoverage = math.MaxInt64

// month is the state of a network and what happened in one month of one run.
// Money and tokens are in millionths.
type month struct {
	providers  int64
	demand     int64
	price      int64
	tokenPrice int64
	supply     int64
	treasury   int64
	large      []PPM

	revenue  int64 // USD
	emission int64 // USD
	issued   int64 // tokens
	burned   int64 // tokens
	sold     int64 // units
	used     PPM   // of the capacity
	coverage int64 // PPM, or NoCoverage
	subsidy  PPM   // emission of emission and revenue
	payback  int64 // months, in millionths; math.MaxInt64: never
	hhi      int64 // of the capacity, 0 to 10000
	unpaid   int64 // what the treasury could not spend
}

// of is a·b/million, at most the largest integer.
func of(a int64, b PPM) int64 { return mulDiv(a, int64(b), million) }

// mulDiv is a·b/c rounded down for numbers that are not negative, at most the
// largest integer.
func mulDiv(a, b, c int64) int64 {
	if c <= 0 {
		return math.MaxInt64
	}
	hi, lo := bits.Mul64(uint64(max(0, a)), uint64(max(0, b)))
	if hi >= uint64(c) {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(min(q, math.MaxInt64))
}

func plus(a, b int64) int64 {
	if s := a + b; s >= a {
		return s
	}
	return math.MaxInt64
}

func (p Params) begin() month {
	micro := func(a Amount) int64 { m, _ := a.Micro(); return m }
	return month{providers: p.Start.Providers, demand: p.Start.Demand, price: micro(p.Start.Price), tokenPrice: micro(p.Start.TokenPrice),
		supply: micro(p.Start.Supply), treasury: micro(p.Start.Treasury), large: append([]PPM(nil), p.Start.LargeShares...)}
}

// run is one course of the scenario, month by month.
func (p Params) run(seed uint64, n int) []month {
	out := make([]month, 0, p.Months)
	state := p.begin()
	for m := range p.Months {
		p.settle(&state, m)
		out = append(out, state)
		next := state
		next.large = append([]PPM(nil), state.large...)
		p.move(&next)
		p.drift(&next, seed, uint64(n), uint64(m))
		state = next
	}
	return out
}

// settle sells, pays, issues and burns for one month.
func (p Params) settle(s *month, m int) {
	capacity := mulDiv(s.providers, p.Start.Capacity, 1)
	s.sold = min(s.demand, capacity)
	s.used = PPM(mulDiv(s.sold, million, capacity))
	s.revenue = mulDiv(s.sold, s.price, 1)

	take := of(s.revenue, p.Take.Take)
	burn := of(take, p.Take.Burn)
	s.burned = min(mulDiv(burn, million, s.tokenPrice), s.supply)

	s.issued = p.issue(m)
	s.emission = mulDiv(s.issued, s.tokenPrice, million)
	toTreasury := of(s.emission, p.Emission.Treasury)
	s.supply = plus(s.supply-s.burned, s.issued)

	spend, _ := p.Start.Spend.Micro()
	s.treasury = plus(s.treasury, plus(take-burn, toTreasury))
	s.unpaid = max(0, spend-s.treasury)
	s.treasury -= spend - s.unpaid

	s.coverage, s.subsidy = NoCoverage, 0
	if s.emission > 0 {
		s.coverage = mulDiv(s.revenue, million, s.emission)
		s.subsidy = PPM(mulDiv(s.emission, million, plus(s.emission, s.revenue)))
	}
	s.payback = p.payback(s, plus(s.revenue-take, s.emission-toTreasury))
	s.hhi = concentration(s)
}

// issue is the tokens of month m by the same halving that the ledger uses.
func (p Params) issue(m int) int64 {
	total, _ := p.Emission.Total.Micro()
	left := func(at int) money.Grain {
		return emission.Remaining(money.Grain(total), uint64(at), p.Emission.HalfLife)
	}
	return int64(left(m) - left(m+1))
}

// payback is capex over what a provider has left a month.
func (p Params) payback(s *month, paid int64) int64 {
	cost, _ := p.Start.Cost.Micro()
	capex, _ := p.Start.Capex.Micro()
	margin := paid/max(1, s.providers) - cost
	if margin <= 0 {
		return math.MaxInt64
	}
	return mulDiv(capex, million, margin)
}

// concentration is the Herfindahl-Hirschman index of the capacity: the squares
// of the large shares, and of the equal shares of everyone else.
func concentration(s *month) int64 {
	rest, sum := PPM(million), int64(0)
	for _, share := range s.large {
		rest -= share
		sum += of(int64(share), share)
	}
	others := max(1, s.providers-int64(len(s.large)))
	sum += of(int64(rest), rest) / others
	return sum / 100
}

// move lets providers come and go by how fast the hardware pays back.
func (p Params) move(s *month) {
	target := int64(p.Entry.Payback)
	switch {
	case s.payback == math.MaxInt64:
		s.providers = max(1, s.providers-of(s.providers, p.Entry.MaxLeave))
	case s.payback < target:
		rate := mulDiv(target-s.payback, int64(p.Entry.MaxJoin), target)
		s.providers = min(1e12, plus(s.providers, of(s.providers, PPM(rate))))
	}
}

// The purposes of chance.
const (
	forDemand = iota
	forToken
	forEvent // and above
)

// drift changes demand and prices, by growth, by chance and by events.
func (p Params) drift(s *month, seed, run, m uint64) {
	s.demand = min(1e15, of(s.demand, factor(p.Change.Demand, p.Change.DemandSpread, deviation(seed, run, m, forDemand))))
	s.price = of(s.price, million+p.Change.Price)
	s.tokenPrice = max(1, min(1e15, of(s.tokenPrice, factor(p.Change.Token, p.Change.TokenSpread, deviation(seed, run, m, forToken)))))
	for i, e := range p.Events {
		if uint64(e.Month) == m && strikes(e.Probability, seed, run, m, forEvent+uint64(i)) {
			s.demand, s.price, s.tokenPrice = of(s.demand, e.Demand), of(s.price, e.Price), max(1, of(s.tokenPrice, e.Token))
		}
	}
	rest := PPM(million)
	for _, share := range s.large {
		rest -= share
	}
	free := rest
	for i, share := range s.large {
		grown := PPM(mulDiv(of(int64(share), max(0, p.Change.Large)), int64(rest), million))
		grown = min(grown, free)
		s.large[i], free = share+grown, free-grown
		if p.Change.Large < 0 {
			s.large[i] -= PPM(of(int64(share), -p.Change.Large))
		}
	}
}

// factor is a million plus growth plus spread times the deviation, at least a
// tenth and at most ten.
func factor(growth, spread, deviation PPM) PPM {
	return max(million/10, min(10*million, million+growth+spread*deviation/million))
}
