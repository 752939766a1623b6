// Package live asks the ledger what an index cannot know: balances, the state of
// lanes and payouts, validators, prices, the consensus round, and the terms of a
// bonus while the ledger keeps them. Every answer is of now; nothing is kept.
package live
