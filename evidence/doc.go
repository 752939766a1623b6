// Package evidence publishes what an epoch of a vertical was scored from, and
// fetches it by root: Parquet segments (package segment) and one manifest per
// epoch and vertical, in any Store: a plain directory or any S3, the network's
// own included.
//
//	VERTICAL/segments/KIND/PARENT/DAY/ROOT.parquet
//	VERTICAL/epochs/EPOCH (20 digits)/INPUTS-ROOT.json
//
// The inputs root is the root of the Merkle tree (RFC 6962) over the sorted
// encodings of the manifest's segments: name, rows, root, size and SHA-256 of
// the file. A manifest is written after all its segments, so one that is there
// was complete. Who has the root needs to trust neither store nor publisher.
//
// Fetch is all or nothing. Whatever keeps it from handing out exactly the bytes
// behind a root is ErrUnavailable: the caller scores nothing for that epoch and
// waits; reports are cumulative, so the next one pays what is owed.
//
// The package does not score, does not know the ledger, and does not decide how
// long evidence is kept.
package evidence
