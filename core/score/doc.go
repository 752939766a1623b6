// Package score computes what usage earns on top of its price and evidence from
// a vertical's grant: the bonus of every device for one epoch, the lifetime
// totals that add up from epoch to epoch, and the two roots that validators vote
// on.
//
// The bonus of a device is the lesser of its share of the epoch's pool and ρ of
// what its own usage burned, in ugrain at the epoch's price. With ρ below one
// nobody gains by buying from himself; as both bounds grow at least as fast as
// the burn, nobody gains by splitting a device either.
//
// A grant is shared in proportion to the weights that the vertical found in the
// evidence; what is left of pool and grant by rounding stays unminted.
//
// The package is pure: integers only, and the order of its inputs never matters.
// It does not fetch usage, set pools or prices, or pay anybody.
package score
