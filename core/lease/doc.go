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
//
// A lease can be moved to another provider (Migrate): what the old one can no
// longer earn follows at once, the rest after its window.
//
// # Auction
//
// A Demand asks for a lease at no more than given prices, with its deposit in
// the escrow. At most MaxBids bids wait; a full book takes only a bid that is
// better than one there. Each reserves its capacity in its offer.
//
// # Standing leases
//
// A Standing has one payer and providers who need not be known in advance. A
// provider serves against receipts of the usual wire format, whose lease id is
// AccountID(standing lease, device): the payer's session key thereby signs for
// one device only, lanes and cumulative units count for each device on their
// own, and the provider countersigns with its device key. Receipts of many
// devices are not settled one by one. Each epoch the payer states the root of a
// sum tree of device to cumulative units, whose price the escrow must hold, and
// anybody collects a device's leaf with its proof.
//
// A provider who is left out, or short, files a Dispute with the receipts. Only
// the payer has the tree, so it is the payer who has to answer, by settling the
// leaf in time; what is then unpaid comes from the part of the escrow that no
// statement has promised, then from the payer's bond, with a penalty. While the
// bond is below its minimum the lease is in grace, and then closes.
//
// A standing lease is credit: a payer can sign for more than escrow and bond.
// What a provider can lose is the window W that it serves beyond what it has
// collected; before it serves on, it looks at Free and Bond.
package lease
