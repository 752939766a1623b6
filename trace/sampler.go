package trace

import (
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// sampler records every span, so that failures and counts are complete, and
// marks as sampled those of up to rate new traces per second.
type sampler struct {
	mu   sync.Mutex
	rate float64
	left float64
	at   time.Time
}

func (s *sampler) limit(perSecond int) {
	s.rate, s.left, s.at = float64(perSecond), 10*float64(perSecond), time.Now()
}

// take uses up one trace of the allowance.
func (s *sampler) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.left = min(s.left+s.rate*now.Sub(s.at).Seconds(), 10*s.rate)
	s.at = now
	if s.left < 1 {
		return false
	}
	s.left--
	return true
}

// ShouldSample implements sdktrace.Sampler. A client at a door cannot ask for
// more than the allowance; between roles the parent decides.
func (s *sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	parent := oteltrace.SpanContextFromContext(p.ParentContext)
	out := sdktrace.SamplingResult{Decision: sdktrace.RecordOnly, Tracestate: parent.TraceState()}
	fresh, kept := !parent.IsValid(), false
	for _, a := range p.Attributes {
		fresh = fresh || a.Key == Door
		kept = kept || a.Key == Keep
	}
	if kept || !fresh && parent.IsSampled() || fresh && s.take() {
		out.Decision = sdktrace.RecordAndSample
	}
	return out
}

// Description implements sdktrace.Sampler.
func (s *sampler) Description() string { return "grange: failures, and a number of traces per second" }
