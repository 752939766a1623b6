// Package s3 is the S3 door of the storage vertical: an HTTP server that speaks
// the Amazon S3 API to any client and keeps the objects in a segment store.
//
// The protocol (signatures, streaming bodies, policies, CORS) is versitygw's;
// this package is its backend. It keeps an ordered catalog of buckets, objects
// and uploads in one bbolt file, so listings are exact, conditional writes are
// atomic and a copy moves no data. Object bytes live in three places by size:
// up to 4 KiB in the catalog itself; below 1 MiB in a durable local journal,
// from where they are packed into segments in the background; everything else
// in segments of at most 64 MiB, streamed with bounded memory.
//
// A write is acknowledged only after its bytes and its catalog entry are
// durable. What a crash or a refused upload leaves behind is deleted later.
//
// The package does not encrypt, place, repair or pay for segments (the Segments
// it is given does), does not do TLS, and runs one server per process, because
// versitygw keeps package-level state. Object ACLs, S3 Select and restore answer
// NotImplemented.
package s3
