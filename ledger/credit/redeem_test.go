package credit

import (
	"testing"

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
	w.pass(1)
	r, err := w.Redemptions.Get(w.ctx, first)
	if err != nil || r.Remaining != 600_000 {
		t.Fatalf("first block pays the window: %+v (%v)", r, err)
	}
	w.pass(9) // frees 0.9 %: less than the least redemption
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
		w.pass(1)
		if queue, _ := all(w.ctx, w.Redemptions); len(queue) != want {
			t.Fatalf("%d wait, want %d", len(queue), want)
		}
		w.sound()
	}
}

func TestFallingCollateralWarnsThenHalts(t *testing.T) {
	w := newWorld(t)
	w.vote(1_000_000)
	w.buy(alice, 1_000_000_000)
	if c := w.collateral(); c.Status != creditpb.COLLATERAL_STATUS_COVERED || c.RatioBps < 9990 || c.RatioBps > 10_030 {
		t.Fatalf("after a purchase: %+v", c)
	}
	for p := uint64(1_000_000); w.collateral().Status == creditpb.COLLATERAL_STATUS_COVERED; p -= 5_000 {
		w.vote(p)
	}
	if c := w.collateral(); c.Status != creditpb.COLLATERAL_STATUS_WARN || c.Room == 0 || c.Room >= 1_000_000_000 {
		t.Fatalf("warning: %+v", c)
	}
	for range 10 {
		w.vote(800_000)
	}
	c := w.collateral()
	if c.Status != creditpb.COLLATERAL_STATUS_HALT || c.Room != 0 {
		t.Fatalf("halt: %+v", c)
	}
	_, err := w.msgs.Redeem(w.ctx, &creditpb.MsgRedeem{Holder: alice.String(), Ucredit: 1_000_000})
	refused(t, err, ErrHalted, "spend the credits on leases")
	// Buying goes on and lifts the cover.
	w.buy(bob, 500_000_000_000)
	if after := w.collateral(); after.RatioBps <= c.RatioBps {
		t.Errorf("ratio %d after a purchase, was %d", after.RatioBps, c.RatioBps)
	}
	w.sound()
}

func TestAHaltedQueueWaitsAndCanBeCancelled(t *testing.T) {
	w := newWorld(t, small)
	w.vote(1_000_000)
	w.buy(alice, 100_000_000)
	id := w.redeem(alice, 50_000_000)
	w.pass(1) // pays the window of one credit
	for range 12 {
		w.vote(500_000)
	}
	r, err := w.Redemptions.Get(w.ctx, id)
	must(t, err)
	w.pass(600)
	if again, _ := w.Redemptions.Get(w.ctx, id); again != r {
		t.Errorf("paid under a halt: %+v, was %+v", again, r)
	}
	_, err = w.msgs.CancelRedeem(w.ctx, &creditpb.MsgCancelRedeem{Holder: bob.String(), Id: id})
	refused(t, err, ErrNotYours, "belongs to")
	had := w.balance(alice, money.CreditDenom)
	back, err := w.msgs.CancelRedeem(w.ctx, &creditpb.MsgCancelRedeem{Holder: alice.String(), Id: id})
	must(t, err)
	if back.Ucredit != r.Remaining || w.balance(alice, money.CreditDenom) != had+r.Remaining {
		t.Errorf("cancel gave %d back, %d were left", back.Ucredit, r.Remaining)
	}
	_, err = w.msgs.CancelRedeem(w.ctx, &creditpb.MsgCancelRedeem{Holder: alice.String(), Id: id})
	refused(t, err, ErrNotFound, "it was paid or cancelled")
	w.sound()
}

func TestRedemptionBeyondThePoolCreatesTheRestAndThenStops(t *testing.T) {
	w := newWorld(t)
	w.vote(1_000_000)
	made := w.buy(alice, 100_000_000)
	for range 40 { // 4 % down, for long: covered by less than all
		w.vote(960_000)
	}
	if c := w.collateral(); c.Status == creditpb.COLLATERAL_STATUS_HALT {
		t.Fatalf("halted at %d bps", c.RatioBps)
	}
	w.redeem(alice, made)
	w.vote(960_000)
	tot := w.totals()
	if tot.Pool != 0 || tot.GrainsCreated == 0 || tot.GrainsCreated > 10_000_000 {
		t.Errorf("created %d ugrain with %d left in the pool; want an empty pool and at most a tenth of what was burned", tot.GrainsCreated, tot.Pool)
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
	budget, err := w.BonusBudget(w.ctx, "storage", 1)
	must(t, err)
	if budget == 0 || budget != r.DemandPool || budget > r.BurnedGrain*8/10 {
		t.Fatalf("budget %d of %+v", budget, r)
	}
	if other, err := w.BonusBudget(w.ctx, "sensing", 1); other != 0 || err != nil {
		t.Errorf("sensing has %d (%v)", other, err)
	}
	_, err = w.BonusBudget(w.ctx, "storage", 2)
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
