package credit

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	sdkmath "cosmossdk.io/math"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/breaker"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/price"
	"github.com/grange-network/grange/ledger/api/creditpb"
)

type msgServer struct{ k *Keeper }

// NewMsgServer answers the module's messages.
func NewMsgServer(k *Keeper) creditpb.MsgServer { return msgServer{k} }

// account parses an address given in a message.
func account(field, text string) (sdk.AccAddress, error) {
	addr, err := sdk.AccAddressFromBech32(text)
	if err != nil {
		return nil, ErrInvalid.Wrapf("%s %q is not an account address: %v", field, text, err)
	}
	return addr, nil
}

// has checks that an account can spend an amount, to answer with a sentence.
func (k *Keeper) has(ctx context.Context, addr sdk.AccAddress, denom string, amount uint64, hint string) error {
	balance := k.bank.SpendableCoin(ctx, addr, denom)
	if balance.Amount.LT(sdkmath.NewIntFromUint64(amount)) {
		return ErrFunds.Wrapf("%s has %s and the message needs %d%s: %s", addr, balance, amount, denom, hint)
	}
	return nil
}

// Price records a validator's vote.
func (s msgServer) Price(ctx context.Context, m *creditpb.MsgPrice) (*creditpb.MsgPriceResponse, error) {
	addr, err := sdk.ValAddressFromBech32(m.Validator)
	if err != nil {
		return nil, ErrInvalid.Wrapf("validator %q is not a validator's operator address: %v", m.Validator, err)
	}
	if err := price.Check(m.MicroUsdPerGrain); err != nil {
		return nil, ErrInvalid.Wrapf("%v; give it in 10⁻⁶ USD per GRAIN, 1000000 is one dollar", err)
	}
	power, err := s.k.votingPower(ctx, addr.String())
	if err != nil {
		return nil, err
	}
	if power == 0 {
		return nil, ErrNotYours.Wrapf("%s is not a bonded validator: only bonded validators vote on the price", addr)
	}
	vote := creditpb.Vote{Validator: addr.String(), MicroUsdPerGrain: m.MicroUsdPerGrain, Time: now(ctx)}
	if err := s.k.Votes.Set(ctx, vote.Validator, vote); err != nil {
		return nil, err
	}
	return &creditpb.MsgPriceResponse{}, nil
}

// Buy burns grains and makes credits at the low side of the price.
func (s msgServer) Buy(ctx context.Context, m *creditpb.MsgBuy) (*creditpb.MsgBuyResponse, error) {
	buyer, err := account("buyer", m.Buyer)
	if err != nil {
		return nil, err
	}
	p, err := s.k.Params.Get(ctx)
	if err != nil {
		return nil, err
	}
	q, err := s.k.fresh(ctx, p, "buy credits")
	if err != nil {
		return nil, err
	}
	made, err := q.Credits(money.Grain(m.Ugrain))
	if err != nil {
		return nil, ErrInvalid.Wrapf("buy credits for %d ugrain: %v", m.Ugrain, err)
	}
	if made == 0 {
		return nil, ErrTooLittle.Wrapf("%d ugrain make no credit at %d ucredit per GRAIN: burn at least %d ugrain", m.Ugrain, q.Low, price.GrainUnit/q.Low+1)
	}
	if made < money.Credit(m.MinCredit) {
		return nil, ErrPrice.Wrapf("%d ugrain make %d ucredit at %d ucredit per GRAIN, less than the %d asked for: lower min_credit, burn more or wait", m.Ugrain, made, q.Low, m.MinCredit)
	}
	if err := s.k.has(ctx, buyer, money.GrainDenom, m.Ugrain, "burn less"); err != nil {
		return nil, err
	}
	if err := s.k.exchange(ctx, buyer, money.Grain(m.Ugrain), made); err != nil {
		return nil, err
	}
	emit(ctx, EventBuy, "buyer", m.Buyer, "ugrain", number(m.Ugrain), "ucredit", number(made), "price", number(q.Low))
	return &creditpb.MsgBuyResponse{Ucredit: uint64(made)}, nil
}

// exchange burns a buyer's grains into the pool and makes the credits.
func (k *Keeper) exchange(ctx context.Context, buyer sdk.AccAddress, grain money.Grain, made money.Credit) error {
	t, err := load(ctx, k.Totals)
	if err != nil {
		return err
	}
	bought, err := money.Add(money.Credit(t.CreditsBought), made)
	if err != nil {
		return err
	}
	t.CreditsBought = uint64(bought)
	t.GrainsBurned += uint64(grain)
	t.Pool += uint64(grain)
	if err := k.bank.SendCoinsFromAccountToModule(ctx, buyer, ModuleName, grains(grain)); err != nil {
		return err
	}
	if err := k.bank.BurnCoins(ctx, ModuleName, grains(grain)); err != nil {
		return err
	}
	if err := k.bank.MintCoins(ctx, ModuleName, credits(made)); err != nil {
		return err
	}
	if err := k.bank.SendCoinsFromModuleToAccount(ctx, ModuleName, buyer, credits(made)); err != nil {
		return err
	}
	return k.Totals.Set(ctx, t)
}

