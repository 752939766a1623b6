package verify

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/score"
)

func device(n byte) [32]byte { return [32]byte{0: n, 31: 9} }

// history publishes n epochs of three devices.
func history(t testing.TB, n uint64) []Published {
	t.Helper()
	var state score.State
	out := []Published{{}}
	for epoch := uint64(1); epoch <= n; epoch++ {
		terms := score.Terms{Vertical: "storage", Epoch: epoch, Pool: 1000, Rebate: 8000, Price: 1_000_000}
		usage := []score.Usage{{Device: device(3), Epoch: epoch, Burned: 70}, {Device: device(1), Epoch: epoch, Burned: money.Credit(10 * epoch)}}
		next, report, bonuses, err := state.Next(terms, usage)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, publish("chain-1", state.Epoch, terms, next, report, bonuses, weighed{}))
		state = next
	}
	return out
}

func TestPublishedRoundTripAndCheck(t *testing.T) {
	all := history(t, 3)
	for i := 1; i < len(all); i++ {
		raw, err := all[i].Encode()
		if err != nil {
			t.Fatal(err)
		}
		p, err := DecodePublished(raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Check(t.Context(), all[i-1], Sources{}); err != nil {
			t.Errorf("epoch %d: %v", i, err)
		}
		state, err := p.State()
		if err != nil || state.Epoch != uint64(i) || len(state.Leaves) != 2 {
			t.Errorf("state of epoch %d: %+v (%v)", i, state, err)
		}
	}
	if err := all[3].Check(t.Context(), all[1], Sources{}); err == nil || !strings.Contains(err.Error(), "follows epoch 2") {
		t.Errorf("a gap passed: %v", err)
	}
}

// Whatever is changed in a published epoch, recomputing it finds out.
func TestCheckFindsAnyChange(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Published)
	}{
		{"pool", func(p *Published) { p.Terms.Pool-- }},
		{"grant", func(p *Published) { p.Terms.Grant++ }},
		{"weight", func(p *Published) { p.Usage[0].Weight++ }},
		{"evidence", func(p *Published) { p.Evidence = &PublishedEvidence{} }},
		{"rebate", func(p *Published) { p.Terms.Rebate-- }},
		{"price", func(p *Published) { p.Terms.Price++ }},
		{"epoch", func(p *Published) { p.Epoch++ }},
		{"vertical", func(p *Published) { p.Vertical = "sensing" }},
		{"burned", func(p *Published) { p.Usage[0].Burned++ }},
		{"bonus", func(p *Published) { p.Usage[0].Bonus++ }},
		{"device", func(p *Published) { p.Usage[0].Device = strings.Repeat("ab", 32) }},
		{"no device", func(p *Published) { p.Usage[0].Device = "ab" }},
		{"left out", func(p *Published) { p.Usage = p.Usage[1:] }},
		{"order", func(p *Published) { p.Usage[0], p.Usage[1] = p.Usage[1], p.Usage[0] }},
		{"lifetime", func(p *Published) { p.Leaves[0].Lifetime++ }},
		{"extra leaf", func(p *Published) {
			p.Leaves = append(p.Leaves, PublishedTip{Device: strings.Repeat("ff", 32), Lifetime: 1})
		}},
		{"reward root", func(p *Published) { p.RewardRoot = strings.Repeat("00", 32) }},
		{"inputs root", func(p *Published) { p.InputsRoot = strings.Repeat("00", 32) }},
		{"total", func(p *Published) { p.Total++ }},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := history(t, 2)
			c.change(&all[2])
			if err := all[2].Check(t.Context(), all[1], Sources{}); err == nil {
				t.Fatal("passed")
			}
		})
	}
}

func TestStateRefusesLeavesThatDoNotMakeTheRoot(t *testing.T) {
	p := history(t, 1)[1]
	p.Leaves[0].Lifetime++
	if _, err := p.State(); err == nil {
		t.Error("other amounts passed")
	}
	p.Leaves[0].Device = "zz"
	if _, err := p.State(); err == nil {
		t.Error("a leaf of no device passed")
	}
}

func FuzzDecodePublished(f *testing.F) {
	for _, p := range history(f, 2)[1:] {
		raw, err := p.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := DecodePublished(raw)
		if err != nil {
			return
		}
		again, err := p.Encode()
		if err != nil || string(again) != string(raw) {
			t.Fatalf("decoded, but encodes to\n%s", again)
		}
		_ = p.Check(t.Context(), Published{}, Sources{}) // must not panic
	})
}

