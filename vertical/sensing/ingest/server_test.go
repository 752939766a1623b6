package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/senml"
	"github.com/grange-network/grange/vertical/sensing/sensingtest"
)

const chainID = "test-1"

// clock of the tests.
var clock = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// registry holds the keys of the tests' devices.
type registry map[device.ID]device.PublicKey

func (r registry) Key(_ context.Context, id device.ID) (device.PublicKey, error) {
	k, ok := r[id]
	if !ok {
		return k, ErrUnknown
	}
	return k, nil
}

func registered(signers ...sensingtest.Signer) registry {
	r := registry{}
	for _, s := range signers {
		r[s.PublicKey().ID()] = s.PublicKey()
	}
	return r
}

func open(t testing.TB, dir string, change func(*Config), signers ...sensingtest.Signer) *Server {
	t.Helper()
	cfg := Config{Dir: dir, ChainID: chainID, Registry: registered(signers...), Now: func() time.Time { return clock }}
	if change != nil {
		change(&cfg)
	}
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// series makes n chained batches.
func series(t testing.TB, s sensingtest.Signer, n int) []*sensing.Batch {
	t.Helper()
	var out []*sensing.Batch
	var previous sensing.Hash
	for i := range n {
		b := seal(t, s, uint64(i+1), previous, float64(i), clock)
		out, previous = append(out, b), b.Hash
	}
	return out
}

func seal(t testing.TB, s sensingtest.Signer, counter uint64, previous sensing.Hash, v float64, at time.Time) *sensing.Batch {
	t.Helper()
	b, err := sensing.Seal(s, chainID, counter, previous, []senml.Record{{Name: "temperature", Unit: "Cel", Time: at, Value: v}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMain(m *testing.M) {
	if dir := os.Getenv("GRANGE_TEST_INGEST"); dir != "" {
		flood(dir)
		return
	}
	if dir := os.Getenv("GRANGE_TEST_INGEST_MQTT"); dir != "" {
		serveForever(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

func TestAccept(t *testing.T) {
	a, b := sensingtest.NewSigner(1), sensingtest.NewSigner(2)
	dir := t.TempDir()
	s := open(t, dir, nil, a)
	batches := series(t, a, 5)
	ctx := t.Context()
	accept := func(name string, s *Server, raw []byte, want error, duplicate bool) {
		t.Helper()
		r, err := s.Accept(ctx, raw)
		if !errors.Is(err, want) || r.Duplicate != duplicate {
			t.Errorf("%s: %+v, %v, want %v", name, r, err, want)
		}
	}
	accept("first", s, batches[0].Raw, nil, false)
	accept("second", s, batches[1].Raw, nil, false)
	accept("second again", s, batches[1].Raw, nil, true)
	accept("a gap", s, batches[4].Raw, nil, false)
	accept("older than the newest", s, batches[3].Raw, ErrReplay, false)
	accept("another second", s, seal(t, a, 2, batches[0].Hash, 99, clock).Raw, ErrFork, false)
	accept("another predecessor", s, seal(t, a, 6, batches[0].Hash, 99, clock).Raw, ErrFork, false)
	accept("not registered", s, series(t, b, 1)[0].Raw, ErrUnknown, false)
	accept("too old", s, seal(t, a, 6, batches[4].Hash, 1, clock.Add(-73*time.Hour)).Raw, ErrTime, false)
	accept("from the future", s, seal(t, a, 6, batches[4].Hash, 1, clock.Add(2*time.Minute)).Raw, ErrTime, false)
	accept("noise", s, []byte("hello"), sensing.ErrMalformed, false)
	want := Counts{Accepted: 3, Duplicates: 1, Malformed: 1, Unknown: 1, Time: 2, Replayed: 1, Forks: 2}
	if got := s.Counts(); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	told := map[string]int{}
	for _, f := range s.Refusals() {
		if told[f.Why] = f.Count; f.Error == "" || f.Last.Before(f.First) {
			t.Errorf("told %+v", f)
		}
	}
	if want := map[string]int{"malformed batch": 1, "unknown device": 1, "wrong time": 2, "number used before": 1, "copied key": 2}; !maps.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, nil, a)
	accept("second, after a restart", s, batches[1].Raw, nil, true)
	accept("fourth, after a restart", s, batches[3].Raw, ErrReplay, false)
	var kept, forks int
	for e, err := range s.Entries(0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Fork {
			forks++
		} else {
			kept++
		}
	}
	if kept != 3 || forks != 2 {
		t.Errorf("%d batches and %d forks in the log, want 3 and 2", kept, forks)
	}
}

// measured is a kind of two variables.
type measured struct{ sensing.Kind }

func (measured) Info() sensing.KindInfo {
	return sensing.KindInfo{Variables: []string{"temperature", "humidity"}}
}

// A batch that no kind would look at is refused, and its sender reads what would be.
func TestNoKind(t *testing.T) {
	a := sensingtest.NewSigner(1)
	s := open(t, t.TempDir(), func(c *Config) { c.Kinds = []sensing.Kind{measured{}} }, a)
	long := strings.Repeat("x", 200)
	var accepted, refused uint64
	for i, tt := range []struct {
		name, says string
		readings   []string
	}{
		{"known", "", []string{"temperature"}},
		{"one is known", "", []string{"latitude", "longitude", "soil", "humidity"}},
		{"none", `: "soil", "uv"; known are humidity, temperature`, []string{"soil", "uv", "soil"}},
		{"another case", `: "Temperature"; known are`, []string{"Temperature"}},
		{"only the place", `: "latitude", "longitude"; known`, []string{"latitude", "longitude"}},
		{"many and long", `: "1", "2", "3", "4", "` + long[:maxName] + `" and more; known`, []string{"1", "2", "3", "4", long, "6", "7"}},
	} {
		var records []senml.Record
		for _, name := range tt.readings {
			records = append(records, senml.Record{Name: name, Time: clock, Value: 1})
		}
		b, err := sensing.Seal(a, chainID, uint64(2*i+2), sensing.Hash{}, records)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Accept(t.Context(), b.Raw)
		if tt.says == "" {
			accepted++
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		refused++
		if !errors.Is(err, ErrNoKind) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.says)
		}
		if status, code := Reason(err); status != http.StatusUnprocessableEntity || code != "no_kind" {
			t.Errorf("%s: %d %s", tt.name, status, code)
		}
	}
	if got := s.Counts(); got != (Counts{Accepted: accepted, NoKind: refused}) {
		t.Errorf("counts %+v, want %d accepted and %d refused", got, accepted, refused)
	}
}

// A batch that the log lost is taken when it comes again, whatever came after it.
func TestLost(t *testing.T) {
	a := sensingtest.NewSigner(1)
	s := open(t, t.TempDir(), nil, a)
	batches := series(t, a, 3)
	ctx := t.Context()
	if _, err := s.Accept(ctx, batches[0].Raw); err != nil {
		t.Fatal(err)
	}
	s.chain(a.PublicKey().ID()).note(2, &entry{hash: batches[1].Hash, lost: true})
	for _, i := range []int{2, 1} {
		if r, err := s.Accept(ctx, batches[i].Raw); err != nil || r.Duplicate {
			t.Errorf("batch %d: %+v, %v", i+1, r, err)
		}
	}
	if r, err := s.Accept(ctx, batches[1].Raw); err != nil || !r.Duplicate {
		t.Errorf("batch 2 again: %+v, %v", r, err)
	}
	if r := s.AcceptAll(ctx, []Arrival{{Raw: batches[2].Raw, From: "somebody"}})[0]; !errors.Is(r.Err, sensing.ErrMalformed) {
		t.Errorf("sent by somebody else: %v", r.Err)
	}
}

// None of those that come together is accepted behind one that is to come again.
func TestRateKeepsOrder(t *testing.T) {
	a := sensingtest.NewSigner(1)
	now := clock
	s := open(t, t.TempDir(), func(c *Config) {
		c.Burst, c.Rate = 1, 1
		c.Now = func() time.Time { now = now.Add(400 * time.Millisecond); return now }
	}, a)
	var arrivals []Arrival
	for _, b := range series(t, a, 8) {
		arrivals = append(arrivals, Arrival{Raw: b.Raw})
	}
	for rounds := 0; len(arrivals) > 0; rounds++ {
		taken := 0
		for i, r := range s.AcceptAll(t.Context(), arrivals) {
			if r.Err == nil && i == taken {
				taken++
			} else if !errors.Is(r.Err, ErrRate) {
				t.Fatalf("arrival %d of %d behind %d: %+v", i, len(arrivals), taken, r)
			}
		}
		if arrivals = arrivals[taken:]; rounds > 100 {
			t.Fatalf("%d are never taken", len(arrivals))
		}
	}
}

// A large batch counts as many, so that one device does not fill the disk.
func TestRateOfBytes(t *testing.T) {
	a := sensingtest.NewSigner(1)
	s := open(t, t.TempDir(), func(c *Config) { c.Burst = 5 }, a)
	var records []senml.Record
	for i := range 1000 {
		records = append(records, senml.Record{Name: "temperature", Time: clock, Value: 0.1 + float64(i)})
	}
	var previous sensing.Hash
	for i, want := range []error{nil, ErrRate} {
		b, err := sensing.Seal(a, chainID, uint64(i+1), previous, records)
		if err != nil || len(b.Raw) < 2*usual || len(b.Raw) >= 4*usual {
			t.Fatalf("%d bytes, %v", len(b.Raw), err)
		}
		if _, err := s.Accept(t.Context(), b.Raw); !errors.Is(err, want) {
			t.Errorf("batch %d of %d bytes: %v, want %v", i, len(b.Raw), err, want)
		}
		previous = b.Hash
	}
}

// What is on its way to the disk when its sender leaves is not lost, and has no
// other beside it.
func TestSenderLeaves(t *testing.T) {
	a := sensingtest.NewSigner(1)
	s := open(t, t.TempDir(), nil, a)
	gone, leave := context.WithCancel(t.Context())
	leave()
	for i, b := range series(t, a, 50) {
		if _, err := s.Accept(gone, b.Raw); err != nil {
			t.Fatalf("batch %d: %v", i, err)
		}
		if r, err := s.Accept(t.Context(), b.Raw); err != nil || !r.Duplicate {
			t.Fatalf("batch %d again: %+v, %v", i, r, err)
		}
	}
}

func TestRate(t *testing.T) {
	a := sensingtest.NewSigner(1)
	now := clock
	s := open(t, t.TempDir(), func(c *Config) { c.Burst, c.Now = 3, func() time.Time { return now } }, a)
	batches := series(t, a, 5)
	for i, b := range batches[:4] {
		_, err := s.Accept(t.Context(), b.Raw)
		if want := i == 3; errors.Is(err, ErrRate) != want {
			t.Fatalf("batch %d: %v", i, err)
		}
	}
	now = now.Add(time.Second)
	if _, err := s.Accept(t.Context(), batches[3].Raw); err != nil {
		t.Errorf("a second later: %v", err)
	}
}

// The same batch from many connections at once is stored once.
func TestDuplicatesCountOnce(t *testing.T) {
	a := sensingtest.NewSigner(1)
	s := open(t, t.TempDir(), nil, a)
	b := series(t, a, 1)[0]
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := s.Accept(context.Background(), b.Raw); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if c := s.Counts(); c.Accepted != 1 || c.Duplicates != 15 {
		t.Errorf("counts %+v, want 1 accepted and 15 duplicates", c)
	}
}

func TestHTTP(t *testing.T) {
	a := sensingtest.NewSigner(1)
	s := open(t, t.TempDir(), nil, a)
	h := s.Handler()
	post := func(raw []byte) (int, answer) {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/observations", bytes.NewReader(raw)))
		var got answer
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatalf("%q: %v", w.Body, err)
		}
		return w.Code, got
	}
	batches := series(t, a, 2)
	if status, got := post(batches[0].Raw); status != 201 || got.Counter != 1 || got.Seq != 1 || got.Device != a.PublicKey().ID().String() {
		t.Errorf("first: %d %+v", status, got)
	}
	if status, got := post(batches[0].Raw); status != 200 || !got.Duplicate {
		t.Errorf("again: %d %+v", status, got)
	}
	if status, got := post(make([]byte, sensing.MaxBatch+1)); status != 413 || got.Code != "too_large" {
		t.Errorf("too large: %d %+v", status, got)
	}
	if status, got := post(seal(t, a, 2, batches[0].Hash, 1, clock.Add(-100*time.Hour)).Raw); status != 422 || !strings.Contains(got.Error, "check the device's clock") {
		t.Errorf("too old: %d %+v", status, got)
	}
}

// flood is the other process of TestKill: it accepts batches and prints each
// counter once it is acknowledged.
func flood(dir string) {
	a := sensingtest.NewSigner(1)
	s, err := Open(Config{Dir: dir, ChainID: chainID, Registry: registered(a), Now: func() time.Time { return clock }, Burst: 1 << 30})
	if err != nil {
		fmt.Println("open:", err)
		return
	}
	var previous sensing.Hash
	for n := uint64(1); ; n++ {
		b, err := sensing.Seal(a, chainID, n, previous, []senml.Record{{Name: "temperature", Time: clock, Value: float64(n)}})
		if err != nil {
			fmt.Println("seal:", err)
			return
		}
		if _, err := s.Accept(context.Background(), b.Raw); err != nil {
			fmt.Println("accept:", err)
			return
		}
		previous = b.Hash
		fmt.Println(n)
	}
}

// A process that is killed has lost nothing that it acknowledged.
func TestKill(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), "GRANGE_TEST_INGEST="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acknowledged uint64
	for acknowledged < 50 {
		if _, err := fmt.Fscanln(out, &acknowledged); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for {
		var n uint64
		if _, err := fmt.Fscanln(out, &n); err != nil {
			break
		}
		acknowledged = n
	}
	_ = cmd.Wait() // killed
	s := open(t, dir, nil, sensingtest.NewSigner(1))
	var newest uint64
	for e, err := range s.Entries(0) {
		if err != nil || e.Counter != newest+1 {
			t.Fatalf("entry %d behind %d: %v", e.Counter, newest, err)
		}
		newest = e.Counter
	}
	if newest < acknowledged {
		t.Errorf("%d batches in the log, %d were acknowledged", newest, acknowledged)
	}
}

func BenchmarkAccept(b *testing.B) {
	const devices, readings = 64, 50
	var signers []sensingtest.Signer
	for i := range devices {
		signers = append(signers, sensingtest.NewSigner(byte(i+1)))
	}
	s := open(b, b.TempDir(), func(c *Config) { c.Burst = 1 << 30 }, signers...)
	rounds := b.N/devices + 1
	raw := make([][][]byte, devices)
	for i, sg := range signers {
		var previous sensing.Hash
		for n := range rounds {
			recs := make([]senml.Record, readings)
			for j := range recs {
				recs[j] = senml.Record{Name: "temperature", Unit: "Cel", Time: clock.Add(time.Duration(j-readings) * time.Second), Value: 20 + float64(j)/10}
			}
			batch, err := sensing.Seal(sg, chainID, uint64(n+1), previous, recs)
			if err != nil {
				b.Fatal(err)
			}
			previous = batch.Hash
			raw[i] = append(raw[i], batch.Raw)
		}
	}
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range devices {
		wg.Go(func() {
			for _, r := range raw[i] {
				if _, err := s.Accept(context.Background(), r); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(readings*devices*rounds)/b.Elapsed().Seconds(), "readings/s")
}
