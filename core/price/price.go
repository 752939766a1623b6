package price

import (
	"cmp"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/grange-network/grange/core/money"
)

const (
	// GrainUnit is how many ugrain one GRAIN has.
	GrainUnit = 1_000_000
	// Min and Max bound a vote: 10⁻⁶ USD and 10⁶ USD per GRAIN.
	Min = 1
	Max = 1_000_000_000_000

	fraction = 16 // the averages keep 16 binary digits below one ucredit
)

// Vote is what one voter says a GRAIN costs, and the stake behind it.
type Vote struct {
	Price uint64 // ucredit per GRAIN
	Power uint64 // any unit, the same for all votes
}

// Check reports why p cannot be a price, or nil.
func Check(p uint64) error {
	if p < Min || p > Max {
		return fmt.Errorf("price %d ucredit per GRAIN is outside %d to %d", p, uint64(Min), uint64(Max))
	}
	return nil
}

// Median returns the power-weighted lower median: the least price that voters
// with at least half of the power that voted put at or below it. Voters with
// less than half of the power cannot move it beyond what the others said. It
// does not depend on the order of votes. Votes without power do not count; with
// none left there is no median and ok is false.
func Median(votes []Vote) (median uint64, ok bool) {
	sorted := make([]Vote, 0, len(votes))
	var hi, lo uint64 // total power, 128 bits
	for _, v := range votes {
		if v.Power == 0 {
			continue
		}
		var carry uint64
		lo, carry = bits.Add64(lo, v.Power, 0)
		hi += carry
		sorted = append(sorted, v)
	}
	slices.SortFunc(sorted, func(a, b Vote) int { return cmp.Compare(a.Price, b.Price) })
	// half = ceil(total/2)
	lo, carry := bits.Add64(lo, 1, 0)
	hi += carry
	halfLo, halfHi := lo>>1|hi<<63, hi>>1
	var sumHi, sumLo uint64
	for _, v := range sorted {
		sumLo, carry = bits.Add64(sumLo, v.Power, 0)
		sumHi += carry
		if sumHi > halfHi || sumHi == halfHi && sumLo >= halfLo {
			return v.Price, true
		}
	}
	return 0, false
}

// Rules are the parameters of the price. All shares are of money.Whole.
type Rules struct {
	Weight     money.BPS // of the newest sample in the average, 1 to Whole
	MaxStep    money.BPS // the sample and the average each move at most this share a round, 1 to Whole/2
	Band       uint32    // mean deviations kept off the average on each side, in money.Whole: 20000 is two
	MaxBand    money.BPS // the band is at most this share of the average, below Whole/2
	Spread     money.BPS // taken off on each side besides, below Whole/10
	StaleAfter uint64    // seconds after which a price without a new round is not used
}

// Valid reports the first rule that cannot work, or nil.
func (r Rules) Valid() error {
	switch {
	case r.Weight < 1 || r.Weight > money.Whole:
		return fmt.Errorf("weight of the newest sample is %d bps, want 1 to %d", r.Weight, money.Whole)
	case r.MaxStep < 1 || r.MaxStep > money.Whole/2:
		return fmt.Errorf("greatest step is %d bps, want 1 to %d", r.MaxStep, money.Whole/2)
	case r.Band > 10*uint32(money.Whole):
		return fmt.Errorf("band is %d bps of the mean deviation, want at most %d", r.Band, 10*money.Whole)
	case r.MaxBand >= money.Whole/2:
		return fmt.Errorf("widest band is %d bps, want below %d", r.MaxBand, money.Whole/2)
	case r.Spread >= money.Whole/10:
		return fmt.Errorf("spread is %d bps, want below %d", r.Spread, money.Whole/10)
	case r.StaleAfter == 0:
		return errors.New("price is stale after 0 s, want at least 1")
	}
	return nil
}

// State is the price after some rounds. The zero State has no price yet.
type State struct {
	Last      uint64 // newest sample after the step limit, ucredit per GRAIN
	Average   uint64 // exponential average of the samples, 2⁻¹⁶ ucredit per GRAIN
	Deviation uint64 // exponential average of |sample − average|, 2⁻¹⁶ ucredit per GRAIN
	Updated   int64  // time of the newest round, Unix seconds
	Opened    int64  // time of the round before, from when on votes of the newest were cast
}

