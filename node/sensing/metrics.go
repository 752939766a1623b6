package sensing

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/grange-network/grange/vertical/sensing/ingest"
)

var batchesTotal = prometheus.NewDesc("grange_sensing_batches_total",
	"Batches that devices sent since the gateway began, by what became of them.", []string{"outcome"}, nil)

// arrivals turns a server's counts into metrics.
type arrivals struct{ *ingest.Server }

// show puts a server's counts among the metrics of the process until the function
// that it returns is called.
func show(s *ingest.Server) (end func()) { return expose(arrivals{s}) }

func expose(c prometheus.Collector) (end func()) {
	if prometheus.Register(c) != nil {
		return func() {} // one gateway of a process is shown
	}
	return func() { prometheus.Unregister(c) }
}

// Describe implements prometheus.Collector.
func (arrivals) Describe(ch chan<- *prometheus.Desc) { ch <- batchesTotal }

// Collect implements prometheus.Collector.
func (a arrivals) Collect(ch chan<- prometheus.Metric) {
	c := a.Counts()
	for _, x := range []struct {
		outcome string
		n       uint64
	}{
		{"accepted", c.Accepted}, {"duplicate", c.Duplicates}, {"malformed", c.Malformed}, {"unknown_device", c.Unknown}, {"signature", c.Signature},
		{"no_kind", c.NoKind}, {"time", c.Time}, {"replay", c.Replayed}, {"fork", c.Forks}, {"rate", c.TooOften}, {"unavailable", c.Failed},
	} {
		ch <- prometheus.MustNewConstMetric(batchesTotal, prometheus.CounterValue, float64(x.n), x.outcome)
	}
}

var auditedTotal = prometheus.NewDesc("grange_sensing_images_audited_total",
	"Stored images that were compared with their records since the gateway began, by what was found.", []string{"outcome"}, nil)

// Describe implements prometheus.Collector.
func (f *findings) Describe(ch chan<- *prometheus.Desc) { ch <- auditedTotal }

// Collect implements prometheus.Collector.
func (f *findings) Collect(ch chan<- prometheus.Metric) {
	f.mu.Lock()
	counts := f.counts
	f.mu.Unlock()
	for o, n := range counts {
		ch <- prometheus.MustNewConstMetric(auditedTotal, prometheus.CounterValue, float64(n), outcome(o).String())
	}
}
