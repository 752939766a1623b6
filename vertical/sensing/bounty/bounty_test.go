package bounty_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing/bounty"
	"github.com/grange-network/grange/vertical/sensing/facts"
	"github.com/grange-network/grange/vertical/sensing/facts/factstest"
	"github.com/grange-network/grange/vertical/sensing/query/querytest"
)

var (
	monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	munich = h3.At(48.14, 11.57, 6)
)

// world is a book beside cars, at a time that moves.
type world struct {
	t      *testing.T
	now    time.Time
	dir    string
	cars   *factstest.Cameras
	keeper *facts.Keeper
	till   *querytest.Till
	book   *bounty.Book
}

func newWorld(t *testing.T, units uint64) *world {
	w := &world{t: t, now: monday.Add(8 * time.Hour), dir: t.TempDir(), cars: factstest.NewCameras(), till: querytest.NewTill(units)}
	w.keeper = w.cars.Keeper(t, func() time.Time { return w.now })
	w.open()
	return w
}

func (w *world) open() {
	w.t.Helper()
	var err error
	w.book, err = bounty.Open(bounty.Config{Dir: w.dir, Facts: w.keeper, Objects: w.cars, Till: w.till, Now: func() time.Time { return w.now }})
	if err != nil {
		w.t.Fatal(err)
	}
}

// drive lets a car drive at a time, and an hour pass.
func (w *world) drive(number int, at time.Time) {
	w.t.Helper()
	w.cars.Drive(w.t, number, at)
	w.now = at.Add(time.Hour)
	if err := w.keeper.Catch(w.t.Context(), w.cars); err != nil {
		w.t.Fatal(err)
	}
	w.book.Fill(w.t.Context())
}

func terms(units uint64, most int) bounty.Terms {
	return bounty.Terms{Product: "images/coverage", Area: munich.Parent(5).String(), Units: units, Most: most, Until: monday.Add(20 * 24 * time.Hour)}
}

// What is taken after a bounty was put up is bought once for each cell, and again
// when a week has passed; the devices get what was promised, and the book stays.
func TestBountyIsFilled(t *testing.T) {
	w := newWorld(t, 10_000_000)
	w.drive(1, monday.Add(9*time.Hour)) // nobody wanted it yet
	b, err := w.book.Place("buyer", terms(20_000, 1000))
	if err != nil {
		t.Fatal(err)
	}
	w.book.Fill(t.Context())
	if got, _ := w.book.Get("buyer", b.ID); len(got.Bought) != 0 {
		t.Fatalf("bought what was there before: %+v", got.Bought)
	}
	w.drive(2, monday.Add(10*time.Hour))
	got, err := w.book.Get("buyer", b.ID)
	first := len(got.Bought)
	if err != nil || first < 5 || got.Trouble != "" {
		t.Fatalf("%d bought, %v, trouble %q", first, err, got.Trouble)
	}
	id, err := device.ParseID(got.Bought[0].Device)
	if owed := w.till.Owed(); err != nil || owed[id] != uint64(first)*20_000 || owed.Total() != owed[id] {
		t.Errorf("owed %v for %d images of %s", owed, first, id)
	}
	data, media, err := w.book.Object(t.Context(), "buyer", b.ID, 0)
	if err != nil || media != "image/jpeg" || len(w.cars.Keys(data)) != 1 {
		t.Errorf("what was bought: %d bytes of %s, %v", len(data), media, err)
	}

	w.open() // as after a restart
	for _, tt := range []struct {
		name   string
		number int
		at     time.Duration
		more   bool
	}{
		{"the same way two days later", 2, 58 * time.Hour, false},
		{"the same way a week later", 2, 8*24*time.Hour + 10*time.Hour, true},
	} {
		before, _ := w.book.Get("buyer", b.ID)
		w.drive(tt.number, monday.Add(tt.at))
		after, err := w.book.Get("buyer", b.ID)
		if err != nil || (len(after.Bought) > len(before.Bought)) != tt.more {
			t.Errorf("%s: %d bought, before %d, %v, %s", tt.name, len(after.Bought), len(before.Bought), err, after.Trouble)
		}
	}
	if _, err := w.book.End("buyer", b.ID); err != nil {
		t.Fatal(err)
	}
	before, _ := w.book.Get("buyer", b.ID)
	w.drive(5, monday.Add(9*24*time.Hour+10*time.Hour))
	if after, _ := w.book.Get("buyer", b.ID); len(after.Bought) != len(before.Bought) || len(w.book.List("")) != 0 {
		t.Errorf("an ended bounty bought %d more; %d are open", len(after.Bought)-len(before.Bought), len(w.book.List("")))
	}
}

