package credit

import (
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/emission"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/creditpb"
)

func small(g *creditpb.GenesisState) {
	g.Params.RedeemWindowFloor, g.Params.RedeemWindowBps, g.Params.RedeemWindowSeconds = 1_000_000, 0, 1000
}

func TestTheBreakerSlowsAndTheQueueStaysInOrder(t *testing.T) {
	w := newWorld(t, small)
	w.vote(1_000_000)
	w.buy(alice, 100_000_000)
	first, second := w.redeem(alice, 1_600_000), w.redeem(alice, 20_000)
	w.round()
	r, err := w.Redemptions.Get(w.ctx, first)
	if err != nil || r.Remaining != 600_000 {
		t.Fatalf("first block pays the window: %+v (%v)", r, err)
	}
	w.ctx = w.ctx.WithBlockTime(w.ctx.BlockTime().Add(-51e9))
	w.round() // 9 s later frees 0.9 %: less than the least redemption
	if r, _ = w.Redemptions.Get(w.ctx, first); r.Remaining != 600_000 {
		t.Errorf("paid crumbs: %d left", r.Remaining)
	}
	w.sound()
	w.vote(1_000_000)
	for range 10 {
		w.vote(1_000_000) // a minute each
		if has, _ := w.Redemptions.Has(w.ctx, second); !has {
			if has, _ := w.Redemptions.Has(w.ctx, first); has {
				t.Fatal("the second was paid before the first")
			}
		}
	}
	w.sound()
	if c := w.collateral(); c.Waiting != 0 {
		t.Errorf("%d ucredit still wait after 660 s", c.Waiting)
	}
}

func TestBlocksPayAtMostTheirNumber(t *testing.T) {
	w := newWorld(t, func(g *creditpb.GenesisState) { g.Params.RedeemPerBlock = 3 })
	w.vote(1_000_000)
	w.buy(alice, 100_000_000)
	for range 8 {
		w.redeem(alice, 10_000)
	}
	for _, want := range []int{5, 2, 0} {
		w.round()
		if queue, _ := all(w.ctx, w.Redemptions); len(queue) != want {
			t.Fatalf("%d wait, want %d", len(queue), want)
		}
		w.sound()
	}
}

// quick has the average of the price follow in a few rounds.
func quick(g *creditpb.GenesisState) { g.Params.WeightBps = 2500 }

func TestBelowFullCoverACreditGetsItsPart(t *testing.T) {
	w := newWorld(t, quick)
	w.vote(1_000_000)
	made := w.buy(alice, 1_000_000_000)
	w.spend(alice, bob, made/2)
	w.endEpoch()
	if c := w.collateral(); c.Status != creditpb.COLLATERAL_STATUS_COVERED || c.RatioBps < 9990 || c.RatioBps > 10_030 {
		t.Fatalf("after a purchase: %+v", c)
	}
	for w.collateral().RatioBps > 6000 || w.collateral().Status == creditpb.COLLATERAL_STATUS_COVERED {
		w.vote(500_000)
	}
	c := w.collateral()
	if c.Status != creditpb.COLLATERAL_STATUS_PARTIAL || c.Room < 1_000_000_000 {
		t.Fatalf("after a fall: %+v", c)
	}
	had := w.balance(bob, money.GrainDenom)
	w.redeem(bob, 10_000_000)
	w.round()
	if got, want := w.balance(bob, money.GrainDenom)-had, 10_000_000*c.Pool/c.Outstanding; got != want {
		t.Errorf("10 credits got %d ugrain, their part is %d", got, want)
	}
	if after := w.collateral(); after.RatioBps+1 < c.RatioBps || after.Pool == 0 {
		t.Errorf("the others are covered by %d bps, were by %d", after.RatioBps, c.RatioBps)
	}
	w.sound()
	// Buying goes on and lifts the cover.
	before := w.collateral().Pool
	w.buy(bob, 500_000_000_000)
	if after := w.collateral(); after.Pool <= before {
		t.Errorf("pool %d after a purchase, was %d", after.Pool, before)
	}
	w.sound()
}

// Redeeming everything never makes a grain that was not burned for credits.
func TestEverythingRedeemedEmptiesThePool(t *testing.T) {
	w := newWorld(t, quick)
	w.vote(1_000_000)
	made := w.buy(alice, 100_000_000)
	for range 40 {
		w.vote(900_000)
	}
	supply := w.collateral().GrainSupply
	w.redeem(alice, made)
	w.round()
	if c := w.collateral(); c.Pool != 0 || c.Outstanding != 0 || c.GrainSupply != supply+100_000_000 {
		t.Errorf("%d ugrain left for %d ucredit, supply grew by %d", c.Pool, c.Outstanding, c.GrainSupply-supply)
	}
	w.sound()
}

