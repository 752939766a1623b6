package s3

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strings"
)

// Trace identifies a request across programs as W3C Trace Context does.
type Trace struct {
	ID   [16]byte
	Span [8]byte
}

// String returns the traceparent header, version 00, sampled.
func (t Trace) String() string {
	return "00-" + hex.EncodeToString(t.ID[:]) + "-" + hex.EncodeToString(t.Span[:]) + "-01"
}

// newTrace continues the trace of a traceparent header, or begins a new one if
// there is none or it is not valid.
func newTrace(header string) Trace {
	var t Trace
	_, _ = rand.Read(t.Span[:])
	f := strings.Split(header, "-")
	if len(f) >= 4 && f[0] != "ff" && len(f[1]) == 32 {
		if _, err := hex.Decode(t.ID[:], []byte(f[1])); err == nil && t.ID != [16]byte{} {
			return t
		}
	}
	_, _ = rand.Read(t.ID[:])
	return t
}

type traceContextKey struct{}

// TraceOf returns the trace of the request that ctx, as given to a Segments,
// belongs to. Work in the background has none.
func TraceOf(ctx context.Context) (Trace, bool) {
	t, ok := ctx.Value(traceContextKey{}).(Trace)
	return t, ok
}
