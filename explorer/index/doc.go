// Package index keeps what a ledger did in SQLite: blocks, transactions, devices,
// offers, leases, receipts, proofs, epochs and rewards, so that lists can be
// filtered and paged, and history outlives the node's own.
//
// It is a pure function of the blocks: deleting the file and reading the blocks
// again gives the same content, byte for byte (Dump). It never asks the ledger
// for state, serves nobody and decides nothing. What is claimed (an offer's
// capacity) and what is proven (units of accepted proofs) are different columns.
package index
