// Package money is the integer arithmetic of the network's two amounts,
// credits and grains. It does not know who owns them or what they pay for.
package money

import (
	"errors"
	"fmt"
	"math/bits"
)

// Credit is an amount of usage money in ucredit: 1 ucredit is 10⁻⁶ USD.
type Credit uint64

// Grain is an amount of the staking token in ugrain: 10⁶ ugrain are 1 GRAIN.
type Grain uint64

// Denominations of the two amounts on the ledger.
const (
	CreditDenom = "ucredit"
	GrainDenom  = "ugrain"
)

// BPS is a share in basis points; Whole is all of it.
type BPS uint32

// Whole is 100 % in basis points.
const Whole BPS = 10_000

// ErrOverflow is returned when a result does not fit 64 bits.
var ErrOverflow = errors.New("amount exceeds 64 bits")

// Integer is any of the 64-bit amounts this package adds and multiplies.
type Integer interface{ ~uint64 }

// Add returns a+b, or ErrOverflow.
func Add[T Integer](a, b T) (T, error) {
	sum, carry := bits.Add64(uint64(a), uint64(b), 0)
	if carry != 0 {
		return 0, fmt.Errorf("add %d and %d: %w", a, b, ErrOverflow)
	}
	return T(sum), nil
}

// Sub returns a−b, or an error that names both when b is the larger.
func Sub[T Integer](a, b T) (T, error) {
	if b > a {
		return 0, fmt.Errorf("take %d from %d: not enough", b, a)
	}
	return a - b, nil
}

// MulDiv returns floor(a·b/c) with a 128-bit intermediate and the remainder.
// It fails when c is zero or the quotient exceeds 64 bits.
func MulDiv(a, b, c uint64) (quotient, remainder uint64, err error) {
	hi, lo := bits.Mul64(a, b)
	if c == 0 {
		return 0, 0, fmt.Errorf("multiply %d by %d, divide by 0: undefined", a, b)
	}
	if hi >= c {
		return 0, 0, fmt.Errorf("multiply %d by %d, divide by %d: %w", a, b, c, ErrOverflow)
	}
	quotient, remainder = bits.Div64(hi, lo, c)
	return quotient, remainder, nil
}

// MulDivAdd returns floor((a·b+r)/c) and the new remainder. A caller that
// carries the remainder from call to call loses nothing to rounding over time.
func MulDivAdd(a, b, r, c uint64) (quotient, remainder uint64, err error) {
	hi, lo := bits.Mul64(a, b)
	lo, carry := bits.Add64(lo, r, 0)
	hi += carry // cannot wrap: the high word of a product is at most 2^64−2
	if c == 0 {
		return 0, 0, fmt.Errorf("multiply %d by %d, divide by 0: undefined", a, b)
	}
	if hi >= c {
		return 0, 0, fmt.Errorf("multiply %d by %d, divide by %d: %w", a, b, c, ErrOverflow)
	}
	quotient, remainder = bits.Div64(hi, lo, c)
	return quotient, remainder, nil
}

// Share returns floor(amount·share/Whole). A share above Whole counts as Whole.
func Share[T Integer](amount T, share BPS) T {
	q, _, _ := MulDiv(uint64(amount), uint64(min(share, Whole)), uint64(Whole))
	return T(q) // share ≤ Whole, so the quotient is at most amount
}

// Price is a rate: Credits ucredit for every Per units. The zero Price is free.
type Price struct {
	Credits uint64
	Per     uint64
}

// Valid reports why p cannot price anything, or nil.
func (p Price) Valid() error {
	if p.Credits > 0 && p.Per == 0 {
		return fmt.Errorf("price of %d ucredit per 0 units: divide by zero", p.Credits)
	}
	return nil
}

// Of returns floor(units·Credits/Per) in ucredit.
func (p Price) Of(units uint64) (Credit, error) {
	if p.Credits == 0 {
		return 0, p.Valid()
	}
	q, _, err := MulDiv(units, p.Credits, p.Per)
	return Credit(q), err
}

// Carry prices units after adding the remainder of the last call, and returns
// the new remainder in Credits·units. Σ Carry never differs from Of(Σ units) by
// more than the remainder still carried.
func (p Price) Carry(units, remainder uint64) (Credit, uint64, error) {
	if p.Credits == 0 {
		return 0, 0, p.Valid()
	}
	q, r, err := MulDivAdd(units, p.Credits, remainder, p.Per)
	return Credit(q), r, err
}

// Units returns the most units that credits pay for: the largest u with
// Of(u) ≤ credits. A free price pays for everything.
func (p Price) Units(credits Credit) uint64 {
	if p.Credits == 0 {
		return ^uint64(0)
	}
	// Of(u) ≤ c ⇔ u·Credits < (c+1)·Per ⇔ u ≤ ((c+1)·Per − 1)/Credits.
	hi, lo := bits.Mul64(uint64(credits), p.Per)
	lo, carry := bits.Add64(lo, p.Per-1, 0)
	hi += carry
	if p.Per == 0 || hi >= p.Credits {
		return ^uint64(0)
	}
	q, _ := bits.Div64(hi, lo, p.Credits)
	return q
}

// String writes the price as "12 ucredit / 1000 units".
func (p Price) String() string {
	return fmt.Sprintf("%d ucredit / %d units", p.Credits, p.Per)
}
