package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"

	"github.com/grange-network/grange/atlas"
	"github.com/grange-network/grange/explorer/chaintest"
	"github.com/grange-network/grange/explorer/index"
	"github.com/grange-network/grange/explorer/live"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/verify"
	"github.com/grange-network/grange/vertical"
)

const (
	chainID = "test-1"
	devices = 12
	height  = 120
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/desertbit/timer.timerRoutine"), // started by the SDK's dependencies
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// ledger answers as the ledger would; down makes it silent.
type ledger struct{ down bool }

func told[T any](l *ledger, v T) (T, error) {
	if l.down {
		var zero T
		return zero, client.ErrUnavailable
	}
	return v, nil
}

func (l *ledger) Balances(_ context.Context, address string) (map[string]string, error) {
	if !strings.HasPrefix(address, "grange1") {
		return nil, errors.New("not an address")
	}
	if address == "grange1nobody" {
		return told(l, map[string]string{})
	}
	return told(l, map[string]string{"ugrain": "17", "ucredit": "4"})
}

func (l *ledger) Payouts(context.Context, string) ([]live.Payout, error) {
	return told(l, []live.Payout{{To: "grange1lender", BPS: 500, Paid: "3", Lien: true}})
}

func (l *ledger) Lease(context.Context, string) (live.Lease, error) {
	return told(l, live.Lease{Left: "5", Refunded: "0", Lanes: []live.Lane{{ID: 1, Key: "00", Cap: "9", Seq: 4, Units: "7", Paid: "1"}},
		Commitments: []live.Commitment{{Revision: 1, Root: "00", Held: "4", Effective: 2}}})
}

func (l *ledger) Messages(context.Context, int64, int) ([]json.RawMessage, error) {
	return told(l, []json.RawMessage{json.RawMessage(`{"@type":"/x"}`)})
}

func (l *ledger) Money(context.Context) (live.Money, error) {
	return told(l, live.Money{Take: live.Take{Burn: 300, Validators: 100, Treasury: 100, Rebate: 8000}, Price: live.Price{Low: "1", Mid: "2", High: "3", Age: 4},
		Supply: live.Supply{Grain: "1", Cap: "2", Credits: "3", Pool: "4", Collateral: 10_000, Status: "covered", Released: "5"}})
}

func (l *ledger) Clock(context.Context) (live.Clock, error) {
	return told(l, live.Clock{Ends: time.Unix(1, 0).UTC(), Seconds: 60})
}

func (l *ledger) Bonus(context.Context, string, uint64) (live.Bonus, error) {
	return told(l, live.Bonus{Price: "1", Released: "1", Pool: "1", Rebate: 8000, Burned: "10", BurnedAll: "20", Cap: "8", ProRata: "9", Bonus: "8", Formula: "f"})
}

func (l *ledger) Validators(context.Context) ([]live.Validator, error) {
	return told(l, []live.Validator{{Operator: "grangevaloper1", Name: "<b>x</b>", Status: "bonded", Tokens: "100", Consensus: "01"}})
}

func (l *ledger) Consensus(context.Context) (live.Consensus, error) {
	return told(l, live.Consensus{Height: 121, Step: "propose"})
}

// evidence is a directory in which epoch 5 is published with some of device0.
func evidence(t testing.TB) *live.Published {
	t.Helper()
	p := verify.Published{Version: 2, Vertical: "sensing", Epoch: 5, Previous: 4, Terms: verify.PublishedTerms{Grant: 300}, Evidence: &verify.PublishedEvidence{},
		Usage: []verify.PublishedUse{{Device: chaintest.ID("device0"), Weight: 18, Penalty: 250, Granted: 180, Bonus: 190,
			Parts: []vertical.Part{{Name: "hours", Terms: []vertical.Term{{Name: "hours", Value: 24}, {Name: "quality", Value: 3, Of: 4}}}}}}}
	raw, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "sensing"), 0o700), os.WriteFile(filepath.Join(dir, "sensing", "5.json"), raw, 0o600)); err != nil {
		t.Fatal(err)
	}
	return live.NewPublished(dir)
}

