// Package receipt is the promise both sides of a lease sign: how many units the
// provider has served on a lane so far. It holds the wire format of receipts
// and commitments, their signatures, and two state machines that bound what
// either side can lose.
//
// # Wire
//
// All integers are big endian; lengths are fixed; anything else is refused.
//
//	receipt     lease 32 | lane u32 | seq u64 | units u64 | epoch u64 |
//	            evidence 32 | payer signature 64 | provider signature 64   = 220
//	commitment  lease 32 | revision u64 | root 32 | units u64 |
//	            payer signature 64 | provider signature 64                 = 208
//
// The payer signs domain ‖ SHA-256(chain id) ‖ body; the provider signs its own
// domain ‖ SHA-256(chain id) ‖ body ‖ payer signature. A domain is an ASCII
// string padded with zeros to 24 bytes: grange/receipt/v1, grange/receipt-ack/v1,
// grange/commitment/v1, grange/commitment-ack/v1. So no signature made for one
// chain, lease, lane, kind or side counts for another.
//
// Units are cumulative: the newest receipt of a lane replaces all before it,
// and a receipt carries no amount (Amount prices it by the lease).
//
// # Signatures
//
// Every signature is plain ed25519 (RFC 8032) checked with the cofactored
// equation, and stricter than ZIP-215: S must be below the group order, and the
// public key and R must be canonical encodings of points that are not of small
// order. Single and batch verification accept exactly the same set, because
// only the cofactored equation gives that property: with the cofactorless one a
// batch and a single check can disagree on points with a torsion component.
// Coefficients of a batch are derived from all that the batch contains, so the
// answer is a function of the input: the ledger may use it.
//
// # Machines
//
// Payer and Provider take calls, return what to send, and do no I/O. Where a
// call changes what a crash must not forget, it says so and the caller stores
// State before the message leaves. They hold no keys, clocks or locks: the
// caller holds one lock per lane, from the call until State is stored.
//
// What each can lose on a lane, however often either side is killed and
// whatever the other side does:
//
//   - the provider, at most Provider.Bound units served and not paid: the
//     largest window the payer has earned, 256 KiB for one who never paid;
//   - the payer, nothing: it signs for units its caller counted as delivered,
//     and for what the caller explicitly concedes, up to a limit set in advance.
//
// The package does not move money, open leases or decide prices; the lanes'
// caps sum to at most the escrow by the rules of the lease.
package receipt
