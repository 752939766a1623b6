// Package oracle is the ledger's oracle module: the epoch clock, the beacon that
// gives every epoch its seed, the record of which devices answered their
// challenges, the votes on what devices earned, and the claims that pay it.
//
// The rules are elsewhere: core/beacon verifies reveals and folds seeds,
// core/merkle verifies leaves, and the proofs of a kind of resource are checked
// by the Prover given at wiring. The module does not compute scores (the
// validators do, off the ledger, with core/score), does not set budgets or mint
// by itself, and does not slash: it records conduct for those who do.
package oracle
