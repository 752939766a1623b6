// Package parity holds the simulator to the ledger: tests do the same with both
// and compare what comes out. It has no code of its own, so that the simulator
// itself needs nothing of the ledger.
package parity
