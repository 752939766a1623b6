// Package provider is the supply side of storage: it keeps pieces, serves them to
// the payers of its leases, takes their receipts, agrees with them on what is held,
// proves each epoch that it is held, and posts what the ledger owes it for.
//
// # HTTP API, version 1
//
// Handler serves it on any listener whose connections carry the peer's ed25519 key
// (package tunnel). The peer is authorised by its key alone: it must be the session
// key of a lane of the lease named in the query. All binary values in paths, queries
// and JSON are lower-case hex; a receipt in the Grange-Receipt header is base64.
//
//	PUT  /v1/pieces/{root}?lease=   body: the piece, Content-Length 1..32 MiB.
//	     201 durable, 200 had it, 402 lease not open, 413, 422 wrong root, 507 full
//	GET  /v1/pieces/{root}?lease=&offset=&length=   Bao slice of the range; request
//	     header Grange-Receipt pays on the way, answer header is the newest receipt
//	     with both signatures. Range defaults to the whole piece. length bytes count
//	     as served on the lane of the peer's key. 402 beyond the window
//	HEAD /v1/pieces/{root}?lease=   200 with Grange-Piece-Size, or 404
//	POST /v1/receipts?lease=        220 bytes → 220 bytes countersigned; 409 stale
//	GET  /v1/receipts?lease=&lane=  newest countersigned receipt; 404 when none
//	POST /v1/commitments            {"lease","revision","root","units","payer_sig",
//	     "add":[root…],"remove":[root…]} → the same with provider_sig, without add
//	     and remove. Adding what is a member and removing what is not change nothing.
//	     409 with the provider's own revision, root and units when they differ, or
//	     with "missing":[root…] when pieces to add are not stored
//	GET  /v1/commitments?lease=     newest countersigned commitment; 404 when none
//	GET  /v1/sets?lease=            {"revision","root","units","pieces":[{"root",
//	     "size"}…]}: what the newest commitment holds, for a payer that lost its state
//	GET  /v1/status                 capacity, used, pieces, leases, epoch
//
// Every refusal is JSON {"error": sentence, "code": word, …}. A 402 with code
// receipt_due carries units_served, units_paid, window and available: a request of at
// most available units would be served now.
//
// # Duties
//
// Run is driven by the caller's block events. Once per epoch, as soon as the seed is
// out, it proves; late in the epoch it posts the newest receipts and commitments that
// the ledger does not have yet; then it sweeps: pieces removed before the commitment
// in force, pieces uploaded and not committed for 48 hours, and all of closed leases.
// What fails is tried again at later blocks and shown in Status.
//
// The package does not post offers, open tunnels, hold coins or set prices, and it
// reads the ledger only through the interfaces it declares.
package provider
