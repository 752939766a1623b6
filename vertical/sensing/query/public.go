package query

import (
	"compress/gzip"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Public serves next to programs and pages everywhere: pages of any origin may ask
// (a token is sent by who has it, never by a browser on its own), OPTIONS is
// answered, text is packed for clients that take gzip, and a path or a method that
// is not known is refused in JSON.
func Public(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", "Grange-Units, Grange-Units-Left, Grange-Lease, Grange-Note, Grange-Root, Grange-Parts, ETag, Content-Range, Content-Disposition, X-Request-Id")
		if r.Method == http.MethodOptions {
			h.Set("Allow", "GET, HEAD, OPTIONS")
			h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, DELETE")
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Range, If-Range, If-None-Match, Last-Event-ID, Traceparent")
			h.Set("Access-Control-Max-Age", "86400")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		p := &public{ResponseWriter: w, r: r}
		defer p.close()
		next.ServeHTTP(p, r)
	})
}

// public is an answer on its way.
type public struct {
	http.ResponseWriter
	r       *http.Request
	begun   bool
	refused bool // the body is written already
	zip     *gzip.Writer
}

// Unwrap is for http.ResponseController.
func (p *public) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (p *public) WriteHeader(status int) {
	h := p.Header()
	switch media, _, _ := strings.Cut(h.Get("Content-Type"), ";"); {
	case p.begun:
	case (status == http.StatusNotFound || status == http.StatusMethodNotAllowed) && media == "text/plain":
		p.refuse(status) // http.ServeMux says it in its own words
		return
	case status == http.StatusOK && packed[media]:
		h.Add("Vary", "Accept-Encoding")
		if p.r.Method != http.MethodHead && h.Get("Content-Encoding") == "" && takesGzip(p.r) {
			h.Set("Content-Encoding", "gzip")
			h.Del("Content-Length")
			p.zip = zippers.Get().(*gzip.Writer) //nolint:forcetypeassert // there is nothing else in it
			p.zip.Reset(p.ResponseWriter)
		}
	}
	p.begun = true
	p.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (p *public) Write(b []byte) (int, error) {
	if !p.begun {
		p.WriteHeader(http.StatusOK)
	}
	switch {
	case p.refused:
		return len(b), nil
	case p.zip != nil:
		return p.zip.Write(b)
	}
	return p.ResponseWriter.Write(b)
}

func (p *public) refuse(status int) {
	p.begun, p.refused = true, true
	text := "there is nothing at " + strconv.Quote(p.r.URL.Path) + "; GET / lists what there is"
	name := "not_found"
	if status == http.StatusMethodNotAllowed {
		text, name = p.r.Method+" is not for this address, which takes "+p.Header().Get("Allow"), "method_not_allowed"
	}
	says := map[string]any{"error": text, "code": name}
	if strings.HasPrefix(p.r.URL.Path, "/v1.1") {
		says = map[string]any{"code": status, "type": "error", "message": text}
	}
	p.Header().Set("Content-Type", "application/json")
	p.ResponseWriter.WriteHeader(status)
	_ = json.NewEncoder(p.ResponseWriter).Encode(says) // the client may be gone
}

func (p *public) close() {
	if p.zip != nil {
		_ = p.zip.Close() // the client may be gone
		zippers.Put(p.zip)
	}
}

// packed are the media types that gzip makes smaller.
var packed = map[string]bool{"application/json": true, "application/geo+json": true, "text/csv": true, tileType: true}

var zippers = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is one
	return z
}}

// takesGzip reports whether a client asks for gzip.
func takesGzip(r *http.Request) bool {
	for one := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(strings.ReplaceAll(one, " ", ""), ";")
		if q, err := strconv.ParseFloat(strings.TrimPrefix(weight, "q="), 64); name == "gzip" && (err != nil || q > 0) {
			return true
		}
	}
	return false
}
