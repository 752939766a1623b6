package query

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/facts"
)

// Shelf makes the facts of products; facts.Keeper is one.
type Shelf interface {
	Products() []facts.Listed
	Product(kind, name string) (facts.Listed, error)
	Facts(ctx context.Context, q facts.Query) ([]sensing.Fact, error)
	Parents(kind string) ([]h3.Cell, error)
}

var _ Shelf = (*facts.Keeper)(nil)

// Objects are files that facts describe, under BUCKET/KEY.
type Objects interface {
	Get(ctx context.Context, key string, limit int64) ([]byte, error)
}

// maxPeriods that one answer is made of: a year of weeks, two months of days.
const maxPeriods = 62

// Product is a product in JSON.
type Product struct {
	Kind       string    `json:"kind"`
	Name       string    `json:"name"`
	About      string    `json:"about"`
	Of         string    `json:"of,omitempty"`
	Values     []Measure `json:"values"`
	Resolution int       `json:"resolution"`
	Step       string    `json:"step"`             // "1h0m0s"
	Owners     int       `json:"owners,omitempty"` // that must have a part in what is told
	Told       time.Time `json:"told"`             // up to when there are facts now
	Object     uint64    `json:"object_units,omitempty"`
}

// Measure is one of a product's numbers, in JSON.
type Measure struct {
	Name string `json:"name"`
	Unit string `json:"unit"`
}

// newest is the newest period of a product that is told.
func newest(p *facts.Listed, now time.Time) sensing.Window {
	period := p.PeriodOf(now)
	for !p.Told(period, now) {
		period = p.PeriodOf(period.Began.Add(-1))
	}
	return period
}

// until is up to when a product has facts.
func until(p *facts.Listed, now time.Time) time.Time {
	if end := newest(p, now).Ended; end.Before(now) {
		return end
	}
	return now.UTC().Truncate(time.Second)
}

func (h *handler) products(w http.ResponseWriter, _ *http.Request) error {
	out := []Product{}
	for _, p := range h.Facts.Products() {
		x := Product{
			Kind: p.Kind, Name: p.Name, About: p.About, Of: p.Of, Resolution: p.Resolution, Step: p.Step.String(), Owners: p.Crowd,
			Told: until(&p, h.Now()), Object: p.Cost, Values: measures(&p),
		}
		out = append(out, x)
	}
	return writeJSON(w, map[string]any{"products": out})
}

func measures(p *facts.Listed) []Measure {
	out := make([]Measure, len(p.Values))
	for i, m := range p.Values {
		out[i] = Measure(m)
	}
	return out
}

// product finds the product that a path names.
func (h *handler) product(kind, name string) (facts.Listed, error) {
	p, err := h.Facts.Product(kind, name)
	if errors.Is(err, facts.ErrUnknown) {
		return p, missing("%v; /v1/products lists those there are", err)
	}
	return p, err
}

// asked reads what the parameters select of a product in a cell.
func (h *handler) asked(r *http.Request) (q facts.Query, err error) {
	v := r.URL.Query()
	if q.Product, err = h.product(r.PathValue("kind"), r.PathValue("product")); err != nil {
		return q, err
	}
	if q.Cell, err = h3.Parse(r.PathValue("cell")); err != nil {
		return q, bad("%v", err)
	}
	if n := q.Cell.Resolution(); n < coarsest || n > q.Product.Resolution {
		return q, bad("cell %s has resolution %d, want %d to %d, which facts of %s/%s are of", q.Cell, n, coarsest, q.Product.Resolution, q.Product.Kind, q.Product.Name)
	}
	q.Of = v.Get("of")
	q.From, q.To, err = h.span(&q.Product, v)
	return q, err
}

// span reads from and to; the newest period that is told without them.
func (h *handler) span(p *facts.Listed, v url.Values) (from, to time.Time, err error) {
	last := newest(p, h.Now())
	from, to = last.Began, last.Ended
	if text := v.Get("to"); text != "" {
		if to, err = parseTime("to", text); err != nil {
			return from, to, err
		}
		from = p.PeriodOf(to.Add(-1)).Began
	}
	if text := v.Get("from"); text != "" {
		if from, err = parseTime("from", text); err != nil {
			return from, to, err
		}
	}
	return from, to, spanOf(from, to, maxPeriods*p.Period)
}

func (h *handler) facts(w http.ResponseWriter, r *http.Request) error {
	as, err := format(r.URL.Query(), r.Header.Get("Accept"))
	if err != nil {
		return err
	}
	q, err := h.asked(r)
	if err != nil {
		return err
	}
	if _, err := h.Till.Buyer(r.Context(), Token(r)); err != nil {
		return err // before any work
	}
	found, err := h.found(r.Context(), q)
	if err != nil {
		return err
	}
	if err := Pay(w, r, h.Till, partsOf(found)); err != nil {
		return err
	}
	return told{q, until(&q.Product, h.Now()), found}.write(w, as)
}

func (h *handler) found(ctx context.Context, q facts.Query) ([]sensing.Fact, error) {
	found, err := h.Facts.Facts(ctx, q)
	switch {
	case errors.Is(err, facts.ErrTooMuch):
		return nil, tooMuch("%v: ask for a shorter time", err)
	case err != nil:
		return nil, err
	case len(found) > MaxRows:
		return nil, tooMuch("more than %d facts: ask for a shorter time, a smaller cell, or of=", MaxRows)
	}
	return found, nil
}

