package statuspage

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/grange-network/grange/node"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sample() Snapshot {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	return Snapshot{
		Time: now, Home: "/h", PID: 42,
		Endpoints: []Endpoint{{"s3", "http://127.0.0.1:1"}},
		Roles: []node.Info{
			{Name: "validator", Kind: "validator", State: node.Ready, PID: 42, Since: now.Add(-time.Minute), Status: map[string]int{"height": 9}},
			{Name: "storage-01", Kind: "provider", State: node.Failed, Error: "disk <full>", Since: now},
		},
		Chain:    Chain{ID: "grange-local-1", Height: 9, BlockTime: now.Add(-time.Second), Epoch: 3, Seed: "ab12", SeedEpoch: 3},
		Devices:  []Device{{ID: "d1", Outcome: "faulted", Bond: 1_000_000, Slashed: 10}},
		Leases:   []Lease{{ID: "l1", Device: "d1", State: "open", Held: 2048, Deposited: 100, Paid: 25, Left: 75}, {ID: "l2", Device: "d1", State: "open", Left: 5}},
		Receipts: []Receipt{{Lease: "l1", Lane: 1, Seq: 4, Units: 1024, Paid: 3}},
		Problems: []node.Problem{{Time: now, Role: "storage-01", What: "disk <full>"}},
	}
}

func get(t *testing.T, path string, s Snapshot) (int, string, http.Header) {
	t.Helper()
	return getWith(t, path, s)
}

func getWith(t *testing.T, path string, s Snapshot, more ...prometheus.Collector) (int, string, http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(func() Snapshot { return s }, slog.New(slog.DiscardHandler), more...).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	b, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(b), w.Header()
}

func TestPage(t *testing.T) {
	code, body, h := get(t, "/", sample())
	if code != 200 || !strings.HasPrefix(h.Get("Content-Type"), "text/html") || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'self'") {
		t.Fatalf("code %d, header %v", code, h)
	}
	for _, want := range []string{"grange-local-1", "storage-01", "disk &lt;full&gt;", "1m0s", "2.0 KiB", "$0.000075 (75 %)", "faulted"} {
		if !strings.Contains(body, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	if strings.Contains(body, "<full>") || strings.Contains(body, `src="http`) {
		t.Error("page has unescaped text or an outside script")
	}
}

func TestEmptyPage(t *testing.T) {
	_, body, _ := get(t, "/", Snapshot{Chain: Chain{Error: "connection refused"}})
	for _, want := range []string{"connection refused", "None is registered yet.", "None."} {
		if !strings.Contains(body, want) {
			t.Errorf("page lacks %q", want)
		}
	}
}

func TestJSONAndMetrics(t *testing.T) {
	_, body, _ := get(t, "/status.json", sample())
	var back Snapshot
	if err := json.Unmarshal([]byte(body), &back); err != nil || back.Leases[0].Left != 75 {
		t.Errorf("status.json: %v, %+v", err, back.Leases)
	}
	if _, body, _ = get(t, "/status.json", Snapshot{}); strings.Contains(body, "null") {
		t.Errorf("status.json has null: %s", body)
	}
	_, body, _ = get(t, "/metrics", sample())
	for _, want := range []string{
		`grange_role_ready{kind="validator",role="validator"} 1`, `grange_role_ready{kind="provider",role="storage-01"} 0`,
		"grange_chain_height 9", `grange_lease_escrow_left_ucredit{device="d1"} 80`, `grange_leases{state="open"} 2`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("metrics lack %q", want)
		}
	}
}

func TestUnknownPath(t *testing.T) {
	if code, _, _ := get(t, "/nothing", sample()); code != 404 {
		t.Errorf("code %d", code)
	}
}
