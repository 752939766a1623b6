package query

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical/sensing/store"
)

// bulk hands out a file as it is stored. What is paid is in proportion to the
// bytes that are asked for, a row at least.
func (h *handler) bulk(w http.ResponseWriter, r *http.Request) error {
	kind, err := h.kind(r.PathValue("kind"))
	if err != nil {
		return err
	}
	if h.Store.Moving(kind) {
		return errMoving(kind)
	}
	day, err := time.Parse(time.DateOnly, r.PathValue("day"))
	if err != nil || day.Unix() < 0 {
		return bad("day %.20q: want it as 2026-03-27", r.PathValue("day"))
	}
	name, isParquet := strings.CutSuffix(r.PathValue("file"), ".parquet")
	cell, err := h3.Parse(name)
	if err != nil || !isParquet || cell.Resolution() != store.ParentResolution {
		return bad("file %.40q: want CELL.parquet with an H3 cell of resolution %d", r.PathValue("file"), store.ParentResolution)
	}
	number, err := strconv.Atoi("0" + r.URL.Query().Get("part"))
	if err != nil {
		return bad("part=%.20q: want a number from 0", r.URL.Query().Get("part"))
	}
	b, ok, err := h.Store.Bulk(r.Context(), kind, segment.DayOf(day), cell, number)
	if err != nil {
		return err
	}
	if !ok {
		return missing("%s of %s in %s: there is no file %d; the newest readings are in none yet", kind, day.Format(time.DateOnly), cell, number)
	}
	defer b.Close()
	w.Header().Set("Content-Type", mediaTypes["parquet"])
	w.Header().Set("ETag", `"`+b.Root.String()+`"`)
	if err := Pay(w, r, h.Till, part(b, sent(w, r, b))); err != nil {
		return err
	}
	w.Header().Set("Grange-Root", b.Root.String())
	w.Header().Set("Grange-Parts", strconv.Itoa(b.Parts))
	serveFile(w, r, b)
	return nil
}

func serveFile(w http.ResponseWriter, r *http.Request, b *store.Bulk) {
	http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(b.Body, 0, b.Bytes))
}

// part is what so many bytes of a file cost.
func part(b *store.Bulk, bytes int64) Rows {
	n, size := uint64(min(bytes, b.Bytes)), uint64(b.Bytes)
	out := Rows{}
	for d, rows := range b.Rows {
		if units := (rows*n + size - 1) / size; units > 0 {
			out[d] = units
		}
	}
	return out
}

// sent is how many bytes of a file answer a request: what net/http makes of its
// header, it says itself, to an answer that ends where its body begins.
func sent(w http.ResponseWriter, r *http.Request, b *store.Bulk) int64 {
	a := &head{header: w.Header().Clone()}
	serveFile(a, r, b)
	return a.length
}

// head is an answer of which only the head counts.
type head struct {
	header http.Header
	length int64 // of the body, where that is of the file
}

// Header implements http.ResponseWriter.
func (a *head) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *head) WriteHeader(status int) {
	if status == http.StatusOK || status == http.StatusPartialContent {
		a.length, _ = strconv.ParseInt(a.header.Get("Content-Length"), 10, 64) // net/http wrote it
	}
}

// Write implements http.ResponseWriter.
func (a *head) Write([]byte) (int, error) { return 0, errHead }

var errHead = errors.New("the head is enough")
