package sensing

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/grange-network/grange/trace"
)

// Each answer names its trace, a refusal's reason is in it, and what is streamed can
// still be flushed.
func TestTraced(t *testing.T) {
	dir := t.TempDir()
	recorder, err := trace.Open(t.Context(), trace.Config{Dir: dir + "/one"})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/fine", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, "a reading")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Errorf("flush: %v", err)
		}
	})
	for path, status := range map[string]int{"/unpaid": 402, "/broken": 503} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, `{"error":"it is %s"}`, path[1:])
		})
	}
	server := httptest.NewServer(traced(recorder.Tracer("sensing-gateway"), mux))
	defer server.Close()
	ids := map[string]string{}
	for _, path := range []string{"/fine", "/unpaid", "/broken"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		ids[path] = resp.Header.Get(requestID)
	}
	server.Close() // waits for requests
	if err := recorder.Close(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]struct{ status, failed, refused string }{
		"/fine": {"200", "", ""}, "/unpaid": {"402", "", "it is unpaid"}, "/broken": {"503", "it is broken", ""},
	} {
		spans, err := trace.Spans(dir, ids[path])
		if err != nil || len(spans) != 1 {
			t.Fatalf("%s: %d spans of trace %q, %v", path, len(spans), ids[path], err)
		}
		if s := spans[0]; s.Attr(trace.Status) != want.status || s.Error != want.failed || s.Attr(trace.Refused) != want.refused || s.Attrs["url.path"] != path {
			t.Errorf("%s: %+v", path, s)
		}
	}
}
