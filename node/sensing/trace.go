package sensing

import (
	"encoding/json"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/grange-network/grange/trace"
)

// requestID is the header that tells a client the trace of its request.
const requestID = "X-Request-Id"

// traced gives each request a span, in the trace of a valid traceparent header or in
// a new one, whose id is in the answer.
func traced(tracer oteltrace.Tracer, h http.Handler) http.Handler {
	tracer = trace.Or(tracer)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := tracer.Start(trace.Extract(r.Context(), r.Header.Get(trace.Header)), "DATA "+r.Method, oteltrace.WithSpanKind(oteltrace.SpanKindServer),
			oteltrace.WithAttributes(trace.Door.Bool(true), attribute.String("url.path", r.URL.Path), attribute.String("user_agent.original", r.UserAgent())))
		id := span.SpanContext()
		w.Header().Set(trace.Header, trace.Traceparent(id))
		w.Header().Set(requestID, id.TraceID().String())
		heard := &heard{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(heard, r.WithContext(ctx))
		span.SetAttributes(trace.Status.Int(heard.status))
		switch {
		case heard.status >= http.StatusInternalServerError || heard.status == http.StatusForbidden:
			span.SetStatus(codes.Error, heard.why())
		case heard.status >= http.StatusBadRequest:
			span.SetAttributes(trace.Refused.String(heard.why()))
		}
		span.End()
	})
}

// heard listens to what is answered.
type heard struct {
	http.ResponseWriter
	status int
	said   []byte // of a refusal, its first bytes
}

// maxSaid bounds what is kept of a refusal.
const maxSaid = 4 << 10

// WriteHeader implements http.ResponseWriter.
func (h *heard) WriteHeader(status int) {
	h.status = status
	h.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (h *heard) Write(b []byte) (int, error) {
	if h.status >= http.StatusBadRequest && len(h.said) < maxSaid {
		h.said = append(h.said, b[:min(len(b), maxSaid-len(h.said))]...)
	}
	return h.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (h *heard) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// why is the reason in a refusal.
func (h *heard) why() string {
	var said struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(h.said, &said) == nil && said.Error != "" {
		return said.Error
	}
	return http.StatusText(h.status)
}
