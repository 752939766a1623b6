package s3

import (
	"context"
	"errors"
	"net/http"
	"syscall"

	"github.com/versity/versitygw/s3err"

	"github.com/grange-network/grange/vertical/storage/s3/internal/catalog"
)

// fault turns an error into one the front end shows to the client: catalog
// answers and Segments errors become the S3 errors they mean; anything else is
// logged and becomes InternalError.
func (d *door) fault(ctx context.Context, op, bucket, key string, err error) error {
	if err == nil {
		return nil
	}
	leave(ctx, err)
	if serr := clientError(bucket, err); serr != nil {
		return serr
	}
	level := d.log.ErrorContext
	if errors.Is(err, context.Canceled) {
		level = d.log.DebugContext
	}
	args := []any{"op", op, "bucket", bucket, "key", key, "err", err}
	if s, ok := spanOf(ctx); ok {
		args = append(args, "trace", s.SpanContext().TraceID())
	}
	level(ctx, "s3 request failed", args...)
	return s3err.GetAPIError(s3err.ErrInternalError)
}

// clientError returns the S3 error that err stands for, or nil.
func clientError(bucket string, err error) error {
	var serr s3err.S3Error
	switch {
	case errors.As(err, &serr):
		return serr
	case errors.Is(err, catalog.ErrNoBucket):
		return s3err.GetBucketErr(s3err.ErrNoSuchBucket, bucket)
	case errors.Is(err, catalog.ErrNoKey):
		return s3err.GetAPIError(s3err.ErrNoSuchKey)
	case errors.Is(err, catalog.ErrVersionsLeft):
		return s3err.GetBucketErr(s3err.ErrVersionedBucketNotEmpty, bucket)
	case errors.Is(err, catalog.ErrNotEmpty):
		return s3err.GetBucketErr(s3err.ErrBucketNotEmpty, bucket)
	case errors.Is(err, ErrReadOnly):
		return s3err.APIError{Code: "AccessDenied", Description: err.Error(), HTTPStatusCode: http.StatusForbidden}
	case errors.Is(err, ErrInsufficient):
		return s3err.APIError{Code: "SlowDown", Description: err.Error(), HTTPStatusCode: http.StatusServiceUnavailable}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return s3err.APIError{
			Code: "SlowDown", HTTPStatusCode: http.StatusServiceUnavailable,
			Description: "the gateway's own disk is full; free space in its home directory and try again",
		}
	case errors.Is(err, catalog.ErrClosed):
		return s3err.APIError{
			Code: "ServiceUnavailable", HTTPStatusCode: http.StatusServiceUnavailable,
			Description: "the gateway is shutting down; try again shortly",
		}
	default:
		return nil
	}
}