// A redemption that was paid in part waits for room before any other is paid.
func TestPartOfTheHeadStopsTheQueue(t *testing.T) {
	w := newWorld(t, small)
	w.vote(1_000_000)
	w.buy(alice, 100_000_000)
	first, second := w.redeem(alice, 1_000_001), w.redeem(bob2(w), 10_000)
	w.round()
	r, err := w.Redemptions.Get(w.ctx, first)
	if err != nil || r.Remaining != 1 {
		t.Fatalf("head %+v (%v)", r, err)
	}
	if has, _ := w.Redemptions.Has(w.ctx, second); !has {
		t.Error("a later one was paid")
	}
}

// bob2 is bob with a few credits that alice paid him.
func bob2(w *world) sdk.AccAddress {
	w.spend(alice, bob, 1_000_000)
	return bob
}

func TestTradesTakeThePriceOfARoundThatNobodyKnew(t *testing.T) {
	ask := func(w *world) (buy, redeem uint64) {
		r, err := w.msgs.Buy(w.ctx, &creditpb.MsgBuy{Buyer: alice.String(), Ugrain: 1_000_000})
		must(w.t, err)
		return r.Id, w.redeem(alice, 10_000)
	}
	waits := func(w *world, buy, redeem uint64) bool {
		b, err := w.Purchases.Has(w.ctx, buy)
		must(w.t, err)
		r, err := w.Redemptions.Has(w.ctx, redeem)
		must(w.t, err)
		if b != r {
			w.t.Fatalf("purchase waits: %v, redemption waits: %v", b, r)
		}
		return b
	}
	for _, c := range []struct {
		name   string
		before func(*world) // what happens after the round and before the request
		rounds int          // that pass it by
	}{
		{"asked in the block of a round", func(*world) {}, 0},
		{"asked before any vote of the round under way", func(w *world) { w.pass(5) }, 1},
		{"asked when votes are in", func(w *world) {
			_, err := w.msgs.Price(w.ctx, &creditpb.MsgPrice{Validator: validator("big"), MicroUsdPerGrain: 900_000})
			must(w.t, err)
			w.pass(5)
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.vote(1_000_000)
			w.buy(alice, 100_000_000)
			c.before(w)
			buy, redeem := ask(w)
			for range c.rounds {
				w.vote(1_000_000)
				if !waits(w, buy, redeem) {
					t.Fatal("traded at the price of a round whose votes could be known")
				}
				w.pass(30) // other blocks trade nothing
			}
			if !waits(w, buy, redeem) {
				t.Fatal("traded without a round")
			}
			w.vote(1_000_000)
			if waits(w, buy, redeem) {
				t.Fatal("waits longer than a round that opened after it")
			}
			w.sound()
		})
	}
}

func TestPurchasesThatAreGivenBack(t *testing.T) {
	w := newWorld(t)
	w.vote(1_000_000)
	had := w.balance(alice, money.GrainDenom)
	for _, least := range []uint64{0, 997_500} {
		_, err := w.msgs.Buy(w.ctx, &creditpb.MsgBuy{Buyer: alice.String(), Ugrain: 1_000_000, MinCredit: least})
		must(t, err)
	}
	w.vote(990_000)
	if got := had - w.balance(alice, money.GrainDenom); got != 1_000_000 || w.balance(alice, money.CreditDenom) == 0 {
		t.Errorf("%d ugrain are gone, want those of the purchase that asked for nothing", got)
	}
	w.sound()
	had = w.balance(alice, money.GrainDenom)
	_, err := w.msgs.Buy(w.ctx, &creditpb.MsgBuy{Buyer: alice.String(), Ugrain: 1_000_000})
	must(t, err)
	w.sound()
	w.pass(601)
	if got := w.balance(alice, money.GrainDenom); got != had {
		t.Errorf("a purchase without a price has %d of %d ugrain given back", got, had)
	}
	w.sound()
}

func TestPurchasesABlockAreBounded(t *testing.T) {
	w := newWorld(t, func(g *creditpb.GenesisState) { g.Params.BuyPerBlock = 3 })
	w.vote(1_000_000)
	for range 7 {
		_, err := w.msgs.Buy(w.ctx, &creditpb.MsgBuy{Buyer: alice.String(), Ugrain: 1_000_000})
		must(t, err)
	}
	for _, want := range []int{4, 1, 0} {
		w.round()
		r, err := w.asks.Purchases(w.ctx, &creditpb.QueryPurchasesRequest{Buyer: alice.String()})
		must(t, err)
		if len(r.Purchases) != want {
			t.Fatalf("%d wait, want %d", len(r.Purchases), want)
		}
		w.sound()
	}
}

