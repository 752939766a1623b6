// Package piece names stored bytes and proves ranges of them.
//
// A piece is a sealed shard of 1 byte to 32 MiB, named by its BLAKE3 hash. BLAKE3
// is a Merkle tree over 1 KiB chunks, so the name is also the root of the tree.
// Beside the bytes a provider keeps the outboard: the chaining values above groups
// of 16 chunks (16 KiB), 0.39 % of the piece, in the Bao outboard format. From the
// two come
//
//   - slices: the bytes of a range together with the tree nodes that prove them, in
//     the combined Bao slice encoding with 16 KiB groups, verified while streaming;
//   - chunk proofs: one 1 KiB chunk and its path to the root, small enough for the
//     ledger.
//
// The package is pure: no files, no network, no clock. Formats follow the BLAKE3
// paper and the Bao specification with lukechampine.com/blake3's group parameter 4.
package piece
