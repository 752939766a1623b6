package sta

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing/store"
)

// Entity sets.
const (
	things       = "Things"
	locations    = "Locations"
	datastreams  = "Datastreams"
	sensors      = "Sensors"
	properties   = "ObservedProperties"
	observations = "Observations"
	features     = "FeaturesOfInterest"
	histories    = "HistoricalLocations"
)

// link is where a name within an entity leads.
type link struct {
	set    string
	single bool
}

// links are the relations of the standard's data model (18-088, 8.2).
var links = map[string]map[string]link{
	things:       {"Locations": {locations, false}, "HistoricalLocations": {histories, false}, "Datastreams": {datastreams, false}},
	locations:    {"Things": {things, false}, "HistoricalLocations": {histories, false}},
	histories:    {"Thing": {things, true}, "Locations": {locations, false}},
	datastreams:  {"Thing": {things, true}, "Sensor": {sensors, true}, "ObservedProperty": {properties, true}, "Observations": {observations, false}},
	sensors:      {"Datastreams": {datastreams, false}},
	properties:   {"Datastreams": {datastreams, false}},
	observations: {"Datastream": {datastreams, true}, "FeatureOfInterest": {features, true}},
	features:     {"Observations": {observations, false}},
}

// entity is one of a set: what it says and what it was made of.
type entity struct {
	set     string
	id      any // of JSON: a number, or a text
	says    map[string]any
	place   *point          // of a location or a feature
	streams []*store.Stream // of its device, of its variable, or itself
	row     *store.Row      // of an observation
}

// path is the entity's address below the root.
func (e *entity) path() string {
	if text, ok := e.id.(string); ok {
		return e.set + "('" + strings.ReplaceAll(text, "'", "''") + "')"
	}
	return fmt.Sprintf("%s(%v)", e.set, e.id)
}

// view is the streams as a request sees them.
type view struct {
	streams []store.Stream
	things  [][]*store.Stream // in the order of their numbers
	byThing map[uint32][]*store.Stream
	byNum   map[uint32]*store.Stream
	names   []string // of variables
	byName  map[string][]*store.Stream
}

func newView(streams []store.Stream) *view {
	v := &view{streams: streams, byThing: map[uint32][]*store.Stream{}, byNum: map[uint32]*store.Stream{}, byName: map[string][]*store.Stream{}}
	var numbers []uint32
	for i := range streams {
		x := &streams[i]
		if v.byThing[x.Thing] == nil {
			numbers = append(numbers, x.Thing)
		}
		if v.byName[x.Variable] == nil {
			v.names = append(v.names, x.Variable)
		}
		v.byThing[x.Thing] = append(v.byThing[x.Thing], x)
		v.byName[x.Variable] = append(v.byName[x.Variable], x)
		v.byNum[x.Number] = x
	}
	slices.Sort(numbers)
	slices.Sort(v.names)
	for _, n := range numbers {
		v.things = append(v.things, v.byThing[n])
	}
	return v
}

// all lists a set; of observations none: they are read from the store.
func (v *view) all(set string) (out []*entity) {
	switch set {
	case datastreams:
		for i := range v.streams {
			out = append(out, datastream(&v.streams[i]))
		}
	case properties:
		for _, name := range v.names {
			out = append(out, observed(v.byName[name]))
		}
	default:
		for _, of := range v.things {
			out = append(out, ofDevice(set, of))
		}
	}
	return out
}

// one finds an entity by the key in its address.
func (v *view) one(set, key string) *entity {
	text, quoted := strings.CutPrefix(key, "'")
	text = strings.ReplaceAll(strings.TrimSuffix(text, "'"), "''", "'")
	if set == properties {
		if of := v.byName[text]; quoted && of != nil {
			return observed(of)
		}
		return nil
	}
	n, err := strconv.ParseUint(key, 10, 32)
	if err != nil {
		return nil
	}
	if set == datastreams {
		if x := v.byNum[uint32(n)]; x != nil {
			return datastream(x)
		}
		return nil
	}
	if of := v.byThing[uint32(n)]; of != nil {
		return ofDevice(set, of)
	}
	return nil
}

