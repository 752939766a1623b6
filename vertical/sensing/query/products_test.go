package query_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/maptile"

	"github.com/paulmach/orb"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/events"
	"github.com/grange-network/grange/vertical/sensing/facts"
	"github.com/grange-network/grange/vertical/sensing/images"
	"github.com/grange-network/grange/vertical/sensing/images/picture"
	"github.com/grange-network/grange/vertical/sensing/images/scene"
	"github.com/grange-network/grange/vertical/sensing/query"
	"github.com/grange-network/grange/vertical/sensing/query/querytest"
	"github.com/grange-network/grange/vertical/sensing/store/storetest"
	"github.com/grange-network/grange/vertical/sensing/track"
	"github.com/grange-network/grange/vertical/sensing/track/drive"
)

// monday is the first day of the week that the cameras drive in.
var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// cameras is a log of cars, each its owner's, and what is stored of their images.
type cameras struct {
	*storetest.Log
	stored map[string][]byte
}

func (cameras) Device(_ context.Context, id device.ID) (facts.Home, error) {
	return facts.Home{Owner: id.String()}, nil
}

func (c cameras) Get(_ context.Context, key string, limit int64) ([]byte, error) {
	if b := c.stored[key]; len(b) > 0 && int64(len(b)) <= limit {
		return b, nil
	}
	return nil, errors.New("there is none")
}

// drives adds a car's half hour: what it saw, and images of a street.
func (c cameras) drives(t *testing.T, number int) *storetest.Station {
	t.Helper()
	rnd := rand.New(rand.NewPCG(uint64(number), 1))
	way := drive.Drive(rnd, monday.Add(11*time.Hour+time.Duration(number)*time.Minute).UnixMilli(), 600, 3, 48.14, 11.57)
	var seen []events.Event
	for _, p := range way {
		left := uint16(rnd.IntN(8000))
		seen = append(seen, events.Event{
			Time: time.UnixMilli(p.Time).UTC(), Class: events.Pothole, Confidence: 900, Box: events.Box{Left: left, Top: 1, Right: left + 500, Bottom: 700},
			Pose: events.Pose{Lat: int32(p.Lat * 1e7), Lon: int32(p.Lon * 1e7), Heading: uint16(p.Heading*10) % 3600, Speed: 1000},
		})
	}
	s := storetest.NewStation(t, number)
	payload, err := events.Encode(seen)
	if err != nil {
		t.Fatal(err)
	}
	c.Add(s, 0, s.Payload(t, events.Content, payload))
	if payload, err = images.Encode(c.photographs(t, number, way[:12])); err != nil {
		t.Fatal(err)
	}
	c.Add(s, 0, s.Payload(t, images.Content, payload))
	return s
}

func (c cameras) photographs(t *testing.T, number int, way []track.Point) (out []images.Frame) {
	street := scene.New(uint64(number))
	for i, p := range way {
		img, _ := street.View(float64(40*i), 288, 192)
		file := scene.JPEG(img, 90)
		shown, err := picture.Look(file)
		if err != nil {
			t.Fatal(err)
		}
		f := images.Frame{
			Time: time.UnixMilli(p.Time).UTC(), Lat: int32(p.Lat * 1e7), Lon: int32(p.Lon * 1e7), Heading: uint16(p.Heading*10) % 3600,
			Key: fmt.Sprintf("street/%d-%d.jpg", number, i), SHA256: sha256.Sum256(file), Size: uint32(len(file)), Seen: shown,
		}
		c.stored[f.Key] = file
		out = append(out, f)
	}
	return out
}

// shop sells the facts of three cars at a time.
func shop(t *testing.T, now time.Time) (*world, cameras) {
	t.Helper()
	w := &world{t: t, log: storetest.NewLog(), till: querytest.NewTill(1_000_000)}
	c := cameras{w.log, map[string][]byte{}}
	for i := range 3 {
		c.drives(t, i)
	}
	k, err := facts.Open(facts.Config{
		Path: filepath.Join(t.TempDir(), "facts.db"), ChainID: storetest.Chain, Registry: c,
		Kinds: []sensing.Kind{events.Kind{}, images.Kind{}}, Now: func() time.Time { return now },
	})
	if err == nil {
		err = k.Catch(t.Context(), c)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	w.serve(events.Kind{}, images.Kind{})
	server := httptest.NewServer(query.Handler(query.Config{Store: w.store, Till: w.till, Facts: k, Objects: c, Now: func() time.Time { return now }}))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w, c
}

func (w *world) told(path string) (out query.Told) {
	w.t.Helper()
	resp, body := w.ask(path)
	if err := json.Unmarshal(body, &out); err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: %s, %v: %.300s", path, resp.Status, err, body)
	}
	return out
}

