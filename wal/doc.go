// Package wal is an append-only log of records on one machine's disk: an append
// returns only when its record survives a power cut, and appends that arrive
// together share one fdatasync.
//
// A log is a folder of files. Each begins with a header (magic, sequence number
// of its first record, a salt) and holds batches; a batch is what one fdatasync
// made durable:
//
//	file    magic "GRWAL01\n" 8 | first u64 | salt 12 | crc32c u32
//	batch   magic "GRWB" | body bytes u32 | records u32 | first u64 | crc32c of body u32 | crc32c u32
//	body    per record: length u32 | bytes
//
// All numbers are big endian. The last checksum of a batch covers the file's
// salt and the rest of the batch's header, so bytes that a sender put into a
// record can never pass for a batch.
//
// After a crash the end of the newest file may hold a batch that was never
// acknowledged; Open cuts it off. A bad batch with a good one after it, or in an
// older file, is damage to acknowledged records: Open and Records say so with
// ErrCorrupt and change nothing.
//
// The package does not know what records mean, drops no duplicates, and does
// not copy a log anywhere.
package wal
