package sidecar

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/ingest"
	"github.com/grange-network/grange/vertical/sensing/senml"
	"github.com/grange-network/grange/vertical/sensing/sensingtest"
)

// later is a clock that tests set.
type later struct {
	mu sync.Mutex
	at time.Time
}

func (l *later) now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at
}

func (l *later) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = l.at.Add(d)
}

// taking is a gateway that says yes, when it does, and remembers.
type taking struct {
	mu   sync.Mutex
	away bool
	got  [][]byte
}

func (g *taking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	_, _ = b.ReadFrom(r.Body)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.away {
		http.Error(w, "not now", http.StatusBadGateway)
		return
	}
	g.got = append(g.got, b.Bytes())
	w.WriteHeader(http.StatusCreated)
}

func (g *taking) set(away bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.away = away
}

func (g *taking) counters(t *testing.T, s sensing.Signer) (out []uint64) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, raw := range g.got {
		b, err := sensing.Open(raw, s.PublicKey(), chainID)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b.Counter)
	}
	return out
}

func degrees(at time.Time) []senml.Record {
	return []senml.Record{{Name: "temperature", Unit: "Cel", Time: at, Value: 1}}
}

// A program that starts again sends what is new, and not all that is still in its log.
func TestHandedOverOnce(t *testing.T) {
	gateway := &taking{}
	server := httptest.NewServer(gateway)
	defer server.Close()
	cfg := Config{Dir: t.TempDir(), ChainID: chainID, Signer: sensingtest.NewSigner(7), Gateway: server.URL, Now: func() time.Time { return clock }}
	for range 2 {
		s, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := s.Report(t.Context(), degrees(clock)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.http.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(gateway.counters(t, cfg.Signer)); got != "[1 2 3 4 5 6]" {
		t.Errorf("batches %s arrived, want each once", got)
	}
}

// A console that hangs up while its report is stored leaves no number that is used
// twice.
func TestHungUp(t *testing.T) {
	s := sidecar(t)
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	for range 20 {
		_, _ = s.Report(gone, degrees(clock))
		if _, err := s.Report(t.Context(), degrees(clock)); err != nil {
			t.Fatal(err)
		}
	}
	for i, b := range signed(t, s) {
		if b.Counter != uint64(i+1) {
			t.Fatalf("batch %d has number %d", i+1, b.Counter)
		}
	}
}

// What waited for longer than any gateway takes is dropped, and the rest follows.
func TestAwayForDays(t *testing.T) {
	gateway := &taking{away: true}
	server := httptest.NewServer(gateway)
	defer server.Close()
	now := &later{at: clock}
	signer := sensingtest.NewSigner(7)
	s, err := Open(Config{Dir: t.TempDir(), ChainID: chainID, Signer: signer, Gateway: server.URL, Now: now.now})
	if err != nil {
		t.Fatal(err)
	}
	for range 100 { // an hour each
		if _, err := s.Report(t.Context(), degrees(now.now())); err != nil {
			t.Fatal(err)
		}
		now.add(time.Hour)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for s.sentUntil() <= 1 { // the gateway was tried and is away
		time.Sleep(5 * time.Millisecond)
	}
	gateway.set(false)
	for len(gateway.counters(t, signer)) < 72 {
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	s.http.CloseIdleConnections()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	got := gateway.counters(t, signer)
	if first, last := got[0], got[len(got)-1]; last != 100 || first < 26 || first > 28 || int(last-first)+1 != len(got) {
		t.Errorf("batches %v arrived, want those of the last 72 hours in order", got)
	}
}

// A disk that takes nothing is answered for, and when it does again the chain goes on.
func TestDiskComesBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	s, err := Open(Config{Dir: dir, ChainID: chainID, Signer: sensingtest.NewSigner(7), Gateway: "http://127.0.0.1:1", Now: func() time.Time { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := os.Rename(dir, dir+"-away"); err != nil {
		t.Fatal(err)
	}
	failed, large := false, make([]byte, 40<<10)
	for range 40 { // the log's next file cannot be made
		if _, err = s.ReportPayload(t.Context(), "application/x-test", large); err != nil {
			failed = true
			break
		}
	}
	if !failed {
		t.Fatal("nothing failed without a folder")
	}
	if err := os.Rename(dir+"-away", dir); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, wu, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("with the disk back: %d %s", w.Code, w.Body)
	}
	for i, b := range signed(t, s) {
		if b.Counter != uint64(i+1) {
			t.Fatalf("batch %d has number %d", i+1, b.Counter)
		}
	}
}

// Consoles follow no redirect, and say by GET what others post.
func TestConsolePaths(t *testing.T) {
	const report = "dateutc=now&tempf=50"
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		says                     string
	}{
		{"Ecowitt", "POST", "/data/report/", "PASSKEY=A&" + report, 200, "OK"},
		{"Ecowitt, path without a slash", "POST", "/data/report", "PASSKEY=A&" + report, 200, "OK"},
		{"Ambient Weather", "GET", "/data/report/?PASSKEY=A&" + report, "", 200, "OK"},
		{"Weather Underground", "GET", wuPath + "?ID=A&" + report, "", 200, "success"},
		{"Weather Underground, posted", "POST", wuPath, "ID=A&" + report, 200, "success"},
		{"path without its question mark", "GET", wuPath + "&ID=A&" + report, "", 404, "question mark"},
		{"Sensor.Community without a slash", "POST", "/v1/push-sensor-data", `{"sensordatavalues":[{"value_type":"P1","value":"1"}]}`, 201, "{}"},
	} {
		w := httptest.NewRecorder()
		sidecar(t).Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, strings.NewReader(tt.body)))
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%s: %d %s, want %d and %q", tt.name, w.Code, w.Body, tt.status, tt.says)
		}
	}
}

// Two consoles at one program would be one series of two places.
func TestTwoConsoles(t *testing.T) {
	now := &later{at: clock}
	var log bytes.Buffer
	s, err := Open(Config{Dir: t.TempDir(), ChainID: chainID, Signer: sensingtest.NewSigner(7), Gateway: "http://127.0.0.1:1", Now: now.now, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, step := range []struct {
		name, id string
		after    time.Duration
		status   int
	}{
		{"a try without a name", "", 0, 200},
		{"the console", "HERE", time.Minute, 200},
		{"another", "THERE", time.Minute, 409},
		{"the console again", "HERE", time.Minute, 200},
		{"another a day later, the first being gone", "THERE", 24 * time.Hour, 200},
	} {
		now.add(step.after)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, wuPath+"?dateutc=now&tempf=50&ID="+step.id, nil))
		if w.Code != step.status || step.status == 409 && !strings.Contains(w.Body.String(), "--dir") {
			t.Errorf("%s: %d %s, want %d", step.name, w.Code, w.Body, step.status)
		}
	}
	if !strings.Contains(log.String(), "station=HERE") {
		t.Errorf("who is heard is not in the log: %s", &log)
	}
	now.add(time.Minute)
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, wuPath+"?ID=THERE&tempf=50&dateutc="+now.now().Add(-5*time.Hour).Format("2006-01-02+15:04:05"), nil))
	if w.Code != http.StatusOK || !strings.Contains(log.String(), "set its clock to UTC") {
		t.Errorf("a clock five hours behind: %d %s; log %s", w.Code, w.Body, &log)
	}
}

// Who starts with a copied key, or without what it reported before, is told what to do.
func TestCopiedKey(t *testing.T) {
	signer := sensingtest.NewSigner(7)
	reg := &registry{}
	reg.register(signer.PublicKey())
	server, err := ingest.Open(ingest.Config{Dir: t.TempDir(), ChainID: chainID, Registry: reg, Now: func() time.Time { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	gateway := httptest.NewServer(server.Handler())
	defer gateway.Close()
	for value, wrong := range []bool{false, true} {
		s, err := Open(Config{Dir: t.TempDir(), ChainID: chainID, Signer: signer, Gateway: gateway.URL, Now: func() time.Time { return clock }})
		if err != nil {
			t.Fatal(err)
		}
		readings := degrees(clock)
		readings[0].Value = float64(value)
		if _, err := s.Report(t.Context(), readings); err != nil {
			t.Fatal(err)
		}
		if err := s.Flush(t.Context()); wrong != (err != nil && strings.Contains(err.Error(), "another --dir")) {
			t.Errorf("program %d: %v, want to be told: %v", value, err, wrong)
		}
		s.http.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
