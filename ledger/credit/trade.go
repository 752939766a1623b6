package credit

import (
	"context"
	"errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/breaker"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/price"
	"github.com/grange-network/grange/ledger/api/creditpb"
)

// trade does, at the price of the round that closes in this block, what was asked
// for before its votes were cast: purchases, then redemptions, each first come
// first served. What is cancelled comes after them.
func (k *Keeper) trade(ctx context.Context, p creditpb.Params, s price.State) error {
	q := s.Quote(rulesOf(p))
	if err := k.makePurchases(ctx, p, s, q); err != nil {
		return err
	}
	if err := k.payRedemptions(ctx, p, s, q); err != nil {
		return err
	}
	return k.returnCancelled(ctx, p)
}

// apart runs do in a state of its own, which is kept when there is no error: one
// trade must never stop the ledger nor the others.
func apart(ctx context.Context, do func(context.Context) error) error {
	cached, write := sdk.UnwrapSDKContext(ctx).CacheContext()
	err := do(cached)
	if err == nil {
		write()
	}
	return err
}

// makePurchases turns grains of the head of the queue into credits, or gives them
// back when they make less than was asked for.
func (k *Keeper) makePurchases(ctx context.Context, p creditpb.Params, s price.State, q price.Quote) error {
	head, err := first(ctx, k.Purchases, int(p.BuyPerBlock))
	if err != nil {
		return err
	}
	for _, b := range head {
		if !s.Fair(b.Time) {
			return nil
		}
		made, err := q.Credits(money.Grain(b.Ugrain))
		if err == nil && made > 0 && uint64(made) >= b.MinCredit {
			err = apart(ctx, func(ctx context.Context) error { return k.exchange(ctx, b, made, q) })
		} else {
			err = k.returnPurchase(ctx, b, "price")
		}
		if err != nil { // it keeps its place and its grains
			k.logger.Error("make purchase", "id", b.Id, "buyer", b.Buyer, "ugrain", b.Ugrain, "error", err)
		}
	}
	return nil
}

// exchange burns a purchase's grains into the pool and makes the credits.
func (k *Keeper) exchange(ctx context.Context, b creditpb.Purchase, made money.Credit, q price.Quote) error {
	buyer, err := sdk.AccAddressFromBech32(b.Buyer)
	if err != nil {
		return err
	}
	t, err := load(ctx, k.Totals)
	if err != nil {
		return err
	}
	bought, err := money.Add(money.Credit(t.CreditsBought), made)
	if err != nil {
		return err
	}
	t.CreditsBought = uint64(bought)
	t.GrainsBurned += b.Ugrain
	t.Pool += b.Ugrain
	if err := k.bank.BurnCoins(ctx, ModuleName, grains(money.Grain(b.Ugrain))); err != nil {
		return err
	}
	if err := k.bank.MintCoins(ctx, ModuleName, credits(made)); err != nil {
		return err
	}
	if err := k.bank.SendCoinsFromModuleToAccount(ctx, ModuleName, buyer, credits(made)); err != nil {
		return err
	}
	emit(ctx, EventBought, "id", number(b.Id), "buyer", b.Buyer, "ugrain", number(b.Ugrain), "ucredit", number(made), "price", number(q.Low))
	return errors.Join(k.Totals.Set(ctx, t), k.Purchases.Remove(ctx, b.Id))
}

// returnPurchases gives the head of the queue back while there is no price.
func (k *Keeper) returnPurchases(ctx context.Context, p creditpb.Params) error {
	head, err := first(ctx, k.Purchases, int(p.BuyPerBlock))
	if err != nil {
		return err
	}
	for _, b := range head {
		if err := k.returnPurchase(ctx, b, "stale"); err != nil {
			k.logger.Error("give purchase back", "id", b.Id, "buyer", b.Buyer, "ugrain", b.Ugrain, "error", err)
		}
	}
	return nil
}

func (k *Keeper) returnPurchase(ctx context.Context, b creditpb.Purchase, reason string) error {
	buyer, err := sdk.AccAddressFromBech32(b.Buyer)
	if err != nil {
		return err
	}
	return apart(ctx, func(ctx context.Context) error {
		if err := k.bank.SendCoinsFromModuleToAccount(ctx, ModuleName, buyer, grains(money.Grain(b.Ugrain))); err != nil {
			return err
		}
		emit(ctx, EventReturned, "id", number(b.Id), "buyer", b.Buyer, "ugrain", number(b.Ugrain), "reason", reason)
		return k.Purchases.Remove(ctx, b.Id)
	})
}

// payRedemptions pays the head of the queue as far as the breaker allows, in
// strict order: what comes after one that is paid in part waits. One whose
// credits make nothing any more gets them back.
func (k *Keeper) payRedemptions(ctx context.Context, p creditpb.Params, s price.State, q price.Quote) error {
	head, err := first(ctx, k.Redemptions, int(p.RedeemPerBlock))
	if err != nil {
		return err
	}
	for _, r := range head {
		if !s.Fair(r.Time) {
			return nil
		}
		room, err := k.room(ctx, p)
		if err != nil {
			return err
		}
		amount := min(r.Remaining, room)
		if amount < min(r.Remaining, p.RedeemMin) {
			return nil // crumbs: it waits for room
		}
		err = apart(ctx, func(ctx context.Context) error { return k.pay(ctx, p, r, money.Credit(amount), q) })
		if errors.Is(err, ErrTooLittle) {
			err = k.returnRedemption(ctx, r, "worth nothing")
		}
		if err != nil { // it keeps its place and its credits
			k.logger.Error("pay redemption", "id", r.Id, "holder", r.Holder, "ucredit", amount, "error", err)
		}
		if amount < r.Remaining {
			return nil
		}
	}
	return nil
}

