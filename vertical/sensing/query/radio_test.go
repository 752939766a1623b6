package query_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/facts"
	"github.com/grange-network/grange/vertical/sensing/query"
	"github.com/grange-network/grange/vertical/sensing/query/querytest"
	"github.com/grange-network/grange/vertical/sensing/radio"
	"github.com/grange-network/grange/vertical/sensing/store/storetest"
)

type phones struct{ *storetest.Log }

func (phones) Device(_ context.Context, id device.ID) (facts.Home, error) {
	return facts.Home{Owner: id.String()}, nil
}

// Phones' scans are sold as what was received in a week where at least three
// owners' were, and paid to each.
func TestCoverageOfRadio(t *testing.T) {
	strong, weak, wifi := -80.0, -100.0, -60.0
	w := &world{t: t, log: storetest.NewLog(), till: querytest.NewTill(1000)}
	for i := range 4 {
		lat := 48.14
		if i == 3 {
			lat += 0.1 // alone
		}
		payloads, err := radio.Payloads(radio.Clean([]radio.Report{{
			Timestamp: monday.Add(time.Minute).UnixMilli(), Position: radio.Position{Latitude: lat, Longitude: 11.57},
			Towers: []radio.Tower{{Radio: "lte", Country: 262, Network: 1, Area: 7, Cell: 9, Strength: &weak}, {Radio: "lte", Country: 262, Network: 1, Area: 7, Cell: 8, Strength: &strong}},
			Points: []radio.Point{{Address: "00:1a:2b:3c:4d:5e", Strength: &wifi}, {Address: "00:1a:2b:3c:4d:5f", Strength: &weak}},
		}}, radio.Salt(storetest.Chain)), sensing.MaxBatch)
		if err != nil {
			t.Fatal(err)
		}
		s := storetest.NewStation(t, 200+i)
		w.log.Add(s, 0, s.Payload(t, radio.Content, payloads[0]))
	}
	w.serve(radio.Kind{})
	now := func() time.Time { return monday.Add(11 * 24 * time.Hour) }
	k, err := facts.Open(facts.Config{Path: filepath.Join(t.TempDir(), "facts.db"), ChainID: storetest.Chain, Registry: phones{w.log}, Kinds: []sensing.Kind{radio.Kind{}}, Now: now})
	if err == nil {
		err = k.Catch(t.Context(), w.log)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	server := httptest.NewServer(query.Handler(query.Config{Store: w.store, Till: w.till, Facts: k, Now: now}))
	t.Cleanup(server.Close)
	w.url = server.URL
	got := w.told(fmt.Sprintf("/v1/products/radio/coverage/%s", munich.Parent(3))).Facts
	if len(got) != 2 || w.till.Owed().Total() != 6 {
		t.Fatalf("%d units for %+v, want two networks of three phones", w.till.Owed().Total(), got)
	}
	for i, want := range []struct {
		of  string
		dBm float64
	}{{"262-1 lte", strong}, {"wifi", wifi}} {
		if f := got[i]; f.Of != want.of || f.Devices != 3 || f.Values["median"] != want.dBm || f.Values["scans"] != 3 {
			t.Errorf("%+v, want %v", f, want)
		}
	}
}
