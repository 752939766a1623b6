package emission

import (
	"math/big"
	"math/bits"

	"github.com/grange-network/grange/core/money"
)

// wide is a fraction below one in units of 2⁻¹²⁸.
type wide struct{ hi, lo uint64 }

// roots[k] is 2^−2^−(k+1), rounded down: the square root of one half, its
// square root, and so on. With one for each binary digit of an exponent they
// multiply to any power of two between one half and one.
var roots = func() (r [64]wide) {
	c := new(big.Int).Lsh(big.NewInt(1), 127) // one half
	for k := range r {
		c.Sqrt(c.Lsh(c, 128))
		r[k].lo = new(big.Int).And(c, new(big.Int).SetUint64(^uint64(0))).Uint64()
		r[k].hi = new(big.Int).Rsh(c, 64).Uint64()
	}
	return r
}()

// times returns floor(a·b) to 2⁻¹²⁸.
func (a wide) times(b wide) wide {
	h1, _ := bits.Mul64(a.lo, b.lo)
	h2, l2 := bits.Mul64(a.hi, b.lo)
	h3, l3 := bits.Mul64(a.lo, b.hi)
	h4, l4 := bits.Mul64(a.hi, b.hi)
	s, c1 := bits.Add64(h1, l2, 0)
	_, c2 := bits.Add64(s, l3, 0)
	lo, c3 := bits.Add64(h2, h3, c1)
	lo, c4 := bits.Add64(lo, l4, c2)
	return wide{hi: h4 + c3 + c4, lo: lo}
}

// of returns floor(x·a).
func (a wide) of(x uint64) uint64 {
	carryHi, _ := bits.Mul64(x, a.lo)
	hi, lo := bits.Mul64(x, a.hi)
	_, c := bits.Add64(lo, carryHi, 0)
	return hi + c
}

// Halve returns total·2^(−steps/halfLife), at most one below the exact value.
// It never grows with steps as long as halfLife is at most MaxHalfLife. A
// halfLife of zero is taken as one.
func Halve(total, steps, halfLife uint64) uint64 {
	halfLife = max(halfLife, 1)
	whole, rest := steps/halfLife, steps%halfLife
	if whole >= 64 {
		return 0
	}
	if rest == 0 {
		return total >> whole
	}
	return power(ratio(rest, halfLife)).of(total) >> whole
}

// ratio returns a/b for a < b in 2⁻⁶⁴, rounded up, so that a power of one half
// with it as exponent is never above the exact one.
func ratio(a, b uint64) uint64 {
	q, r := bits.Div64(a, 0, b)
	if r != 0 && q != ^uint64(0) {
		q++
	}
	return q
}

// power returns 2^−x for 0 < x < 1 given in 2⁻⁶⁴.
func power(x uint64) wide {
	var product wide
	for started := false; x != 0; x &^= 1 << (63 - bits.LeadingZeros64(x)) {
		root := roots[bits.LeadingZeros64(x)]
		if started {
			root = product.times(root)
		}
		product, started = root, true
	}
	return product
}

// Grow returns start·2^(steps/doubling), rounded down to within two, or the
// greatest uint64 when it does not fit. A doubling of zero means no growth.
func Grow(start, steps, doubling uint64) uint64 {
	if doubling == 0 || start == 0 {
		return start
	}
	whole, rest := steps/doubling, steps%doubling
	if rest == 0 {
		return shiftUp(start, whole)
	}
	// 2^(rest/doubling) = 2·2^−((doubling−rest)/doubling)
	p := power(ratio(doubling-rest, doubling))
	whole++
	if whole > 64 {
		return ^uint64(0)
	}
	// Shift before rounding, so that nothing below one ucredit is doubled.
	carryHi, _ := bits.Mul64(start, p.lo) // the rest is below 2⁻⁶⁴ and shifts by at most 64
	hi, lo := bits.Mul64(start, p.hi)
	lo, c := bits.Add64(lo, carryHi, 0)
	hi += c
	if bits.Len64(hi)+int(whole) > 64 {
		return ^uint64(0)
	}
	return hi<<whole | lo>>(64-whole)
}

func shiftUp(v, by uint64) uint64 {
	if by >= 64 || bits.Len64(v)+int(by) > 64 {
		return ^uint64(0)
	}
	return v << by
}

// MaxHalfLife bounds a half-life, in epochs: with it two epochs next to each
// other differ by far more than the arithmetic's error.
const MaxHalfLife = 1 << 32

// Remaining returns what a part of total ugrain still has to give after epochs:
// total·2^(−epochs/halfLife). The difference between two epochs next to each
// other is E_e = S·(e^λ − 1)·e^(−λe) with λ = ln 2/halfLife; because only
// differences of one function are paid, they cannot sum to more than total.
func Remaining(total money.Grain, epochs, halfLife uint64) money.Grain {
	return money.Grain(Halve(uint64(total), epochs, halfLife))
}
