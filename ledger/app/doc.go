// Package app is the ledger's state machine: the Cosmos SDK modules we use and
// our own four, wired by hand.
//
// What is in it: auth, bank, staking, slashing, distribution, gov, feegrant,
// evidence, genutil, consensus; device, market, oracle, credit. There is no
// x/mint (credit mints), no x/upgrade, no vote extensions, no depinject.
// Modules of ours are added in modules.go and nowhere else.
//
// It starts no process and opens no socket: ledger/server does.
package app
