package sensing

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/grange-network/grange/vertical/sensing/ingest"
)

// What is refused is counted in the metrics of the process while the gateway runs.
func TestArrivalsAreShown(t *testing.T) {
	s, err := ingest.Open(ingest.Config{Dir: t.TempDir(), ChainID: "test", Registry: town{}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	end := show(s)
	if _, err := s.Accept(t.Context(), []byte("noise")); err == nil {
		t.Error("noise is taken in")
	}
	if got := shown(t)["malformed"]; got != 1 {
		t.Errorf("%v malformed batches, want 1", got)
	}
	if end(); len(shown(t)) != 0 {
		t.Error("a gateway that has ended is still shown")
	}
}

// shown are the batches of the process's metrics by outcome.
func shown(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "grange_sensing_batches_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			out[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
		}
	}
	return out
}
