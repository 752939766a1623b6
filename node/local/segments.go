package local

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/grange-network/grange/vertical/storage/gateway"
	"github.com/grange-network/grange/vertical/storage/s3"
)

// segments is the gateway's engine as the S3 door needs it: the two packages do
// not know each other.
type segments struct{ e *gateway.Engine }

var (
	_ s3.Segments      = segments{}
	_ s3.SegmentLister = segments{}
)

func (s segments) Put(ctx context.Context, r io.Reader, size int64) (s3.SegmentID, error) {
	id, err := s.e.Put(ctx, r, size)
	return id, forClient(err)
}

func (s segments) Read(ctx context.Context, id s3.SegmentID, offset, length int64, w io.Writer) error {
	return forClient(s.e.Read(ctx, id, offset, length, w))
}

func (s segments) Delete(ctx context.Context, ids ...s3.SegmentID) error {
	plain := make([]gateway.SegmentID, len(ids))
	for i, id := range ids {
		plain[i] = id
	}
	return s.e.Delete(ctx, plain...)
}

func (s segments) List(ctx context.Context, yield func(s3.SegmentID) error) error {
	return s.e.List(ctx, func(id gateway.SegmentID) error { return yield(id) })
}

// forClient says what an S3 client can do about an error of the engine.
func forClient(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gateway.ErrSpent):
		return fmt.Errorf("%w: %w: add to it with: grange lease fund LEASE CREDITS (grange lease list shows which), or start with --no-topup=false", s3.ErrReadOnly, err)
	case errors.Is(err, gateway.ErrTooFewOwners), errors.Is(err, gateway.ErrNotStored), errors.Is(err, gateway.ErrUnrecoverable):
		return fmt.Errorf("%w: %w: start more providers or try again later", s3.ErrInsufficient, err)
	}
	return err
}
