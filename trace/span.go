package trace

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Key is the name of an attribute.
type Key = attribute.Key

// Attributes that spans and events carry. Ids are lower-case hex.
const (
	Role     = attribute.Key("grange.role")
	Device   = attribute.Key("grange.device")
	Lease    = attribute.Key("grange.lease")
	Lane     = attribute.Key("grange.lane")
	Units    = attribute.Key("grange.units")    // cumulative units of the lane when this was counted; of a lease without lanes its own
	Unit     = attribute.Key("grange.unit")     // what units are: "row"; empty: bytes
	Sold     = attribute.Key("grange.sold")     // units that this added
	Seq      = attribute.Key("grange.seq")      // of a receipt
	Revision = attribute.Key("grange.revision") // of a commitment
	Roots    = attribute.Key("grange.roots")    // pieces stored, or added by a commitment
	Epoch    = attribute.Key("grange.epoch")
	Paid     = attribute.Key("grange.paid_ucredit")
	Tx       = attribute.Key("grange.tx") // upper-case hex, as the ledger writes it
	Height   = attribute.Key("grange.height")
	Segment  = attribute.Key("grange.segment")
	Shard    = attribute.Key("grange.shard")
	Bytes    = attribute.Key("grange.bytes")
	Place    = attribute.Key("grange.place") // where an object's bytes came from
	Try      = attribute.Key("grange.try")   // data, hedge, spare
	Refused  = attribute.Key("grange.refused")
	Keep     = attribute.Key("grange.keep")      // the span is stored whatever the limit says
	Door     = attribute.Key("grange.door")      // a client's request: the limit decides, not the client
	Given    = attribute.Key("grange.cancelled") // it was given up, not refused
	Status   = attribute.Key("http.response.status_code")
)

// Names of events that join payments to requests.
const (
	// EventReceipt: both sides have signed a receipt {Lease, Lane, Seq, Units, Epoch}.
	EventReceipt = "receipt"
	// EventCommitment: both sides have signed a commitment {Lease, Revision, Units, Roots}.
	EventCommitment = "commitment"
	// EventSettled: the ledger took a receipt {Lease, Lane, Seq, Units, Paid} in the
	// span's transaction.
	EventSettled = "settled"
	// EventCommitted: the ledger took a commitment {Lease, Revision, Units} in the
	// span's transaction.
	EventCommitted = "committed"
	// EventStated: the ledger took a payer's statement of what a standing lease owes
	// in all {Lease, Units, Epoch}, in the span's transaction.
	EventStated = "stated"
)

// maxText bounds one attribute of a stored span, in bytes.
const maxText = 2048

// MaxLine bounds a stored span, in bytes; a longer one is not stored.
const MaxLine = 64 << 10

// Span is one finished span as the store keeps it.
type Span struct {
	Trace  string            `json:"trace"` // 32 hex digits
	ID     string            `json:"span"`  // 16 hex digits
	Parent string            `json:"parent,omitempty"`
	Role   string            `json:"role"` // that recorded it, such as "gateway" or "storage-03"
	Name   string            `json:"name"`
	Start  int64             `json:"start_ns"` // Unix time
	End    int64             `json:"end_ns"`
	Error  string            `json:"error,omitempty"` // why it failed; empty when it did not
	Attrs  map[string]string `json:"attributes,omitempty"`
	Events []Event           `json:"events,omitempty"`
	Links  []string          `json:"links,omitempty"` // traces that this span did work for
}

// Event is something that happened during a span.
type Event struct {
	Name  string            `json:"name"`
	Time  int64             `json:"time_ns"`
	Attrs map[string]string `json:"attributes,omitempty"`
}

// Took is how long the span lasted.
func (s Span) Took() time.Duration { return time.Duration(s.End - s.Start) }

// Began is when the span started.
func (s Span) Began() time.Time { return time.Unix(0, s.Start) }

// Attr returns an attribute, empty when the span has none of that name.
func (s Span) Attr(k attribute.Key) string { return s.Attrs[string(k)] }

// Attr returns an attribute, empty when the event has none of that name.
func (e Event) Attr(k attribute.Key) string { return e.Attrs[string(k)] }

// spanOf takes over a finished span of the SDK.
func spanOf(s sdktrace.ReadOnlySpan) Span {
	c := s.SpanContext()
	out := Span{
		Trace: c.TraceID().String(), ID: c.SpanID().String(), Role: roleOf(s), Name: s.Name(),
		Start: s.StartTime().UnixNano(), End: s.EndTime().UnixNano(), Attrs: texts(s.Attributes()),
	}
	if p := s.Parent(); p.SpanID().IsValid() {
		out.Parent = p.SpanID().String()
	}
	if st := s.Status(); st.Code == codes.Error {
		out.Error = cut(st.Description)
		if out.Error == "" {
			out.Error = "failed without saying why"
		}
	}
	for _, e := range s.Events() {
		out.Events = append(out.Events, Event{Name: e.Name, Time: e.Time.UnixNano(), Attrs: texts(e.Attributes)})
	}
	for _, l := range s.Links() {
		out.Links = append(out.Links, l.SpanContext.TraceID().String())
	}
	return out
}

func roleOf(s sdktrace.ReadOnlySpan) string {
	if v, ok := s.Resource().Set().Value(Role); ok {
		return v.AsString()
	}
	return ""
}

func texts(kv []attribute.KeyValue) map[string]string {
	if len(kv) == 0 {
		return nil
	}
	out := make(map[string]string, len(kv))
	for _, a := range kv {
		if a.Key != Keep {
			out[string(a.Key)] = cut(a.Value.String())
		}
	}
	return out
}

func cut(s string) string { return s[:min(len(s), maxText)] }

// encode is one line of the store.
func (s Span) encode() ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode span %s: %w", s.ID, err)
	}
	if len(b) >= MaxLine {
		return nil, fmt.Errorf("encode span %s: %d bytes, at most %d", s.ID, len(b), MaxLine-1)
	}
	return append(b, '\n'), nil
}

// Decode reads one line of a store. It refuses one that is too long, torn, or
// whose ids are none.
func Decode(line []byte) (Span, error) {
	var s Span
	if len(line) > MaxLine {
		return s, fmt.Errorf("decode span: %d bytes, at most %d", len(line), MaxLine)
	}
	if err := json.Unmarshal(line, &s); err != nil {
		return Span{}, fmt.Errorf("decode span: %w", err)
	}
	if !isHex(s.Trace, 16) || !isHex(s.ID, 8) || s.Parent != "" && !isHex(s.Parent, 8) {
		return Span{}, fmt.Errorf("decode span: ids %q, %q, %q are not 32, 16 and 16 or no hex digits", cut(s.Trace), cut(s.ID), cut(s.Parent))
	}
	return s, nil
}

func isHex(s string, n int) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == n
}
