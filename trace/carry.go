package trace

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// Header is how W3C Trace Context names the header that carries a span's ids.
const Header = "Traceparent"

var w3c propagation.TraceContext

// Inject puts the span of ctx into a request's headers; nothing without a span.
func Inject(ctx context.Context, h http.Header) { w3c.Inject(ctx, propagation.HeaderCarrier(h)) }

// Extract returns ctx with the span that a traceparent header names as its
// parent; ctx itself when the header is empty or not valid.
func Extract(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return w3c.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
}

// Traceparent is the header's value for a span.
func Traceparent(s oteltrace.SpanContext) string {
	return "00-" + s.TraceID().String() + "-" + s.SpanID().String() + "-" + s.TraceFlags().String()
}

// ID is the trace id of ctx in hex, empty when it has none.
func ID(ctx context.Context) string {
	if s := oteltrace.SpanContextFromContext(ctx); s.HasTraceID() {
		return s.TraceID().String()
	}
	return ""
}

// silent gives ids and records nothing, so that ids are passed on all the same.
var silent = sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())).Tracer(scope)

// Or returns t, or a tracer that records nothing when t is nil.
func Or(t oteltrace.Tracer) oteltrace.Tracer {
	if t == nil {
		return silent
	}
	return t
}

// Start begins a child of the span in ctx, with the tracer that made that span.
// Without a span in ctx it records nothing.
func Start(ctx context.Context, name string, attrs ...attribute.KeyValue) (context.Context, oteltrace.Span) {
	t := oteltrace.SpanFromContext(ctx).TracerProvider().Tracer(scope)
	return t.Start(ctx, name, oteltrace.WithAttributes(attrs...))
}

// End ends a span. An error makes it failed, unless it was only given up.
func End(s oteltrace.Span, err error) {
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled):
		s.SetAttributes(Given.Bool(true))
	default:
		s.SetStatus(codes.Error, err.Error())
	}
	s.End()
}

// Note adds an event to the span of ctx.
func Note(ctx context.Context, name string, attrs ...attribute.KeyValue) {
	oteltrace.SpanFromContext(ctx).AddEvent(name, oteltrace.WithAttributes(attrs...))
}

// Hex is an attribute of an id.
func Hex(k attribute.Key, id [32]byte) attribute.KeyValue {
	return k.String(hex.EncodeToString(id[:]))
}

// Number is an attribute of a count.
func Number[T ~uint64 | ~int64 | ~uint32 | ~int | ~uint8](k attribute.Key, n T) attribute.KeyValue {
	return k.Int64(int64(n))
}
