package sidecar

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/vertical/sensing/ingest"
	"github.com/grange-network/grange/vertical/sensing/senml"
	"github.com/grange-network/grange/vertical/sensing/sensingtest"
)

const chainID = "test-1"

var clock = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// registry knows the device once it is registered.
type registry struct {
	mu  sync.Mutex
	key *device.PublicKey
}

func (r *registry) Key(context.Context, device.ID) (device.PublicKey, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.key == nil {
		return device.PublicKey{}, ingest.ErrUnknown
	}
	return *r.key, nil
}

func (r *registry) register(k device.PublicKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.key = &k
}

const (
	wu = "/weatherstation/updateweatherstation.php?ID=KX&PASSWORD=p&dateutc=2026-03-01+11%3A59%3A30&tempf=68.0&humidity=50&windspeedmph=10&winddir=180&baromin=29.92&solarradiation=100&dailyrainin=0.1&softwaretype=x&action=updateraw"
	ec = "PASSKEY=0&stationtype=GW1000&dateutc=2026-03-01+11:59:40&tempf=50.0&humidity=60&windspeedmph=0.00&winddir=90&baromabsin=29.5&solarradiation=-9999&totalrainin=1.0&yearlyrainin=9.9&pm25_ch1=12"
)

func TestConvert(t *testing.T) {
	u, err := url.Parse(wu)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 11, 59, 30, 0, time.UTC)
	want := []senml.Record{
		{Name: "temperature", Unit: "Cel", Time: at, Value: 20}, {Name: "humidity", Unit: "%RH", Time: at, Value: 50},
		{Name: "wind_speed", Unit: "m/s", Time: at, Value: 4.4704}, {Name: "wind_direction", Unit: "deg", Time: at, Value: 180},
		{Name: "pressure_sea_level", Unit: "hPa", Time: at, Value: 1013.2075}, {Name: "illuminance", Unit: "lx", Time: at, Value: 12670},
		{Name: "precipitation_day", Unit: "mm", Time: at, Value: 2.54},
	}
	if got, err := Underground(u.Query(), clock); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Weather Underground: %v, %v, want %v", got, err, want)
	}
	q, err := url.ParseQuery(ec)
	if err != nil {
		t.Fatal(err)
	}
	at = at.Add(10 * time.Second)
	want = []senml.Record{
		{Name: "temperature", Unit: "Cel", Time: at, Value: 10}, {Name: "humidity", Unit: "%RH", Time: at, Value: 60},
		{Name: "wind_speed", Unit: "m/s", Time: at, Value: 0}, {Name: "wind_direction", Unit: "deg", Time: at, Value: 90},
		{Name: "pressure", Unit: "hPa", Time: at, Value: 998.9847}, {Name: "precipitation_accumulated", Unit: "mm", Time: at, Value: 25.4},
		{Name: "pm2_5", Unit: "ug/m3", Time: at, Value: 12},
	}
	if got, err := Ecowitt(q, clock); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Ecowitt: %v, %v, want %v", got, err, want)
	}
	for _, tt := range []struct{ name, query, want string }{
		{"no number", "tempf=hot", `tempf="hot" is not a number`},
		{"infinite", "tempf=Inf", "is not a number"},
		{"bad time", "dateutc=yesterday&tempf=1", "want now or"},
		{"nothing known", "ID=x", "no parameter that is known"},
	} {
		q, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Underground(q, clock); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// A station reports while the gateway is down, then does not know the device;
// restarts in between; at last everything arrives in order, once.
func TestNothingIsLost(t *testing.T) {
	s := sensingtest.NewSigner(7)
	reg := &registry{}
	server, err := ingest.Open(ingest.Config{Dir: t.TempDir(), ChainID: chainID, Registry: reg, Now: func() time.Time { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	var down sync.Mutex
	broken := true
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		down.Lock()
		b := broken
		down.Unlock()
		if b {
			http.Error(w, "not now", http.StatusBadGateway)
			return
		}
		server.Handler().ServeHTTP(w, r)
	}))
	defer gateway.Close()
	dir := t.TempDir()
	run := func(reports int, until uint64) {
		t.Helper()
		c, err := Open(Config{Dir: dir, ChainID: chainID, Signer: s, Gateway: gateway.URL, Now: func() time.Time { return clock }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		for range reports {
			w := httptest.NewRecorder()
			c.Handler().ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, wu, nil))
			if w.Code != 200 || w.Body.String() != "success\n" {
				t.Fatalf("station gets %d %q", w.Code, w.Body)
			}
			w = httptest.NewRecorder()
			c.Handler().ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/data/report/", strings.NewReader(ec)))
			if w.Code != 200 {
				t.Fatalf("station gets %d %q", w.Code, w.Body)
			}
		}
		for server.Counts().Accepted < until {
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		c.http.CloseIdleConnections()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	run(3, 0)
	down.Lock()
	broken = false
	down.Unlock()
	reg.register(s.PublicKey())
	run(2, 10)
	run(1, 12)
	var newest uint64
	for e, err := range server.Entries(0) {
		if err != nil || e.Counter != newest+1 {
			t.Fatalf("batch %d behind %d: %v", e.Counter, newest, err)
		}
		newest = e.Counter
	}
	if newest != 12 {
		t.Errorf("%d batches arrived, want 12; counts %+v", newest, server.Counts())
	}
}

// What is not a gateway refuses nothing for good: its address is mended and the
// reports go on.
func TestNoGateway(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	c, err := Open(Config{Dir: t.TempDir(), ChainID: chainID, Signer: sensingtest.NewSigner(7), Gateway: other.URL, Now: func() time.Time { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	w := httptest.NewRecorder()
	c.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, wu, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if err := c.Flush(t.Context()); err == nil || errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "is no gateway") {
		t.Errorf("%v, want that it is no gateway, and no refusal", err)
	}
}

// Somebody who looks with a browser is told what to set in the console.
func TestAbout(t *testing.T) {
	s := sidecar(t)
	for path, status := range map[string]int{"/": http.StatusOK, "/weatherstation/": http.StatusNotFound} {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if w.Code != status || !strings.Contains(w.Body.String(), "/weatherstation/updateweatherstation.php") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