// start serves a filled index; grow adds blocks to it.
func start(t testing.TB, change func(*Config)) (base string, grow func(n int), l *ledger) {
	t.Helper()
	blocks := chaintest.History(t, 7, height+100, devices)
	store, _, err := index.Open(context.Background(), filepath.Join(t.TempDir(), "index.db"), chainID)
	if err != nil {
		t.Fatal(err)
	}
	chain := chaintest.New(chainID, blocks[:height])
	log := slog.New(slog.DiscardHandler)
	f := index.NewFollower(store, chain, false, log)
	l = &ledger{}
	c := Config{ChainID: chainID, Published: evidence(t), Index: store, Follower: f, Ledger: l, Catalog: atlas.Embedded(), Log: log, Rate: 100_000, Burst: 100_000}
	if change != nil {
		change(&c)
	}
	s := New(c)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{}, 2)
	go func() { _ = f.Run(ctx); done <- struct{}{} }()
	server := httptest.NewServer(s)
	wait, stop := context.WithTimeout(ctx, 3*time.Minute)
	defer stop()
	if err := f.Await(wait, height); err != nil {
		t.Fatal(err)
	}
	go func() { s.Run(ctx); done <- struct{}{} }()
	t.Cleanup(func() {
		cancel()
		<-done
		<-done
		server.CloseClientConnections()
		server.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	grow = func(n int) {
		chain.Change(func(s *chaintest.State) { s.Blocks = blocks[:len(s.Blocks)+n] })
	}
	return server.URL, grow, l
}

// ask returns the answer and its body.
func asked(t testing.TB, method, url, body string, header ...string) (answer, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header}, raw
}

// answer is the head of one.
type answer struct {
	StatusCode int
	Header     http.Header
}

