package place

import (
	"math/big"
	"math/bits"
	"slices"

	"github.com/grange-network/grange/atlas"
)

// one is certainty: probabilities are counted in 10^-18.
const one = uint64(1_000_000_000_000_000_000)

// PPM counts millionths.
type PPM uint32

const million = 1_000_000

// timesUp is a·b/10^18, rounded up. Both are at most one.
func timesUp(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	q, r := bits.Div64(hi, lo, one)
	if r > 0 {
		q++
	}
	return q
}

// missing is what an availability in percent lacks to one, rounded up.
func missing(percent atlas.Decimal) uint64 {
	r := new(big.Rat).Sub(big.NewRat(100, 1), percent.Rat())
	r.Mul(r, new(big.Rat).SetInt(new(big.Int).SetUint64(one/100)))
	q, rest := new(big.Int).QuoRem(r.Num(), r.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	if !q.IsUint64() {
		return 0
	}
	return min(q.Uint64(), one)
}

// available is what is left of one, in percent, rounded down to six places.
func available(missing uint64) atlas.Decimal {
	const step = one / 100 / million // a millionth of a percent
	d, err := atlas.DecimalFromRat(big.NewRat(int64((one-missing)/step), million), 6)
	if err != nil {
		return atlas.Decimal{}
	}
	return d
}

// member is what one replica adds to the failure of its network.
type member struct {
	network int
	down    uint64 // of one node
	shared  uint64 // part of it that takes the whole network down
}

// newMember splits the unavailability of an offer's node by the common share.
func newMember(network int, down uint64, common PPM) member {
	return member{network: network, down: down, shared: timesUp(down, uint64(common)*(one/million))}
}

// unavailability of replicas of which one suffices: networks fail independently
// of each other; within one, a share of every failure is common to it and the
// rest is independent, so that n equal nodes of unavailability u with common
// share b are down b·u + ((1−b)·u)^n of the time. Every rounding is up.
func unavailability(replicas []member) uint64 {
	total := one
	for i, first := range replicas {
		if slices.ContainsFunc(replicas[:i], func(m member) bool { return m.network == first.network }) {
			continue // counted with the first of its network
		}
		common, apart := uint64(0), one
		for _, m := range replicas[i:] {
			if m.network == first.network {
				common = max(common, m.shared)
				apart = timesUp(apart, m.down-m.shared)
			}
		}
		total = timesUp(total, min(one, common+apart))
	}
	return total
}

// Replicas is the smallest number of equal nodes of one network that reaches
// the target, 0 when no number does: 1 + log(1−target)/log(1−a) without a
// common share; with one, the common failures alone may exceed what is allowed.
func Replicas(availability, target atlas.Decimal, common PPM) int {
	down, allowed := missing(availability), missing(target)
	m := newMember(0, down, common)
	if m.shared > allowed {
		return 0
	}
	apart := one
	for n := 1; n <= 64; n++ {
		apart = timesUp(apart, down-m.shared)
		if m.shared+apart <= allowed {
			return n
		}
	}
	return 0
}
