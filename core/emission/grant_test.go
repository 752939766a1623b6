package emission

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/money"
)

// A grant never grows, ends at its end and adds up to its total.
func TestGrantTapersToItsEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := Grant{Total: money.Grain(rapid.Uint64Range(0, uint64(GrantCap)).Draw(t, "total")), Start: rapid.Uint64Range(1, 1<<62).Draw(t, "start")}
		g.End = g.Start + rapid.Uint64Range(1, 400).Draw(t, "epochs")
		var sum money.Grain
		last := g.Total
		for e := g.Start; e < g.End; e++ {
			part := g.At(e)
			if part > last+1 { // +1: each part is rounded
				t.Fatalf("epoch %d gets %d after %d", e, part, last)
			}
			last, sum = part, sum+part
		}
		if sum != g.Total {
			t.Fatalf("parts sum to %d of %d", sum, g.Total)
		}
		if g.At(g.Start-1) != 0 || g.At(g.End) != 0 {
			t.Fatalf("epoch before gets %d, end gets %d", g.At(g.Start-1), g.At(g.End))
		}
	})
}

func TestGrantOfFourEpochs(t *testing.T) {
	g := Grant{Total: 1000, Start: 3, End: 7}
	for e, want := range map[uint64]money.Grain{2: 0, 3: 400, 4: 300, 5: 200, 6: 100, 7: 0} {
		if got := g.At(e); got != want {
			t.Errorf("epoch %d gets %d, want %d", e, got, want)
		}
	}
}

func TestGrantsThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		name string
		g    Grant
		want string
	}{
		{"more than the cap", Grant{GrantCap + 1, 1, 2}, "at most"},
		{"no end", Grant{1, 5, 0}, "an end after it"},
		{"before the first epoch", Grant{1, 0, 5}, "first epoch of 1"},
		{"for ever", Grant{1, 1, maxGrantEpochs + 2}, "lasts 10001 epochs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.g.Valid(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if got := c.g.At(1); got != 0 {
				t.Errorf("pays %d", got)
			}
		})
	}
}
