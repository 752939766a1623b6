package query

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing/store"
)

// Resolutions of cells that may be asked for.
const (
	coarsest = store.ParentResolution
	finest   = 10
)

func parseCell(text string) (h3.Cell, error) {
	c, err := h3.Parse(text)
	if err != nil {
		return 0, bad("%v", err)
	}
	if r := c.Resolution(); r < coarsest || r > finest {
		return 0, bad("cell %s has resolution %d, want %d to %d", c, r, coarsest, finest)
	}
	return c, nil
}

// parseTime reads RFC 3339, a date, or Unix seconds.
func parseTime(name, text string) (time.Time, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 && n < 1<<34 {
		return time.Unix(n, 0).UTC(), nil
	}
	text = strings.Replace(text, " ", "+", 1) // of a zone, which nobody escaped
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil && t.Unix() >= 0 {
			return t.UTC(), nil
		}
	}
	return time.Time{}, bad("%s=%.40q: want a time as 2026-03-27T12:00:00Z, 2026-03-27, or Unix seconds", name, text)
}

// times reads from and to; a day up to now without them.
func (h *handler) times(v url.Values, most time.Duration) (from, to time.Time, err error) {
	to = h.Now().UTC().Add(time.Minute).Truncate(time.Second)
	if text := v.Get("to"); text != "" {
		if to, err = parseTime("to", text); err != nil {
			return from, to, err
		}
	}
	from = to.Add(-24 * time.Hour)
	if text := v.Get("from"); text != "" {
		if from, err = parseTime("from", text); err != nil {
			return from, to, err
		}
	}
	return from, to, spanOf(from, to, most)
}

// spanOf refuses a time that ends before it begins or is longer than most.
func spanOf(from, to time.Time, most time.Duration) error {
	switch span := to.Sub(from); {
	case span <= 0:
		return bad("from %s to %s: want a span that ends after it begins; to is not within it", from.Format(time.RFC3339), to.Format(time.RFC3339))
	case span > most:
		return bad("from %s to %s: want a span of at most %d days", from.Format(time.RFC3339), to.Format(time.RFC3339), int(most.Hours()/24))
	}
	return nil
}

func (h *handler) variables(v url.Values) ([]string, error) {
	var out []string
	for _, text := range v["var"] {
		for name := range strings.SplitSeq(text, ",") {
			if name != "" {
				out = append(out, name)
			}
		}
	}
	if len(out) > maxNames {
		return nil, bad("%d variables, want at most %d", len(out), maxNames)
	}
	if len(out) == 0 {
		return nil, nil
	}
	known := h.known()
	for _, name := range out {
		if !known[name] {
			return nil, bad("var=%.40q: nothing of that name is measured, want one of %s", name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
	}
	return out, nil
}

// known are the variables that are told of single devices.
func (h *handler) known() map[string]bool {
	known := map[string]bool{}
	for _, k := range h.Store.Kinds() {
		if !h.Store.Moving(k.Name) {
			for _, name := range k.Variables {
				known[name] = true
			}
		}
	}
	for _, x := range h.Store.Streams() {
		known[x.Variable] = true
	}
	return known
}

// refused are the bits that rows must not have.
func refused(text string) (uint32, error) {
	switch text {
	case "", "any":
		return 0, nil
	case "good":
		return ^uint32(0), nil
	}
	n, err := strconv.ParseUint(text, 0, 32)
	if err != nil {
		return 0, bad("qc=%.20q: want any, good, or the bits that rows must not have", text)
	}
	return uint32(n), nil
}

func (h *handler) kind(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	var all []string
	for _, k := range h.Store.Kinds() {
		if k.Name == name {
			return name, nil
		}
		all = append(all, k.Name)
	}
	return "", missing("kind %.40q: there is none of that name, want one of %s", name, strings.Join(all, ", "))
}

// request reads what the parameters select.
func (h *handler) request(cell string, v url.Values, most time.Duration) (q store.Query, err error) {
	if q.Cell, err = parseCell(cell); err != nil {
		return q, err
	}
	if q.Kind, err = h.kind(v.Get("kind")); err != nil {
		return q, err
	}
	if q.Variables, err = h.variables(v); err != nil {
		return q, err
	}
	if q.Refuse, err = refused(v.Get("qc")); err != nil {
		return q, err
	}
	q.From, q.To, err = h.times(v, most)
	return q, err
}

// format is what an answer is written as: format=, or what Accept names.
func format(v url.Values, accept string) (string, error) {
	if f := v.Get("format"); f != "" {
		if !slices.Contains([]string{"json", "geojson", "csv", "parquet"}, f) {
			return "", bad("format=%.20q: want json, geojson, csv or parquet", f)
		}
		return f, nil
	}
	for part := range strings.SplitSeq(accept, ",") {
		media, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		for f, m := range mediaTypes {
			if m == media {
				return f, nil
			}
		}
	}
	return "json", nil
}

// mediaTypes is the media type of each format.
var mediaTypes = map[string]string{
	"json": "application/json", "geojson": "application/geo+json", "csv": "text/csv", "parquet": "application/vnd.apache.parquet",
}
