// Package credit is the ledger's credit module: it prices GRAIN by validators'
// votes, makes credits by burning GRAIN and GRAIN by burning credits, takes the
// network's share out of payments, and mints rewards within an epoch's budget
// and the supply cap. The arithmetic is in core/price, core/emission and
// core/breaker; the module loads, calls and stores.
//
// It does not know leases, devices or who deserves a reward: the market calls
// Take, the oracle calls EpochEnded, BonusBudget, PriceAt and MintReward.
//
// # What backs a credit
//
// The GRAIN burned for credits form the pool. A redemption is paid out of it, at
// most with its credits' part, so that nothing is created. The take burns credits
// for good: when the epoch ends, the part of the pool that stood behind them is
// retired, and only that part counts as burn for the demand pool. So no GRAIN
// burned is ever minted twice, and the take does not change the collateral ratio,
// which is pool at the low price / credits outstanding.
//
// # When trades are made
//
// Purchases and redemptions wait in two queues. A block that closes a round of
// price votes does, first come first served, those that were asked for before the
// first vote of that round; other blocks trade nothing. So nobody knows the price
// he will get, and nobody can cancel once it could be known.
package credit
