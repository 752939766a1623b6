package parity

import (
	"context"
	"math/rand/v2"
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
	"github.com/grange-network/grange/core/price"
	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/credit"
	"github.com/grange-network/grange/sim"
)

// oneValidator has all the power.
type oneValidator struct{ at sdk.ValAddress }

func (v oneValidator) GetValidator(_ context.Context, addr sdk.ValAddress) (stakingtypes.Validator, error) {
	return stakingtypes.Validator{OperatorAddress: addr.String(), Tokens: sdkmath.NewInt(1), Status: stakingtypes.Bonded}, nil
}
func (oneValidator) TotalBondedTokens(context.Context) (sdkmath.Int, error) {
	return sdkmath.OneInt(), nil
}

// treasury is a community pool that is only an account.
type treasury struct{ bankkeeper.BaseKeeper }

func (t treasury) FundCommunityPool(ctx context.Context, amount sdk.Coins, sender sdk.AccAddress) error {
	return t.SendCoinsFromAccountToModule(ctx, sender, distrtypes.ModuleName, amount)
}

// twins are the ledger's credit module over a real bank and the simulator's
// books, with two users who do the same in both.
type twins struct {
	*testing.T
	ctx    sdk.Context
	keeper *credit.Keeper
	msgs   creditpb.MsgServer
	bank   bankkeeper.BaseKeeper
	users  [2]sdk.AccAddress
	voter  sdk.ValAddress
	book   *sim.Book
	same   [2]sim.Account
	device [2]*sim.Device
	start  int64
	epoch  uint64
	asked  []purchase // on the ledger, not yet made there
}

// purchase waits on the ledger; the simulator makes it when the ledger does.
type purchase struct {
	id    uint64
	who   int
	grain uint64
}

// waiting is a user's GRAIN in purchases.
func (w *twins) waiting(who int) (sum uint64) {
	for _, p := range w.asked {
		if p.who == who {
			sum += p.grain
		}
	}
	return sum
}

// free is a user's GRAIN besides.
func (w *twins) free(who int) uint64 { return uint64(w.book.Grain(w.same[who])) - w.waiting(who) }

const (
	twinEscrow = "market"
	twinSupply = 300_000_000_000_000
)

func newTwins(t *testing.T) *twins {
	keys := storetypes.NewKVStoreKeys(authtypes.StoreKey, banktypes.StoreKey, credit.StoreKey)
	w := &twins{T: t, start: 1_800_000_000, ctx: testutil.DefaultContextWithKeys(keys, nil, nil).WithBlockTime(time.Unix(1_800_000_000, 0))}
	registry := codectypes.NewInterfaceRegistry()
	authtypes.RegisterInterfaces(registry)
	banktypes.RegisterInterfaces(registry)
	cdc := codec.NewProtoCodec(registry)
	accounts := authkeeper.NewAccountKeeper(cdc, runtime.NewKVStoreService(keys[authtypes.StoreKey]), authtypes.ProtoBaseAccount,
		map[string][]string{
			credit.ModuleName: {authtypes.Minter, authtypes.Burner}, twinEscrow: nil,
			authtypes.FeeCollectorName: nil, distrtypes.ModuleName: nil, "gov": nil,
		}, address.NewBech32Codec(chain.Prefix), chain.Prefix, "gov")
	w.bank = bankkeeper.NewBaseKeeper(cdc, runtime.NewKVStoreService(keys[banktypes.StoreKey]), accounts, map[string]bool{},
		authtypes.NewModuleAddress("gov").String(), log.NewNopLogger())
	w.must(w.bank.SetParams(w.ctx, banktypes.DefaultParams()))
	w.voter = sdk.ValAddress("validator-----------")
	w.keeper = credit.NewKeeper(credit.Config{
		Codec: cdc, Store: runtime.NewKVStoreService(keys[credit.StoreKey]), Logger: log.NewNopLogger(), Authority: "gov",
		Bank: w.bank, Community: treasury{w.bank}, Staking: oneValidator{w.voter}, Escrows: []string{twinEscrow},
	})
	w.msgs = credit.NewMsgServer(w.keeper)
	w.users = [2]sdk.AccAddress{sdk.AccAddress("alice---------------"), sdk.AccAddress("bob-----------------")}
	all := sdk.NewCoins(sdk.NewInt64Coin(money.GrainDenom, twinSupply))
	w.must(w.bank.MintCoins(w.ctx, credit.ModuleName, all))
	w.must(w.bank.SendCoinsFromModuleToAccount(w.ctx, credit.ModuleName, w.users[0], all))
	w.must(w.keeper.InitGenesis(w.ctx, credit.DefaultGenesis()))

	rules := sim.DefaultRules()
	rules.MinBond, rules.SettleNanoGrain = 0, 0 // the twins know neither offers nor fees
	var err error
	w.book, err = sim.NewBook(rules, twinSupply)
	w.must(err)
	w.book.Advance(w.start)
	w.same = [2]sim.Account{0, w.book.Open()}
	for i, a := range w.same {
		w.device[i], err = w.book.Register(a)
		w.must(err)
	}
	return w
}