// Nobody pays more than he said, or for what is not there.
func TestBountyHasLimits(t *testing.T) {
	w := newWorld(t, 70_000)
	small, err := w.book.Place("buyer", terms(5000, 2))
	if err != nil {
		t.Fatal(err)
	}
	large, err := w.book.Place("buyer", terms(30_000, 100))
	if err != nil {
		t.Fatal(err)
	}
	w.drive(1, monday.Add(10*time.Hour))
	if got, _ := w.book.Get("buyer", small.ID); len(got.Bought) != 2 || got.Left() != 0 {
		t.Errorf("bought %d of two", len(got.Bought))
	}
	got, _ := w.book.Get("buyer", large.ID)
	if len(got.Bought) != 2 || !strings.Contains(got.Trouble, "does not cover") {
		t.Errorf("60,000 units bought %d for 30,000 each, trouble %q", len(got.Bought), got.Trouble)
	}
	if owed := w.till.Owed().Total(); owed != 70_000 {
		t.Errorf("owed %d", owed)
	}

	w = newWorld(t, 10_000_000)
	b, err := w.book.Place("buyer", terms(5000, 100))
	if err != nil {
		t.Fatal(err)
	}
	w.cars.Drive(t, 1, monday.Add(10*time.Hour))
	w.cars.Lose()
	w.now = monday.Add(11 * time.Hour)
	if err := w.keeper.Catch(t.Context(), w.cars); err != nil {
		t.Fatal(err)
	}
	w.book.Fill(t.Context())
	if got, _ := w.book.Get("buyer", b.ID); len(got.Bought) != 0 || got.Trouble == "" || w.till.Owed().Total() != 0 {
		t.Errorf("images that are not stored: %d bought, trouble %q", len(got.Bought), got.Trouble)
	}

	for name, change := range map[string]func(*bounty.Terms){
		"no product":     func(t *bounty.Terms) { t.Product = "images" },
		"no objects":     func(t *bounty.Terms) { t.Product = "events/counts" },
		"a wide area":    func(t *bounty.Terms) { t.Area = munich.Parent(4).String() },
		"no area":        func(t *bounty.Terms) { t.Area = "Munich" },
		"too cheap":      func(t *bounty.Terms) { t.Units = 4999 },
		"none":           func(t *bounty.Terms) { t.Most = 0 },
		"too many":       func(t *bounty.Terms) { t.Most = 1001 },
		"over already":   func(t *bounty.Terms) { t.Until = w.now },
		"for ever":       func(t *bounty.Terms) { t.Until = w.now.Add(1e6 * time.Hour) },
		"every moment":   func(t *bounty.Terms) { t.Every = "1s" },
		"every so often": func(t *bounty.Terms) { t.Every = "often" },
	} {
		bad := terms(5000, 10)
		change(&bad)
		if _, err := w.book.Place("buyer", bad); !errors.Is(err, bounty.ErrTerms) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHandler(t *testing.T) {
	w := newWorld(t, 10_000_000)
	server := httptest.NewServer(w.book.Handler())
	defer server.Close()
	ask := func(method, path, token, body string, want int) []byte {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want {
			t.Errorf("%s %s: %s, want %d: %s", method, path, resp.Status, want, answer)
		}
		return answer
	}
	good, err := json.Marshal(terms(5000, 10))
	if err != nil {
		t.Fatal(err)
	}
	ask("POST", "/v1/bounties", "", string(good), http.StatusPaymentRequired)
	ask("POST", "/v1/bounties", querytest.Token, "{", http.StatusBadRequest)
	ask("POST", "/v1/bounties", querytest.Token, `{"prize":1}`, http.StatusBadRequest)
	ask("POST", "/v1/bounties", querytest.Token, strings.Repeat(" ", 5000)+string(good), http.StatusBadRequest)
	var placed bounty.Bounty
	if err := json.Unmarshal(ask("POST", "/v1/bounties", querytest.Token, string(good), http.StatusCreated), &placed); err != nil || placed.ID == "" {
		t.Fatalf("%+v, %v", placed, err)
	}
	w.drive(1, monday.Add(10*time.Hour))
	everybody := ask("GET", "/v1/bounties", "", "", http.StatusOK)
	if !bytes.Contains(everybody, []byte(placed.ID)) && len(w.book.List("")) == 1 || bytes.Contains(everybody, []byte(`"buyer"`)) {
		t.Errorf("what is wanted: %s", everybody)
	}
	own := "/v1/bounties/" + placed.ID
	ask("GET", own, "", "", http.StatusPaymentRequired)
	if answer := ask("GET", own, querytest.Token, "", http.StatusOK); !bytes.Contains(answer, []byte(`"taken"`)) {
		t.Errorf("what was bought: %s", answer)
	}
	ask("GET", own+"/0", querytest.Token, "", http.StatusOK)
	ask("GET", own+"/99", querytest.Token, "", http.StatusNotFound)
	ask("GET", fmt.Sprintf("/v1/bounties/%016x", 1), querytest.Token, "", http.StatusNotFound)
	ask("DELETE", own, querytest.Token, "", http.StatusOK)
	if answer := ask("GET", "/v1/bounties?mine=1", querytest.Token, "", http.StatusOK); !bytes.Contains(answer, []byte(`"ended":true`)) {
		t.Errorf("after its end: %s", answer)
	}
}
