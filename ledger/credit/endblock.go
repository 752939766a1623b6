package credit

import (
	"context"

	"cosmossdk.io/collections"
	sdkmath "cosmossdk.io/math"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/breaker"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/price"
	"github.com/grange-network/grange/ledger/api/creditpb"
)

// EndBlock closes a round of price votes when one is due, then pays
// redemptions: at most one vote of each validator and Params.RedeemPerBlock
// redemptions are looked at.
func (k *Keeper) EndBlock(ctx context.Context) error {
	p, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	if err := k.closeRound(ctx, p); err != nil {
		return err
	}
	return k.payRedemptions(ctx, p)
}

// closeRound moves the price when validators with more than the quorum of the
// bonded power have voted and the last round is RoundSeconds old. Votes too old
// or of validators no longer bonded are dropped.
func (k *Keeper) closeRound(ctx context.Context, p creditpb.Params) error {
	stored, err := load(ctx, k.Price)
	if err != nil {
		return err
	}
	state, at := priceOf(stored), now(ctx)
	if state.Known() && at-state.Updated < int64(p.RoundSeconds) {
		return nil
	}
	votes, power, err := k.liveVotes(ctx, at, p)
	if err != nil || len(votes) == 0 {
		return err
	}
	bonded, err := k.staking.TotalBondedTokens(ctx)
	if err != nil {
		return err
	}
	if power.MulRaw(int64(money.Whole)).LTE(bonded.MulRaw(int64(p.QuorumBps))) {
		return nil
	}
	median, ok := price.Median(votes)
	if !ok {
		return nil
	}
	if state, err = state.Next(rulesOf(p), median, at); err != nil {
		return err
	}
	if err := k.Price.Set(ctx, pricePB(state)); err != nil {
		return err
	}
	q := state.Quote(rulesOf(p))
	emit(ctx, EventPrice, "median", number(median), "last", number(state.Last),
		"low", number(q.Low), "mid", number(q.Mid), "high", number(q.High), "votes", number(uint64(len(votes))))
	return k.Votes.Clear(ctx, nil)
}

// liveVotes returns the votes that count now and their power.
func (k *Keeper) liveVotes(ctx context.Context, at int64, p creditpb.Params) ([]price.Vote, sdkmath.Int, error) {
	power := sdkmath.ZeroInt()
	stored, err := all(ctx, k.Votes)
	if err != nil {
		return nil, power, err
	}
	var votes []price.Vote
	for _, v := range stored {
		tokens, err := k.votingPower(ctx, v.Validator)
		if err != nil {
			return nil, power, err
		}
		if tokens == 0 || at-v.Time > int64(p.StaleSeconds) {
			if err := k.Votes.Remove(ctx, v.Validator); err != nil {
				return nil, power, err
			}
			continue
		}
		votes = append(votes, price.Vote{Price: v.MicroUsdPerGrain, Power: tokens})
		power = power.Add(sdkmath.NewIntFromUint64(tokens))
	}
	return votes, power, nil
}

// votingPower is a validator's stake in ugrain; 0 when it is not bonded.
func (k *Keeper) votingPower(ctx context.Context, validator string) (uint64, error) {
	addr, err := sdk.ValAddressFromBech32(validator)
	if err != nil {
		return 0, err
	}
	v, err := k.staking.GetValidator(ctx, addr)
	if err != nil || !v.IsBonded() || !v.GetTokens().IsUint64() {
		return 0, nil // unknown validators have no power; supply is far below 64 bits
	}
	return v.GetTokens().Uint64(), nil
}

// payRedemptions pays the head of the queue as far as the breaker allows. It
// waits while the price is stale.
func (k *Keeper) payRedemptions(ctx context.Context, p creditpb.Params) error {
	head, err := first(ctx, k.Redemptions, int(p.RedeemPerBlock))
	if err != nil || len(head) == 0 {
		return err
	}
	q, stale, err := k.quote(ctx, p)
	if err != nil || stale {
		return err
	}
	for _, r := range head {
		room, _, err := k.room(ctx, p, q)
		if err != nil {
			return err
		}
		amount := min(r.Remaining, room)
		if amount < min(r.Remaining, p.RedeemMin) {
			return nil // the rest waits for room, in order
		}
		cached, write := sdk.UnwrapSDKContext(ctx).CacheContext()
		if err := k.pay(cached, p, r, money.Credit(amount), q); err != nil {
			// One redemption must never stop the ledger: it keeps its place and its credits.
			k.logger.Error("pay redemption", "id", r.Id, "holder", r.Holder, "ucredit", amount, "error", err)
			continue
		}
		write()
	}
	return nil
}

// room is how many ucredit may be redeemed now, and the collateral ratio.
func (k *Keeper) room(ctx context.Context, p creditpb.Params, q price.Quote) (room, ratio uint64, err error) {
	t, err := load(ctx, k.Totals)
	if err != nil {
		return 0, 0, err
	}
	o, err := load(ctx, k.Open)
	if err != nil {
		return 0, 0, err
	}
	w, err := load(ctx, k.Window)
	if err != nil {
		return 0, 0, err
	}
	ratio = collateral(t, o, q)
	limit := max(p.RedeemWindowFloor, uint64(money.Share(outstanding(t), money.BPS(p.RedeemWindowBps))))
	limit = breaker.Throttle(limit, ratio, money.BPS(p.WarnBps), money.BPS(p.HaltBps))
	return breaker.Window{Level: w.Level, At: w.Time}.Room(limit, now(ctx), p.RedeemWindowSeconds), ratio, nil
}

// pay burns a redemption's credits and makes its grains, out of the pool first.
func (k *Keeper) pay(ctx context.Context, p creditpb.Params, r creditpb.Redemption, amount money.Credit, q price.Quote) error {
	grain, err := q.Grains(amount)
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
	reminted := min(uint64(grain), t.Pool)
	t.Pool -= reminted
	t.GrainsReminted += reminted
	t.GrainsCreated += uint64(grain) - reminted
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
	if err := k.Totals.Set(ctx, t); err != nil {
		return err
	}
	w, err := load(ctx, k.Window)
	if err != nil {
		return err
	}
	counted := breaker.Window{Level: w.Level, At: w.Time}.Add(uint64(amount), now(ctx), p.RedeemWindowSeconds)
	if err := k.Window.Set(ctx, creditpb.Window{Level: counted.Level, Time: counted.At}); err != nil {
		return err
	}
	r.Remaining -= uint64(amount)
	r.Paid += uint64(grain)
	emit(ctx, EventRedeemed, "id", number(r.Id), "holder", r.Holder, "ucredit", number(amount),
		"ugrain", number(grain), "price", number(q.High), "remaining", number(r.Remaining))
	if r.Remaining == 0 {
		return k.Redemptions.Remove(ctx, r.Id)
	}
	return k.Redemptions.Set(ctx, r.Id, r)
}

// first returns the values of the first entries of a map, in key order.
func first[K, V any](ctx context.Context, m collections.Map[K, V], limit int) ([]V, error) {
	it, err := m.Iterate(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer it.Close()
	var values []V
	for ; it.Valid() && len(values) < limit; it.Next() {
		v, err := it.Value()
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// all returns every value of a map, in key order.
func all[K, V any](ctx context.Context, m collections.Map[K, V]) ([]V, error) {
	return first(ctx, m, int(^uint(0)>>1))
}
