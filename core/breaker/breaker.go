// Package breaker limits how fast value leaves: a window that lets a bounded
// amount through in a span of time, and the ratio of what covers a debt. It has
// no clock and moves nothing.
package breaker

import (
	"math/bits"

	"github.com/grange-network/grange/core/money"
)

// Window counts what passed lately. The count falls linearly, to zero a span
// after the newest addition: v' = v·(1 − min(Δt/span, 1)), the form of Helium's
// circuit breaker. Within any span of time at most twice the limit passes, and
// in the long run the limit per span. The zero Window is empty.
type Window struct {
	Level uint64 // counted at time At
	At    int64  // Unix seconds
}

// LevelAt returns what still counts at time now, rounded up. A clock that goes
// back does not raise it.
func (w Window) LevelAt(now int64, span uint64) uint64 {
	if now <= w.At {
		return w.Level
	}
	passed := uint64(now) - uint64(w.At) // right also when At is far below zero
	if passed >= span {
		return 0
	}
	hi, lo := bits.Mul64(w.Level, passed)
	gone, _ := bits.Div64(hi, lo, span) // passed < span
	return w.Level - gone
}

// Room returns how much more may pass at time now.
func (w Window) Room(limit uint64, now int64, span uint64) uint64 {
	return limit - min(w.LevelAt(now, span), limit)
}

// Add counts an amount that passes at time now.
func (w Window) Add(amount uint64, now int64, span uint64) Window {
	level, carry := bits.Add64(w.LevelAt(now, span), amount, 0)
	if carry != 0 {
		level = ^uint64(0)
	}
	return Window{Level: level, At: max(now, w.At)}
}

// MaxRatio is the greatest ratio told apart: a hundredfold cover. It is also
// the ratio of an empty debt.
const MaxRatio = 1_000_000

// Ratio returns value/debt in basis points, rounded down, at most MaxRatio.
func Ratio(value, debt money.Credit) uint64 {
	if debt == 0 {
		return MaxRatio
	}
	bps, _, err := money.MulDiv(uint64(value), uint64(money.Whole), uint64(debt))
	if err != nil {
		return MaxRatio
	}
	return min(bps, MaxRatio)
}
