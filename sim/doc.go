// Package sim runs the network's economy as a seeded Monte Carlo: providers who
// come and go with their return on investment, buyers whose demand answers to
// prices, validators, whales, and attackers who try to take more out than they
// put in.
//
// The money follows the rules of the ledger itself: prices, breakers, leases,
// emission, scores and payout splits are those of core/, driven in the order in
// which the ledger's keepers drive them (Book). What the agents want is a model
// and nothing more; see docs/economy.md for what it leaves out.
//
// Everything, the agents included, is integer arithmetic on streams of random
// numbers fixed by the seed: the same scenario and seed give the same bytes on
// every machine. The package has no clock and does no I/O; it does not import
// the ledger, and a run knows nothing of blocks, signatures or networks.
package sim
