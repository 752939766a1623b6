package statuspage

import (
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/trace"
)

// TestExposition reads /metrics with Prometheus's own parser.
func TestExposition(t *testing.T) {
	r, err := trace.Open(t.Context(), trace.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, span := r.Tracer("storage-02").Start(t.Context(), "serve piece")
	trace.End(span, nil)

	s := sample()
	s.Roles = append(s.Roles,
		node.Info{Name: "storage-02", Kind: "provider", State: node.Ready, Status: map[string]any{"capacity": 100, "used": 7, "pieces": 2, "epoch": 9, "proven": 8, "settled": 8}},
		node.Info{Name: "gateway", Kind: "gateway", State: node.Ready, Status: map[string]any{"bytes": 50, "full": 3, "leases": 5, "exhausted": 1}})
	code, body, _ := getWith(t, "/metrics", s, r)
	if code != 200 {
		t.Fatalf("code %d: %s", code, body)
	}
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	value := func(name string, labels ...string) float64 {
		t.Helper()
		for _, m := range families[name].GetMetric() {
			match := 0
			for i := 0; i+1 < len(labels); i += 2 {
				for _, l := range m.Label {
					if l.GetName() == labels[i] && l.GetValue() == labels[i+1] {
						match++
					}
				}
			}
			if 2*match == len(labels) {
				if h := m.GetHistogram(); h != nil {
					return float64(h.GetSampleCount())
				}
				return m.GetGauge().GetValue()
			}
		}
		t.Errorf("no metric %s%v", name, labels)
		return -1
	}
	for _, c := range []struct {
		want   float64
		name   string
		labels []string
	}{
		{1, "grange_role_ready", []string{"role", "validator"}},
		{0, "grange_role_ready", []string{"role", "storage-01"}},
		{9, "grange_chain_height", nil},
		{7, "grange_provider_used_bytes", []string{"role", "storage-02"}},
		{8, "grange_provider_epoch", []string{"role", "storage-02", "done", "proven"}},
		{3, "grange_gateway_segments", []string{"role", "gateway", "state", "full"}},
		{4, "grange_gateway_leases", []string{"role", "gateway", "escrow", "funded"}},
		{0, "grange_device_proven", []string{"device", "d1"}},
		{1, "grange_operation_duration_seconds", []string{"role", "storage-02", "operation", "serve piece", "outcome", "ok"}},
	} {
		if got := value(c.name, c.labels...); got != c.want {
			t.Errorf("%s%v is %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	for name, f := range families {
		if strings.HasPrefix(name, "grange_") && (f.GetHelp() == "" || strings.ToLower(name) != name) {
			t.Errorf("metric %s has help %q", name, f.GetHelp())
		}
	}
}
