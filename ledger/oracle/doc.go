// Package oracle is the ledger's oracle module: the epoch clock, the beacon that
// gives every epoch its seed, the record of which devices answered their
// challenges, the votes on what devices earned, the claims that pay it, and what
// validators pay for getting it wrong.
//
// The rules are elsewhere: core/beacon verifies reveals and folds seeds,
// core/merkle verifies leaves, and the proofs of a kind of resource are checked
// by the Prover given at wiring. The module does not compute scores (the
// validators do, off the ledger, with core/score), does not set budgets, and
// touches no stake itself: fines and jail go through the Stakes given at wiring.
//
// Penalties are bounded by the parameters: a validator is fined for a vote at
// most once each for dissent, equivocation and fraud, by a share of what that
// validator had at stake then, and jailed for withheld reveals or equivocation.
// A report that a Challenge refutes before it is payable is gone: its epoch is
// covered by the next report, as totals are cumulative.
package oracle
