package api

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/grange-network/grange/atlas"
	"github.com/grange-network/grange/atlas/advise"
	"github.com/grange-network/grange/atlas/place"
	"github.com/grange-network/grange/atlas/project"
	"github.com/grange-network/grange/explorer/index"
	"github.com/grange-network/grange/ledger/client"
)

// request is one question.
type request struct {
	*http.Request
	query url.Values
}

func (r *request) text(key string) string { return r.query.Get(key) }

// page reads after and limit.
func (r *request) page() (index.Page, error) {
	n, err := r.number("limit", 0)
	if err != nil {
		return index.Page{}, err
	}
	if r.query.Has("limit") && (n < 1 || n > index.MaxLimit) {
		return index.Page{}, bad("limit %d: want 1 to %d", n, index.MaxLimit)
	}
	return index.Page{After: r.text("after"), Limit: int(n)}, nil
}

// number reads a whole number that is not negative.
func (r *request) number(key string, missing int64) (int64, error) {
	s := r.text(key)
	if s == "" {
		return missing, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, bad("%s %.40q: want a whole number", key, s)
	}
	return n, nil
}

func (r *request) flag(key string) (bool, error) {
	switch s := r.text(key); s {
	case "", "false", "0":
		return false, nil
	case "true", "1":
		return true, nil
	default:
		return false, bad("%s %.40q: want true or false", key, s)
	}
}

// oneOf reads a word out of a list, or nothing.
func (r *request) oneOf(key string, words ...string) (string, error) {
	s := r.text(key)
	if s == "" || slices.Contains(words, s) {
		return s, nil
	}
	return "", bad("%s %.40q: want one of %s", key, s, strings.Join(words, ", "))
}

// pathNumber reads a number out of the path.
func (r *request) pathNumber(key string) (int64, error) {
	s := r.PathValue(key)
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 {
		return 0, bad("%s %.40q: want a number from 1", key, s)
	}
	return n, nil
}

// problem is an answer that says what went wrong.
type problem struct {
	status     int
	code       string
	text       string
	suggestion string
}

// Error is the sentence.
func (p *problem) Error() string { return p.text }

func bad(format string, args ...any) error {
	return &problem{http.StatusBadRequest, "bad_request", fmt.Sprintf(format, args...), "/openapi.yaml says what is understood"}
}

func missing(what string) error {
	return &problem{http.StatusNotFound, "not_found", what, ""}
}

// explain turns an error into a problem.
func explain(err error) *problem {
	var p *problem
	var large *http.MaxBytesError
	var unknown *atlas.NotFoundError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &unknown):
		return &problem{http.StatusNotFound, "not_found", err.Error(), strings.Join(unknown.Nearest, ", ")}
	case errors.Is(err, index.ErrNotFound), errors.Is(err, client.ErrNotFound), errors.Is(err, atlas.ErrNotFound):
		return &problem{http.StatusNotFound, "not_found", err.Error(), ""}
	case errors.As(err, &large):
		return &problem{http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("the question has more than %d bytes", large.Limit), "ask for less at a time"}
	case errors.Is(err, index.ErrBad), errors.Is(err, advise.ErrProfile), errors.Is(err, place.ErrWorkload), errors.Is(err, place.ErrOffer), errors.Is(err, place.ErrTooLarge), errors.Is(err, project.ErrParams):
		return &problem{http.StatusBadRequest, "bad_request", err.Error(), "/openapi.yaml says what is understood"}
	case errors.Is(err, errLedger), errors.Is(err, client.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return &problem{http.StatusServiceUnavailable, "unavailable", err.Error(), "/v1/status says how the index and the node are"}
	}
	var broken *net.OpError
	if errors.As(err, &broken) || errors.Is(err, driver.ErrBadConn) {
		return &problem{http.StatusServiceUnavailable, "unavailable", "the database of the index does not answer", "ask again in a moment"}
	}
	return &problem{http.StatusInternalServerError, "internal", "the explorer could not answer; its log says why", ""}
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody is there to read it
	}
	p := explain(err)
	if p.status == http.StatusInternalServerError {
		s.Log.Error("answer failed", "path", r.URL.Path, "error", err)
	}
	h := w.Header()
	h.Del("ETag")
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.status)
	suggestion := &p.suggestion
	if p.suggestion == "" {
		suggestion = nil
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"error": p.text, "code": p.code, "suggestion": suggestion}) // the reader may be gone
}

// answer asks f and writes what it says in the form that was asked for.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, f func(*request) (any, error)) {
	q := &request{r, r.URL.Query()}
	etag := `"` + strconv.FormatInt(s.Index.Height(), 10) + `"`
	form, err := q.oneOf("as", "json", "csv", "ndjson")
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("ETag", etag)
	w.Header().Set("Cache-Control", "no-cache") // may be kept, must be asked again
	w.Header().Add("Vary", "Accept-Encoding")
	if r.Method != http.MethodPost && r.Header.Get("If-None-Match") == etag && s.same(r.URL.Path) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	v, err := f(q)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.write(w, r, form, v)
}

// same reports whether an answer depends on nothing but the height. What the
// ledger, the data gateway or the clock adds may change between two blocks.
func (s *Server) same(path string) bool {
	return path != "/v1/status" && path != "/v1/consensus" && path != "/v1/validators" && !strings.HasPrefix(path, "/v1/observations/")
}

func (s *Server) write(w http.ResponseWriter, r *http.Request, form string, v any) {
	h := w.Header()
	if t, ok := v.(tabular); ok && (form == "csv" || form == "ndjson") {
		rows, next := t.table()
		if next != nil {
			h.Set("Grange-Next", *next)
		}
		var out bytes.Buffer
		var err error
		if form == "csv" {
			h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
			h.Set("Content-Disposition", `attachment; filename="grange`+strings.ReplaceAll(r.URL.Path, "/", "-")+`.csv"`)
			err = writeCSV(&out, rows)
		} else {
			h.Set("Content-Type", "application/x-ndjson")
			err = writeLines(&out, rows)
		}
		if err != nil {
			h.Del("Content-Disposition")
			s.fail(w, r, err)
			return
		}
		_, _ = w.Write(out.Bytes()) // the reader may be gone
		return
	}
	if form == "csv" || form == "ndjson" {
		s.fail(w, r, bad("as=%s: this answer is not a list", form))
		return
	}
	raw, err := json.Marshal(v)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	if _, ok := v.(cellsAnswer); ok {
		h.Set("Content-Type", "application/geo+json")
	}
	compress(w, r, append(raw, '\n'))
}