// room is how many ucredit may be redeemed now.
func (k *Keeper) room(ctx context.Context, p creditpb.Params) (uint64, error) {
	t, err := load(ctx, k.Totals)
	if err != nil {
		return 0, err
	}
	w, err := load(ctx, k.Window)
	if err != nil {
		return 0, err
	}
	limit := max(p.RedeemWindowFloor, uint64(money.Share(outstanding(t), money.BPS(p.RedeemWindowBps))))
	return breaker.Window{Level: w.Level, At: w.Time}.Room(limit, now(ctx), p.RedeemWindowSeconds), nil
}

// redeemed is what credits are redeemed for.
func (k *Keeper) redeemed(ctx context.Context, amount money.Credit, q price.Quote) (money.Grain, error) {
	t, err := load(ctx, k.Totals)
	if err != nil {
		return 0, err
	}
	o, err := load(ctx, k.Open)
	return q.Redeem(amount, money.Grain(t.Pool), debt(t, o)), err
}

// pay burns a redemption's credits and makes its grains out of the pool.
func (k *Keeper) pay(ctx context.Context, p creditpb.Params, r creditpb.Redemption, amount money.Credit, q price.Quote) error {
	grain, err := k.redeemed(ctx, amount, q)
	if err != nil {
		return err
	}
	if grain == 0 {
		return ErrTooLittle.Wrapf("%d ucredit make no ugrain at %d ucredit per GRAIN", amount, q.High)
	}
	to, err := sdk.AccAddressFromBech32(r.Holder)
	if err != nil {
		return err
	}
	t, err := load(ctx, k.Totals)
	if err != nil {
		return err
	}
	t.Pool -= uint64(grain)
	t.GrainsReminted += uint64(grain)
	t.CreditsRedeemed += uint64(amount)
	if err := k.bank.BurnCoins(ctx, ModuleName, credits(amount)); err != nil {
		return err
	}
	if err := k.makeGrain(ctx, grain, money.Grain(t.Pool)); err != nil {
		return err
	}
	if err := k.bank.SendCoinsFromModuleToAccount(ctx, ModuleName, to, grains(grain)); err != nil {
		return err
	}
	w, err := load(ctx, k.Window)
	if err != nil {
		return err
	}
	counted := breaker.Window{Level: w.Level, At: w.Time}.Add(uint64(amount), now(ctx), p.RedeemWindowSeconds)
	r.Remaining -= uint64(amount)
	r.Paid += uint64(grain)
	emit(ctx, EventRedeemed, "id", number(r.Id), "holder", r.Holder, "ucredit", number(amount),
		"ugrain", number(grain), "price", number(q.High), "remaining", number(r.Remaining))
	return errors.Join(
		k.Totals.Set(ctx, t),
		k.Window.Set(ctx, creditpb.Window{Level: counted.Level, Time: counted.At}),
		k.keepRedemption(ctx, r),
	)
}

// keepRedemption stores what is left of a redemption, or forgets it.
func (k *Keeper) keepRedemption(ctx context.Context, r creditpb.Redemption) error {
	if r.Remaining > 0 {
		return k.Redemptions.Set(ctx, r.Id, r)
	}
	return errors.Join(k.Redemptions.Remove(ctx, r.Id), k.Cancelled.Remove(ctx, r.Id))
}

// returnCancelled gives back what is left of redemptions that were cancelled, as
// many as a block may look at.
func (k *Keeper) returnCancelled(ctx context.Context, p creditpb.Params) error {
	it, err := k.Cancelled.Iterate(ctx, nil)
	if err != nil {
		return err
	}
	var ids []uint64
	for ; it.Valid() && len(ids) < int(p.RedeemPerBlock); it.Next() {
		id, err := it.Key()
		if err != nil {
			return errors.Join(err, it.Close())
		}
		ids = append(ids, id)
	}
	if err := it.Close(); err != nil {
		return err
	}
	for _, id := range ids {
		r, err := k.Redemptions.Get(ctx, id)
		if err != nil {
			return err
		}
		if err := k.returnRedemption(ctx, r, "cancelled"); err != nil {
			k.logger.Error("give redemption back", "id", id, "holder", r.Holder, "error", err)
		}
	}
	return nil
}

// returnRedemption gives what is left of a redemption back as credits.
func (k *Keeper) returnRedemption(ctx context.Context, r creditpb.Redemption, reason string) error {
	holder, err := sdk.AccAddressFromBech32(r.Holder)
	if err != nil {
		return err
	}
	return apart(ctx, func(ctx context.Context) error {
		if err := k.bank.SendCoinsFromModuleToAccount(ctx, ModuleName, holder, credits(money.Credit(r.Remaining))); err != nil {
			return err
		}
		emit(ctx, EventReturned, "id", number(r.Id), "holder", r.Holder, "ucredit", number(r.Remaining), "reason", reason)
		r.Remaining = 0
		return k.keepRedemption(ctx, r)
	})
}
