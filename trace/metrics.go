package trace

import (
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// metrics count every span, stored or not.
type metrics struct{ took *prometheus.HistogramVec }

func newMetrics() *metrics {
	return &metrics{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "grange_operation_duration_seconds", Help: "What the roles of this process did, how long it took and how it ended (ok, failed, cancelled).",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	}, []string{"role", "operation", "outcome"})}
}

func (m *metrics) add(s sdktrace.ReadOnlySpan) {
	outcome := "ok"
	if s.Status().Code == codes.Error {
		outcome = "failed"
	} else if cancelled(s) {
		outcome = "cancelled"
	}
	m.took.WithLabelValues(roleOf(s), s.Name(), outcome).Observe(s.EndTime().Sub(s.StartTime()).Seconds())
}

func cancelled(s sdktrace.ReadOnlySpan) bool {
	for _, a := range s.Attributes() {
		if a.Key == Given {
			return true
		}
	}
	return false
}

var droppedDesc = prometheus.NewDesc("grange_trace_spans_dropped_total", "Spans lost because the trace store was too slow.", nil, nil)

// Describe implements prometheus.Collector.
func (r *Recorder) Describe(ch chan<- *prometheus.Desc) {
	if r == nil {
		return
	}
	r.metrics.took.Describe(ch)
	ch <- droppedDesc
}

// Collect implements prometheus.Collector: how long each operation of each role
// took. A span's name is an operation, so names are few.
func (r *Recorder) Collect(ch chan<- prometheus.Metric) {
	if r == nil {
		return
	}
	r.metrics.took.Collect(ch)
	ch <- prometheus.MustNewConstMetric(droppedDesc, prometheus.CounterValue, float64(r.Dropped()))
}