func (w *twins) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// pass lets seconds go by and ends the block; a vote, when not 0, closes a round.
func (w *twins) pass(seconds int64, vote uint64) {
	w.ctx = w.ctx.WithBlockTime(w.ctx.BlockTime().Add(time.Duration(seconds) * time.Second))
	if vote > 0 {
		_, err := w.msgs.Price(w.ctx, &creditpb.MsgPrice{Validator: w.voter.String(), MicroUsdPerGrain: vote})
		w.must(err)
	}
	w.must(w.keeper.EndBlock(w.ctx))
	w.book.Advance(w.ctx.BlockTime().Unix())
	if vote > 0 {
		w.must(w.book.Vote([]price.Vote{{Price: vote, Power: 1}}))
	}
	var kept []purchase
	for _, p := range w.asked {
		waits, err := w.keeper.Purchases.Has(w.ctx, p.id)
		w.must(err)
		if waits {
			kept = append(kept, p)
		} else if vote > 0 { // otherwise it was given back
			_, err := w.book.Buy(w.same[p.who], money.Grain(p.grain))
			w.must(err)
		}
	}
	w.asked = kept
	_, err := w.book.PayRedemptions()
	w.must(err)
}

func (w *twins) buy(who int, grain uint64) {
	out, err := w.msgs.Buy(w.ctx, &creditpb.MsgBuy{Buyer: w.users[who].String(), Ugrain: grain})
	if err != nil {
		if !w.book.Stale() && w.book.Quote().Low*grain >= price.GrainUnit {
			w.Fatalf("buy for %d ugrain: the ledger refuses: %v", grain, err)
		}
		return
	}
	if w.book.Stale() {
		w.Fatalf("buy for %d ugrain at a stale price: the ledger takes it", grain)
	}
	w.asked = append(w.asked, purchase{out.Id, who, grain})
}

func (w *twins) redeem(who int, amount uint64) {
	_, err := w.msgs.Redeem(w.ctx, &creditpb.MsgRedeem{Holder: w.users[who].String(), Ucredit: amount})
	ok, simErr := w.book.Redeem(w.same[who], money.Credit(amount))
	w.must(simErr)
	if (err == nil) != ok {
		w.Fatalf("redeem %d ucredit: the ledger says %v, the simulator %v", amount, err, ok)
	}
}

// spend pays the other user through a lease, as a settlement does.
func (w *twins) spend(who int, amount uint64) {
	coins := func(c money.Credit) sdk.Coins {
		return sdk.NewCoins(sdk.NewCoin(money.CreditDenom, sdkmath.NewIntFromUint64(uint64(c))))
	}
	w.must(w.bank.SendCoinsFromAccountToModule(w.ctx, w.users[who], twinEscrow, coins(money.Credit(amount))))
	net, _, err := w.keeper.Take(w.ctx, twinEscrow, money.Credit(amount))
	w.must(err)
	w.must(w.bank.SendCoinsFromModuleToAccount(w.ctx, twinEscrow, w.users[1-who], coins(net)))

	l, err := w.book.Accept(w.same[who], w.device[1-who], sim.Terms{Use: money.Price{Credits: 1, Per: 1}, Capacity: 1, Cap: money.Credit(amount)})
	w.must(err)
	_, err = w.book.Settle(l, amount)
	w.must(err)
}

