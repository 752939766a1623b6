package api

import (
	"compress/gzip"
	"net/http"
	"strings"
	"sync"
)

// compressFrom is the size in bytes from which an answer is compressed.
const compressFrom = 1400

var writers = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
	return w
}}

// compress writes an answer, gzipped for those who take it.
func compress(w http.ResponseWriter, r *http.Request, b []byte) {
	if len(b) < compressFrom || !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		_, _ = w.Write(b) // the reader may be gone
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	z := writers.Get().(*gzip.Writer)
	defer writers.Put(z)
	z.Reset(w)
	_, _ = z.Write(b) // the reader may be gone
	_ = z.Close()
}

// web serves the app, or words when there is none.
func (s *Server) web() http.Handler {
	if s.Web != nil {
		return s.Web
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			s.fail(w, r, missing("no page "+cut(r.URL.Path, 80)))
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("Grange explorer. The API is at /v1/status; /openapi.yaml lists it.\n")) // the reader may be gone
	})
}
