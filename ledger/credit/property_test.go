package credit

import (
	"errors"
	"math/big"
	"reflect"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/emission"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/creditpb"
)

// anyOf are the answers a correct message may get when state does not allow it.
func anyOf(t *rapid.T, err error, allowed ...error) {
	if err == nil {
		return
	}
	for _, a := range allowed {
		if errors.Is(err, a) {
			return
		}
	}
	t.Fatalf("unexpected refusal: %v", err)
}

// Whatever users, validators and time do, the accounts add up after every step,
// and exporting and importing changes nothing.
func TestAccountsAddUpAfterEveryStep(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, func(g *creditpb.GenesisState) {
			g.Params.RedeemPerBlock = uint32(rapid.IntRange(1, 3).Draw(rt, "per block"))
			g.Params.RedeemWindowFloor = rapid.Uint64Range(10_000, 1<<34).Draw(rt, "floor")
			g.Params.RedeemWindowSeconds = 1000
			g.Params.BurnBps = uint32(rapid.IntRange(0, 4000).Draw(rt, "burn"))
			g.Params.RebateBps = uint32(rapid.IntRange(0, 9999).Draw(rt, "rebate"))
		})
		price := uint64(1_000_000)
		someone := func() sdk.AccAddress { return rapid.SampledFrom([]sdk.AccAddress{alice, bob}).Draw(rt, "who") }
		rt.Repeat(map[string]func(*rapid.T){
			"": func(rt *rapid.T) {
				if err := w.CheckInvariants(w.ctx); err != nil {
					rt.Fatal(err)
				}
			},
			"vote": func(rt *rapid.T) {
				price = max(price*rapid.Uint64Range(80, 125).Draw(rt, "percent")/100, 1000)
				before := w.cover()
				w.vote(price)
				// Whoever redeems takes nothing from what covers the others.
				if after := w.cover(); after.bought.Cmp(before.bought) == 0 && after.below(before) {
					rt.Fatalf("a round left %s for %s, it was %s for %s", after.pool, after.debt, before.pool, before.debt)
				}
			},
			"wait": func(rt *rapid.T) {
				before := w.cover()
				w.pass(rapid.Int64Range(1, 700).Draw(rt, "seconds"))
				if after := w.cover(); !reflect.DeepEqual(after, before) {
					rt.Fatalf("a block without a round traded: %+v, was %+v", after, before)
				}
			},
			"epoch": func(rt *rapid.T) {
				before := w.collateral()
				w.endEpoch()
				// Retiring is neutral but for rounding, which a few credits would show.
				after := w.collateral()
				if after.Outstanding > 1_000_000 && (after.RatioBps+1 < before.RatioBps || after.RatioBps > before.RatioBps+1) {
					rt.Fatalf("ending an epoch moved the ratio from %d to %d", before.RatioBps, after.RatioBps)
				}
			},
			"buy": func(rt *rapid.T) {
				_, err := w.msgs.Buy(w.ctx, &creditpb.MsgBuy{Buyer: someone().String(), Ugrain: rapid.Uint64Range(0, 1<<36).Draw(rt, "ugrain")})
				anyOf(rt, err, ErrStale, ErrFunds, ErrTooLittle)
			},
			"redeem": func(rt *rapid.T) {
				_, err := w.msgs.Redeem(w.ctx, &creditpb.MsgRedeem{Holder: someone().String(), Ucredit: rapid.Uint64Range(10_000, 1<<36).Draw(rt, "ucredit")})
				anyOf(rt, err, ErrStale, ErrTooLittle, ErrFunds)
			},
			"cancel": func(rt *rapid.T) {
				queue, err := all(w.ctx, w.Redemptions)
				if err != nil || len(queue) == 0 {
					rt.Skip()
				}
				r := rapid.SampledFrom(queue).Draw(rt, "redemption")
				if _, err := w.msgs.CancelRedeem(w.ctx, &creditpb.MsgCancelRedeem{Holder: r.Holder, Id: r.Id}); err != nil {
					rt.Fatal(err)
				}
			},
			"spend": func(rt *rapid.T) {
				from := someone()
				have := w.balance(from, money.CreditDenom)
				if have == 0 {
					rt.Skip()
				}
				w.spend(from, someone(), rapid.Uint64Range(1, have).Draw(rt, "ucredit"))
			},
			"reward": func(rt *rapid.T) {
				err := w.MintReward(w.ctx, someone(), money.Grain(rapid.Uint64Range(0, 1<<24).Draw(rt, "ugrain")))
				anyOf(rt, err, ErrBudget)
			},
			"export": func(rt *rapid.T) {
				g, err := w.ExportGenesis(w.ctx)
				if err != nil {
					rt.Fatal(err)
				}
				if err := ValidateGenesis(g); err != nil {
					rt.Fatal(err)
				}
				if rapid.IntRange(0, 4).Draw(rt, "import") > 0 {
					return // it takes a while
				}
				again := emptyWorld(t)
				again.ctx = again.ctx.WithBlockTime(w.ctx.BlockTime())
				again.bank.InitGenesis(again.ctx, w.bank.ExportGenesis(w.ctx))
				if err := again.InitGenesis(again.ctx, g); err != nil {
					rt.Fatal(err)
				}
				if second, err := again.ExportGenesis(again.ctx); err != nil || !reflect.DeepEqual(g, second) {
					rt.Fatalf("import changed %+v to %+v (%v)", g, second, err)
				}
			},
		})
		if supply := w.collateral().GrainSupply; supply > uint64(emission.SupplyCap) {
			rt.Fatalf("supply %d passes the cap", supply)
		}
	})
}

