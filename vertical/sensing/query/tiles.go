package query

import (
	"bytes"
	"compress/gzip"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/geojson"
	"github.com/paulmach/orb/maptile"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing/facts"
	"github.com/grange-network/grange/vertical/sensing/store"
)

// Parameters of tiles.
const (
	minZoom, maxZoom = 2, 18
	coverage         = 7 * 24 * time.Hour // that a tile of devices that move tells of
	maxFeatures      = 20_000
)

// tile is a Mapbox vector tile: a layer "stations" with a point and the newest
// readings for each fixed device, a layer "cells" with a hexagon for each cell where
// enough devices were, or with product= a layer of its name with a hexagon for each
// fact of the period that at= is in, the newest that is told without it.
func (h *handler) tile(w http.ResponseWriter, r *http.Request) error {
	kind, err := h.kind(r.PathValue("kind"))
	if err != nil {
		return err
	}
	t, err := parseTile(r)
	if err != nil {
		return err
	}
	if _, err := h.Till.Buyer(r.Context(), Token(r)); err != nil {
		return err
	}
	var layer *mvt.Layer
	var sold Rows
	switch product := r.URL.Query().Get("product"); {
	case product != "":
		layer, sold, err = h.told(r, kind, product, t)
	case h.Store.Moving(kind):
		layer, sold, err = h.cells(r, kind, t)
	default:
		layer, sold, err = h.points(kind, t)
	}
	if err != nil {
		return err
	}
	layer.ProjectToTile(t)
	layer.Clip(mvt.MapboxGLDefaultExtentBound)
	raw, err := mvt.Marshal(mvt.Layers{layer})
	if err != nil {
		return err
	}
	if err := Pay(w, r, h.Till, sold); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/vnd.mapbox-vector-tile")
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(raw) // into memory
		_ = z.Close()
		raw = b.Bytes()
		w.Header().Set("Content-Encoding", "gzip")
	}
	_, _ = w.Write(raw) // the client may be gone
	return nil
}

func parseTile(r *http.Request) (maptile.Tile, error) {
	name, isTile := strings.CutSuffix(r.PathValue("tile"), ".mvt")
	z, err1 := strconv.ParseUint(r.PathValue("z"), 10, 8)
	x, err2 := strconv.ParseUint(r.PathValue("x"), 10, 32)
	y, err3 := strconv.ParseUint(name, 10, 32)
	if err1 != nil || err2 != nil || err3 != nil || !isTile || z < minZoom || z > maxZoom || x >= 1<<z || y >= 1<<z {
		return maptile.Tile{}, bad("tile %.60q: want /v1/tiles/KIND/Z/X/Y.mvt with Z from %d to %d", r.URL.Path, minZoom, maxZoom)
	}
	return maptile.New(uint32(x), uint32(y), maptile.Zoom(z)), nil
}

func (h *handler) points(kind string, t maptile.Tile) (*mvt.Layer, Rows, error) {
	bound, sold := t.Bound(), Rows{}
	inside := func(x *store.Stream) bool { return x.Kind == kind && bound.Contains(orb.Point{x.Lon, x.Lat}) }
	fc := geojson.NewFeatureCollection()
	for _, s := range stationsOf(h.Store.Streams(), inside, true) {
		if len(fc.Features) == maxFeatures {
			return nil, nil, tooMuch("more than %d stations in the tile: zoom in", maxFeatures)
		}
		f := geojson.NewFeature(orb.Point{s.Lon, s.Lat})
		f.Properties = geojson.Properties{"device": s.Device, "cell": s.Cell}
		for _, v := range s.Variables {
			f.Properties[v.Name] = *v.Value
			f.Properties[v.Name+"_time"] = v.Last.Unix()
		}
		fc.Append(f)
		id, err := device.ParseID(s.Device)
		if err != nil {
			return nil, nil, err
		}
		sold[id]++
	}
	return mvt.NewLayer("stations", fc), sold, nil
}

// area is what is told of a cell.
type area struct {
	devices map[device.ID]bool
	by      map[string]*sum
	last    int64
}

