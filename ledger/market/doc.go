// Package market is the ledger's market module: it stores offers and leases,
// moves their escrow and lets core/lease decide. It does not price anything,
// judge proofs or know what a kind of resource is.
package market