// cover is what stands behind the credits, exactly.
type cover struct{ pool, debt, bought *big.Int }

func (w *world) cover() cover {
	t := w.totals()
	o, err := load(w.ctx, w.Open)
	must(w.t, err)
	n := func(x uint64) *big.Int { return new(big.Int).SetUint64(x) }
	return cover{n(t.Pool), n(uint64(debt(t, o))), n(t.CreditsBought)}
}

// below says whether a credit has less behind it than in b.
func (a cover) below(b cover) bool {
	return new(big.Int).Mul(a.pool, b.debt).Cmp(new(big.Int).Mul(b.pool, a.debt)) < 0
}

// A network of one who buys, pays himself, redeems and gets the whole demand
// pool ends with less GRAIN than he had, at any price that does not move.
func TestDealingWithOneselfLoses(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		price := rapid.Uint64Range(10_000, 100_000_000).Draw(rt, "price")
		w.vote(price)
		start := w.balance(alice, money.GrainDenom)
		for range rapid.IntRange(1, 8).Draw(rt, "epochs") {
			w.vote(price)
			w.buy(alice, rapid.Uint64Range(1_000_000, 10_000_000_000).Draw(rt, "ugrain"))
			for range rapid.IntRange(0, 3).Draw(rt, "times") {
				if have := w.balance(alice, money.CreditDenom); have > 0 {
					w.spend(alice, alice, rapid.Uint64Range(1, have).Draw(rt, "ucredit"))
				}
			}
			r := w.endEpoch()
			if err := w.MintReward(w.ctx, alice, money.Grain(r.DemandPool)); err != nil {
				rt.Fatal(err)
			}
		}
		w.vote(price)
		if have := w.balance(alice, money.CreditDenom); have >= 10_000 {
			w.redeem(alice, have)
		}
		for range 200 {
			w.vote(price)
		}
		// What still waits or was too little to redeem is worth at most this.
		left := new(big.Int).SetUint64(w.collateral().Waiting + w.balance(alice, money.CreditDenom))
		left.Quo(left.Mul(left, big.NewInt(1_000_000)), new(big.Int).SetUint64(price))
		if end := w.balance(alice, money.GrainDenom) + left.Uint64(); end >= start {
			rt.Fatalf("started with %d ugrain, ended with %d", start, end)
		}
		w.sound()
	})
}
