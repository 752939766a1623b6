package host_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/grange-network/grange/node/host"
)

// founders initialises machines and returns their homes and cards.
func founders(t *testing.T, n int) (homes []string, cards []host.Card) {
	t.Helper()
	for i := range n {
		home := t.TempDir()
		_, err := host.Init(t.Context(), home, host.InitOptions{
			Name: fmt.Sprintf("m%d", i), ChainID: "grange-test-1", Address: fmt.Sprintf("192.0.2.%d:26656", i+1), Epoch: time.Minute,
		})
		if err != nil {
			t.Fatal(err)
		}
		c, err := host.ReadCard(host.CardPath(home)) // as another machine gets it
		if err != nil {
			t.Fatal(err)
		}
		homes, cards = append(homes, home), append(cards, c)
	}
	return homes, cards
}

func TestCardsInAnyOrderFoundTheSameChain(t *testing.T) {
	homes, cards := founders(t, 3)
	want, err := host.Join(homes[0], cards)
	if err != nil {
		t.Fatal(err)
	}
	got, err := host.Join(homes[1], []host.Card{cards[2], cards[1], cards[0]})
	if err != nil || got != want {
		t.Fatalf("machine 2 has genesis %s (%v), machine 1 has %s", got, err, want)
	}
	a, _ := os.ReadFile(filepath.Join(homes[0], "chain", "config", "genesis.json"))
	b, _ := os.ReadFile(filepath.Join(homes[1], "chain", "config", "genesis.json"))
	if len(a) == 0 || string(a) != string(b) {
		t.Fatal("genesis files differ")
	}
}

func TestJoinRefuses(t *testing.T) {
	homes, cards := founders(t, 2)
	other := cards[1]
	other.ChainID = "another-1"
	epochs := cards[1]
	epochs.EpochSeconds++
	forged := cards[1]
	forged.Gentx = json.RawMessage(`{"body":{}}`)
	for _, c := range []struct {
		name  string
		cards []host.Card
	}{
		{"own card missing", cards[1:]},
		{"a card twice", []host.Card{cards[0], cards[1], cards[1]}},
		{"another chain", []host.Card{cards[0], other}},
		{"other epochs", []host.Card{cards[0], epochs}},
		{"a gentx that is none", []host.Card{cards[0], forged}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if hash, err := host.Join(homes[0], c.cards); err == nil {
				t.Fatalf("joined with genesis %s", hash)
			}
			if _, err := os.Stat(filepath.Join(homes[0], "chain", "config", "genesis.json")); err == nil {
				t.Fatal("a refused join left a genesis")
			}
		})
	}
	if _, err := host.Join(homes[0], cards); err != nil {
		t.Fatal("join after refusals:", err)
	}
	var refused *host.Error
	if _, err := host.Join(homes[0], cards); !errors.As(err, &refused) {
		t.Fatal("a second join must be refused:", err)
	}
}

func TestReadCardRefuses(t *testing.T) {
	homes, _ := founders(t, 1)
	good, err := os.ReadFile(host.CardPath(homes[0]))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new string }{
		{"version", `"version": 1`, `"version": 2`},
		{"unknown field", `"version": 1`, `"version": 1, "extra": 1`},
		{"address without port", `192.0.2.1:26656`, `192.0.2.1`},
		{"address that adds a peer", `192.0.2.1:26656`, `192.0.2.1,x:26656`},
		{"operator", `"operator": "grange1`, `"operator": "grange2`},
		{"too long", `"version": 1`, `"version": 1` + strings.Repeat(" ", 1<<17)},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "card.json")
			bad := strings.Replace(string(good), c.old, c.new, 1)
			if bad == string(good) {
				t.Fatal("nothing replaced")
			}
			if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
				t.Fatal(err)
			}
			var refused *host.Error
			if _, err := host.ReadCard(path); !errors.As(err, &refused) {
				t.Fatalf("got %v, want a refusal", err)
			}
		})
	}
}
