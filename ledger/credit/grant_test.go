package credit

import (
	"testing"

	"github.com/grange-network/grange/core/emission"
	"github.com/grange-network/grange/ledger/api/creditpb"
)

// A grant adds to its vertical's budget, tapers, ends, and is minted only as far
// as it was given.
func TestGrantsAddToTheBudgetAndEnd(t *testing.T) {
	w := newWorld(t, func(g *creditpb.GenesisState) {
		g.Params.Grants = []creditpb.Grant{
			{Vertical: "gamma", Ugrain: 600, StartEpoch: 2, EndEpoch: 5},
			{Vertical: "radio", Ugrain: 100, StartEpoch: 3, EndEpoch: 4},
		}
	})
	budgets := map[string][]uint64{"gamma": {0, 300, 200, 100, 0}, "radio": {0, 0, 100, 0, 0}, "none": {0, 0, 0, 0, 0}}
	for epoch := uint64(1); epoch <= 5; epoch++ {
		w.endEpoch()
		for vertical, want := range budgets {
			got, err := w.BonusBudget(w.ctx, vertical, epoch, 0, 0)
			must(t, err)
			if got != want[epoch-1] {
				t.Errorf("epoch %d adds %d to %s, want %d", epoch, got, vertical, want[epoch-1])
			}
		}
		w.sound()
	}
	if got := w.totals().GrantsBudget; got != 700 {
		t.Errorf("%d ugrain granted, want 700", got)
	}
	must(t, w.MintReward(w.ctx, alice, 700))
	refused(t, w.MintReward(w.ctx, alice, 1), ErrBudget, "0 of 700 are left")
	w.sound()
}

// Parameters that change on the way do not lift the cap of all grants.
func TestGrantsStayBelowTheirCap(t *testing.T) {
	w := newWorld(t)
	most := uint64(emission.GrantCap)
	for epoch := uint64(1); epoch <= 3; epoch++ {
		p, err := w.Params.Get(w.ctx)
		must(t, err)
		p.Grants = []creditpb.Grant{{Vertical: "gamma", Ugrain: most * 2 / 3, StartEpoch: epoch, EndEpoch: epoch + 1}}
		_, err = w.msgs.UpdateParams(w.ctx, &creditpb.MsgUpdateParams{Authority: "gov", Params: p})
		must(t, err)
		w.endEpoch()
		w.sound()
	}
	if got := w.totals().GrantsBudget; got != most {
		t.Errorf("%d ugrain granted, want the cap of %d", got, most)
	}
}

func TestGrantsThatAreRefused(t *testing.T) {
	grant := func(vertical string, ugrain, start, end uint64) creditpb.Grant {
		return creditpb.Grant{Vertical: vertical, Ugrain: ugrain, StartEpoch: start, EndEpoch: end}
	}
	most := uint64(emission.GrantCap)
	for _, c := range []struct {
		name   string
		grants []creditpb.Grant
		part   string
	}{
		{"without a vertical", []creditpb.Grant{grant("", 1, 1, 2)}, "grant 0 has no vertical"},
		{"without an end", []creditpb.Grant{grant("a", 1, 3, 0)}, "an end after it"},
		{"above the cap together", []creditpb.Grant{grant("a", most, 1, 2), grant("b", 1, 1, 2)}, "in all, want at most"},
		{"out of order", []creditpb.Grant{grant("b", 1, 1, 2), grant("a", 1, 1, 2)}, "sort them by vertical"},
		{"two at a time", []creditpb.Grant{grant("a", 1, 1, 5), grant("a", 1, 4, 6)}, "one at a time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := DefaultParams()
			p.Grants = c.grants
			refused(t, ValidateParams(p), ErrParameters, c.part)
		})
	}
}
