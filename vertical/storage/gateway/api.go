package gateway

import (
	"context"
	"errors"
	"io"
	"strings"
)

// SegmentID names one stored segment: 32 random bytes chosen by the engine at
// Put. It is also the salt of the segment's encryption and seal keys, so it is
// never reused and never derived from the content.
//
// It is an alias so that a door may declare its own copy of Segments.
type SegmentID = [32]byte

// MaxSegment is the largest plaintext of one segment, in bytes.
const MaxSegment = 64 << 20

// Segments is what a door (S3 and the like) needs from the engine. The caller
// keeps ids and sizes in its own metadata; the engine keeps, in its own durable
// table, where the pieces of each segment are, so that repair may move them.
type Segments interface {
	// Put stores exactly size bytes of r, 1 to MaxSegment, and returns when at
	// least the layout's repair threshold of pieces is durable on distinct
	// owners and the segment is in the engine's table. After an error nothing
	// is kept: pieces already stored are swept. A caller that loses the id
	// (a crash between Put and its own commit) leaves an orphan; see
	// Engine.Sweep.
	Put(ctx context.Context, r io.Reader, size int64) (SegmentID, error)

	// Read writes length bytes of the segment from offset to w, verified,
	// decrypted and in order, with memory bounded by a few stripes. An error
	// after a partial write means that w holds a correct prefix. A negative
	// length reads to the end; a range beyond the end is ErrRange.
	Read(ctx context.Context, id SegmentID, offset, length int64, w io.Writer) error

	// Delete forgets the segments and releases their pieces with the next
	// commitment. It is idempotent: an unknown id is not an error.
	Delete(ctx context.Context, ids ...SegmentID) error
}

// Sentinel errors a door branches on.
var (
	// ErrNotFound: the engine's table has no such segment.
	ErrNotFound = errors.New("segment not found")
	// ErrRange: the asked range is not inside the segment.
	ErrRange = errors.New("range outside segment")
	// ErrTooFewOwners: fewer usable provider owners than the layout needs.
	ErrTooFewOwners = errors.New("too few provider owners")
	// ErrNotStored: an upload ended with fewer durable pieces than the
	// layout's repair threshold.
	ErrNotStored = errors.New("segment not stored")
	// ErrUnrecoverable: fewer than k good pieces can be reached now.
	ErrUnrecoverable = errors.New("segment cannot be read")
	// ErrSize: the size is outside 1..MaxSegment, or r held fewer bytes.
	ErrSize = errors.New("segment size")
	// ErrSpent: the escrow of leases is used up, for holding or for reading, and
	// the policy says not to top it up.
	ErrSpent = errors.New("escrow is exhausted")
	// ErrClosed: the engine is closed.
	ErrClosed = errors.New("gateway closed")
)

// reasons are the failures of several providers: one line, and each can be
// found with errors.Is.
type reasons []error

func (r reasons) Error() string {
	texts := make([]string, len(r))
	for i, err := range r {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (r reasons) Unwrap() []error { return r }