// follow lists where a link of an entity leads; observations are read elsewhere.
func (v *view) follow(e *entity, l link) (out []*entity) {
	x := e.streams[0]
	switch {
	case l.set == datastreams && !l.single:
		for _, s := range e.streams {
			out = append(out, datastream(s))
		}
	case l.set == datastreams:
		out = append(out, datastream(x))
	case l.set == properties:
		out = append(out, observed(v.byName[x.Variable]))
	default:
		out = append(out, ofDevice(l.set, v.byThing[x.Thing]))
	}
	return out
}

func short(x *store.Stream) string { return x.Device.String()[:8] }

func geoPoint(x *store.Stream) map[string]any {
	at := []float64{x.Lon, x.Lat}
	if !math.IsNaN(x.Alt) {
		at = append(at, x.Alt)
	}
	return map[string]any{"type": "Point", "coordinates": at}
}

// ofDevice is a Thing, Location, HistoricalLocation, Sensor or FeatureOfInterest.
func ofDevice(set string, of []*store.Stream) *entity {
	x := of[0]
	e := &entity{set: set, id: float64(x.Thing), streams: of}
	cell := h3.Cell(x.Cell).String()
	switch set {
	case things:
		e.says = map[string]any{
			"name": "device " + short(x), "description": "a device that signs observations of " + x.Kind,
			"properties": map[string]any{"device": x.Device.String(), "kind": x.Kind, "cell": cell},
		}
	case sensors:
		e.says = map[string]any{
			"name": "sensors of " + short(x), "description": "what the device measures with", "encodingType": "text/plain",
			"metadata": "the device signs batches with the key " + x.Device.String(), "properties": map[string]any{"device": x.Device.String()},
		}
	case histories: // one: since when the device is heard, at the place that it has now
		first := x.First
		for _, s := range of {
			first = min(first, s.First)
		}
		e.says = map[string]any{"time": stamp(first)}
	case locations:
		e.place = &point{x.Lon, x.Lat}
		e.says = map[string]any{"name": "cell " + cell, "description": "middle of the H3 cell that the device is registered in", "encodingType": "application/geo+json", "location": geoPoint(x)}
	case features:
		e.place = &point{x.Lon, x.Lat}
		e.says = map[string]any{"name": "cell " + cell, "description": "surroundings of device " + short(x), "encodingType": "application/geo+json", "feature": geoPoint(x)}
	}
	return e
}

// units of SenML (RFC 8428 section 12.1) by name, for those that are common.
var unitNames = map[string]string{
	"Cel": "degree Celsius", "%RH": "percent relative humidity", "hPa": "hectopascal", "Pa": "pascal", "m/s": "metre per second", "deg": "degree",
	"lx": "lux", "mm": "millimetre", "dB": "decibel", "ug/m3": "microgram per cubic metre", "ppm": "parts per million",
}

func datastream(x *store.Stream) *entity {
	name := unitNames[x.Unit]
	if name == "" {
		name = x.Unit
	}
	at := &point{x.Lon, x.Lat}
	return &entity{set: datastreams, id: float64(x.Number), streams: []*store.Stream{x}, place: at, says: map[string]any{
		"name": x.Variable + " of " + short(x), "description": x.Variable + " as device " + x.Device.String() + " signs it",
		"observationType":   "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
		"unitOfMeasurement": map[string]any{"name": name, "symbol": x.Unit, "definition": "https://www.rfc-editor.org/rfc/rfc8428#section-12.1"},
		"observedArea":      geoPoint(x), "phenomenonTime": stamp(x.First) + "/" + stamp(x.Time), "resultTime": stamp(x.First) + "/" + stamp(x.Time),
		"properties": map[string]any{"kind": x.Kind, "rows": float64(x.Rows)},
	}}
}

func observed(of []*store.Stream) *entity {
	x := of[0]
	return &entity{set: properties, id: x.Variable, streams: of, says: map[string]any{
		"name": x.Variable, "description": x.Variable + " in " + x.Kind, "definition": "urn:grange:sensing:" + x.Variable,
	}}
}

func observation(x *store.Stream, r *store.Row) *entity {
	at := stamp(r.Time)
	return &entity{set: observations, id: fmt.Sprintf("%d-%d", x.Number, r.Time), streams: []*store.Stream{x}, row: r, place: &point{r.Lon, r.Lat}, says: map[string]any{
		"phenomenonTime": at, "resultTime": at, "result": r.Value, "resultQuality": float64(r.QC),
		"parameters": map[string]any{"batch": fmt.Sprintf("%x", r.Batch), "counter": float64(r.Counter), "location": geoPoint(x)},
	}}
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }
