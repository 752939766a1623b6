package query_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/maptile"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/events"
	"github.com/grange-network/grange/vertical/sensing/facts/factstest"
	"github.com/grange-network/grange/vertical/sensing/images"
	"github.com/grange-network/grange/vertical/sensing/query"
	"github.com/grange-network/grange/vertical/sensing/query/querytest"
)

// monday is the first day of the week that the cameras drive in.
var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// shop sells the facts of three cars at a time.
func shop(t *testing.T, now time.Time) (*world, *factstest.Cameras) {
	t.Helper()
	c := factstest.NewCameras()
	w := &world{t: t, log: c.Log, till: querytest.NewTill(1_000_000)}
	for i := range 3 {
		c.Drive(t, i, monday.Add(11*time.Hour+time.Duration(i)*time.Minute))
	}
	clock := func() time.Time { return now }
	w.serve(events.Kind{}, images.Kind{})
	server := httptest.NewServer(query.Handler(query.Config{Store: w.store, Till: w.till, Facts: c.Keeper(t, clock), Objects: c, Now: clock}))
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
		t.Fatalf("tile: %s, %v", resp.Status, err)
	}
	// The specification's outer rings have a positive area where y goes down.
	if p, ok := layers[0].Features[0].Geometry.(orb.Polygon); !ok || p[0].Orientation() != orb.CCW {
		t.Errorf("outline of a tile: %v", layers[0].Features[0].Geometry)
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
	found := c.Keys(body)
	if (owner == device.ID{}) || len(found) != 1 {
		t.Fatalf("device %s is paid for %q", owner, found)
	}

	// What is stored is another picture now.
	owed := w.till.Owed().Total()
	c.Change(found[0])
	if resp, body := w.ask(got.Facts[0].Object); resp.StatusCode != http.StatusNotFound || w.till.Owed().Total() != owed {
		t.Errorf("an image that is not its record's: %s %s", resp.Status, body)
	}
}
