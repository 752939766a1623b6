package query

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing/store"
)

// noteHeader says in words why an answer is empty, in every format, and why HEAD is
// refused.
const noteHeader = "Grange-Note"

// note tells who gets nothing why that may be, as far as it is free to know: what is
// measured in the cell and when, which /v1/stations lists.
func (h *handler) note(w http.ResponseWriter, q *store.Query, found int) string {
	if found > 0 {
		return ""
	}
	text := h.why(q)
	w.Header().Set(noteHeader, text)
	return text
}

func (h *handler) why(q *store.Query) string {
	low, high := q.Cell.Within()
	parent := q.Cell.Parent(min(q.Cell.Resolution(), h3.PublishedResolution))
	first, last := time.Time{}, time.Time{}
	near := false // a station of the cell that this one lies in
	for _, x := range h.Store.Streams() {
		if q.Kind != "" && x.Kind != q.Kind || len(q.Variables) > 0 && !slices.Contains(q.Variables, x.Variable) {
			continue
		}
		near = near || parent == h3.Cell(x.Cell)
		if at := h3.Cell(x.Cell); at.Place() < low || at.Place() > high || at.Resolution() < q.Cell.Resolution() {
			continue
		}
		from, to := time.UnixMilli(x.First).UTC(), time.UnixMilli(x.Time).UTC()
		if first.IsZero() || from.Before(first) {
			first = from
		}
		if to.After(last) {
			last = to
		}
	}
	switch {
	case !first.IsZero():
		return fmt.Sprintf("nothing from %s to %s is as asked; what is asked for was measured in this cell from %s to %s",
			q.From.Format(time.RFC3339), q.To.Format(time.RFC3339), first.Format(time.RFC3339), last.Format(time.RFC3339))
	case near && parent != q.Cell:
		return fmt.Sprintf("stations are told by cells of resolution %d: ask for %s, in which this one lies", h3.PublishedResolution, parent)
	}
	return "no station in this cell measures what is asked for; /v1/stations lists what is measured where"
}
