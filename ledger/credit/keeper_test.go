package credit

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"cosmossdk.io/log/v2"
	sdkmath "cosmossdk.io/math"
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	distrtypes "github.com/cosmos/cosmos-sdk/x/distribution/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/chain"
)

const escrow = "market"

// bonded is a validator set: power in ugrain by operator address.
type bonded map[string]int64

func (b bonded) GetValidator(_ context.Context, addr sdk.ValAddress) (stakingtypes.Validator, error) {
	power, ok := b[addr.String()]
	if !ok {
		return stakingtypes.Validator{}, stakingtypes.ErrNoValidatorFound
	}
	v := stakingtypes.Validator{OperatorAddress: addr.String(), Tokens: sdkmath.NewInt(power), Status: stakingtypes.Bonded}
	if power == 0 {
		v.Status = stakingtypes.Unbonded
	}
	return v, nil
}

func (b bonded) TotalBondedTokens(context.Context) (sdkmath.Int, error) {
	total := sdkmath.ZeroInt()
	for _, power := range b {
		total = total.AddRaw(power)
	}
	return total, nil
}

// chest is a community pool that is only an account.
type chest struct{ bankkeeper.BaseKeeper }

func (c chest) FundCommunityPool(ctx context.Context, amount sdk.Coins, sender sdk.AccAddress) error {
	return c.SendCoinsFromAccountToModule(ctx, sender, distrtypes.ModuleName, amount)
}

// world is a credit module over a real bank, with a clock and validators.
type world struct {
	*Keeper
	t          testing.TB
	ctx        sdk.Context
	cdc        codec.Codec
	bank       bankkeeper.BaseKeeper
	msgs       creditpb.MsgServer
	asks       creditpb.QueryServer
	bankMsgs   banktypes.MsgServer
	validators bonded
	epoch      uint64
}

func user(name string) sdk.AccAddress {
	return sdk.AccAddress(name + strings.Repeat("-", 20-len(name)))
}

func validator(name string) string { return sdk.ValAddress(user(name)).String() }

var (
	alice, bob = user("alice"), user("bob")
	genesis    = map[string]int64{alice.String(): 1_000_000_000_000, bob.String(): 1_000_000_000_000}
)

// newWorld is a network of three validators with powers 50, 30 and 20 and two
// rich users, without a price.
func newWorld(t testing.TB, change ...func(*creditpb.GenesisState)) *world {
	t.Helper()
	w := emptyWorld(t)
	for _, addr := range []sdk.AccAddress{alice, bob} {
		coins := sdk.NewCoins(sdk.NewInt64Coin(money.GrainDenom, genesis[addr.String()]))
		must(t, w.bank.MintCoins(w.ctx, ModuleName, coins))
		must(t, w.bank.SendCoinsFromModuleToAccount(w.ctx, ModuleName, addr, coins))
	}
	g := DefaultGenesis()
	for _, f := range change {
		f(g)
	}
	must(t, w.InitGenesis(w.ctx, g))
	return w
}