// The file's form is a promise: who computes the same, writes the same bytes.
func TestPublishedVector(t *testing.T) {
	raw, err := history(t, 1)[1].Encode()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("testdata", "epoch.json"))
	if err != nil {
		t.Fatal(err)
	}
	if string(raw) != string(want) {
		t.Fatalf("published bytes changed:\n%s", raw)
	}
}

func TestShelf(t *testing.T) {
	s := shelfOf(t.TempDir(), "storage")
	if n, err := s.newest(); n != 0 || err != nil {
		t.Fatalf("empty: %d (%v)", n, err)
	}
	if _, err := s.get(1); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("missing: %v", err)
	}
	all := history(t, 12)
	for _, p := range all[1:] {
		if err := s.put(p); err != nil {
			t.Fatal(err)
		}
	}
	for _, junk := range []string{"99.json.tmp", "x.json", ".13.json.123"} {
		if err := os.WriteFile(filepath.Join(s.dir, junk), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.newest(); n != 12 || err != nil {
		t.Fatalf("newest %d (%v), want 12", n, err)
	}
	if p, err := s.get(9); err != nil || p.Check(t.Context(), all[8], Sources{}) != nil {
		t.Fatalf("epoch 9: %v", err)
	}
	if err := os.Truncate(s.path(9), 100); err != nil {
		t.Fatal(err)
	}
	if _, err := s.get(9); err == nil {
		t.Fatal("half a file was read")
	}
}

func TestHandler(t *testing.T) {
	home := t.TempDir()
	all := history(t, 3)
	for _, p := range all[1:] {
		if err := shelfOf(home, "storage").put(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(home, "secret.json"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := Handler(home)
	paid := all[3].Leaves[0].Device
	for _, c := range []struct {
		name, path string
		status     int
		words      string
	}{
		{"an epoch", "/v1/epochs/storage/2", 200, all[2].RewardRoot},
		{"the newest", "/v1/epochs/storage/newest", 200, all[3].RewardRoot},
		{"one that is not there", "/v1/epochs/storage/4", 404, "not_found"},
		{"another vertical", "/v1/epochs/sensing/1", 404, "not_found"},
		{"no number", "/v1/epochs/storage/x", 400, "want a number"},
		{"a name that climbs", "/v1/epochs/..%2f/secret", 400, "bad_request"},
		{"a number that climbs", "/v1/epochs/storage/..%2f..%2fsecret", 400, "bad_request"},
		{"a claim", "/v1/epochs/storage/newest/claims/" + paid, 200, `"lifetime_ugrain"`},
		{"a claim of a stranger", "/v1/epochs/storage/3/claims/" + strings.Repeat("00", 32), 404, "not_found"},
		{"a claim of no device", "/v1/epochs/storage/3/claims/xyz", 400, "64 hex digits"},
		{"a claim in no epoch", "/v1/epochs/storage/9/claims/" + paid, 404, "not_found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, c.path, nil))
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.words) || strings.Contains(w.Body.String(), home) {
				t.Fatalf("status %d, body %s", w.Code, w.Body)
			}
			if !json.Valid(w.Body.Bytes()) {
				t.Fatalf("no JSON: %s", w.Body)
			}
		})
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/epochs/storage/2", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: status %d", w.Code)
	}
}

func TestKeyIsMadeOnceAndKept(t *testing.T) {
	home := filepath.Join(t.TempDir(), "verifier")
	a, err := loadKey(home)
	if err != nil {
		t.Fatal(err)
	}
	b, err := loadKey(home)
	if err != nil || a.Public() != b.Public() {
		t.Fatalf("second start: another key (%v)", err)
	}
	info, err := os.Stat(filepath.Join(home, keyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v (%v), want 0600", info.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(home, keyFile), []byte("c0ffee but not hex"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadKey(home); err == nil || strings.Contains(err.Error(), "c0ffee") {
		t.Fatalf("broken key: %v", err)
	}
}

// Published numbers survive readers that know only doubles: they are text.
func TestPublishedNumbersAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Published{Version: publishedVersion, Epoch: rapid.Uint64().Draw(t, "epoch"), Total: rapid.Uint64().Draw(t, "total"), Usage: []PublishedUse{}, Leaves: []PublishedTip{}}
		raw, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		var loose map[string]any
		if err := json.Unmarshal(raw, &loose); err != nil {
			t.Fatal(err)
		}
		if _, text := loose["total_ugrain"].(string); !text {
			t.Fatalf("total is %T", loose["total_ugrain"])
		}
		back, err := DecodePublished(raw)
		if err != nil || back.Total != p.Total || back.Epoch != p.Epoch {
			t.Fatalf("%+v (%v)", back, err)
		}
	})
}
