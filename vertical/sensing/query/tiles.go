package query

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

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
	maxZoom     = 18
	maxFeatures = 20_000
	tileType    = "application/vnd.mapbox-vector-tile"
)

// tile is a Mapbox vector tile: a layer "stations" with a point and the newest
// readings for each fixed device, or with product=, and for devices that move, a layer
// of the product's name with a hexagon for each fact of the period that at= is in,
// the newest that is told without it.
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
	case product != "" || h.Store.Moving(kind):
		layer, sold, err = h.told(r, kind, product, t)
	default:
		layer, sold, err = h.points(kind, t)
	}
	if err != nil {
		return err
	}
	layer.Version = 2
	layer.ProjectToTile(t)
	layer.Clip(mvt.MapboxGLDefaultExtentBound)
	raw, err := mvt.Marshal(mvt.Layers{layer})
	if err != nil {
		return err
	}
	// What a client has already is not paid again.
	sum := sha256.Sum256(raw)
	tag := `W/"` + hex.EncodeToString(sum[:16]) + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "private, max-age=60")
	if text := r.Header.Get("If-None-Match"); text != "" && names(text, tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if err := Pay(w, r, h.Till, sold); err != nil {
		return err
	}
	w.Header().Set("Content-Type", tileType)
	_, _ = w.Write(raw) // the client may be gone
	return nil
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

func parseTile(r *http.Request) (maptile.Tile, error) {
	name, isTile := strings.CutSuffix(r.PathValue("tile"), ".mvt")
	z, err1 := strconv.ParseUint(r.PathValue("z"), 10, 8)
	x, err2 := strconv.ParseUint(r.PathValue("x"), 10, 32)
	y, err3 := strconv.ParseUint(name, 10, 32)
	if err1 != nil || err2 != nil || err3 != nil || !isTile || z > maxZoom || x >= 1<<z || y >= 1<<z {
		return maptile.Tile{}, bad("tile %.60q: want /v1/tiles/KIND/Z/X/Y.mvt with Z from 0 to %d", r.URL.Path, maxZoom)
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

// told draws the facts of one period of a product, the kind's first without a name.
func (h *handler) told(r *http.Request, kind, name string, t maptile.Tile) (*mvt.Layer, Rows, error) {
	if h.Facts == nil {
		return nil, nil, errMoving(kind)
	}
	for _, p := range h.Facts.Products() {
		if name == "" && p.Kind == kind {
			name = p.Name
		}
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
			outline[0].Reverse() // outlines of tiles go clockwise on the map (specification 2.1, 4.3.4.4)
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
