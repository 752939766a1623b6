package top

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
)

var answers = map[string]string{
	"/v1/status":         `{"chain_id":"test-1\u001b[2J","height":77,"index":{"state":"following","message":null},"epoch":{"number":4,"status":"decided","ends":"2026-01-01T00:00:30Z"}}`,
	"/v1/devices":        `{"items":[{"id":"aaaaaaaaaaaaaaaaaaaa","status":"active","outcome":"proven","proven_units":"1048576","claimed_units":"2097152","sold_units":"1048576","leases":1,"net_ucredit":"1500000","slashed_ugrain":"0"},{"id":"bbbbbbbbbbbbbbbbbbbb","status":"active","outcome":"faulted","proven_units":null,"claimed_units":"1","sold_units":"1","leases":1,"net_ucredit":"5","slashed_ugrain":"7"}],"next":null}`,
	"/v1/leases":         `{"items":[{"id":"1","device":"a","state":"open","held_units":"1","net_ucredit":"1","faults":0},{"id":"2","device":"b","state":"grace","held_units":null,"net_ucredit":"1","faults":2}]}`,
	"/v1/rewards":        `{"items":[{"device":"a","epoch":4,"net_ucredit":"900000","claimed_ugrain":"0"},{"device":"a","epoch":2,"net_ucredit":"100","claimed_ugrain":"0"}]}`,
	"/v1/storage/health": `{"problems":[{"time":"2026-01-01T00:00:00Z","device":"bbbbbbbbbbbbbbbbbbbb","what":"the device did not prove what it holds"},{"time":"2026-01-01T00:00:00Z","device":"cc","what":"somebody else's"}]}`,
}

// screen feeds a model its first answer, as the program would.
func screen(t *testing.T, owner string) Model {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if owner != "" && r.URL.Path == "/v1/devices" && r.URL.Query().Get("owner") != owner {
			t.Errorf("asked for %s", r.URL)
		}
		_, _ = w.Write([]byte(answers[r.URL.Path]))
	}))
	t.Cleanup(server.Close)
	m := New(context.Background(), NewSource(server.URL, owner))
	m.now = func() time.Time { return time.Date(2026, 1, 1, 0, 0, 10, 0, time.UTC) }
	if !strings.Contains(m.text(), "Asking the explorer") {
		t.Error("an empty screen says nothing")
	}
	next, _ := m.Update(m.Init()())
	next, _ = next.Update(tea.WindowSizeMsg{Width: 120, Height: 30})
	return next.(Model)
}

func TestScreen(t *testing.T) {
	text := screen(t, "grange1me").text()
	for _, want := range []string{"test-1[2J", "block 77", "ends in 20s", "$1.500005", "1 open", "1 in grace", "1 proven", "1 faulted", "1.0 MiB", "did not prove", "epochs 1 to 4"} {
		if !strings.Contains(text, want) {
			t.Errorf("the screen lacks %q:\n%s", want, text)
		}
	}
	for _, not := range []string{"\x1b[2J", "somebody else's"} {
		if strings.Contains(text, not) {
			t.Errorf("the screen shows %q", not)
		}
	}
}

func TestKeysAndFailures(t *testing.T) {
	m := screen(t, "")
	if !strings.Contains(m.text(), "somebody else's") {
		t.Error("without an owner every problem is shown")
	}
	next, _ := m.Update(tea.KeyPressMsg{Code: tea.KeyDown})
	next, _ = next.Update(tea.KeyPressMsg{Code: tea.KeyDown})
	if got := next.(Model).first; got != 1 {
		t.Errorf("scrolled to %d of 2", got)
	}
	next, again := next.Update(answered{err: errors.New("no route\x1b[2J")})
	text := next.(Model).text()
	if again == nil || !strings.Contains(text, "no route") || !strings.Contains(text, "block 77") || strings.Contains(text, "\x1b[2J") {
		t.Errorf("after a failure:\n%s", text)
	}
	_, quit := next.Update(tea.KeyPressMsg{Code: 'q', Text: "q"})
	if quit == nil {
		t.Fatal("q does not end it")
	}
	if _, ok := quit().(tea.QuitMsg); !ok {
		t.Error("q does something else")
	}
}

func TestSourceSaysWhatFailed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"error":"the ledger does not answer"}`))
	}))
	defer server.Close()
	if _, err := NewSource(server.URL, "").Read(context.Background()); err == nil || !strings.Contains(err.Error(), "the ledger does not answer") {
		t.Errorf("error %v", err)
	}
}
