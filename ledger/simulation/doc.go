// Package simulation holds a test and no code: it runs the whole application in
// this process, without a network, on random messages of every module, valid and
// not, signed by random accounts in blocks of random length. After every block it
// checks what must always hold of balances, escrows, leases, receipts, reports,
// claims, emission, stakes and devices; in the middle it exports the chain and
// goes on with what another application imported.
//
// A run is a pure function of its seed. A failure says how to run it again:
//
//	go test ./ledger/simulation -run 'TestSimulation$' -seed 7 -blocks 500
//
// It does not test consensus, networking or the clients.
package simulation
