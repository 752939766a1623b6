// Package store is a provider's durable state: the bytes of pieces, which lease
// holds which piece, the commitments both sides signed, and the state of each
// lane's receipts.
//
// # Layout
//
//	<dir>/pieces/ab/abcd…   one file per piece: its bytes, then its Bao outboard
//	<dir>/tmp/              uploads under way; emptied on Open
//	<dir>/index.db          bbolt: everything else; its lock keeps a second
//	                        process out of the directory
//
// A piece is one file rather than a range of an append-only volume: segments are
// packed before they are cut, so pieces are large enough, a removed piece gives its
// space back at once without compaction, and rename makes a piece appear whole or
// not at all.
//
// # Durability
//
// Put, Commit and SaveLane return after what they wrote survives a power cut: the
// file is synced, renamed and its directory synced before the index that names it
// is committed. One goroutine commits the index for all callers that wait at that
// moment, so they share the syncs. A file the index does not name is a torn write
// and is removed on Open; a file the index names that is missing or has a wrong
// length is reported by Lost.
//
// # Life of a piece in a lease
//
// pending (stored, not committed) → member (in the newest commitment) → removed
// (by a later commitment; kept while the ledger may still ask for it) → gone.
// A piece's file is removed when no lease has it in any of these states.
//
// The package checks that bytes have the name they claim. It does not verify
// signatures, know terms of leases, or talk to anybody.
package store