// partsOf is a unit for each device in each fact.
func partsOf(found []sensing.Fact) Rows {
	sold := Rows{}
	for _, f := range found {
		for _, d := range f.Devices {
			sold[d]++
		}
	}
	return sold
}

// object sells the file that a fact describes, once it is seen to be what its
// device said of it. Its price is the device's whose it is.
func (h *handler) object(w http.ResponseWriter, r *http.Request) error {
	q, err := h.asked(r)
	if err != nil {
		return err
	}
	if h.Objects == nil || q.Product.Release == nil || q.Cell.Resolution() != q.Product.Resolution {
		return missing("%s/%s of cell %s: there is nothing stored of it; want a cell of resolution %d of a product with objects", q.Product.Kind, q.Product.Name, q.Cell, q.Product.Resolution)
	}
	if text := r.URL.Query().Get("at"); text != "" {
		at, err := parseTime("at", text)
		if err != nil {
			return err
		}
		period := q.Product.PeriodOf(at)
		q.From, q.To = period.Began, period.Ended
	}
	if _, err := h.Till.Buyer(r.Context(), Token(r)); err != nil {
		return err
	}
	found, err := h.found(r.Context(), q)
	if err != nil {
		return err
	}
	var o *sensing.Object
	for _, f := range found {
		o = cmp.Or(f.Object, o)
	}
	if o == nil {
		return missing("%s/%s of cell %s from %s to %s: there is nothing", q.Product.Kind, q.Product.Name, q.Cell, q.From.Format(time.RFC3339), q.To.Format(time.RFC3339))
	}
	stored, err := h.Objects.Get(r.Context(), o.Key, int64(o.Size))
	var media string
	if err == nil {
		media, err = q.Product.Release(o.Record, stored)
	}
	if err != nil {
		h.Logger.Warn("object is not released", "key", o.Key, "device", device.ID(o.Device), "err", err)
		return missing("%s/%s of cell %s: what its device stored cannot be had or is not what it said; nothing was paid", q.Product.Kind, q.Product.Name, q.Cell)
	}
	if err := Pay(w, r, h.Till, Rows{device.ID(o.Device): q.Product.Cost}); err != nil {
		return err
	}
	w.Header().Set("Content-Type", media)
	_, _ = w.Write(stored) // the client may be gone
	return nil
}

// Fact is a fact in JSON.
type Fact struct {
	Cell    string             `json:"cell"`
	Time    time.Time          `json:"time"`
	Of      string             `json:"of,omitempty"`
	Values  map[string]float64 `json:"values"` // those that are known
	Devices int                `json:"devices"`
	Object  string             `json:"object,omitempty"` // path
}

// Told is an answer about a product in JSON.
type Told struct {
	Product string    `json:"product"` // KIND/NAME
	Cell    string    `json:"cell"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Until   time.Time `json:"told"` // up to when there are facts now
	Of      string    `json:"of,omitempty"`
	Values  []Measure `json:"values"`
	Facts   []Fact    `json:"facts"`
}

// told is an answer about a product.
type told struct {
	facts.Query
	until time.Time
	found []sensing.Fact
}

func (a told) fact(f *sensing.Fact) Fact {
	out := Fact{Cell: f.Cell.String(), Time: f.Time, Of: f.Of, Values: map[string]float64{}, Devices: len(f.Devices)}
	for i, m := range a.Product.Values {
		if v := f.Values[i]; !math.IsNaN(v) {
			out.Values[m.Name] = v
		}
	}
	if f.Object != nil {
		out.Object = "/v1/products/" + a.Product.Kind + "/" + a.Product.Name + "/" + out.Cell + "/object?at=" + url.QueryEscape(f.Time.Format(time.RFC3339))
	}
	return out
}

func (a told) json() Told {
	out := Told{
		Product: a.Product.Kind + "/" + a.Product.Name, Cell: a.Cell.String(), From: a.From, To: a.To, Until: a.until,
		Of: a.Product.Of, Values: measures(&a.Product), Facts: make([]Fact, len(a.found)),
	}
	for i := range a.found {
		out.Facts[i] = a.fact(&a.found[i])
	}
	return out
}

// properties are a fact's in GeoJSON and in tiles.
func (a told) properties(f *sensing.Fact) map[string]any {
	x := a.fact(f)
	out := map[string]any{"cell": x.Cell, "time": x.Time.Format(time.RFC3339), "devices": x.Devices}
	if x.Of != "" {
		out[a.Product.Of] = x.Of
	}
	if x.Object != "" {
		out["object"] = x.Object
	}
	for name, v := range x.Values {
		out[name] = v
	}
	return out
}

func (a told) write(w http.ResponseWriter, as string) error {
	w.Header().Set("Content-Type", mediaTypes[as])
	named(w, as, a.Cell, a.From)
	// What has begun cannot become an error any more; the client may be gone.
	switch as {
	case "geojson":
		features := make([]feature, len(a.found))
		for i := range a.found {
			f := &a.found[i]
			features[i] = feature{"Feature", hexagon(f.Cell), a.properties(f)}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"type": "FeatureCollection", "features": features})
	case "csv":
		w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
		_ = a.csv(w)
	case "parquet":
		_ = a.parquet(w)
	default:
		_ = json.NewEncoder(w).Encode(a.json())
	}
	return nil
}
