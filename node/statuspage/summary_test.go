package statuspage

import "testing"

func TestSummaries(t *testing.T) {
	for name, c := range map[string]struct {
		kind   string
		status any
		want   string
	}{
		"provider":          {"provider", map[string]any{"pieces": 3, "used": 1 << 20, "capacity": 64 << 30, "proven": 7}, "3 pieces, 1.0 MiB of 64.0 GiB used, proven in epoch 7"},
		"new provider":      {"provider", map[string]any{"pieces": 1, "used": 0, "capacity": 1 << 30}, "1 piece, 0 B of 1.0 GiB used, nothing proven yet"},
		"gateway":           {"gateway", map[string]any{"segments": 5, "bytes": 2 << 20, "full": 3, "thin": 1, "low": 1}, "5 segments of 2.0 MiB: 3 full, 1 thin, 1 low"},
		"gateway in need":   {"gateway", map[string]any{"segments": 1, "bytes": 0, "unreadable": 1, "exhausted": 1}, "1 segment of 0 B: 0 full, 0 thin, 0 low, 1 unreadable now; the escrow of 1 lease has run dry"},
		"validator":         {"validator", map[string]any{"rpc": "x"}, ""},
		"nothing said":      {"provider", nil, ""},
		"another form":      {"provider", "text", ""},
		"what is no JSON":   {"provider", func() {}, ""},
		"kind of the later": {"whatever", map[string]any{"pieces": 3}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := summary(c.kind, c.status); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
