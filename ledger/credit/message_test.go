package credit

import (
	"errors"
	"strings"
	"testing"

	errorsmod "cosmossdk.io/errors"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	distrtypes "github.com/cosmos/cosmos-sdk/x/distribution/types"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/creditpb"
)

func TestCreditsDoNotMoveBetweenUsers(t *testing.T) {
	w := newWorld(t)
	w.vote(1_000_000)
	w.buy(alice, 100_000_000)
	some := credits(5)
	_, err := w.bankMsgs.Send(w.ctx, &banktypes.MsgSend{FromAddress: alice.String(), ToAddress: bob.String(), Amount: some})
	refused(t, err, ErrTransfer, "open a lease to pay a provider")
	_, err = w.bankMsgs.Send(w.ctx, &banktypes.MsgSend{FromAddress: alice.String(), ToAddress: bob.String(), Amount: some.Add(grains(7)...)})
	refused(t, err, ErrTransfer, "refused to move 5ucredit from "+alice.String()+" to "+bob.String())
	_, err = w.bankMsgs.MultiSend(w.ctx, &banktypes.MsgMultiSend{
		Inputs:  []banktypes.Input{{Address: alice.String(), Coins: some}},
		Outputs: []banktypes.Output{{Address: bob.String(), Coins: some}},
	})
	refused(t, err, ErrTransfer, "MsgRedeem")
	if got := w.balance(bob, money.CreditDenom); got != 0 {
		t.Errorf("bob got %d ucredit", got)
	}
	_, err = w.bankMsgs.Send(w.ctx, &banktypes.MsgSend{FromAddress: alice.String(), ToAddress: bob.String(), Amount: grains(7)})
	must(t, err)
	// Nor to accounts of the network that have no business with them.
	refused(t, w.bank.SendCoinsFromAccountToModule(w.ctx, alice, "gov", some), ErrTransfer, "refused to move")
	for _, module := range []string{ModuleName, escrow, authtypes.FeeCollectorName, distrtypes.ModuleName} {
		must(t, w.bank.SendCoinsFromAccountToModule(w.ctx, alice, module, some))
		must(t, w.bank.SendCoinsFromModuleToAccount(w.ctx, module, bob, some))
		_, err := w.bankMsgs.Send(w.ctx, &banktypes.MsgSend{FromAddress: alice.String(), ToAddress: authtypes.NewModuleAddress(module).String(), Amount: some})
		if err == nil {
			t.Errorf("a user paid into the account of %s", module)
		}
	}
}