// Known says whether there was any round.
func (s State) Known() bool { return s.Last != 0 }

// Stale says whether the newest round is too old to trade on at time now. A
// state without any round is stale.
func (s State) Stale(r Rules, now int64) bool {
	return !s.Known() || now > s.Updated && uint64(now-s.Updated) > r.StaleAfter
}

// Fair says whether the newest round may price a trade that was asked for at a
// time: all its votes were cast after that, so that who asked could not know it.
func (s State) Fair(asked int64) bool { return s.Opened != 0 && asked <= s.Opened }

// Next is the state after a round whose votes have this median. The sample is
// the median limited to MaxStep from the sample before; the average then moves
// to it by Weight, again at most MaxStep. The first round sets both.
func (s State) Next(r Rules, median uint64, now int64) (State, error) {
	if err := errors.Join(r.Valid(), Check(median)); err != nil {
		return s, err
	}
	if !s.Known() {
		return State{Last: median, Average: median << fraction, Updated: now}, nil
	}
	last := limit(median, s.Last, r.MaxStep)
	sample := last << fraction
	average := limit(toward(s.Average, sample, r.Weight), s.Average, r.MaxStep)
	deviation := toward(s.Deviation, max(sample, average)-min(sample, average), r.Weight)
	return State{Last: last, Average: average, Deviation: deviation, Updated: now, Opened: s.Updated}, nil
}

// limit brings v within share of around, but lets it move by at least one.
func limit(v, around uint64, share money.BPS) uint64 {
	step := max(money.Share(around, share), 1)
	return min(max(v, around-min(step, around)), around+step, Max<<fraction)
}

// toward returns the point weight of the way from a to b, rounded towards a.
func toward(a, b uint64, weight money.BPS) uint64 {
	if b >= a {
		return a + money.Share(b-a, weight)
	}
	return a - money.Share(a-b, weight)
}

// Quote is the price seen from both sides: Low ≤ Mid ≤ High.
type Quote struct {
	Low  uint64 // credits made per GRAIN burned
	Mid  uint64 // the average
	High uint64 // credits given up per GRAIN made
}

// Quote returns the rates of s. Low is the lesser of the newest sample and the
// average, less the band and the spread; High is the greater, plus both. So a
// price that moved but has not reached the average yet, and a price that jumps
// about, both cost the one who trades, not those who hold.
func (s State) Quote(r Rules) Quote {
	if !s.Known() {
		return Quote{}
	}
	band, _, err := money.MulDiv(s.Deviation, uint64(r.Band), uint64(money.Whole))
	if widest := money.Share(s.Average, r.MaxBand); err != nil || band > widest {
		band = widest
	}
	sample := s.Last << fraction
	low, high := min(sample, s.Average), max(sample, s.Average)
	low = low - min(band, low)
	low -= money.Share(low, r.Spread)
	high += band
	high += money.Share(high, r.Spread)
	const half, up = 1 << (fraction - 1), 1<<fraction - 1
	mid := (s.Average + half) >> fraction
	return Quote{
		Low:  max(min(low>>fraction, mid), Min),
		Mid:  max(mid, Min),
		High: max((high+up)>>fraction, mid, Min),
	}
}

// Credits returns the credits made from burning grains: floor at Low.
func (q Quote) Credits(grains money.Grain) (money.Credit, error) {
	c, _, err := money.MulDiv(uint64(grains), q.Low, GrainUnit)
	return money.Credit(c), err
}

// Grains returns the grains made from giving up credits: floor at High. A
// Quote without a price is an error.
func (q Quote) Grains(credits money.Credit) (money.Grain, error) {
	g, _, err := money.MulDiv(uint64(credits), GrainUnit, q.High)
	return money.Grain(g), err
}

// Redeem returns the grains made from giving up credits that are a part of debt
// and backed by pool: their worth at High, but at most their part of the pool, so
// that nobody gains by redeeming before others and what covers the others' credits
// never falls. It is 0 without a debt.
func (q Quote) Redeem(credits money.Credit, pool money.Grain, debt money.Credit) money.Grain {
	part, _, err := money.MulDiv(uint64(pool), uint64(min(credits, debt)), uint64(debt))
	if err != nil {
		return 0
	}
	if worth, err := q.Grains(credits); err == nil {
		return min(worth, money.Grain(part))
	}
	return money.Grain(part)
}
