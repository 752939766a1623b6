package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// scope names our instrumentation in exported spans.
const scope = "github.com/grange-network/grange"

// OTLPEnv is the variable that names a collector, as OpenTelemetry has it.
const OTLPEnv = "OTEL_EXPORTER_OTLP_ENDPOINT"

// Config of a Recorder. Zero values mean the stated defaults.
type Config struct {
	Dir       string        // the process's own folder of the store, created; empty: nothing is stored
	PerSecond int           // traces that are recorded whole per second, in bursts of ten times as many; 200
	MaxBytes  int64         // size of the folder; 32 MiB
	MaxAge    time.Duration // older files are deleted; 48 h
	// OTLP is the URL of a collector that takes OTLP over HTTP, such as
	// http://127.0.0.1:4318; empty: as OTEL_EXPORTER_OTLP_ENDPOINT says, none
	// without it.
	OTLP string
	Log  *slog.Logger // discard
}

// flushEvery is how long a span waits for its way to disk at most.
const flushEvery = 100 * time.Millisecond

// maxQueue bounds the spans that wait; more are dropped and counted.
const maxQueue = 16 << 10

// Recorder takes the spans of all roles of one process. It is safe for
// concurrent use. Nobody waits for it: what it cannot take is dropped.
type Recorder struct {
	conf    Config
	store   *store
	batch   sdktrace.SpanProcessor // to the collector; nil without one
	sampler sampler
	metrics *metrics

	mu      sync.Mutex
	queue   []sdktrace.ReadOnlySpan
	dropped uint64

	stop chan struct{}
	done chan struct{}
}

var _ sdktrace.SpanProcessor = (*Recorder)(nil)

// disabled is OpenTelemetry's switch: nothing is recorded when it is "true".
const disabled = "OTEL_SDK_DISABLED"

// Open starts a recorder. Close ends it. It returns nil, which records nothing,
// when the environment has OTEL_SDK_DISABLED=true.
func Open(ctx context.Context, c Config) (*Recorder, error) {
	if strings.EqualFold(os.Getenv(disabled), "true") {
		return nil, nil
	}
	if c.PerSecond == 0 {
		c.PerSecond = 200
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 32 << 20
	}
	if c.MaxAge == 0 {
		c.MaxAge = 48 * time.Hour
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	r := &Recorder{conf: c, metrics: newMetrics(), stop: make(chan struct{}), done: make(chan struct{})}
	r.sampler.limit(c.PerSecond)
	var err error
	if r.batch, err = exporter(ctx, c); err != nil {
		return nil, err
	}
	if c.Dir != "" {
		if r.store, err = openStore(c.Dir, c.MaxBytes, c.MaxAge); err != nil {
			return nil, err
		}
	}
	go r.write()
	return r, nil
}

// exporter makes the way to the collector.
func exporter(ctx context.Context, c Config) (sdktrace.SpanProcessor, error) {
	var o []otlptracehttp.Option
	switch {
	case c.OTLP != "":
		url := strings.TrimSuffix(c.OTLP, "/")
		if !strings.HasSuffix(url, "/v1/traces") {
			url += "/v1/traces"
		}
		o = append(o, otlptracehttp.WithEndpointURL(url))
	case os.Getenv(OTLPEnv) == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "":
		return nil, nil
	}
	e, err := otlptracehttp.New(ctx, o...)
	if err != nil {
		return nil, fmt.Errorf("export traces to %s: %w", c.OTLP, err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { c.Log.Warn("traces not exported", "err", err) }))
	return sdktrace.NewBatchSpanProcessor(e), nil
}

// maxValue bounds what is kept of a text: a client can send paths and names of
// programs of a megabyte, in each request.
const maxValue = 4 << 10

// Tracer makes the tracer of one role, such as "gateway" or "storage-03". A nil
// recorder's records nothing.
func (r *Recorder) Tracer(role string) oteltrace.Tracer {
	if r == nil {
		return Or(nil)
	}
	limits := sdktrace.NewSpanLimits()
	limits.AttributeValueLengthLimit = maxValue
	o := []sdktrace.TracerProviderOption{
		sdktrace.WithSampler(&r.sampler), sdktrace.WithSpanProcessor(r), sdktrace.WithRawSpanLimits(limits),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "grange-"+kind(role)), attribute.String("service.instance.id", role), Role.String(role))),
	}
	if r.batch != nil {
		o = append(o, sdktrace.WithSpanProcessor(r.batch))
	}
	return sdktrace.NewTracerProvider(o...).Tracer(scope)
}

// kind is a role's name without its number.
func kind(role string) string { return strings.TrimRight(role, "-0123456789") }

// Close writes what is left and closes the store.
func (r *Recorder) Close() error {
	if r == nil {
		return nil
	}
	close(r.stop)
	<-r.done
	var errs []error
	if r.batch != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		errs = append(errs, r.batch.Shutdown(ctx))
	}
	if r.store != nil {
		errs = append(errs, r.store.close())
	}
	return errors.Join(errs...)
}

// Dropped is how many spans were lost because the disk was too slow.
func (r *Recorder) Dropped() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dropped
}

// OnStart implements sdktrace.SpanProcessor.
func (r *Recorder) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements sdktrace.SpanProcessor: it counts the span, and queues it when
// it is to be stored.
func (r *Recorder) OnEnd(s sdktrace.ReadOnlySpan) {
	r.metrics.add(s)
	if r.store == nil || !kept(s) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) >= maxQueue {
		r.dropped++
		return
	}
	r.queue = append(r.queue, s)
}

// kept reports whether a span is stored: it is of a trace that is recorded, it
// failed, or it says so itself.
func kept(s sdktrace.ReadOnlySpan) bool {
	if s.SpanContext().IsSampled() || s.Status().Code == codes.Error {
		return true
	}
	for _, a := range s.Attributes() {
		if a.Key == Keep {
			return true
		}
	}
	return false
}

// Shutdown implements sdktrace.SpanProcessor; Close is what ends a recorder.
func (r *Recorder) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdktrace.SpanProcessor.
func (r *Recorder) ForceFlush(context.Context) error { return nil }

// write brings the queue to disk until the recorder is closed.
func (r *Recorder) write() {
	defer close(r.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	said := false
	for last := false; !last; {
		select {
		case <-tick.C:
		case <-r.stop:
			last = true
		}
		r.mu.Lock()
		batch := r.queue
		r.queue = nil
		r.mu.Unlock()
		if len(batch) == 0 {
			continue
		}
		err := r.store.add(batch)
		if err != nil && !said {
			r.conf.Log.Warn("traces not stored", "err", err)
		}
		said = err != nil
	}
}
