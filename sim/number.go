package sim

import (
	"math/bits"
	"math/rand/v2"

	"github.com/grange-network/grange/core/money"
)

const (
	ppm     = 1_000_000 // the whole in parts per million
	dollar  = 1_000_000 // ucredit of a USD
	grainOf = 1_000_000 // ugrain of a GRAIN
	year    = 365
)

// mulDiv is floor(a·b/c), or the largest number where that does not fit.
func mulDiv(a, b, c uint64) uint64 {
	q, _, err := money.MulDiv(a, b, max(c, 1))
	if err != nil {
		return ^uint64(0)
	}
	return q
}

// scale changes v by delta parts per million, but never by more than nine tenths
// down, and never to 0.
func scale(v uint64, delta int64) uint64 {
	return max(mulDiv(v, uint64(ppm+max(delta, -ppm*9/10)), ppm), 1)
}

// root is floor(√v).
func root(v uint64) uint64 {
	if v == 0 {
		return 0
	}
	x := uint64(1) << ((bits.Len64(v) + 1) / 2)
	for {
		next := (x + v/x) / 2
		if next >= x {
			return x
		}
		x = next
	}
}

// Streams of random numbers, one for each purpose, so that an agent more or
// less does not change what the others see.
const (
	streamExchange = iota + 1
	streamDemand
	streamSupply
	streamVotes
	streamWhales
	streamAttack
)

func stream(seed, purpose uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, purpose*0x9e3779b97f4a7c15))
}

// normal is a number of mean 0 and standard deviation 1, in ppm: the sum of 12
// even ones (Irwin–Hall), which needs no floating point and no table. It never
// passes six deviations.
func normal(r *rand.Rand) int64 {
	var sum int64
	for range 3 {
		for v, i := r.Uint64(), 0; i < 4; v, i = v>>16, i+1 {
			sum += int64(v & 0xffff)
		}
	}
	return (sum - 6*0xffff) * ppm / 0xffff
}

// chance says yes in one of ppm/p cases.
func chance(r *rand.Rand, p uint64) bool { return r.Uint64N(ppm) < p }

// between is an even number from lo to hi, both included.
func between(r *rand.Rand, lo, hi int64) int64 { return lo + r.Int64N(hi-lo+1) }
