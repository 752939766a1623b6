package sidecar

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/grange-network/grange/vertical/sensing/sensingtest"
)

// A console that says only what fell since midnight gets a counter, which goes on
// over midnight and a restart.
func TestRainOfTheDay(t *testing.T) {
	now := clock
	height := 520.0
	cfg := Config{Dir: t.TempDir(), ChainID: chainID, Signer: sensingtest.NewSigner(7), Gateway: "http://127.0.0.1:1", Height: &height, Now: func() time.Time { return now }}
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i, tt := range []struct {
		day   string // inch
		ahead time.Duration
		want  float64 // mm; -1: no counter
	}{{"0.1", time.Minute, 2.54}, {"0.1", time.Minute, 2.54}, {"0.3", time.Minute, 7.62}, {"0.0", time.Minute, 7.62}, {"0.1", time.Minute, 10.16}, {"0.2", -2 * time.Minute, -1}, {"0.2", 3 * time.Minute, 12.7}} {
		now = now.Add(tt.ahead)
		w := httptest.NewRecorder()
		c.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, wuPath+"?dateutc=now&baromin=29.92&dailyrainin="+tt.day, nil))
		if w.Code != http.StatusOK {
			t.Fatalf("report %d: %d %s", i, w.Code, w.Body)
		}
		all := signed(t, c)
		got, p := named(all[len(all)-1].Records, rainCounter), named(all[len(all)-1].Records, pressure)
		if (got == nil) != (tt.want < 0) || got != nil && fmt.Sprintf("%.2f", got.Value) != fmt.Sprintf("%.2f", tt.want) {
			t.Errorf("report %d: counter %v, want %v", i, got, tt.want)
		}
		if p == nil || fmt.Sprintf("%.1f", p.Value) != "952.3" { // 1013.2 hPa at 520 m
			t.Errorf("report %d: pressure %v", i, p)
		}
		if got == nil {
			continue
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if c, err = Open(cfg); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// A counter of the station's own, and a pressure at the station, stay as they are.
func TestOwnCounter(t *testing.T) {
	s := sidecar(t)
	height := 520.0
	s.cfg.Height = &height
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, wuPath+"?dateutc=now&absbaromin=28&baromin=29.92&dailyrainin=1&yearlyrainin=20", nil))
	b := signed(t, s)[0]
	if got := named(b.Records, rainCounter); got == nil || got.Value != 508 {
		t.Errorf("counter %v", got)
	}
	if got := named(b.Records, pressure); got == nil || fmt.Sprintf("%.1f", got.Value) != "948.2" {
		t.Errorf("pressure %v", got)
	}
	w = httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodHead, wu, nil))
	if w.Code != http.StatusMethodNotAllowed || len(signed(t, s)) != 1 {
		t.Errorf("HEAD: %d, %d reports signed", w.Code, len(signed(t, s)))
	}
}
