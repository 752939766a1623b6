// Package lease is the life of a lease as a pure function: what a deposit
// allows, what a receipt or a held epoch pays, when grace, closing and refund
// begin. It does not verify signatures, move coins or know what is leased.
//
// A lease has two meters. The use meter counts units that receipts claim, each
// lane against its own cap. The hold meter counts units held through an epoch,
// against the hold budget, and pays only for epochs whose outcome is Proven.
// Budget and caps together are the escrow, so neither meter can spend what
// belongs to the other and no number of payers can overspend.
//
//	open ──exhausted──▶ grace ──grace over──▶ closing ──window over──▶ closed
//	  ▲                   │                      ▲
//	  └──────fund─────────┘     close, expiry, faults ──┘
package lease
