package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/grange-network/grange/explorer/chaintest"
)

// patience is for a machine that has much else to do.
const patience = 3 * time.Minute

// dataGateway answers as one does, and counts.
type dataGateway struct {
	asked    atomic.Int64
	stations int // how many it has
}

func (g *dataGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.asked.Add(1)
	switch r.URL.Path {
	case "/v1/stations":
		g.page(w, r)
	case "/v1/products":
		fmt.Fprint(w, `{"products":[{"kind":"air","name":"index","about":"of air","of":"device","values":[{"name":"aqi","unit":"1"}],"resolution":8,"step":"1h0m0s","told":"2026-11-23T07:00:00Z"},
			{"kind":"images","name":"coverage","about":"of streets","values":[],"resolution":12,"step":"168h0m0s","owners":3,"told":"2026-11-23T07:00:00Z","object_units":5000}]}`)
	case "/v1/bounties":
		fmt.Fprint(w, `{"bounties":[{"id":"f3c6","product":"images/coverage","area":"8731aa5b6ffffff","units":500000,"every":"168h","most":3,"until":"2026-12-23T07:40:40Z","placed":"2026-11-23T07:40:40.3Z","bought":[]},
			{"id":"f3c7","product":"images/coverage","area":"beijing","units":1,"most":3,"until":"2026-12-23T07:40:40Z","placed":"2026-11-23T07:40:40.3Z","bought":[]}]}`)
	default:
		http.NotFound(w, r)
	}
}

// page has two stations, as a gateway's has a thousand.
func (g *dataGateway) page(w http.ResponseWriter, r *http.Request) {
	after, err := strconv.Atoi(r.URL.Query().Get("after"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	list := []string{}
	for n := after + 1; n <= min(g.stations, after+2); n++ {
		unit, cell := "Cel", "8831aa5595fffff"
		if n == 2 {
			cell = "8b31aa5595a5fff" // finer than anything that the explorer tells
		}
		if n == 3 {
			unit = "K"
		}
		list = append(list, fmt.Sprintf(`{"number":%d,"device":%q,"cell":%q,"lat":1,"lon":2,"variables":[{"name":"temperature","kind":"weather","unit":%q,"last":"2026-11-23T0%d:00:00Z"},{"name":"pm2_5","kind":"air","unit":"ug/m3","last":"2026-11-22T07:00:00Z"}]}`,
			n, chaintest.ID("device"+strconv.Itoa(n)), cell, unit, n%10))
	}
	next := ""
	if after+2 < g.stations {
		next = `,"next":"http://elsewhere.example/v1/stations"`
	}
	list = append(list, `{"number":0,"device":"nobody","cell":"8831aa5595fffff","variables":[]}`)
	fmt.Fprintf(w, `{"stations":[%s]%s}`, strings.Join(list, ","), next)
}

func gatewayAt(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

// What the gateway lists is told as the contract says, and it is not asked again
// for everybody.
func TestObservations(t *testing.T) {
	g := &dataGateway{stations: 5}
	base, _, _ := start(t, func(c *Config) { c.Data, c.DataTimeout = gatewayAt(t, g)+"/", patience })
	schema := schemas(t)
	for _, list := range []string{"stations", "products", "bounties"} {
		path := "/v1/observations/" + list
		resp, raw := asked(t, "GET", base+path, "")
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err == nil {
			err = schema(path, "get", "200", "application/json").Validate(v)
		}
		if resp.StatusCode != 200 || err != nil {
			t.Errorf("%s: %d %v\n%.600s", path, resp.StatusCode, err, raw)
		}
		if resp, raw := asked(t, "GET", base+path+"?as=csv", ""); resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/csv") {
			t.Errorf("%s as a table: %d %.200s", path, resp.StatusCode, raw)
		}
		if resp, _ := asked(t, "GET", base+path, "", "If-None-Match", resp.Header.Get("ETag")); resp.StatusCode != 200 {
			t.Errorf("%s: %d as if nothing could change between two blocks", path, resp.StatusCode)
		}
	}
	var got struct {
		Gateway   string
		Items     []station
		Variables []variable
		Complete  bool
	}
	if _, raw := asked(t, "GET", base+"/v1/observations/stations", ""); json.Unmarshal(raw, &got) != nil {
		t.Fatalf("%s", raw)
	}
	if got.Gateway != "open" || len(got.Items) != 5 || !got.Complete || len(got.Variables) != 3 {
		t.Fatalf("%+v", got)
	}
	for _, x := range got.Items {
		if x.Cell != "8831aa5595fffff" || x.Region != "8331aafffffffff" || x.Latitude < 39 {
			t.Errorf("place %+v", x)
		}
	}
	first := variable{"pm2_5", "air", "ug/m3", 5, time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC)}
	if got.Variables[0] != first || got.Variables[1].Stations != 4 || got.Variables[1].Last.Hour() != 5 || !got.Items[0].Last.Equal(time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)) {
		t.Errorf("variables %+v of %+v", got.Variables, got.Items[0])
	}
	if _, raw := asked(t, "GET", base+"/v1/observations/bounties", ""); strings.Count(string(raw), `"pays_ucredit"`) != 1 || !strings.Contains(string(raw), `"every_seconds":604800`) {
		t.Errorf("bounties %s", raw)
	}
}

