// Command bench measures the ledger beside what bounds it, all in one run, and
// prints a table in Markdown: what FinalizeBlock executes for a second of
// processor, what one node and four take through RPC, what a settlement waits,
// how long an epoch of receipts takes to verify, score and root, what a device
// weighs on disk and what a claim costs.
//
//	go run ./ledger/bench [-quick] [-only REGEXP] [-peers tools/bench]
//
// It measures processor time where the target is one: the machine may be shared.
// It asserts nothing and is no test; `make bench` runs it.
package main
