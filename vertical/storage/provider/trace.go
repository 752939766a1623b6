package provider

import (
	"context"
	"net/http"
	"strings"

	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/trace"
)

// traced begins the span of a request, in the trace its traceparent header
// names. pattern is the route, which is few words.
func (p *Provider) traced(pattern string, r *http.Request) (*http.Request, oteltrace.Span) {
	method, path, _ := strings.Cut(pattern, " ")
	name := map[string]string{
		"PUT /v1/pieces/{root}": "store piece", "GET /v1/pieces/{root}": "serve piece", "HEAD /v1/pieces/{root}": "look for piece",
		"POST /v1/receipts": "take receipt", "POST /v1/commitments": "take commitment",
	}[pattern]
	if name == "" {
		name = method + " " + path
	}
	ctx, span := p.conf.Tracer.Start(trace.Extract(r.Context(), r.Header.Get(trace.Header)), name,
		oteltrace.WithSpanKind(oteltrace.SpanKindServer),
		oteltrace.WithAttributes(trace.Lease.String(strings.Clone(r.URL.Query().Get("lease"))), trace.Hex(trace.Device, p.conf.Device)))
	return r.WithContext(ctx), span
}

// noteReceipt records that a receipt now has both signatures.
func noteReceipt(ctx context.Context, r receipt.Receipt) {
	oteltrace.SpanFromContext(ctx).SetAttributes(trace.Keep.Bool(true))
	trace.Note(ctx, trace.EventReceipt, trace.Hex(trace.Lease, r.Lease), trace.Number(trace.Lane, r.Lane),
		trace.Number(trace.Seq, r.Seq), trace.Number(trace.Units, r.Units), trace.Number(trace.Epoch, r.Epoch))
}

// noteMeter says how a lane's counts stand after a request.
func noteMeter(ctx context.Context, m receipt.Meter, n uint64) {
	trace.Note(ctx, "metered", trace.Number(trace.Bytes, n), trace.Number(trace.Units, m.Served),
		trace.Number("grange.units_paid", m.Paid), trace.Number("grange.window", m.Window))
}