// schemas compiles openapi.yaml.
func schemas(t *testing.T) func(path, method, status, media string) *jsonschema.Schema {
	t.Helper()
	var doc any
	if err := yaml.Unmarshal(contract, &doc); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("openapi.json", parsed); err != nil {
		t.Fatal(err)
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")
	return func(path, method, status, media string) *jsonschema.Schema {
		t.Helper()
		at := "openapi.json#/paths/" + escape.Replace(path) + "/" + method + "/responses/" + status + "/content/" + escape.Replace(media) + "/schema"
		switch {
		case status == "default":
			at = "openapi.json#/components/schemas/Error"
		case path == "/v1/status":
			at = "openapi.json#/components/schemas/Status"
		}
		s, err := c.Compile(at)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		return s
	}
}

// questions are every endpoint of the contract with ways to ask it.
func questions() map[string][]string {
	device, lease := chaintest.ID("device0"), chaintest.ID("lease0")
	return map[string][]string{
		"/v1/status": {""}, "/v1/search": {"?q=fil", "?q=5", "?q=" + device[:6], "?q=grange1owner1"},
		"/v1/blocks": {"", "?full=true&limit=3"}, "/v1/blocks/{height}": {"/1", "/30", "/120"}, "/v1/txs": {"", "?failed=true", "?account=grange1owner1", "?type=grange.market.v1.MsgSettle", "?height=20"},
		"/v1/validators": {""}, "/v1/consensus": {""}, "/v1/accounts/{address}": {"/grange1owner1", "/grange1payer"},
		"/v1/devices":      {"", "?limit=2", "?outcome=proven", "?cell=" + "841f1d5ffffffff", "?bbox=13,52,14,53", "?capability=storage-node&class=prn"},
		"/v1/devices/{id}": {"/" + device}, "/v1/cells": {"", "?resolution=8", "?resolution=3&outline=hexagon", "?outline=point&outcome=proven"},
		"/v1/offers":       {"", "?kind=storage&status=open", "?device=" + device},
		"/v1/offers/match": {"?kind=storage", "?kind=storage&capacity_units=99999999999999", "?kind=none", "?kind=storage&hold=3/1073741824&proven=true&attribute=a=b", "?kind=storage&bond_ugrain=5005&cell=811f3ffffffffff"},
		"/v1/leases":       {"", "?state=open", "?device=" + device, "?payer=grange1payer&limit=1"}, "/v1/leases/{id}": {"/" + lease}, "/v1/receipts": {"", "?device=" + device, "?lease=" + lease},
		"/v1/proofs": {"", "?epoch=9", "?device=" + device}, "/v1/epochs": {""}, "/v1/epochs/{number}": {"/1", "/9", "/12"}, "/v1/rewards": {"", "?device=" + device, "?owner=grange1owner1", "?epoch=8"},
		"/v1/rewards/{device}/{epoch}/why": {"/" + device + "/5/why", "/" + device + "/7/why", "/" + device + "/12/why", "/" + chaintest.ID("device11") + "/1/why"},
		"/v1/storage/health":               {""}, "/v1/products": {"", "?resolution=3"}, "/v1/kinds": {"", "?resolution=2"}, "/v1/series": {"", "?epochs=3", "?device=" + device}, "/v1/sustainability": {""}, "/v1/events": {"?as=json", "?as=json&type=grange.market.settle&limit=3"},
		"/v1/observations/stations": {""}, "/v1/observations/products": {""}, "/v1/observations/bounties": {""},
		"/v1/atlas": {"", "?vertical=storage"}, "/v1/atlas/entries/{id}": {"/filecoin", "/io.net"}, "/v1/atlas/compare": {"?id=filecoin&id=arweave", "?id=filecoin,storj"}, "/v1/atlas/disagreements": {""},
		"/v1/atlas/market": {""}, "/v1/claims": {"", "?subject=filecoin", "?kind=observed&limit=2"}, "/v1/advise/options": {""}, "/v1/export/depinscan": {""}, "/external-access/revenue": {""},
	}
}

// Every answer is what openapi.yaml says, with the ledger and without it.
func TestAnswersAreTheContract(t *testing.T) {
	base, _, l := start(t, nil)
	schema := schemas(t)
	check := func(path, method, url, body string, status int, media string) {
		t.Helper()
		resp, raw := asked(t, strings.ToUpper(method), url, body)
		if resp.StatusCode != status {
			t.Errorf("%s: %d %s", url, resp.StatusCode, raw)
			return
		}
		of := "200"
		if status != 200 {
			of = "default"
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Errorf("%s: %v", url, err)
			return
		}
		if err := schema(path, method, of, media).Validate(v); err != nil {
			t.Errorf("%s: %v\n%.400s", url, err, raw)
		}
	}
	run := func(t *testing.T, silent bool) {
		l.down = silent
		for path, ways := range questions() {
			stem, _, _ := strings.Cut(path, "/{")
			media := "application/json"
			if path == "/v1/cells" {
				media = "application/geo+json"
			}
			for _, way := range ways {
				status := 200
				if silent && (path == "/v1/validators" || path == "/v1/consensus") {
					status = 503
				}
				check(path, "get", base+stem+way, "", status, media)
			}
		}
	}
	t.Run("with the ledger", func(t *testing.T) { run(t, false) })
	t.Run("without the ledger", func(t *testing.T) { run(t, true) })
	l.down = false
	for _, p := range []struct{ path, body string }{
		{"/v1/advise/own", `{"asset":"gpu","gpu":"H100","count":8}`}, {"/v1/advise/own", `{"asset":"storage","disk_tb":12}`}, {"/v1/advise/need", `{"service":"inference","availability_percent":99.9}`},
		{"/v1/place", `{"workload":{"service":"inference","units":1,"availability_percent":99.99},"reference_usd":4}`},
		{"/v1/place", `{"batch":{"workload":{"service":"inference","units":1},"work_hours":200,"checkpoint_seconds":60,"repair_minutes":30},"reference_usd":4,"case":"optimistic"}`},
		{"/v1/place", `{"burst":{"workload":{"service":"inference","units":1},"quota":10,"demand":[5,10,30,12]},"reference_usd":4}`},
		{"/v1/scenario", `{"name":"base","runs":20}`}, {"/v1/scenario", `{"name":"base","runs":20,"seed":7,"months":12}`},
	} {
		check(p.path, "post", base+p.path, p.body, 200, "application/json")
	}
}

// Whatever is wrong is said in the same form, with the right code.
func TestErrors(t *testing.T) {
	base, _, _ := start(t, nil)
	schema := schemas(t)("", "", "default", "")
	device := chaintest.ID("device0")
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		suggestion         string
	}{
		"unknown device, near one":  {"GET", "/v1/devices/" + device[:60] + "0000", "", 404, device},
		"unknown device":            {"GET", "/v1/devices/" + strings.Repeat("0", 64), "", 404, ""},
		"no id at all":              {"GET", "/v1/devices/<script>", "", 404, ""},
		"unknown lease":             {"GET", "/v1/leases/" + chaintest.ID("lease0")[:62] + "zz", "", 404, chaintest.ID("lease0")},
		"unknown transaction":       {"GET", "/v1/txs/" + strings.Repeat("f", 64), "", 404, ""},
		"unknown account":           {"GET", "/v1/accounts/grange1nobody", "", 404, ""},
		"unknown block":             {"GET", "/v1/blocks/99999", "", 404, "/v1/blocks/120 is the newest"},
		"unknown epoch":             {"GET", "/v1/epochs/99999", "", 404, "/v1/epochs/12 runs now"},
		"why of an epoch to come":   {"GET", "/v1/rewards/" + device + "/999/why", "", 404, "/v1/epochs/12 runs now"},
		"unknown entry, near one":   {"GET", "/v1/atlas/entries/filecoim", "", 404, "filecoin"},
		"deep page":                 {"GET", "/v1/receipts?limit=201", "", 400, ""},
		"no page":                   {"GET", "/v1/receipts?limit=0", "", 400, ""},
		"offset":                    {"GET", "/v1/receipts?after=100000", "", 400, ""},
		"nonsense":                  {"GET", "/v1/blocks/zero", "", 400, ""},
		"a place too exact":         {"GET", "/v1/cells?resolution=9", "", 400, ""},
		"a cell too exact":          {"GET", "/v1/devices?cell=891f1d48863ffff", "", 400, ""},
		"a box of nothing":          {"GET", "/v1/devices?bbox=1,2,3", "", 400, ""},
		"a form nobody knows":       {"GET", "/v1/devices?as=xml", "", 400, ""},
		"a table of no list":        {"GET", "/v1/status?as=csv", "", 400, ""},
		"an endpoint nobody knows":  {"GET", "/v1/secrets", "", 404, ""},
		"a method nobody knows":     {"DELETE", "/v1/devices", "", 405, ""},
		"a question without answer": {"POST", "/v1/place", `{}`, 400, ""},
		"a question in words":       {"POST", "/v1/advise/own", `where do I earn`, 400, ""},
		"a field nobody knows":      {"POST", "/v1/advise/own", `{"asset":"gpu","sudo":true}`, 400, ""},
		"a scenario too long":       {"POST", "/v1/scenario", `{"name":"base","runs":100000}`, 400, ""},
		"a question too large":      {"POST", "/v1/place", `{"workload":{"name":"` + strings.Repeat("x", maxBody) + `"}}`, 413, ""},
	} {
		t.Run(name, func(t *testing.T) {
			resp, raw := asked(t, c.method, base+c.path, c.body)
			if resp.StatusCode != c.status {
				t.Fatalf("status %d, want %d: %s", resp.StatusCode, c.status, raw)
			}
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
			if err == nil {
				err = schema.Validate(v)
			}
			if err != nil {
				t.Fatalf("%v: %s", err, raw)
			}
			var e struct{ Error, Suggestion string }
			if err := json.Unmarshal(raw, &e); err != nil {
				t.Fatal(err)
			}
			if c.suggestion != "" && !strings.Contains(e.Suggestion, c.suggestion) {
				t.Errorf("suggestion %q, want %q", e.Suggestion, c.suggestion)
			}
		})
	}
}

