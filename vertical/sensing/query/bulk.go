package query

import (
	"fmt"
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
	if err := Pay(w, r, h.Till, h.part(b, r)); err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaTypes["parquet"])
	w.Header().Set("ETag", `"`+b.Root.String()+`"`)
	w.Header().Set("Grange-Root", b.Root.String())
	w.Header().Set("Grange-Parts", strconv.Itoa(b.Parts))
	http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(b.Body, 0, b.Bytes))
	return nil
}

// part is what a request for a file costs.
func (h *handler) part(b *store.Bulk, r *http.Request) Rows {
	n := asked(r, b.Bytes, `"`+b.Root.String()+`"`)
	out := Rows{}
	for d, rows := range b.Rows {
		if units := (rows*uint64(n) + uint64(b.Bytes) - 1) / uint64(b.Bytes); units > 0 {
			out[d] = units
		}
	}
	return out
}

// asked is how many bytes a request will get, at most: what net/http makes of its
// header is not known before it is sent.
func asked(r *http.Request, size int64, tag string) int64 {
	if text := r.Header.Get("If-None-Match"); text != "" && names(text, tag) {
		return 0
	}
	if text := r.Header.Get("If-Match"); text != "" && !names(text, tag) {
		return 0
	}
	spec, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	if !ok || r.Header.Get("If-Range") != "" && r.Header.Get("If-Range") != tag {
		return size
	}
	var sum int64
	for one := range strings.SplitSeq(spec, ",") {
		n, err := length(strings.TrimSpace(one), size)
		if err != nil {
			return size
		}
		sum += n
	}
	return min(sum, size)
}

// names reports whether a list of entity tags holds one.
func names(list, tag string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

func length(one string, size int64) (int64, error) {
	first, last, ok := strings.Cut(one, "-")
	if !ok {
		return 0, fmt.Errorf("range %q", one)
	}
	if first == "" {
		n, err := strconv.ParseInt(last, 10, 64)
		return min(max(n, 0), size), err
	}
	from, err := strconv.ParseInt(first, 10, 64)
	if err != nil || last == "" {
		return max(size-from, 0), err
	}
	to, err := strconv.ParseInt(last, 10, 64)
	return max(min(to+1, size)-from, 0), err
}
