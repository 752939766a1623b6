package credit

import (
	"bytes"
	"testing"

	"github.com/grange-network/grange/core/emission"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/creditpb"
)

// busy is a world in which every part of the state is set.
func busy(t testing.TB) *world {
	w := newWorld(t, small)
	w.vote(1_000_000)
	w.vote(1_070_000)
	w.buy(alice, 100_000_000)
	w.spend(alice, bob, 20_000_000)
	w.endEpoch()
	w.redeem(bob, 15_000_000)
	w.redeem(alice, 10_000)
	w.pass(1)
	w.spend(alice, bob, 3_333_333)
	budget, err := w.BonusBudget(w.ctx, "storage", 1, 1, 1)
	must(t, err)
	must(t, w.MintReward(w.ctx, bob, money.Grain(budget/2)))
	for _, name := range []string{"small", "big"} {
		_, err := w.msgs.Price(w.ctx, &creditpb.MsgPrice{Validator: validator(name), MicroUsdPerGrain: 999_999})
		must(t, err)
	}
	return w
}

func TestGenesisIsByteStable(t *testing.T) {
	w := busy(t)
	module := NewModule(w.Keeper)
	exported := module.ExportGenesis(w.ctx, w.cdc)
	must(t, module.ValidateGenesis(w.cdc, nil, exported))

	again := emptyWorld(t)
	again.ctx = again.ctx.WithBlockTime(w.ctx.BlockTime())
	again.bank.InitGenesis(again.ctx, w.bank.ExportGenesis(w.ctx))
	imported := NewModule(again.Keeper)
	imported.InitGenesis(again.ctx, again.cdc, exported)
	if second := imported.ExportGenesis(again.ctx, again.cdc); !bytes.Equal(exported, second) {
		t.Fatalf("export changed:\n%s\n%s", exported, second)
	}
	// Both go on alike.
	for _, x := range []*world{w, again} {
		x.epoch = 1
		x.vote(1_010_000)
		x.redeem(bob, 50_000)
		x.endEpoch()
		x.sound()
	}
	a, b := module.ExportGenesis(w.ctx, w.cdc), imported.ExportGenesis(again.ctx, again.cdc)
	if !bytes.Equal(a, b) {
		t.Fatalf("the two went apart:\n%s\n%s", a, b)
	}
}

func TestGenesisRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*creditpb.GenesisState)
		want   error
		part   string
	}{
		{"parameters", func(g *creditpb.GenesisState) { g.Params.QuorumBps = 1 }, ErrParameters, "quorum is 1 bps"},
		{"price", func(g *creditpb.GenesisState) { g.Price.Last = 1 << 60 }, ErrInvalid, "newest price"},
		{"pool", func(g *creditpb.GenesisState) { g.Totals.Pool++ }, ErrInvalid, "pool is"},
		{"vote", func(g *creditpb.GenesisState) { g.Votes[0].MicroUsdPerGrain = 0 }, ErrInvalid, "vote of"},
		{"votes out of order", func(g *creditpb.GenesisState) { g.Votes[0], g.Votes[1] = g.Votes[1], g.Votes[0] }, ErrInvalid, "sort votes by validator"},
		{"vote of nobody", func(g *creditpb.GenesisState) { g.Votes[0].Validator = "x" }, ErrInvalid, "not a validator's operator address"},
		{"redemption of nobody", func(g *creditpb.GenesisState) { g.Redemptions[0].Holder = "x" }, ErrInvalid, "not an account address"},
		{"redemption number", func(g *creditpb.GenesisState) { g.NextRedemption = 0 }, ErrInvalid, "ids must grow"},
		{"redemption twice", func(g *creditpb.GenesisState) { g.Redemptions = append(g.Redemptions, g.Redemptions...) }, ErrInvalid, "ids must grow"},
		{"redemption that grew", func(g *creditpb.GenesisState) { g.Redemptions[0].Remaining = 1 << 60 }, ErrInvalid, "amounts shrink"},
		{"epoch to come", func(g *creditpb.GenesisState) { g.Epochs[0].Epoch = 9 }, ErrInvalid, "records must be in order"},
		{"credits from nowhere", func(g *creditpb.GenesisState) { g.Totals.CreditsBought++ }, ErrInvariant, "ucredit exist, but"},
		{"grains from nowhere", func(g *creditpb.GenesisState) { g.Totals.GrainsGenesis-- }, ErrInvariant, "ugrain exist, but"},
		{"redemption without its credits", func(g *creditpb.GenesisState) { g.Redemptions = nil }, ErrInvariant, "redemptions wait for 0"},
		{"rewards without a budget", func(g *creditpb.GenesisState) { g.Totals.RewardsBudget = 0 }, ErrInvariant, "minted as rewards"},
		{"budget above the schedule", func(g *creditpb.GenesisState) { g.Emission.Issued = 0 }, ErrInvariant, "the schedule released 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := busy(t)
			g, err := w.ExportGenesis(w.ctx)
			must(t, err)
			c.change(g)
			again := emptyWorld(t)
			again.bank.InitGenesis(again.ctx, w.bank.ExportGenesis(w.ctx))
			refused(t, again.InitGenesis(again.ctx, g), c.want, c.part)
		})
	}
	t.Run("supply leaves no room for the schedule", func(t *testing.T) {
		w := emptyWorld(t)
		must(t, w.bank.MintCoins(w.ctx, ModuleName, grains(emission.SupplyCap)))
		refused(t, w.InitGenesis(w.ctx, DefaultGenesis()), ErrCap, "hand out less")
	})
	t.Run("not JSON", func(t *testing.T) {
		if err := (Module{}).ValidateGenesis(emptyWorld(t).cdc, nil, []byte("{")); err == nil {
			t.Error("accepted")
		}
	})
}

// Credits handed out at genesis have no GRAIN behind them.
func TestGenesisCreditsAreSpentButNotRedeemed(t *testing.T) {
	w := emptyWorld(t)
	must(t, w.bank.MintCoins(w.ctx, ModuleName, credits(50_000_000)))
	must(t, w.bank.SendCoinsFromModuleToAccount(w.ctx, ModuleName, alice, credits(50_000_000)))
	must(t, w.InitGenesis(w.ctx, DefaultGenesis()))
	w.vote(1_000_000)
	_, err := w.msgs.Redeem(w.ctx, &creditpb.MsgRedeem{Holder: alice.String(), Ucredit: 1_000_000})
	refused(t, err, ErrTooLittle, "their part of what was burned")
	w.spend(alice, bob, 10_000_000)
	if r := w.endEpoch(); r.BurnedCredit != 300_000 || r.BurnedGrain != 0 || r.DemandPool != 0 {
		t.Errorf("credits without GRAIN behind them made a demand pool: %+v", r)
	}
	w.sound()
}