// A cell is a formula to nobody, whatever a provider wrote; JSON says it as it is.
func TestCSV(t *testing.T) {
	base, _, _ := start(t, nil)
	resp, raw := asked(t, "GET", base+"/v1/devices?as=csv&limit=3", "")
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/csv") || resp.Header.Get("Grange-Next") == "" {
		t.Errorf("headers %v", resp.Header)
	}
	text := string(raw)
	if !strings.Contains(text, "'=cmd()<script>") || strings.Contains(text, ",=cmd") || strings.Count(text, "\n") != 4 {
		t.Errorf("csv:\n%s", text)
	}
	for in, want := range map[string]string{"=1+1": "'=1+1", "+1": "'+1", "-1": "-1", "-1.5": "-1.5", "-a": "'-a", "@x": "'@x", "\tx": "'\tx", "\rx": "'\rx", "x=1": "x=1", "": "", "-": "'-", "-1+cmd": "'-1+cmd"} {
		if got := inert(in); got != want {
			t.Errorf("cell %q is written %q, want %q", in, got, want)
		}
	}
	_, lines := asked(t, "GET", base+"/v1/epochs?as=ndjson", "")
	if strings.Count(string(lines), "\n") != 12 {
		t.Errorf("ndjson:\n%s", lines)
	}
}

