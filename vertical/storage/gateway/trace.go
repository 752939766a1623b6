package gateway

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/vertical/storage/piece"
)

// span begins a span of the engine, a part of the one in ctx if there is one.
func (e *Engine) span(ctx context.Context, name string, attrs ...attribute.KeyValue) (context.Context, oteltrace.Span) {
	return e.conf.Tracer.Start(ctx, name, oteltrace.WithAttributes(attrs...))
}

// pieceSpan begins the span of one piece at one provider.
func (e *Engine) pieceSpan(ctx context.Context, name string, seg *Segment, shard int, try string) (context.Context, oteltrace.Span) {
	return e.span(ctx, name, trace.Hex(trace.Segment, seg.ID), trace.Number(trace.Shard, shard), trace.Try.String(try))
}

// noteLink says with whom the span of ctx deals.
func (l *link) noteLink(ctx context.Context) {
	oteltrace.SpanFromContext(ctx).SetAttributes(trace.Hex(trace.Device, l.view().Provider.Device), trace.Hex(trace.Lease, l.id))
}

// noteUsed says up to which count of the lane the span of ctx has used it.
func (l *link) noteUsed(ctx context.Context, n int) {
	used, _ := l.meter.spent()
	oteltrace.SpanFromContext(ctx).SetAttributes(trace.Number(trace.Lane, l.lane), trace.Number(trace.Units, used), trace.Number(trace.Bytes, n))
}

// noteReceipt records that both sides have signed r.
func noteReceipt(ctx context.Context, r receipt.Receipt) {
	oteltrace.SpanFromContext(ctx).SetAttributes(trace.Keep.Bool(true))
	trace.Note(ctx, trace.EventReceipt, trace.Hex(trace.Lease, r.Lease), trace.Number(trace.Lane, r.Lane),
		trace.Number(trace.Seq, r.Seq), trace.Number(trace.Units, r.Units), trace.Number(trace.Epoch, r.Epoch))
}

// noteCommitment records that both sides have signed c, which adds pieces.
func noteCommitment(ctx context.Context, c receipt.Commitment, added []piece.Root) {
	trace.Note(ctx, trace.EventCommitment, trace.Hex(trace.Lease, c.Lease), trace.Number(trace.Revision, c.Revision),
		trace.Number(trace.Units, c.Units), trace.Roots.String(trace.RootList(added)))
}
