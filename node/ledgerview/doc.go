// Package ledgerview reads the ledger for people: devices, leases, receipts,
// proofs, and the reasons behind a payment, as plain values whose JSON form is
// stable. Ids are lower-case hex, amounts ucredit or ugrain, sizes bytes.
//
// It sends no transaction and keeps nothing.
package ledgerview