// Many stations are cut, and that is said.
func TestObservationsOfMany(t *testing.T) {
	g := &dataGateway{stations: 9 * stationPages}
	s := newGateway(gatewayAt(t, g), patience, slog.New(slog.DiscardHandler))
	list, err := s.readStations(t.Context())
	if err != nil || list.complete || len(list.stations) != 2*stationPages || g.asked.Load() != stationPages {
		t.Errorf("%d stations, complete %v, asked %d times, %v", len(list.stations), list.complete, g.asked.Load(), err)
	}
}

func TestWithoutGateway(t *testing.T) {
	base, _, _ := start(t, nil)
	for _, list := range []string{"stations", "products", "bounties"} {
		resp, raw := asked(t, "GET", base+"/v1/observations/"+list, "")
		if resp.StatusCode != 200 || !strings.HasPrefix(string(raw), `{"gateway":"none","items":[]`) {
			t.Errorf("%s: %d %s", list, resp.StatusCode, raw)
		}
	}
}

// Whatever the gateway does, the explorer answers in words, and does not ask it
// again at once.
func TestGatewayFails(t *testing.T) {
	asleep := make(chan struct{})
	for name, c := range map[string]struct {
		gateway http.HandlerFunc
		timeout time.Duration
		want    string
	}{
		"slow": {func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-asleep:
			}
		}, 50 * time.Millisecond, "does not answer within"},
		"slow after it began": {func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `{"products":[`)
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-asleep:
			}
		}, 50 * time.Millisecond, "does not answer within"},
		"too large": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(bytes.Repeat([]byte(" "), gatewayBytes+1)) // cut where the reader has enough
		}, patience, "answered more than 8 MiB"},
		"broken": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, patience, "answered 500"},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, patience, "answered 302"},
		"no list": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, patience, "answered something that is no list"},
	} {
		t.Run(name, func(t *testing.T) {
			var asks atomic.Int64
			at := gatewayAt(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asks.Add(1)
				c.gateway(w, r)
			}))
			g := newGateway(at, c.timeout, slog.New(slog.DiscardHandler))
			g.fresh = time.Hour
			for range 2 {
				_, err := g.products.get(t.Context(), g, (*gateway).readProducts)
				if err == nil {
					t.Fatal("no error")
				}
				p := explain(err)
				if p.status != http.StatusServiceUnavailable || !strings.Contains(p.text, "data gateway "+c.want) || strings.Contains(p.text, at) {
					t.Errorf("%d %s", p.status, p.text)
				}
			}
			if n := asks.Load(); n > 1 {
				t.Errorf("it was asked %d times for one answer", n)
			}
		})
	}
	close(asleep)
}

func TestGatewayIsGone(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	base, _, _ := start(t, func(c *Config) { c.Data, c.DataTimeout = gone.URL, patience })
	resp, raw := asked(t, "GET", base+"/v1/observations/bounties", "")
	if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(raw), "data gateway cannot be reached") {
		t.Errorf("%d %s", resp.StatusCode, raw)
	}
}
