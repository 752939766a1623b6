package ledgerport

import (
	"context"
	"encoding/hex"
	"strconv"

	sdk "github.com/cosmos/cosmos-sdk/types"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/market"
	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/verify"
)

// traced sends a transaction in a span that names it and where it was included.
func traced(ctx context.Context, send func(context.Context, ...sdk.Msg) (client.Result, error), msgs []sdk.Msg) (client.Result, error) {
	ctx, span := trace.Start(ctx, "transaction")
	if len(msgs) > 0 {
		span.SetAttributes(trace.Key("grange.message").String(sdk.MsgTypeURL(msgs[0])))
	}
	r, err := send(ctx, msgs...)
	if err == nil {
		span.SetAttributes(trace.Tx.String(r.Hash), trace.Number(trace.Height, r.Height))
	}
	for _, m := range msgs {
		if s, ok := m.(*marketpb.MsgSettle); ok {
			noteSettled(ctx, s, r)
		}
	}
	trace.End(span, err)
	return r, err
}

// noteSettled records what the ledger took of a settlement, or was asked to take
// when it refused, and what it paid for it.
func noteSettled(ctx context.Context, m *marketpb.MsgSettle, r client.Result) {
	if !oteltrace.SpanFromContext(ctx).IsRecording() {
		return
	}
	for _, raw := range m.Receipts {
		v, err := receipt.Decode(raw)
		if err != nil {
			continue
		}
		trace.Note(ctx, trace.EventSettled, trace.Hex(trace.Lease, v.Lease), trace.Number(trace.Lane, v.Lane),
			trace.Number(trace.Seq, v.Seq), trace.Number(trace.Units, v.Units), trace.Paid.String(paidFor(v, r)))
	}
	for _, s := range m.Statements {
		trace.Note(ctx, trace.EventStated, trace.Lease.String(hex.EncodeToString(s.Standing)), trace.Number(trace.Units, s.Total), trace.Number(trace.Epoch, s.Epoch))
	}
	for _, raw := range m.Commitments {
		if v, err := receipt.DecodeCommitment(raw); err == nil {
			trace.Note(ctx, trace.EventCommitted, trace.Hex(trace.Lease, v.Lease),
				trace.Number(trace.Revision, v.Revision), trace.Number(trace.Units, v.Units))
		}
	}
}

// paidFor is what the ledger's event says it paid for a receipt, in ucredit;
// empty when there is none.
func paidFor(v receipt.Receipt, r client.Result) string {
	for _, e := range r.Events {
		if e.Type == market.EventSettle && e.Get("lease") == hex.EncodeToString(v.Lease[:]) && e.Get("lane") == strconv.FormatUint(uint64(v.Lane), 10) {
			return e.Get("paid")
		}
	}
	return ""
}

// TraceSender is s with a span for each transaction, which is kept.
func TraceSender(s verify.Sender, t oteltrace.Tracer) verify.Sender {
	return tracedSender{s, trace.Or(t)}
}

type tracedSender struct {
	verify.Sender
	tracer oteltrace.Tracer
}

// Send sends in a trace of its own.
func (t tracedSender) Send(ctx context.Context, msgs ...sdk.Msg) (r client.Result, err error) {
	ctx, span := t.tracer.Start(ctx, "duty", oteltrace.WithAttributes(trace.Keep.Bool(true)))
	defer func() { trace.End(span, err) }()
	return traced(ctx, t.Sender.Send, msgs)
}