func TestProducts(t *testing.T) {
	region := "/" + munich.Parent(3).String()
	w, _ := shop(t, monday.Add(24*time.Hour+sensing.Late+sensing.Settle))
	var listed struct{ Products []query.Product }
	if _, body := w.ask("/v1/products"); json.Unmarshal(body, &listed) != nil || len(listed.Products) != 2 {
		t.Fatalf("products: %s", body)
	}
	if p := listed.Products[0]; p.Kind != "events" || p.Owners != 3 || !p.Told.Equal(monday.Add(24*time.Hour)) {
		t.Errorf("%+v", p)
	}
	counts := w.told("/v1/products/events/counts" + region)
	units := uint64(0)
	for _, f := range counts.Facts {
		units += uint64(f.Devices)
		if f.Of != "pothole" || f.Values["count"] < 3 || f.Devices != 3 {
			t.Errorf("%+v", f)
		}
	}
	if len(counts.Facts) == 0 || !counts.Until.Equal(monday.Add(24*time.Hour)) || w.till.Owed().Total() != units {
		t.Fatalf("%d facts, told until %s, %d units paid, want %d", len(counts.Facts), counts.Until, w.till.Owed().Total(), units)
	}

	ask := "/v1/products/events/counts" + region + "?from=2026-03-02&to=2026-03-03"
	_, body := w.ask(ask + "&format=csv")
	lines, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
	if err != nil || len(lines) != len(counts.Facts)+1 || lines[0][3] != "count" {
		t.Errorf("CSV: %v, %s", err, body)
	}
	_, body = w.ask(ask + "&format=geojson")
	var shapes struct {
		Features []struct {
			Geometry   struct{ Type string }
			Properties map[string]any
		}
	}
	if err := json.Unmarshal(body, &shapes); err != nil || len(shapes.Features) != len(counts.Facts) || shapes.Features[0].Geometry.Type != "Polygon" || shapes.Features[0].Properties["class"] != "pothole" {
		t.Errorf("GeoJSON: %v, %.300s", err, body)
	}
	_, body = w.ask(ask + "&format=parquet")
	type fact struct {
		Name  string  `parquet:"name"`
		Value float64 `parquet:"value"`
	}
	if rows, err := parquet.Read[fact](bytes.NewReader(body), int64(len(body))); err != nil || len(rows) != len(counts.Facts) || rows[0].Name != "count" {
		t.Errorf("Parquet: %v, %+v", err, rows)
	}
	at := maptile.At(orb.Point{11.57, 48.14}, 9)
	resp, body := w.ask(fmt.Sprintf("/v1/tiles/events/9/%d/%d.mvt?product=counts", at.X, at.Y))
	layers, err := mvt.Unmarshal(body)
	if err != nil || len(layers) != 1 || layers[0].Name != "counts" || len(layers[0].Features) == 0 {
		t.Errorf("tile: %s, %v", resp.Status, err)
	}

	for path, want := range map[string]int{
		"/v1/products/events/totals" + region:                                                        http.StatusNotFound,
		"/v1/products/events/counts/8a1f8d7a4d77fff":                                                 http.StatusBadRequest,
		"/v1/products/events/counts/munich":                                                          http.StatusBadRequest,
		"/v1/products/events/counts" + region + "?from=2026-01-01&to=2026-03-30":                     http.StatusBadRequest,
		"/v1/products/events/counts/" + munich.String() + "/object":                                  http.StatusNotFound,
		fmt.Sprintf("/v1/tiles/events/9/%d/%d.mvt?product=coverage", at.X, at.Y):                     http.StatusNotFound,
		"/v1/products/events/counts" + region + "?token=&from=" + url.QueryEscape("a long time ago"): http.StatusBadRequest,
	} {
		if resp, body := w.ask(path); resp.StatusCode != want {
			t.Errorf("%s: %s, want %d: %s", path, resp.Status, want, body)
		}
	}
	if resp, _ := w.ask("/v1/products/events/counts"+region, "Authorization", "Bearer bad"); resp.StatusCode != http.StatusPaymentRequired {
		t.Errorf("without a lease: %s", resp.Status)
	}
}

// The newest image of a piece of street is sold when it is what its record says,
// and its device is who is paid.
func TestImagesAreSold(t *testing.T) {
	w, c := shop(t, monday.Add(13*time.Hour))
	got := w.told("/v1/products/images/coverage/" + munich.Parent(3).String())
	if len(got.Facts) == 0 || got.Facts[0].Object == "" || got.Facts[0].Values["images"] < 1 {
		t.Fatalf("%+v", got)
	}
	before := w.till.Owed()
	resp, body := w.ask(got.Facts[0].Object)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "image/jpeg" || resp.Header.Get("Grange-Units") != "5000" {
		t.Fatalf("%s: %s %v", got.Facts[0].Object, resp.Status, resp.Header)
	}
	var owner device.ID
	for d, n := range w.till.Owed() {
		if n-before[d] == images.ImageCost {
			owner = d
		}
	}
	found := ""
	for key, b := range c.stored {
		if bytes.Equal(b, body) {
			found = key
		}
	}
	if (owner == device.ID{}) || found == "" {
		t.Fatalf("device %s is paid for %q", owner, found)
	}

	// What is stored is another picture now.
	owed := w.till.Owed().Total()
	c.stored[found] = c.stored[found][:len(c.stored[found])-1]
	if resp, body := w.ask(got.Facts[0].Object); resp.StatusCode != http.StatusNotFound || w.till.Owed().Total() != owed {
		t.Errorf("an image that is not its record's: %s %s", resp.Status, body)
	}
}
