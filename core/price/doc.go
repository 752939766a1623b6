// Package price turns validators' votes on the price of a GRAIN into the two
// rates at which GRAIN and credits change into each other. It holds no votes
// and no clock: the caller passes both in. It does not move money.
//
// All prices are in ucredit (10⁻⁶ USD) per GRAIN (10⁶ ugrain).
package price
