// Package proof is how a provider shows that it still holds what it committed to.
//
// For every lease both sides keep the same Set of pieces and sign its root and its
// bytes. Each epoch the beacon's seed selects a few bytes out of all bytes a device
// has committed, and the device answers with one Proof per selected byte: the path
// from the set's root to the piece that holds the byte, and the BLAKE3 path from
// the piece's root to the 1 KiB chunk. A provider that lost a fraction α of its
// bytes is caught with probability 1−(1−α)^c by c challenges.
//
// # Set
//
// A Set is a Merkle-sum tree over (piece root, size), ordered by root. Its shape
// is that of a binary radix tree over the roots' bits with single-child nodes left
// out, so it depends on the contents alone, a change costs O(log n) hashes rather
// than O(n) for an array-shaped tree, and older versions share their nodes with
// newer ones.
//
//	leaf   SHA-256(0x00 ‖ root 32 ‖ size u64)
//	inner  SHA-256(0x01 ‖ bit u8 ‖ left 32 ‖ left bytes u64 ‖ right 32 ‖ right bytes u64)
//
// bit is the first bit in which the roots below differ, counted from the most
// significant of byte 0; it grows strictly downwards, and a root with the bit clear
// lies left. Verification checks this, so one root can be reached in one place
// only: a piece counted twice cannot be proven twice. The empty set has the zero
// root and zero bytes.
//
// # Challenges
//
// Byte number i of c is drawn uniformly from 0..total−1 by rejection:
// HMAC-SHA256(seed, "grange/storage/challenge/v1" ‖ device ‖ i u32 ‖ try u32),
// first 128 bits, masked to the bit length of total−1.
//
// Challenges, Verify and the codec are what the ledger runs: pure, integers only,
// bounded by MaxProof, no I/O. The package does not say when a proof is due, what
// a missing one costs, or how a commitment takes effect.
package proof