func TestHeaders(t *testing.T) {
	base, grow, _ := start(t, func(c *Config) { c.Burst, c.Rate = 8, 1 })
	resp, _ := asked(t, "GET", base+"/v1/devices", "")
	if got := resp.Header.Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'self'") || strings.Contains(got, "unsafe") {
		t.Errorf("policy %q", got)
	}
	etag := resp.Header.Get("ETag")
	if etag != `"120"` {
		t.Errorf("etag %s", etag)
	}
	if resp, _ := asked(t, "GET", base+"/v1/devices", "", "If-None-Match", etag); resp.StatusCode != http.StatusNotModified {
		t.Errorf("asked again: %d", resp.StatusCode)
	}
	grow(1)
	for range 5 {
		asked(t, "GET", base+"/v1/status", "")
	}
	resp, raw := asked(t, "GET", base+"/v1/devices", "")
	for range 3 { // the bucket fills a little while we ask
		if resp.StatusCode == 429 {
			break
		}
		resp, raw = asked(t, "GET", base+"/v1/devices", "")
	}
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" || !strings.Contains(string(raw), "too_many") {
		t.Errorf("after the burst: %d %s", resp.StatusCode, raw)
	}
	if resp, _ := asked(t, "GET", base+"/", ""); resp.StatusCode == 429 {
		t.Error("questions use up what a page's files may ask")
	}
}

// reader reads a stream of events.
type reader struct {
	body io.Closer
	scan *bufio.Scanner
}

func listen(t testing.TB, url string, header ...string) *reader {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req) //nolint:bodyclose // the reader's
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 {
		t.Fatalf("stream: %s", resp.Status)
	}
	return &reader{resp.Body, bufio.NewScanner(resp.Body)}
}

// until returns the ids up to and with the block at a height.
func (r *reader) until(t testing.TB, height int) []string {
	t.Helper()
	var ids []string
	kind := ""
	for r.scan.Scan() {
		line := r.scan.Text()
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			ids = append(ids, id)
		}
		if k, ok := strings.CutPrefix(line, "event: "); ok {
			kind = k
		}
		if line == "" && kind == "block" && strings.HasPrefix(ids[len(ids)-1], fmt.Sprint(height, ":")) {
			return ids
		}
	}
	t.Fatalf("stream ended before block %d: %v", height, r.scan.Err())
	return nil
}

// A reader that comes back gets everything after the last id it saw, once.
func TestStreamResumes(t *testing.T) {
	base, grow, _ := start(t, nil)
	defer http.DefaultClient.CloseIdleConnections()
	first := listen(t, base+"/v1/events")
	grow(20)
	all := first.until(t, 140)
	first.body.Close()
	if len(all) < 40 {
		t.Fatalf("%d events in 20 blocks", len(all))
	}
	cut := len(all) / 2
	second := listen(t, base+"/v1/events", "Last-Event-ID", all[cut])
	grow(10)
	rest := second.until(t, 150)
	second.body.Close()
	for i, id := range all[cut+1:] {
		if rest[i] != id {
			t.Fatalf("event %d after %s is %s, want %s", i, all[cut], rest[i], id)
		}
	}
	seen := map[string]bool{}
	for _, id := range rest {
		if seen[id] {
			t.Fatalf("event %s twice", id)
		}
		seen[id] = true
	}
	only := listen(t, base+"/v1/events?type=grange.market&last_id=120:0")
	for n := 0; n < 10 && only.scan.Scan(); {
		if kind, ok := strings.CutPrefix(only.scan.Text(), "event: "); ok {
			n++
			if !strings.HasPrefix(kind, "grange.market") {
				t.Fatalf("event of type %s", kind)
			}
		}
	}
	only.body.Close()
}

// A reader that does not read is hung up on, and nobody waits for it.
func TestSlowReaderIsDropped(t *testing.T) {
	h := &hub{readers: map[chan *message]struct{}{}}
	slow, _, _ := h.join(10)
	quick, _, _ := h.join(10)
	for n := range queued + 1 {
		m := &message{height: int64(n)}
		h.mu.Lock()
		for r := range h.readers {
			h.offer(r, m)
		}
		h.mu.Unlock()
		<-quick
	}
	got := 0
	for range slow {
		got++
	}
	if got != queued || len(h.readers) != 1 {
		t.Errorf("slow reader got %d of %d before the end, %d readers left", got, queued, len(h.readers))
	}
}
