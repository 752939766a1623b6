package trace_test

import (
	"testing"

	"github.com/grange-network/grange/trace"
)

// BenchmarkRequest is the cost of the three spans of a request that reads one
// piece, as long as the limit lets it be stored, beyond it, and with nobody
// recording.
func BenchmarkRequest(b *testing.B) {
	for _, c := range []struct {
		name      string
		perSecond int
	}{{"stored", 1 << 24}, {"beyond-the-limit", 1}} {
		b.Run(c.name, func(b *testing.B) {
			r, err := trace.Open(b.Context(), trace.Config{Dir: b.TempDir(), PerSecond: c.perSecond})
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			gw, p := r.Tracer("gateway"), r.Tracer("storage-01")
			for b.Loop() {
				request(gw, p, 1, nil)
			}
		})
	}
	b.Run("none", func(b *testing.B) {
		var r *trace.Recorder
		for b.Loop() {
			request(r.Tracer("gateway"), r.Tracer("storage-01"), 1, nil)
		}
	})
}
