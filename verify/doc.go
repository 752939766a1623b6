// Package verify is what a validator does off the ledger: it reveals its share
// of every epoch's seed, votes on the price of GRAIN, computes what the devices
// of each vertical earned in every ended epoch and votes on it, and pays devices
// what accepted reports owe them.
//
// Run does all of it for one validator until its context ends. Everything it
// computes, it computes from the ledger's own records with core/score, writes to
// its home as published files (epoch terms, usage, leaves, roots) and serves
// with Handler; Published.Check recomputes such a file, so that anybody can.
//
// Claims need no validator: anybody may submit them, and Run does so for all
// devices.
//
// The package holds no rules of its own and trusts nothing but its ledger node.
// It does not produce blocks and never holds the consensus key.
package verify