func (w *twins) endEpoch() {
	w.epoch++
	w.must(w.keeper.EpochEnded(w.ctx, w.epoch))
	r, err := w.keeper.Epochs.Get(w.ctx, w.epoch)
	w.must(err)
	got, err := w.book.EndEpoch()
	w.must(err)
	want := sim.EpochRecord{
		Epoch: w.epoch, Quote: price.Quote{Low: r.Quote.Low, Mid: r.Quote.Mid, High: r.Quote.High}, Stale: r.Stale,
		Revenue: money.Credit(r.Revenue), BurnedUsage: money.Credit(r.BurnedCredit), BurnedGrain: money.Grain(r.BurnedGrain),
		Released: money.Grain(r.Released), DemandPool: money.Grain(r.DemandPool), Bonus: got.Bonus,
	}
	if got != want {
		w.Fatalf("epoch %d: the simulator has\n%+v\nthe ledger\n%+v", w.epoch, got, want)
	}
}

// compare looks at everything both count.
func (w *twins) compare(step int) {
	t, err := w.keeper.Totals.Get(w.ctx)
	w.must(err)
	got := w.book.Totals()
	want := sim.Totals{
		CreditsBought: money.Credit(t.CreditsBought), CreditsRedeemed: money.Credit(t.CreditsRedeemed), CreditsTaken: money.Credit(t.CreditsTaken),
		GrainsGenesis: money.Grain(t.GrainsGenesis), GrainsBurned: money.Grain(t.GrainsBurned), GrainsReminted: money.Grain(t.GrainsReminted),
		GrainsRetired: money.Grain(t.GrainsRetired),
		RewardsBudget: money.Grain(t.RewardsBudget), RewardsMinted: money.Grain(t.RewardsMinted), Pool: money.Grain(t.Pool),
	}
	if got != want {
		w.Fatalf("step %d: the simulator has\n%+v\nthe ledger\n%+v", step, got, want)
	}
	for i, user := range w.users {
		grain := w.bank.GetBalance(w.ctx, user, money.GrainDenom).Amount.Uint64()
		credits := w.bank.GetBalance(w.ctx, user, money.CreditDenom).Amount.Uint64()
		if grain != w.free(i) || credits != uint64(w.book.Credit(w.same[i])) {
			w.Fatalf("step %d: user %d has %d ugrain and %d ucredit on the ledger, %d and %d in the simulator", step, i, grain, credits, w.free(i), w.book.Credit(w.same[i]))
		}
	}
	w.must(w.book.Check())
}

// TestSimulatorFollowsTheLedger does the same with the ledger's credit module
// and with the simulator's books, at random, and compares them after each step.
func TestSimulatorFollowsTheLedger(t *testing.T) {
	refusals := 0
	for seed := range uint64(6) {
		w, r := newTwins(t), rand.New(rand.NewPCG(seed, 1))
		at := uint64(50_000)
		w.pass(10, at)
		epochs := 0
		for step := range 1500 {
			who := r.IntN(2)
			switch r.IntN(10) {
			case 0, 1, 2:
				at = max(at*(9_500+r.Uint64N(1_000))/10_000, 100)
				if r.IntN(25) == 0 {
					at = at * (5 + r.Uint64N(10)) / 10 // a jump
				}
				w.pass(10+r.Int64N(30), at)
			case 3:
				w.pass(1+r.Int64N(400), 0) // grows stale now and then
			case 4:
				w.pass(10+r.Int64N(20_000), at)
			case 5:
				if has := w.free(who); has > 0 {
					w.buy(who, 1+r.Uint64N(has/50+1))
				}
			case 6:
				has := uint64(w.book.Credit(w.same[who]))
				if has > 0 {
					before := w.book.Credit(w.same[who])
					w.redeem(who, 1+r.Uint64N(has))
					if w.book.Credit(w.same[who]) == before {
						refusals++
					}
				}
			case 7, 8:
				if has := uint64(w.book.Credit(w.same[who])); has > 0 {
					w.spend(who, 1+r.Uint64N(min(has, 1<<(1+r.Uint64N(40)))))
				}
			case 9:
				w.endEpoch()
				epochs++
			}
			w.compare(step)
		}
		total := w.book.Totals()
		if epochs == 0 || total.CreditsBought == 0 || total.CreditsRedeemed == 0 || total.GrainsRetired == 0 {
			t.Errorf("seed %d: %d epochs, %d bought, %d redeemed, %d retired: too little happened", seed, epochs, total.CreditsBought, total.CreditsRedeemed, total.GrainsRetired)
		}
	}
	if refusals == 0 {
		t.Error("no redemption was refused: too little happened")
	}
}
