package trace_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/grange-network/grange/trace"
)

// receiver is a collector that takes OTLP over HTTP and remembers the names of
// spans by service.
type receiver struct {
	mu   sync.Mutex
	path string
	seen map[string][]string
	ids  map[string]bool
}

func (c *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	raw, err := io.ReadAll(body)
	var req collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(raw, &req)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.path = r.URL.Path
	for _, rs := range req.ResourceSpans {
		service := ""
		for _, a := range rs.Resource.Attributes {
			if a.Key == "service.name" {
				service = a.Value.GetStringValue()
			}
		}
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				c.seen[service] = append(c.seen[service], s.Name)
				c.ids[string(s.TraceId)] = true
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func TestExport(t *testing.T) {
	for _, c := range []struct{ name, env, path string }{
		{"named by configuration", "", "/v1/traces"},
		{"named by the environment", "yes", "/v1/traces"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := &receiver{seen: map[string][]string{}, ids: map[string]bool{}}
			srv := httptest.NewServer(rec)
			defer srv.Close()
			conf := trace.Config{OTLP: srv.URL}
			if c.env != "" {
				t.Setenv(trace.OTLPEnv, srv.URL)
				conf.OTLP = ""
			}
			r, err := trace.Open(t.Context(), conf)
			if err != nil {
				t.Fatal(err)
			}
			request(r.Tracer("gateway"), r.Tracer("storage-01"), 5, nil)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			rec.mu.Lock()
			defer rec.mu.Unlock()
			if rec.path != c.path || len(rec.ids) != 1 || len(rec.seen["grange-gateway"]) != 2 || len(rec.seen["grange-storage"]) != 1 {
				t.Fatalf("path %q, traces %d, spans %v", rec.path, len(rec.ids), rec.seen)
			}
		})
	}
}
