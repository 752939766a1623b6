package s3

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v3"
	"github.com/versity/versitygw/s3api/utils"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/grange-network/grange/trace"
	"github.com/grange-network/grange/vertical/storage/s3/internal/catalog"
)

// beginRequest starts the span of a request and puts its ids into the answer.
func beginRequest(tracer oteltrace.Tracer, c fiber.Ctx) oteltrace.Span {
	ctx := trace.Extract(context.Background(), c.Get(trace.Header))
	_, span := tracer.Start(ctx, "S3 "+c.Method(), oteltrace.WithSpanKind(oteltrace.SpanKindServer), oteltrace.WithAttributes(
		trace.Door.Bool(true), attribute.String("url.path", strings.Clone(c.Path())), attribute.String("user_agent.original", strings.Clone(c.Get("User-Agent")))))
	id := span.SpanContext()
	c.Set(trace.Header, trace.Traceparent(id))
	utils.ContextKeyRequestID.Set(c, id.TraceID().String())
	return span
}

// endRequest ends the span of a request with what was answered. A refusal by
// name, such as of a key that is not there, is none of the gateway's failures.
func endRequest(span oteltrace.Span, c fiber.Ctx) {
	// The front end writes the header twice, in two spellings.
	h := &c.Response().Header
	h.Del("X-Amz-Request-Id")
	h.Del(utils.HeaderAmzRequestID)
	h.Set(utils.HeaderAmzRequestID, span.SpanContext().TraceID().String())
	status := c.Response().StatusCode()
	span.SetAttributes(trace.Status.Int(status))
	if status >= http.StatusBadRequest {
		why := explanation(c)
		if status >= http.StatusInternalServerError || status == http.StatusForbidden {
			span.SetStatus(codes.Error, why)
		} else {
			span.SetAttributes(trace.Refused.String(why))
		}
	}
	span.End()
}

// explanation is what a failed answer says: the backend's own words if it left
// any, else the code and message of the XML.
func explanation(c fiber.Ctx) string {
	if err, ok := c.RequestCtx().UserValue(faultKey{}).(error); ok {
		return err.Error()
	}
	if c.Response().IsBodyStream() {
		return http.StatusText(c.Response().StatusCode())
	}
	body := c.Response().Body()
	code, message := element(body, "Code"), element(body, "Message")
	if code == "" {
		return http.StatusText(c.Response().StatusCode())
	}
	return code + ": " + message
}

// element is the text of the first XML element of that name.
func element(body []byte, name string) string {
	_, rest, ok := bytes.Cut(body, []byte("<"+name+">"))
	text, _, closed := bytes.Cut(rest, []byte("</"+name+">"))
	if !ok || !closed {
		return ""
	}
	return string(text)
}

// faultKey is under what fault leaves the error of a request.
type faultKey struct{}

// leave puts the error where the end of the request finds it.
func leave(ctx context.Context, err error) {
	if c, ok := ctx.(interface{ SetUserValue(key, value any) }); ok {
		c.SetUserValue(faultKey{}, err)
	}
}

// spanOf returns the span of the request that ctx, the front end's, is of.
func spanOf(ctx context.Context) (oteltrace.Span, bool) {
	s, ok := ctx.Value(spanKey{}).(oteltrace.Span)
	return s, ok
}

// notePlace says where the bytes of an object are.
func notePlace(ctx context.Context, p catalog.Place) {
	if s, ok := spanOf(ctx); ok {
		s.SetAttributes(trace.Place.String(map[catalog.Place]string{
			catalog.Inline: "catalog", catalog.Journaled: "journal", catalog.Packed: "pack", catalog.Segmented: "segments",
		}[p]))
	}
}

// maxOrigins bounds the journaled objects whose request is remembered.
const maxOrigins = 4096

// origins remembers in which trace a small object was put, until it is packed:
// then the trace of the pack refers to it.
type origins struct {
	mu   sync.Mutex
	byAt map[journalPlace]oteltrace.SpanContext
}

// journalPlace is where a blob begins in the journal.
type journalPlace struct {
	file   uint64
	offset int64
}

func (o *origins) add(ctx context.Context, file uint64, offset int64) {
	s, ok := spanOf(ctx)
	if !ok || !s.SpanContext().IsSampled() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byAt == nil || len(o.byAt) >= maxOrigins {
		o.byAt = map[journalPlace]oteltrace.SpanContext{}
	}
	o.byAt[journalPlace{file, offset}] = s.SpanContext()
}

// maxLinks is how many requests the trace of a pack names.
const maxLinks = 100

// take forgets the blobs and returns the requests that put them.
func (o *origins) take(blobs []catalog.Small) []oteltrace.Link {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []oteltrace.Link
	for _, b := range blobs {
		at := journalPlace{b.File, b.Offset}
		if s, ok := o.byAt[at]; ok && len(out) < maxLinks {
			out = append(out, oteltrace.Link{SpanContext: s})
		}
		delete(o.byAt, at)
	}
	return out
}
