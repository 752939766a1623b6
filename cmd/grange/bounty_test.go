package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"
)

// An image whose transfer breaks off is not there, or it would be passed over the
// next time as one that is.
func TestFetchLeavesNoHalfImage(t *testing.T) {
	whole := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "8")
		_, _ = w.Write([]byte("half"))
		if whole {
			_, _ = w.Write([]byte("half"))
		}
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	path := filepath.Join(dir, "image.jpg")
	c := &cobra.Command{}
	c.SetContext(t.Context())
	f := dataFlags{gateway: server.URL}
	if err := f.fetch(c, "/", path); err == nil {
		t.Error("half an image is fetched without an error")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v is left: %v", left, err)
	}
	whole = true
	if err := f.fetch(c, "/", path); err != nil {
		t.Error(err)
	}
	if raw, err := os.ReadFile(path); err != nil || string(raw) != "halfhalf" {
		t.Errorf("%q: %v", raw, err)
	}
}
