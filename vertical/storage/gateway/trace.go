package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
)

type traceKey struct{}

// WithTrace attaches the 16-byte trace id of a client's request; the engine
// passes it on to providers as a W3C traceparent header and logs it.
func WithTrace(ctx context.Context, id [16]byte) context.Context {
	return context.WithValue(ctx, traceKey{}, id)
}

// traceOf returns the trace id of ctx, or false.
func traceOf(ctx context.Context) ([16]byte, bool) {
	id, ok := ctx.Value(traceKey{}).([16]byte)
	return id, ok
}

// withAnyTrace makes sure that ctx has a trace id.
func withAnyTrace(ctx context.Context) context.Context {
	if _, ok := traceOf(ctx); ok {
		return ctx
	}
	var id [16]byte
	rand.Read(id[:])
	return WithTrace(ctx, id)
}

// traceparent renders the header: version 00, trace id, a fresh span id, sampled.
func traceparent(ctx context.Context) string {
	id, ok := traceOf(ctx)
	if !ok {
		return ""
	}
	var span [8]byte
	rand.Read(span[:])
	return "00-" + hex.EncodeToString(id[:]) + "-" + hex.EncodeToString(span[:]) + "-01"
}

// traceText is the id for logs; empty when there is none.
func traceText(ctx context.Context) string {
	id, ok := traceOf(ctx)
	if !ok {
		return ""
	}
	return hex.EncodeToString(id[:])
}