// Who cancels gives up nothing and gains nothing: the round under way is over
// before he has his credits back, and at a stale price there is none.
func TestCancellingIsNoOption(t *testing.T) {
	w := newWorld(t, small)
	w.vote(1_000_000)
	w.buy(alice, 100_000_000)
	id := w.redeem(alice, 50_000_000)
	_, err := w.msgs.CancelRedeem(w.ctx, &creditpb.MsgCancelRedeem{Holder: bob.String(), Id: id})
	refused(t, err, ErrNotYours, "belongs to")
	had := w.balance(alice, money.CreditDenom)
	back, err := w.msgs.CancelRedeem(w.ctx, &creditpb.MsgCancelRedeem{Holder: alice.String(), Id: id})
	must(t, err)
	if back.Ucredit != 0 || w.balance(alice, money.CreditDenom) != had {
		t.Errorf("gave %d back before the round was over", back.Ucredit)
	}
	w.sound()
	w.vote(1_000_000) // pays the window of one credit first
	if got := w.balance(alice, money.CreditDenom) - had; got != 49_000_000 {
		t.Errorf("%d came back, want what the round left", got)
	}
	_, err = w.msgs.CancelRedeem(w.ctx, &creditpb.MsgCancelRedeem{Holder: alice.String(), Id: id})
	refused(t, err, ErrNotFound, "it was paid or cancelled")
	w.sound()

	id = w.redeem(alice, 10_000_000)
	w.pass(601)
	had = w.balance(alice, money.CreditDenom)
	back, err = w.msgs.CancelRedeem(w.ctx, &creditpb.MsgCancelRedeem{Holder: alice.String(), Id: id})
	must(t, err)
	if back.Ucredit != 10_000_000 || w.balance(alice, money.CreditDenom) != had+10_000_000 {
		t.Errorf("cancel at a stale price gave %d back", back.Ucredit)
	}
	w.sound()
}

func TestRewardsStayWithinBudgetAndCap(t *testing.T) {
	w := newWorld(t)
	w.vote(1_000_000)
	refused(t, w.MintReward(w.ctx, bob, 1), ErrBudget, "0 of 0 are left")
	w.buy(alice, 100_000_000_000)
	w.spend(alice, bob, 10_000_000_000)
	r := w.endEpoch()
	budget, err := w.BonusBudget(w.ctx, "storage", 1, 300, 300)
	must(t, err)
	if budget == 0 || budget != r.DemandPool || budget > r.BurnedGrain*8/10 {
		t.Fatalf("budget %d of %+v", budget, r)
	}
	if other, err := w.BonusBudget(w.ctx, "sensing", 1, 0, 300); other != 0 || err != nil {
		t.Errorf("sensing has %d (%v)", other, err)
	}
	_, err = w.BonusBudget(w.ctx, "storage", 2, 300, 300)
	refused(t, err, ErrNotFound, "it has not ended")
	must(t, w.MintReward(w.ctx, bob, money.Grain(budget-10)))
	must(t, w.Mint(w.ctx, escrow, 10))
	refused(t, w.Mint(w.ctx, escrow, 1), ErrBudget, "0 of")
	w.sound()

	// A supply at the cap, less what redemptions must get back, mints nothing.
	tot := w.totals()
	tot.RewardsBudget += 1 << 40
	must(t, w.Totals.Set(w.ctx, tot))
	supply := w.bank.GetSupply(w.ctx, money.GrainDenom).Amount.Uint64()
	must(t, w.bank.MintCoins(w.ctx, ModuleName, grains(emission.SupplyCap-money.Grain(supply)-money.Grain(tot.Pool)-5)))
	refused(t, w.MintReward(w.ctx, bob, 6), ErrCap, "the cap is")
	must(t, w.MintReward(w.ctx, bob, 5))
}

func TestEpochsEndInOrder(t *testing.T) {
	w := newWorld(t)
	refused(t, w.EpochEnded(w.ctx, 0), ErrEpoch, "end epoch 0")
	must(t, w.EpochEnded(w.ctx, 41))
	refused(t, w.EpochEnded(w.ctx, 41), ErrEpoch, "want 42")
	refused(t, w.EpochEnded(w.ctx, 43), ErrEpoch, "want 42")
	must(t, w.EpochEnded(w.ctx, 42))
	_, err := w.PriceAt(w.ctx, 42)
	refused(t, err, ErrStale, "before there was a price")
	w.vote(1_000_000)
	must(t, w.EpochEnded(w.ctx, 43))
	q, err := w.PriceAt(w.ctx, 43)
	must(t, err)
	if q.Low != 997_500 || q.Mid != 1_000_000 || q.High != 1_002_500 {
		t.Errorf("price of epoch 43 is %+v", q)
	}
	_, err = w.PriceAt(w.ctx, 44)
	refused(t, err, ErrNotFound, "the newest is 43")
}

func TestOldEpochRecordsGo(t *testing.T) {
	w := newWorld(t, func(g *creditpb.GenesisState) { g.Params.KeepEpochs = 5 })
	for range 30 {
		w.endEpoch()
	}
	records, err := all(w.ctx, w.Epochs)
	if err != nil || len(records) != 5 || records[0].Epoch != 26 {
		t.Errorf("%d records are kept, from %d (%v)", len(records), records[0].Epoch, err)
	}
}
