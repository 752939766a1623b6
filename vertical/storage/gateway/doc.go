// Package gateway is the demand side of storage: it turns a stream of bytes
// into sealed pieces on providers of distinct owners, reads them back through
// losses, pays for what it reads, and repairs what is lost.
//
// It holds leases, receipts, commitments and the table of which piece is where,
// in one bbolt file. It does not speak S3 or any client protocol, does not know
// names, buckets or objects, and does not talk to the ledger except through the
// small Ledger interface it declares.
package gateway
