// Package erasure turns a segment of plaintext into sealed shards and back.
//
// A segment is at most 64 MiB. It is cut into blocks of 64 KiB, each block is
// encrypted with AES-256-GCM, and the encrypted blocks fill stripes of a
// systematic Reed-Solomon code: stripe s holds blocks s·K..s·K+K−1, and shard j
// of the stripe is encrypted block s·K+j, so a read of one block touches one
// shard. Every shard is then sealed with an AES-256-CTR keystream of its own,
// which makes shards independent of each other for anybody without the seal
// key: a provider cannot regenerate a shard it dropped from the others.
//
// The content key and the seal key are separate. A repair agent that holds only
// the seal key rebuilds missing shards but cannot read them.
//
// The package does no network or disk I/O of its own, knows nothing of providers
// or placement, and does not name shards: the hash of a sealed shard is package
// piece's business. It keeps no state between calls, and its memory is N blocks
// per call whatever the segment's size.
package erasure
