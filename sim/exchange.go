package sim

import (
	"math/rand/v2"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/price"
)

// exchange is where GRAIN costs dollars. value follows a random walk; push is
// what trades have moved the price off it and fades.
type exchange struct {
	rules   Exchange
	random  *rand.Rand
	seconds uint64 // between two steps
	jumpPPM uint64 // chance of a jump in a step
	step    uint64 // standard deviation of a step, ppm
	drift   int64  // of a step, in 10⁻⁹
	value   uint64 // 10⁻⁹ USD per GRAIN
	push    int64  // ppm of value
	flow    int64  // ucredit bought less sold since the last step
}

func newExchange(s Scenario, seed uint64) exchange {
	n := uint64(s.Rounds)
	return exchange{
		rules: s.Exchange, random: stream(seed, streamExchange), seconds: EpochSeconds / n,
		jumpPPM: s.Exchange.JumpsPPM, step: s.Exchange.VolatilityPPM * ppm / max(root(n*ppm*ppm), 1),
		drift: s.Exchange.DriftPPM * 1000 / int64(n), value: s.Exchange.Price * 1000,
	}
}

// move passes the time of one round.
func (x *exchange) move(rounds int) {
	delta := max(x.drift+normal(x.random)*int64(x.step)/1000, -900_000_000) // 10⁻⁹
	x.value = mulDiv(x.value, uint64(1_000_000_000+delta), 1_000_000_000)
	if x.random.Uint64N(ppm*uint64(rounds)) < x.jumpPPM {
		size := int64(x.rules.JumpBPS) * 100
		if x.rules.FallsOnly || x.random.Uint64()&1 == 0 {
			size = -size
		}
		x.value = scale(x.value, size)
	}
	x.value = min(max(x.value, 1000*price.Min), 1000*price.Max/10)
	x.push = x.pushed(0)
	x.flow = 0
	x.push -= x.push * int64(min(x.seconds, x.rules.ResilienceSeconds)) / int64(x.rules.ResilienceSeconds)
}

// pushed is the push after a further trade of usd ucredit.
func (x *exchange) pushed(usd int64) int64 {
	per := int64(x.rules.DepthUSD) // ucredit that move the price by one ppm: depth·10⁶/10⁴
	d := (x.flow + usd) / (per * 100)
	return min(max(x.push+d, -ppm/2), 4*ppm)
}

// price is what a GRAIN costs now, in ucredit.
func (x *exchange) price() uint64 { return max(scale(x.value, x.pushed(0))/1000, 1) }

// after is the price at which half of a trade of usd ucredit is done: what the
// trade gets on average.
func (x *exchange) after(usd int64) uint64 { return max(scale(x.value, x.pushed(usd/2))/1000, 1) }

// worth is what ugrain are worth at the price now, in ucredit.
func (x *exchange) worth(g money.Grain) int64 { return int64(mulDiv(uint64(g), x.price(), grainOf)) }

// sell returns the ucredit that selling g brings, and moves the price.
func (x *exchange) sell(g money.Grain) int64 {
	usd := x.worth(g)
	got := int64(mulDiv(uint64(g), x.after(-usd), grainOf))
	x.flow -= got
	return got - got*int64(x.rules.FeeBPS)/int64(money.Whole)
}

// buy returns the ucredit that buying g costs, and moves the price.
func (x *exchange) buy(g money.Grain) int64 {
	usd := x.worth(g)
	cost := int64(mulDiv(uint64(g), x.after(usd), grainOf)) + 1
	x.flow += cost
	return cost + cost*int64(x.rules.FeeBPS)/int64(money.Whole)
}