func TestMalformedMessagesSayWhatIsWrongAndWhatToDo(t *testing.T) {
	w := newWorld(t)
	w.vote(1_000_000)
	w.buy(alice, 100_000_000)
	w.validators[validator("gone")] = 0
	own := w.redeem(alice, 10_000)
	price := func(v string, p uint64) func() error {
		return func() error {
			_, err := w.msgs.Price(w.ctx, &creditpb.MsgPrice{Validator: v, MicroUsdPerGrain: p})
			return err
		}
	}
	buy := func(who string, ugrain, least uint64) func() error {
		return func() error {
			_, err := w.msgs.Buy(w.ctx, &creditpb.MsgBuy{Buyer: who, Ugrain: ugrain, MinCredit: least})
			return err
		}
	}
	redeem := func(who string, ucredit uint64) func() error {
		return func() error {
			_, err := w.msgs.Redeem(w.ctx, &creditpb.MsgRedeem{Holder: who, Ucredit: ucredit})
			return err
		}
	}
	cancel := func(who string, id uint64) func() error {
		return func() error {
			_, err := w.msgs.CancelRedeem(w.ctx, &creditpb.MsgCancelRedeem{Holder: who, Id: id})
			return err
		}
	}
	update := func(who string, f func(*creditpb.Params)) func() error {
		return func() error {
			p := DefaultParams()
			f(&p)
			_, err := w.msgs.UpdateParams(w.ctx, &creditpb.MsgUpdateParams{Authority: who, Params: p})
			return err
		}
	}
	module := authtypes.NewModuleAddress(escrow).String()
	for _, c := range []struct {
		name string
		do   func() error
		want *errorsmod.Error
		code uint32
		part string
	}{
		{"vote of no address", price("", 1), ErrInvalid, 2, "is not a validator's operator address"},
		{"vote of an account", price(alice.String(), 1), ErrInvalid, 2, "is not a validator's operator address"},
		{"vote of zero", price(validator("big"), 0), ErrInvalid, 2, "give it in 10⁻⁶ USD per GRAIN"},
		{"vote above the bound", price(validator("big"), 1<<62), ErrInvalid, 2, "is outside 1 to 1000000000000"},
		{"vote of a stranger", price(validator("nobody"), 1), ErrNotYours, 4, "only bonded validators vote"},
		{"vote of an unbonded validator", price(validator("gone"), 1), ErrNotYours, 4, "is not a bonded validator"},
		{"buy for no address", buy("grange1nonsense", 5, 0), ErrInvalid, 2, `buyer "grange1nonsense" is not an account address`},
		{"buy for another network's address", buy("cosmos1qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5lzv7xu", 5, 0), ErrInvalid, 2, "is not an account address"},
		{"buy for nothing", buy(alice.String(), 0, 0), ErrTooLittle, 7, "burn at least 2 ugrain"},
		{"buy for dust", buy(alice.String(), 1, 0), ErrTooLittle, 7, "burn at least 2 ugrain"},
		{"buy at a better price", buy(alice.String(), 1_000_000, 1_000_000), ErrPrice, 8, "1000000 ugrain make 997500 ucredit at 997500 ucredit per GRAIN, less than the 1000000 asked for"},
		{"buy beyond the balance", buy(alice.String(), 1<<50, 0), ErrFunds, 9, "the message needs 1125899906842624ugrain: burn less"},
		{"buy beyond 64 bits", buy(alice.String(), ^uint64(0), 0), ErrFunds, 9, "burn less"},
		{"redeem for no address", redeem("", 10_000), ErrInvalid, 2, "is not an account address"},
		{"redeem nothing", redeem(alice.String(), 0), ErrTooLittle, 7, "the least is 10000, collect more first"},
		{"redeem crumbs", redeem(alice.String(), 9_999), ErrTooLittle, 7, "redeem 9999 ucredit: the least is 10000"},
		{"redeem another's", redeem(bob.String(), 10_000), ErrFunds, 9, "redeem less"},
		{"redeem beyond 64 bits", redeem(alice.String(), ^uint64(0)), ErrFunds, 9, "redeem less"},
		{"redeem as the network", redeem(module, 10_000), ErrNotYours, 4, "redeem from an owner's account"},
		{"cancel what is not there", cancel(alice.String(), 99), ErrNotFound, 3, "redemption 99: it was paid or cancelled"},
		{"cancel another's", cancel(bob.String(), own), ErrNotYours, 4, "belongs to " + alice.String()},
		{"cancel for no address", cancel("x", own), ErrInvalid, 2, "is not an account address"},
		{"parameters of a user", update(alice.String(), func(*creditpb.Params) {}), ErrNotYours, 4, "pass a governance proposal"},
		{"no weight", update("gov", func(p *creditpb.Params) { p.WeightBps = 0 }), ErrParameters, 14, "weight of the newest sample is 0 bps"},
		{"take of all", update("gov", func(p *creditpb.Params) { p.BurnBps = 10_000 }), ErrParameters, 14, "take is 10200 bps in all, want at most 5000"},
		{"take that wraps", update("gov", func(p *creditpb.Params) { p.BurnBps, p.TreasuryBps = 1<<31, 1<<31 }), ErrParameters, 14, "take is"},
		{"quorum of a minority", update("gov", func(p *creditpb.Params) { p.QuorumBps = 4999 }), ErrParameters, 14, "quorum is 4999 bps"},
		{"slow rounds", update("gov", func(p *creditpb.Params) { p.RoundSeconds = 301 }), ErrParameters, 14, "rounds are 301 s apart"},
		{"rebate of all", update("gov", func(p *creditpb.Params) { p.RebateBps = 10_000 }), ErrParameters, 14, "trading with oneself"},
		{"no average", update("gov", func(p *creditpb.Params) { p.BurnAverageEpochs = 0 }), ErrParameters, 14, "over 0 epochs"},
		{"schedule above the cap", update("gov", func(p *creditpb.Params) { p.SimpleGrain = 1 << 60 }), ErrParameters, 14, "exceeds the supply cap"},
		{"no half-life", update("gov", func(p *creditpb.Params) { p.HalfLifeEpochs = 0 }), ErrParameters, 14, "half-life is 0 epochs"},
		{"unbounded purchases", update("gov", func(p *creditpb.Params) { p.BuyPerBlock = 1001 }), ErrParameters, 14, "1001 purchases per block"},
		{"window that passes nothing", update("gov", func(p *creditpb.Params) { p.RedeemWindowFloor = 1 }), ErrParameters, 14, "nothing would pass"},
		{"no window", update("gov", func(p *creditpb.Params) { p.RedeemWindowSeconds = 0 }), ErrParameters, 14, "redemption window is 0 s"},
		{"unbounded blocks", update("gov", func(p *creditpb.Params) { p.RedeemPerBlock = 1001 }), ErrParameters, 14, "1001 redemptions per block"},
		{"no records", update("gov", func(p *creditpb.Params) { p.KeepEpochs = 0 }), ErrParameters, 14, "0 epoch records are kept"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.do()
			refused(t, err, c.want, c.part)
			if space, code, _ := errorsmod.ABCIInfo(err, false); space != ModuleName || code != c.code {
				t.Errorf("clients see code %s/%d, want %s/%d", space, code, ModuleName, c.code)
			}
		})
	}
	w.sound()
	must(t, update("gov", func(p *creditpb.Params) { p.BurnBps = 400 })())
	if p, _ := w.Params.Get(w.ctx); p.BurnBps != 400 {
		t.Errorf("parameters did not change: %d", p.BurnBps)
	}
}

