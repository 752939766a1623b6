package emission

import (
	"github.com/grange-network/grange/core/money"
)

// Smooth returns the exponential average over span epochs after an epoch with
// this value: average + (value − average)·2/(span+1), rounded down. Started at
// zero, the averages of all epochs never sum to more than the values do, so
// what is minted by them never passes what was burned. A span of zero is one.
func Smooth(average, value money.Grain, span uint32) money.Grain {
	n := uint64(max(span, 1)) + 1
	// (average·(n−2) + value·2)/n: both products and their sum in 128 bits.
	kept, rest, _ := money.MulDiv(uint64(average), n-2, n)
	fresh, _, _ := money.MulDivAdd(uint64(value), 2, rest, n)
	return money.Grain(kept + fresh)
}

// DemandPool returns how many ugrain an epoch may mint for usage: the share
// rebate of the smoothed burn, within what the schedule released. With a rebate
// below Whole, usage always burns more than it mints.
func DemandPool(released, burned money.Grain, rebate money.BPS) money.Grain {
	return min(released, money.Share(burned, rebate))
}

// VerticalPool returns the part of a demand pool that is for a vertical: as much
// of it as of the epoch's burn was the vertical's own. So a vertical that nobody
// uses leaves the whole pool to the others; the parts never exceed the pool.
func VerticalPool(pool money.Grain, own, all money.Credit) money.Grain {
	part, _, err := money.MulDiv(uint64(pool), uint64(min(own, all)), uint64(all))
	if err != nil {
		return 0 // nothing was burned
	}
	return money.Grain(part)
}