// Redeem puts credits into the queue.
func (s msgServer) Redeem(ctx context.Context, m *creditpb.MsgRedeem) (*creditpb.MsgRedeemResponse, error) {
	holder, err := account("holder", m.Holder)
	if err != nil {
		return nil, err
	}
	p, err := s.k.Params.Get(ctx)
	if err != nil {
		return nil, err
	}
	if m.Ucredit < p.RedeemMin {
		return nil, ErrTooLittle.Wrapf("redeem %d ucredit: the least is %d, collect more first", m.Ucredit, p.RedeemMin)
	}
	if s.k.bank.BlockedAddr(holder) {
		return nil, ErrNotYours.Wrapf("%s is an account of the network itself and cannot be paid: redeem from an owner's account", holder)
	}
	q, err := s.k.fresh(ctx, p, "redeem credits")
	if err != nil {
		return nil, err
	}
	if g, err := q.Grains(money.Credit(m.Ucredit)); err != nil {
		return nil, ErrInvalid.Wrapf("redeem %d ucredit: %v", m.Ucredit, err)
	} else if g == 0 {
		return nil, ErrTooLittle.Wrapf("%d ucredit make no ugrain at %d ucredit per GRAIN: collect more first", m.Ucredit, q.High)
	}
	if _, ratio, err := s.k.room(ctx, p, q); err != nil {
		return nil, err
	} else if ratio <= uint64(p.HaltBps) {
		return nil, ErrHalted.Wrapf("redeem %d ucredit: burned GRAIN cover %d bps of the credits and redemption stops at %d; spend the credits on leases, or wait until the price recovers", m.Ucredit, ratio, p.HaltBps)
	}
	if err := s.k.has(ctx, holder, money.CreditDenom, m.Ucredit, "redeem less"); err != nil {
		return nil, err
	}
	id, err := s.k.enqueue(ctx, holder, money.Credit(m.Ucredit))
	if err != nil {
		return nil, err
	}
	emit(ctx, EventRedeem, "id", number(id), "holder", m.Holder, "ucredit", number(m.Ucredit))
	return &creditpb.MsgRedeemResponse{Id: id}, nil
}

func (k *Keeper) enqueue(ctx context.Context, holder sdk.AccAddress, amount money.Credit) (uint64, error) {
	if err := k.bank.SendCoinsFromAccountToModule(ctx, holder, ModuleName, credits(amount)); err != nil {
		return 0, err
	}
	last, err := k.NextRedemption.Next(ctx)
	if err != nil {
		return 0, err
	}
	id := last + 1 // the first is 1
	return id, k.Redemptions.Set(ctx, id, creditpb.Redemption{
		Id: id, Holder: holder.String(), Requested: uint64(amount), Remaining: uint64(amount), Time: now(ctx),
	})
}

// CancelRedeem gives what is left of a redemption back as credits.
func (s msgServer) CancelRedeem(ctx context.Context, m *creditpb.MsgCancelRedeem) (*creditpb.MsgCancelRedeemResponse, error) {
	holder, err := account("holder", m.Holder)
	if err != nil {
		return nil, err
	}
	r, err := s.k.Redemptions.Get(ctx, m.Id)
	if errors.Is(err, collections.ErrNotFound) {
		return nil, ErrNotFound.Wrapf("redemption %d: it was paid or cancelled, or never was; query the redemptions of %s", m.Id, m.Holder)
	}
	if err != nil {
		return nil, err
	}
	if r.Holder != holder.String() {
		return nil, ErrNotYours.Wrapf("redemption %d belongs to %s, not to %s", m.Id, r.Holder, holder)
	}
	if err := s.k.bank.SendCoinsFromModuleToAccount(ctx, ModuleName, holder, credits(money.Credit(r.Remaining))); err != nil {
		return nil, err
	}
	if err := s.k.Redemptions.Remove(ctx, m.Id); err != nil {
		return nil, err
	}
	emit(ctx, EventRedeem, "id", number(m.Id), "holder", r.Holder, "ucredit", number(r.Remaining), "cancelled", "true")
	return &creditpb.MsgCancelRedeemResponse{Ucredit: r.Remaining}, nil
}

// UpdateParams replaces the parameters.
func (s msgServer) UpdateParams(ctx context.Context, m *creditpb.MsgUpdateParams) (*creditpb.MsgUpdateParamsResponse, error) {
	if m.Authority != s.k.authority {
		return nil, ErrNotYours.Wrapf("%s may not change parameters: pass a governance proposal, which sends as %s", m.Authority, s.k.authority)
	}
	if err := ValidateParams(m.Params); err != nil {
		return nil, err
	}
	return &creditpb.MsgUpdateParamsResponse{}, s.k.Params.Set(ctx, m.Params)
}

// status names what redemptions do at a collateral ratio.
func status(ratio uint64, p creditpb.Params) creditpb.CollateralStatus {
	switch {
	case breaker.Throttle(1, ratio, money.BPS(p.WarnBps), money.BPS(p.HaltBps)) == 1:
		return creditpb.COLLATERAL_STATUS_COVERED
	case ratio > uint64(p.HaltBps):
		return creditpb.COLLATERAL_STATUS_WARN
	}
	return creditpb.COLLATERAL_STATUS_HALT
}
