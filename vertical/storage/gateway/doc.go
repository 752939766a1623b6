// Package gateway is the demand side of storage: it turns a stream of bytes
// into sealed pieces on providers of distinct owners, reads them back through
// losses, pays for what it reads, and repairs what is lost.
//
// # Who stores what
//
// A door (S3 and the like) keeps a segment's id and size inside its own object
// records. The engine keeps the rest in one bbolt file: where the pieces of each
// segment are, the leases with their session keys, the state of each receipt
// machine, and the commitments both sides signed. Content and seal keys are given
// by the caller and not stored. Losing the file loses the data.
//
// # Life of a segment
//
// Put encodes the segment into a spool, because a piece is named by the hash of
// all of it; sends the n pieces to n owners at once, giving late or refused ones
// to spares; and succeeds when at least the layout's repair threshold of them is
// durable and the segment is recorded. A piece is recorded as under way before it
// is sent, so after a crash what was not acknowledged is known to be an orphan; it
// is in no commitment and the provider sweeps it. Then each provider's commitment
// is brought up to date, collected over a short delay.
//
// Read asks for the data blocks alone. When one fails or is late it asks other
// shards and decodes; lateness is judged by the quantile of recent requests, and
// only a twentieth of requests may be asked twice for it. A piece that is missing
// or does not verify is marked and left out of the next commitment once replaced.
//
// Repair rebuilds a segment whose usable pieces have fallen to the threshold, with
// the seal key only, on owners that hold none of it. Rebuilt pieces have the same
// roots, so doing it twice does no harm.
//
// # Money
//
// A lease is opened when a piece first needs the offer. Hold budgets and the lane's
// cap are topped up before they run out, unless that is switched off. What is under
// way and not signed for stays within the window that the provider grants. The
// state of the receipt machine is durable before a receipt leaves.
//
// The package does not speak any client protocol, does not know names, buckets or
// objects, and reaches the ledger only through the Ledger interface it declares.
package gateway
