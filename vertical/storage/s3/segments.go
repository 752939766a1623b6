package s3

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
)

// MaxSegment is the largest number of bytes the door puts into one segment.
const MaxSegment int64 = 64 << 20

// SegmentID names one stored segment. The Segments implementation chooses it.
type SegmentID [32]byte

// String returns the id as 64 lower-case hexadecimal digits.
func (id SegmentID) String() string { return hex.EncodeToString(id[:]) }

// Segments stores opaque byte strings of 1 byte to MaxSegment and is where the
// door keeps object data. Implementations must be safe for concurrent use.
type Segments interface {
	// Put stores exactly size bytes read from r and returns the new segment's
	// id once they are durable. It reads r sequentially and never keeps all of
	// it in memory. If r fails or ends early, Put returns an error that wraps
	// r's error (io.ErrUnexpectedEOF for an early end) and stores nothing that
	// a later Delete would have to name. Two Puts never share an id that one
	// Delete could take away from both.
	Put(ctx context.Context, r io.Reader, size int64) (SegmentID, error)

	// Read writes length bytes of the segment, from offset, to w. It writes
	// only verified bytes, in order; on error what was written is a prefix of
	// what was asked for.
	Read(ctx context.Context, id SegmentID, offset, length int64, w io.Writer) error

	// Delete forgets the segments. An id that is not stored is not an error.
	Delete(ctx context.Context, ids ...SegmentID) error
}

// SegmentLister is an optional ability of a Segments. With it the door deletes,
// at start, segments that were stored but never became part of an object
// because the process died in between.
type SegmentLister interface {
	// List calls yield for every stored segment until yield returns an error,
	// which it then returns.
	List(ctx context.Context, yield func(SegmentID) error) error
}

// Errors of a Segments that clients get to see as more than an internal error.
// Wrap them: the text of the wrapping error is shown to the client, so it must
// be a sentence about what is wrong and what to do, without secrets.
var (
	// ErrInsufficient says that the network cannot take or give the data now:
	// not enough providers are reachable or have room. Retrying later can help.
	// The client gets 503 SlowDown.
	ErrInsufficient = errors.New("not enough storage providers available")

	// ErrReadOnly says that nothing can be stored until the operator acts, for
	// instance because the escrow is spent. The client gets 403 AccessDenied.
	ErrReadOnly = errors.New("storage is read-only")
)
