package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func pack(t *testing.T, text string) *fstest.MapFile {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	if _, err := io.WriteString(zw, text); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return &fstest.MapFile{Data: b.Bytes()}
}

func TestHandler(t *testing.T) {
	built := fstest.MapFS{
		"index.html.gz":        pack(t, "the page"),
		"assets/app-1a.js.gz":  pack(t, "the program"),
		"assets/picture.woff2": {Data: []byte("a font")},
	}
	cases := []struct {
		name, method, path, accept string
		dist                       fstest.MapFS
		status                     int
		body, kind, cache          string
	}{
		{"root", "GET", "/", "gzip", built, 200, "the page", "text/html", "no-cache"},
		{"an address in the app", "GET", "/devices/ab12", "gzip, br", built, 200, "the page", "text/html", "no-cache"},
		{"a client without gzip", "GET", "/devices", "", built, 200, "the page", "text/html", "no-cache"},
		{"a file", "GET", "/assets/app-1a.js", "gzip", built, 200, "the program", "text/javascript", "immutable"},
		{"a file that is not packed", "GET", "/assets/picture.woff2", "gzip", built, 200, "a font", "", "immutable"},
		{"an id with a dot", "GET", "/atlas/io.net", "gzip", built, 200, "the page", "text/html", "no-cache"},
		{"no such file", "GET", "/assets/app-2b.js", "gzip", built, 404, "no such file", "text/plain", ""},
		{"a way out", "GET", "/../../etc/passwd", "gzip", built, 200, "the page", "text/html", "no-cache"},
		{"head", "HEAD", "/", "gzip", built, 200, "", "text/html", "no-cache"},
		{"post", "POST", "/", "gzip", built, 405, "only read", "text/plain", ""},
		{"not built", "GET", "/devices", "gzip", fstest.MapFS{}, 200, "make web build", "text/html", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, "/", nil)
			r.URL.Path = c.path
			r.Header.Set("Accept-Encoding", c.accept)
			w := httptest.NewRecorder()
			handler(c.dist).ServeHTTP(w, r)
			if w.Code != c.status {
				t.Fatalf("status %d, want %d", w.Code, c.status)
			}
			if body := text(t, w); !strings.Contains(body, c.body) {
				t.Errorf("body %q, want %q in it", body, c.body)
			}
			h := w.Header()
			if !strings.HasPrefix(h.Get("Content-Type"), c.kind) || !strings.Contains(h.Get("Cache-Control"), c.cache) {
				t.Errorf("type %q and cache %q, want %q and %q", h.Get("Content-Type"), h.Get("Cache-Control"), c.kind, c.cache)
			}
			if c.status == http.StatusOK && h.Get("Content-Security-Policy") != Policy {
				t.Errorf("policy %q, want %q", h.Get("Content-Security-Policy"), Policy)
			}
		})
	}
}

func text(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	if w.Header().Get("Content-Encoding") != "gzip" || w.Body.Len() == 0 {
		return w.Body.String()
	}
	zr, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The whole app stays small enough to be in every program.
func TestSize(t *testing.T) {
	if !Built() {
		t.Skip("the app is not built: make web")
	}
	const most = 900 << 10
	total := int64(0)
	err := fs.WalkDir(Dist(), ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil || total > most {
		t.Fatalf("the app has %d bytes, at most %d are allowed (%v)", total, most, err)
	}
	t.Logf("%d bytes", total)
}

func TestEmbedded(t *testing.T) {
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusOK || w.Body.Len() == 0 {
		t.Fatalf("status %d with %d bytes; built: %v", w.Code, w.Body.Len(), Built())
	}
}
