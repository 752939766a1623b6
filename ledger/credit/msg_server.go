package credit

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	sdkmath "cosmossdk.io/math"
	sdk "github.com/cosmos/cosmos-sdk/types"

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

// Buy puts grains into the queue of those that a round to come turns into
// credits. What the price of now would refuse is refused at once.
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
	if s.k.bank.BlockedAddr(buyer) {
		return nil, ErrNotYours.Wrapf("%s is an account of the network itself and cannot be paid: buy from an owner's account", buyer)
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
	if err := s.k.bank.SendCoinsFromAccountToModule(ctx, buyer, ModuleName, grains(money.Grain(m.Ugrain))); err != nil {
		return nil, err
	}
	last, err := s.k.NextPurchase.Next(ctx)
	if err != nil {
		return nil, err
	}
	b := creditpb.Purchase{Id: last + 1, Buyer: buyer.String(), Ugrain: m.Ugrain, MinCredit: m.MinCredit, Time: now(ctx)} // the first is 1
	emit(ctx, EventBuy, "id", number(b.Id), "buyer", b.Buyer, "ugrain", number(b.Ugrain))
	return &creditpb.MsgBuyResponse{Id: b.Id}, s.k.Purchases.Set(ctx, b.Id, b)
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
	if err := s.k.has(ctx, holder, money.CreditDenom, m.Ucredit, "redeem less"); err != nil {
		return nil, err
	}
	if g, err := s.k.redeemed(ctx, money.Credit(m.Ucredit), q); err != nil {
		return nil, err
	} else if g == 0 {
		return nil, ErrTooLittle.Wrapf("%d ucredit make no ugrain at %d ucredit per GRAIN and their part of what was burned: collect more first, or spend them on leases", m.Ucredit, q.High)
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

// CancelRedeem gives what is left of a redemption back as credits, once no price
// can be known to whoever cancels.
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
	p, err := s.k.Params.Get(ctx)
	if err != nil {
		return nil, err
	}
	_, stale, err := s.k.quote(ctx, p)
	if err != nil {
		return nil, err
	}
	emit(ctx, EventRedeem, "id", number(m.Id), "holder", r.Holder, "ucredit", number(r.Remaining), "cancelled", "true")
	if stale {
		return &creditpb.MsgCancelRedeemResponse{Ucredit: r.Remaining}, s.k.returnRedemption(ctx, r, "cancelled")
	}
	r.Cancelled = true
	return &creditpb.MsgCancelRedeemResponse{}, errors.Join(s.k.Redemptions.Set(ctx, r.Id, r), s.k.Cancelled.Set(ctx, r.Id))
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
