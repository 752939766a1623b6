package query_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing/query/querytest"
	"github.com/grange-network/grange/vertical/sensing/store/storetest"
)

// HEAD tells the price and is not paid.
func TestPriceBefore(t *testing.T) {
	w := newWorld(t, 1_000_000)
	if err := w.store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		obs(munich, ""):                          "36",
		obs(munich, "&agg=mean:6h&var=pressure"): "4",
		"/v1/bulk/weather/2026-03-27/" + munich.Parent(3).String() + ".parquet": "12",
		"/v1/stations/" + storetest.NewStation(t, 0).ID().String():              "3",
		"/v1/tiles/weather/0/0/0.mvt":                                           "2",
		"/v1/subscribe?cell=" + munich.String():                                 "",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, w.url+path+"", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+querytest.Token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := resp.Header.Get("Grange-Units"); got != want || resp.StatusCode != http.StatusOK {
			t.Errorf("HEAD %s: %s, %q units, want %q", path, resp.Status, got, want)
		}
	}
	if n := w.till.Owed().Total(); n != 0 {
		t.Errorf("%d units are owed for prices", n)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, w.url+obs(munich, ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusPaymentRequired || !strings.Contains(resp.Header.Get("Grange-Note"), "no lease pays") {
		t.Errorf("the price without a lease: %s %v", resp.Status, resp.Header)
	}
}

// What finds nothing is a list without entries, costs nothing and says why.
func TestNothingFound(t *testing.T) {
	w := newWorld(t, 1_000_000)
	day := "/obs?from=2026-03-27T22:00:00Z&to=2026-03-28T04:00:00Z"
	fine := h3.At(48.14, 11.57, 10)
	cases := map[string]struct{ path, list, says string }{
		"another time":    {"/v1/cells/" + munich.String() + "/obs?from=2026-01-01&to=2026-01-02", "observations", "from 2026-03-27T22:00:00Z to 2026-03-28T03:00:00Z"},
		"sums of it":      {"/v1/cells/" + munich.String() + "/obs?from=2026-01-01&to=2026-01-02&agg=mean:1h", "sums", "was measured in this cell"},
		"too fine a cell": {"/v1/cells/" + fine.String() + day, "observations", "ask for " + munich.String()},
		"another place":   {"/v1/cells/" + h3.At(10, 10, 5).String() + day, "observations", "no station"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			resp, body := w.ask(c.path)
			var got map[string]any
			if err := json.Unmarshal(body, &got); err != nil {
				t.Fatal(err)
			}
			list, ok := got[c.list].([]any)
			if !ok || len(list) != 0 || !strings.Contains(resp.Header.Get("Grange-Note"), c.says) || got["note"] != resp.Header.Get("Grange-Note") {
				t.Errorf("%v: %s, want %q", resp.Header, body, c.says)
			}
		})
	}
	if n := w.till.Owed().Total(); n != 0 {
		t.Errorf("%d units are owed for nothing", n)
	}
}

// A page of another origin may ask, text is packed, a refusal is JSON.
func TestPublic(t *testing.T) {
	w := newWorld(t, 1_000_000)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, w.url+obs(munich, ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent || !strings.Contains(resp.Header.Get("Access-Control-Allow-Headers"), "Authorization") {
		t.Errorf("OPTIONS: %s %v", resp.Status, resp.Header)
	}
	packed, body := w.ask(obs(munich, "&format=csv"), "Accept-Encoding", "br;q=1, gzip;q=0.5")
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil || packed.Header.Get("Vary") != "Accept-Encoding" || packed.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("%v: %v", packed.Header, err)
	}
	if text, err := io.ReadAll(z); err != nil || !bytes.HasPrefix(text, []byte("kind,device,time,cell,lat,lon,alt,")) {
		t.Errorf("%.60s: %v", text, err)
	}
	if plain, _ := w.ask(obs(munich, ""), "Accept-Encoding", "gzip;q=0"); plain.Header.Get("Content-Encoding") != "" {
		t.Error("an answer is packed for who does not want it")
	}
	r, err = http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/v1/stations", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err = http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusMethodNotAllowed || !json.Valid(text) || !strings.Contains(string(text), "GET") {
		t.Errorf("%s: %s: %v", resp.Status, text, err)
	}
}