func (h *handler) cells(r *http.Request, kind string, t maptile.Tile) (*mvt.Layer, Rows, error) {
	_, to, err := h.times(r.URL.Query(), coverage)
	if err != nil {
		return nil, nil, err
	}
	res := min(max(int(t.Z)/2+2, coarsest), finest)
	bound := t.Bound()
	all := map[h3.Cell]*area{}
	scanned := 0
	for _, parent := range h.Store.Parents(kind, to.Add(-coverage), to) {
		if !bound.Intersects(boundOf(parent)) {
			continue
		}
		for f, err := range h.Store.Scan(r.Context(), store.Query{Kind: kind, Cell: parent, From: to.Add(-coverage), To: to}) {
			if err != nil {
				return nil, nil, err
			}
			if scanned++; scanned > maxScanned {
				return nil, nil, tooMuch("more than %d readings in the tile: zoom in", maxScanned)
			}
			if bound.Contains(orb.Point{f.Lon, f.Lat}) {
				gather(all, h3.Cell(f.Cell).Parent(res), f.Row)
			}
		}
	}
	fc, sold := geojson.NewFeatureCollection(), Rows{}
	for c, a := range all {
		if len(a.devices) < Crowd {
			continue
		}
		if len(fc.Features) == maxFeatures {
			return nil, nil, tooMuch("more than %d cells in the tile: zoom in", maxFeatures)
		}
		fc.Append(a.feature(c))
		for d := range a.devices {
			sold[d]++
		}
	}
	return mvt.NewLayer("cells", fc), sold, nil
}

func gather(all map[h3.Cell]*area, c h3.Cell, r *store.Row) {
	a := all[c]
	if a == nil {
		a = &area{devices: map[device.ID]bool{}, by: map[string]*sum{}}
		all[c] = a
	}
	a.devices[r.Device] = true
	a.last = max(a.last, r.Time)
	s := a.by[r.Variable]
	if s == nil {
		s = &sum{Variable: r.Variable, Unit: r.Unit, Devices: map[device.ID]bool{}, Min: math.Inf(1), Max: math.Inf(-1)}
		a.by[r.Variable] = s
	}
	s.add(r)
}

func (a *area) feature(c h3.Cell) *geojson.Feature {
	f := geojson.NewFeature(polygon(c))
	f.Properties = geojson.Properties{"cell": c.String(), "devices": len(a.devices), "day": time.UnixMilli(a.last).UTC().Format(time.DateOnly)}
	for name, s := range a.by {
		if len(s.Devices) >= Crowd {
			f.Properties[name] = s.value("mean")
			f.Properties[name+"_rows"] = s.Rows
		}
	}
	return f
}

// told draws the facts of one period of a product.
func (h *handler) told(r *http.Request, kind, name string, t maptile.Tile) (*mvt.Layer, Rows, error) {
	if h.Facts == nil {
		return nil, nil, missing("product %.40q: there is none here", name)
	}
	p, err := h.product(kind, name)
	if err != nil {
		return nil, nil, err
	}
	period := newest(&p, h.Now())
	if text := r.URL.Query().Get("at"); text != "" {
		at, err := parseTime("at", text)
		if err != nil {
			return nil, nil, err
		}
		period = p.PeriodOf(at)
	}
	parents, err := h.Facts.Parents(kind)
	if err != nil {
		return nil, nil, err
	}
	bound, fc, sold := t.Bound(), geojson.NewFeatureCollection(), Rows{}
	for _, parent := range parents {
		if !bound.Intersects(boundOf(parent)) {
			continue
		}
		q := facts.Query{Product: p, Cell: parent, From: period.Began, To: period.Ended, Of: r.URL.Query().Get("of")}
		found, err := h.found(r.Context(), q)
		if err != nil {
			return nil, nil, err
		}
		of := told{q, period.Ended, found}
		for i := range found {
			f := &found[i]
			outline := polygon(f.Cell)
			if !bound.Intersects(outline.Bound()) {
				continue
			}
			if len(fc.Features) == maxFeatures {
				return nil, nil, tooMuch("more than %d facts in the tile: zoom in, or ask for one with of=", maxFeatures)
			}
			x := geojson.NewFeature(outline)
			x.Properties = of.properties(f)
			fc.Append(x)
			for _, d := range f.Devices {
				sold[d]++
			}
		}
	}
	return mvt.NewLayer(name, fc), sold, nil
}

func polygon(c h3.Cell) orb.Polygon {
	var line orb.Ring
	for _, p := range ring(c) {
		line = append(line, orb.Point{p[0], p[1]})
	}
	return orb.Polygon{line}
}

// boundOf is where the rows of a file may lie: cells at the edge of a parent reach
// a little beyond it.
func boundOf(c h3.Cell) orb.Bound { return polygon(c).Bound().Pad(0.5) }