// emptyWorld has no state at all.
func emptyWorld(t testing.TB) *world {
	t.Helper()
	keys := storetypes.NewKVStoreKeys(authtypes.StoreKey, banktypes.StoreKey, StoreKey)
	ctx := testutil.DefaultContextWithKeys(keys, nil, nil).WithBlockTime(time.Unix(1_800_000_000, 0))
	registry := codectypes.NewInterfaceRegistry()
	authtypes.RegisterInterfaces(registry)
	banktypes.RegisterInterfaces(registry)
	cdc := codec.NewProtoCodec(registry)
	accounts := authkeeper.NewAccountKeeper(cdc, runtime.NewKVStoreService(keys[authtypes.StoreKey]), authtypes.ProtoBaseAccount,
		map[string][]string{
			ModuleName: {authtypes.Minter, authtypes.Burner}, escrow: nil,
			authtypes.FeeCollectorName: nil, distrtypes.ModuleName: nil, "gov": nil,
		}, address.NewBech32Codec(chain.Prefix), chain.Prefix, "gov")
	blocked := map[string]bool{}
	for _, name := range []string{ModuleName, escrow, authtypes.FeeCollectorName, distrtypes.ModuleName} {
		blocked[authtypes.NewModuleAddress(name).String()] = true
	}
	bank := bankkeeper.NewBaseKeeper(cdc, runtime.NewKVStoreService(keys[banktypes.StoreKey]), accounts, blocked, authtypes.NewModuleAddress("gov").String(), log.NewNopLogger())
	must(t, bank.SetParams(ctx, banktypes.DefaultParams()))
	w := &world{t: t, ctx: ctx, cdc: cdc, bank: bank, validators: bonded{validator("big"): 50, validator("mid"): 30, validator("small"): 20}}
	w.Keeper = NewKeeper(Config{
		Codec: cdc, Store: runtime.NewKVStoreService(keys[StoreKey]), Logger: log.NewNopLogger(), Authority: "gov",
		Bank: bank, Community: chest{bank}, Staking: w.validators, Escrows: []string{escrow},
	})
	w.msgs, w.asks, w.bankMsgs = NewMsgServer(w.Keeper), NewQueryServer(w.Keeper), bankkeeper.NewMsgServerImpl(bank)
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused checks that an error has a type and that its sentence has a part.
func refused(t testing.TB, err, want error, part string) {
	t.Helper()
	if !errors.Is(err, want) || !strings.Contains(err.Error(), part) {
		t.Errorf("got %v, want %v with %q", err, want, part)
	}
}

// pass lets seconds go by and ends the block.
func (w *world) pass(seconds int64) {
	w.t.Helper()
	w.ctx = w.ctx.WithBlockTime(w.ctx.BlockTime().Add(time.Duration(seconds) * time.Second))
	must(w.t, w.EndBlock(w.ctx))
}

// vote has every validator vote and closes the round.
func (w *world) vote(microUSD uint64) {
	w.t.Helper()
	for _, name := range []string{"big", "mid", "small"} {
		_, err := w.msgs.Price(w.ctx, &creditpb.MsgPrice{Validator: validator(name), MicroUsdPerGrain: microUSD})
		must(w.t, err)
	}
	w.pass(60)
}

func (w *world) endEpoch() creditpb.EpochRecord {
	w.t.Helper()
	w.epoch++
	must(w.t, w.EpochEnded(w.ctx, w.epoch))
	r, err := w.record(w.ctx, w.epoch)
	must(w.t, err)
	return r
}

// buy asks for credits, lets rounds close at the newest price until they are made
// and returns how many.
func (w *world) buy(who sdk.AccAddress, ugrain uint64) uint64 {
	w.t.Helper()
	r, err := w.msgs.Buy(w.ctx, &creditpb.MsgBuy{Buyer: who.String(), Ugrain: ugrain})
	must(w.t, err)
	before := w.totals().CreditsBought
	for waits := true; waits; {
		w.round()
		waits, err = w.Purchases.Has(w.ctx, r.Id)
		must(w.t, err)
	}
	return w.totals().CreditsBought - before
}

// round closes a round at the newest price.
func (w *world) round() {
	w.t.Helper()
	p, err := w.Price.Get(w.ctx)
	must(w.t, err)
	w.vote(p.Last)
}

func (w *world) redeem(who sdk.AccAddress, ucredit uint64) uint64 {
	w.t.Helper()
	r, err := w.msgs.Redeem(w.ctx, &creditpb.MsgRedeem{Holder: who.String(), Ucredit: ucredit})
	must(w.t, err)
	return r.Id
}

// spend moves credits into the escrow, takes the network's share and pays the
// rest to another user, as a settlement does.
func (w *world) spend(from, to sdk.AccAddress, ucredit uint64) (net, burned money.Credit) {
	w.t.Helper()
	must(w.t, w.bank.SendCoinsFromAccountToModule(w.ctx, from, escrow, credits(money.Credit(ucredit))))
	net, burned, err := w.Take(w.ctx, escrow, money.Credit(ucredit))
	must(w.t, err)
	must(w.t, w.bank.SendCoinsFromModuleToAccount(w.ctx, escrow, to, credits(net)))
	return net, burned
}

func (w *world) balance(who sdk.AccAddress, denom string) uint64 {
	return w.bank.GetBalance(w.ctx, who, denom).Amount.Uint64()
}

func (w *world) totals() creditpb.Totals {
	w.t.Helper()
	t, err := w.Totals.Get(w.ctx)
	must(w.t, err)
	return t
}

func (w *world) collateral() *creditpb.QueryCollateralResponse {
	w.t.Helper()
	r, err := w.asks.Collateral(w.ctx, &creditpb.QueryCollateralRequest{})
	must(w.t, err)
	return r
}

func (w *world) sound() {
	w.t.Helper()
	must(w.t, w.CheckInvariants(w.ctx))
}

func TestAUsersCreditsFromPurchaseToRedemption(t *testing.T) {
	w := newWorld(t)
	w.vote(2_000_000) // 2 USD; low side 1.995, high side 2.005
	if got := w.buy(alice, 100_000_000); got != 199_500_000 {
		t.Fatalf("100 GRAIN made %d ucredit, want 199500000", got)
	}
	w.sound()
	net, burned := w.spend(alice, bob, 100_000_000)
	if net != 95_000_000 || burned != 3_000_000 {
		t.Fatalf("take left %d and burned %d", net, burned)
	}
	if got := w.balance(authtypes.NewModuleAddress(authtypes.FeeCollectorName), money.CreditDenom); got != 1_000_000 {
		t.Errorf("validators got %d", got)
	}
	if got := w.balance(authtypes.NewModuleAddress(distrtypes.ModuleName), money.CreditDenom); got != 1_000_000 {
		t.Errorf("treasury got %d", got)
	}
	w.sound()
	r := w.endEpoch()
	// 3/199.5 of the pool of 100 GRAIN backed the burned credits; they are
	// worth less, 3/2.005 GRAIN.
	if r.Revenue != 100_000_000 || r.BurnedCredit != 3_000_000 || r.BurnedGrain != 1_496_259 || r.BurnAverage != 374_064 || r.DemandPool != 299_251 {
		t.Errorf("epoch record %+v", r)
	}
	before := w.balance(bob, money.GrainDenom)
	w.vote(2_000_000)
	id := w.redeem(bob, 95_000_000)
	if got := w.balance(bob, money.CreditDenom); got != 0 {
		t.Errorf("bob keeps %d ucredit while the redemption waits", got)
	}
	w.sound()
	w.round()
	if got := w.balance(bob, money.GrainDenom) - before; got != 95_000_000*1_000_000/2_005_000 {
		t.Errorf("95 credits made %d ugrain", got)
	}
	if has, _ := w.Redemptions.Has(w.ctx, id); has {
		t.Error("paid redemption still waits")
	}
	w.sound()
}

func TestPriceRounds(t *testing.T) {
	vote := func(w *world, name string, p uint64) {
		_, err := w.msgs.Price(w.ctx, &creditpb.MsgPrice{Validator: validator(name), MicroUsdPerGrain: p})
		must(w.t, err)
	}
	last := func(w *world) uint64 {
		p, err := load(w.ctx, w.Price)
		must(w.t, err)
		return p.Last
	}
	t.Run("half of the power is not enough", func(t *testing.T) {
		w := newWorld(t)
		vote(w, "big", 7)
		w.pass(1)
		if last(w) != 0 {
			t.Errorf("price %d", last(w))
		}
		vote(w, "mid", 9)
		w.pass(1)
		if last(w) != 7 {
			t.Errorf("price %d, want the vote of 50 of 80", last(w))
		}
	})
	t.Run("a later vote replaces the earlier", func(t *testing.T) {
		w := newWorld(t)
		vote(w, "big", 7)
		vote(w, "big", 8)
		vote(w, "mid", 8)
		w.pass(1)
		if last(w) != 8 {
			t.Errorf("price %d, want 8", last(w))
		}
	})
	t.Run("rounds keep their distance and need fresh votes", func(t *testing.T) {
		w := newWorld(t)
		w.vote(1000)
		vote(w, "big", 1100)
		vote(w, "mid", 1100)
		w.pass(9)
		if last(w) != 1000 {
			t.Errorf("round closed after 9 s at %d", last(w))
		}
		w.pass(1)
		if last(w) != 1100 {
			t.Errorf("round did not close after 10 s: %d", last(w))
		}
	})
	t.Run("old votes and unbonded voters do not count", func(t *testing.T) {
		w := newWorld(t)
		vote(w, "big", 7)
		w.pass(601)
		vote(w, "mid", 9)
		vote(w, "small", 9)
		w.pass(1)
		if last(w) != 0 {
			t.Errorf("an old vote made price %d", last(w))
		}
		vote(w, "big", 7)
		w.validators[validator("big")] = 0
		w.pass(1)
		if last(w) != 9 {
			t.Errorf("price %d, want that of those who stayed", last(w))
		}
	})
	t.Run("a jump is limited", func(t *testing.T) {
		w := newWorld(t)
		w.vote(1000)
		w.vote(5000)
		if last(w) != 1150 {
			t.Errorf("price %d, want 15 %% more", last(w))
		}
	})
	t.Run("a round emits its price", func(t *testing.T) {
		w := newWorld(t)
		w.ctx = w.ctx.WithEventManager(sdk.NewEventManager())
		w.vote(1000)
		for _, e := range w.ctx.EventManager().Events() {
			if e.Type == EventPrice {
				return
			}
		}
		t.Error("no event")
	})
}

func TestAStalePriceStopsTradeButNotLeases(t *testing.T) {
	w := newWorld(t)
	_, err := w.msgs.Buy(w.ctx, &creditpb.MsgBuy{Buyer: alice.String(), Ugrain: 1_000_000})
	refused(t, err, ErrStale, "there is no price of GRAIN yet")
	w.vote(1_000_000)
	w.buy(alice, 1_000_000_000)
	waiting := w.redeem(alice, 1_000_000)
	w.ctx = w.ctx.WithBlockTime(w.ctx.BlockTime().Add(601 * time.Second))
	must(t, w.EndBlock(w.ctx))
	if has, _ := w.Redemptions.Has(w.ctx, waiting); !has {
		t.Error("redemption was paid at a stale price")
	}
	_, err = w.msgs.Buy(w.ctx, &creditpb.MsgBuy{Buyer: alice.String(), Ugrain: 1_000_000})
	refused(t, err, ErrStale, "the price of GRAIN is 601 s old and may be at most 600")
	_, err = w.msgs.Redeem(w.ctx, &creditpb.MsgRedeem{Holder: alice.String(), Ucredit: 1_000_000})
	refused(t, err, ErrStale, "running leases go on")
	if net, burned := w.spend(alice, bob, 10_000_000); net != 9_500_000 || burned != 300_000 {
		t.Errorf("settlement under a stale price: net %d burned %d", net, burned)
	}
	if r := w.endEpoch(); !r.Stale || r.BurnedGrain == 0 || r.DemandPool != 0 {
		t.Errorf("epoch record %+v", r)
	}
	w.sound()
	w.vote(1_000_000)
	w.vote(1_000_000)
	if has, _ := w.Redemptions.Has(w.ctx, waiting); has {
		t.Error("redemption still waits after a new round")
	}
	w.sound()
}

func TestTakeConservesEveryAmount(t *testing.T) {
	w := newWorld(t)
	w.vote(1_000_000)
	w.buy(alice, 10_000_000_000)
	var paid, burns, nets money.Credit
	for _, amount := range []money.Credit{0, 1, 33, 34, 99, 100, 101, 9_999, 10_000, 123_456_789, 33, 33, 1, 1, 1} {
		must(t, w.bank.SendCoinsFromAccountToModule(w.ctx, alice, escrow, credits(amount)))
		at := authtypes.NewModuleAddress(escrow)
		held := w.balance(at, money.CreditDenom)
		net, burned, err := w.Take(w.ctx, escrow, amount)
		must(t, err)
		if left := w.balance(at, money.CreditDenom); held-left != uint64(amount-net) {
			t.Errorf("take of %d: %d left the escrow, net says %d", amount, held-left, amount-net)
		}
		paid, burns, nets = paid+amount, burns+burned, nets+net
		if burns != paid*3/100 || nets != paid-paid*3/100-2*(paid/100) {
			t.Errorf("takes up to that of %d: of %d net %d, burned %d", amount, paid, nets, burns)
		}
		w.sound()
		if amount == 10_000 {
			w.endEpoch() // what is carried outlives the epoch
		}
	}
	if _, _, err := w.Take(w.ctx, escrow, 1<<60); err == nil {
		t.Error("took from credits that are not there")
	}
}
