package query

import (
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing/store"
)

// maxStations is how many stations one answer lists.
const maxStations = 1000

// Station is a fixed device that observes.
type Station struct {
	Number    uint32     `json:"number"`
	Device    string     `json:"device"`
	Cell      string     `json:"cell"`
	Lat       float64    `json:"lat"`
	Lon       float64    `json:"lon"`
	Alt       *float64   `json:"alt,omitempty"`
	Variables []Variable `json:"variables"`
}

// Variable is what a station measures.
type Variable struct {
	Name  string    `json:"name"`
	Kind  string    `json:"kind"`
	Unit  string    `json:"unit"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	Rows  uint64    `json:"rows"`
	Value *float64  `json:"value,omitempty"` // the newest; of a single station
	QC    *uint32   `json:"qc,omitempty"`
}

// names of what a station measures, with commas: one field in a map's table.
func (s *Station) names() string {
	all := make([]string, len(s.Variables))
	for i, v := range s.Variables {
		all[i] = v.Name
	}
	return strings.Join(all, ",")
}

// stationsOf groups streams by device, in the order of their numbers.
func stationsOf(streams []store.Stream, keep func(*store.Stream) bool, values bool) (out []*Station) {
	at := map[device.ID]*Station{}
	for i := range streams {
		x := &streams[i]
		if !keep(x) {
			continue
		}
		s := at[x.ID()]
		if s == nil {
			s = &Station{Number: x.Thing, Device: x.ID().String(), Cell: h3.Cell(x.Cell).String(), Lat: x.Lat, Lon: x.Lon}
			if !math.IsNaN(x.Alt) {
				s.Alt = &x.Alt
			}
			at[x.ID()] = s
			out = append(out, s)
		}
		v := Variable{Name: x.Variable, Kind: x.Kind, Unit: x.Unit, First: time.UnixMilli(x.First).UTC(), Last: time.UnixMilli(x.Time).UTC(), Rows: x.Rows}
		if values {
			v.Value, v.QC = &x.Value, &x.QC
		}
		s.Variables = append(s.Variables, v)
	}
	return out
}

// stations lists where what is measured, without values: it costs nothing.
func (h *handler) stations(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	keep, err := h.keep(v)
	if err != nil {
		return err
	}
	after, err := strconv.ParseUint("0"+v.Get("after"), 10, 32)
	if err != nil {
		return bad("after=%.20q: want the number of the last station that you have", v.Get("after"))
	}
	all := stationsOf(h.Store.Streams(), func(x *store.Stream) bool { return uint64(x.Thing) > after && keep(x) }, false)
	next := uint32(0)
	if len(all) > maxStations {
		next = all[maxStations-1].Number
		all = all[:maxStations]
	}
	out := map[string]any{}
	if next != 0 {
		v.Set("after", strconv.FormatUint(uint64(next), 10))
		out["next"] = r.URL.Path + "?" + v.Encode()
	}
	switch f := v.Get("format"); f {
	case "", "json":
	case "geojson":
		features := make([]feature, len(all))
		for i, s := range all {
			alt := math.NaN()
			if s.Alt != nil {
				alt = *s.Alt
			}
			features[i] = feature{"Feature", point(s.Lat, s.Lon, alt), map[string]any{"device": s.Device, "number": s.Number, "cell": s.Cell, "variables": s.names()}}
		}
		w.Header().Set("Content-Type", mediaTypes["geojson"])
		out["type"], out["features"] = "FeatureCollection", features
		_ = json.NewEncoder(w).Encode(out) // the client may be gone
		return nil
	default:
		return bad("format=%.20q: stations are listed as json or geojson", f)
	}
	if all == nil {
		all = []*Station{}
	}
	out["stations"] = all
	return writeJSON(w, out)
}

// keep is what cell= and kind= select.
func (h *handler) keep(v url.Values) (func(*store.Stream) bool, error) {
	kind, err := h.kind(v.Get("kind"))
	if err != nil {
		return nil, err
	}
	low, high := int64(0), int64(math.MaxInt64)
	if text := v.Get("cell"); text != "" {
		c, err := parseCell(text)
		if err != nil {
			return nil, err
		}
		low, high = c.Within()
	}
	return func(x *store.Stream) bool {
		at := h3.Cell(x.Cell).Place()
		return at >= low && at <= high && (kind == "" || x.Kind == kind)
	}, nil
}

// station tells the newest readings of one station.
func (h *handler) station(w http.ResponseWriter, r *http.Request) error {
	id, err := parseDevice(r.PathValue("device"))
	if err != nil {
		return err
	}
	streams := h.Store.Of(id)
	if len(streams) == 0 {
		return missing("device %s: it has sent nothing that is told of single devices", id)
	}
	if err := Pay(w, r, h.Till, Rows{id: uint64(len(streams))}); err != nil {
		return err
	}
	return writeJSON(w, stationsOf(streams, func(*store.Stream) bool { return true }, true)[0])
}

func writeJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
	return nil
}