func TestQueries(t *testing.T) {
	w := newWorld(t)
	if _, err := w.asks.EpochPrice(w.ctx, &creditpb.QueryEpochPriceRequest{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("newest epoch before any: %v", err)
	}
	r, err := w.asks.Price(w.ctx, &creditpb.QueryPriceRequest{})
	if err != nil || !r.Stale || r.AgeSeconds != 0 || r.Quote.High != 0 {
		t.Errorf("no price: %+v (%v)", r, err)
	}
	w.vote(1_000_000)
	w.buy(alice, 100_000_000)
	w.buy(bob, 100_000_000)
	w.redeem(alice, 10_000)
	w.redeem(bob, 20_000)
	w.redeem(alice, 30_000)
	_, err = w.msgs.Price(w.ctx, &creditpb.MsgPrice{Validator: validator("small"), MicroUsdPerGrain: 5})
	must(t, err)
	w.ctx = w.ctx.WithBlockTime(w.ctx.BlockTime().Add(7e9))
	if r, err = w.asks.Price(w.ctx, &creditpb.QueryPriceRequest{}); err != nil || r.Stale || r.AgeSeconds != 7 || len(r.Votes) != 1 || r.Quote.Mid != 1_000_000 {
		t.Errorf("price: %+v (%v)", r, err)
	}
	list, err := w.asks.Redemptions(w.ctx, &creditpb.QueryRedemptionsRequest{Holder: alice.String()})
	if err != nil || len(list.Redemptions) != 2 || list.Redemptions[1].Requested != 30_000 {
		t.Errorf("redemptions of alice: %+v (%v)", list, err)
	}
	if list, err = w.asks.Redemptions(w.ctx, &creditpb.QueryRedemptionsRequest{}); err != nil || len(list.Redemptions) != 3 {
		t.Errorf("all redemptions: %+v (%v)", list, err)
	}
	if _, err = w.asks.Redemptions(w.ctx, &creditpb.QueryRedemptionsRequest{Holder: "x"}); !errors.Is(err, ErrInvalid) {
		t.Errorf("redemptions of x: %v", err)
	}
	c := w.collateral()
	if c.Outstanding != 199_500_000 || c.Pool != 200_000_000 || c.Waiting != 60_000 || c.GrainSupply != 1_999_800_000_000 || c.RatioBps != 10_000 {
		t.Errorf("collateral %+v", c)
	}
	w.endEpoch()
	e, err := w.asks.EpochPrice(w.ctx, &creditpb.QueryEpochPriceRequest{})
	if err != nil || e.Record.Epoch != 1 || e.Record.Quote.Mid != 1_000_000 {
		t.Errorf("newest epoch: %+v (%v)", e, err)
	}
}

func TestValidatorNamesAreStoredOnce(t *testing.T) {
	w := newWorld(t)
	upper := sdk.ValAddress(user("big")).String()
	for _, text := range []string{upper, strings.ToUpper(upper)} {
		if _, err := w.msgs.Price(w.ctx, &creditpb.MsgPrice{Validator: text, MicroUsdPerGrain: 5}); err != nil {
			t.Fatal(err)
		}
	}
	if votes, _ := all(w.ctx, w.Votes); len(votes) != 1 {
		t.Errorf("one validator has %d votes", len(votes))
	}
}
