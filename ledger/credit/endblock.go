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

// EndBlock closes a round of price votes when one is due, and trades at its
// price: at most one vote of each validator, Params.BuyPerBlock purchases and
// Params.RedeemPerBlock redemptions are looked at. Other blocks trade nothing, so
// that nobody can pick between the price of a round and what he learned since.
func (k *Keeper) EndBlock(ctx context.Context) error {
	p, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	state, closed, err := k.closeRound(ctx, p)
	switch {
	case err != nil:
		return err
	case closed:
		return k.trade(ctx, p, state)
	case state.Stale(rulesOf(p), now(ctx)):
		return errors.Join(k.returnPurchases(ctx, p), k.returnCancelled(ctx, p))
	}
	return nil
}

// closeRound moves the price when validators with more than the quorum of the
// bonded power have voted and the last round is RoundSeconds old. Votes too old
// or of validators no longer bonded are dropped.
func (k *Keeper) closeRound(ctx context.Context, p creditpb.Params) (state price.State, closed bool, err error) {
	stored, err := load(ctx, k.Price)
	if err != nil {
		return state, false, err
	}
	state, at := priceOf(stored), now(ctx)
	if state.Known() && at-state.Updated < int64(p.RoundSeconds) {
		return state, false, nil
	}
	votes, power, err := k.liveVotes(ctx, at, p)
	if err != nil || len(votes) == 0 {
		return state, false, err
	}
	bonded, err := k.staking.TotalBondedTokens(ctx)
	if err != nil {
		return state, false, err
	}
	if power.MulRaw(int64(money.Whole)).LTE(bonded.MulRaw(int64(p.QuorumBps))) {
		return state, false, nil
	}
	median, ok := price.Median(votes)
	if !ok {
		return state, false, nil
	}
	if state, err = state.Next(rulesOf(p), median, at); err != nil {
		return state, false, err
	}
	if err := k.Price.Set(ctx, pricePB(state)); err != nil {
		return state, false, err
	}
	q := state.Quote(rulesOf(p))
	emit(ctx, EventPrice, "median", number(median), "last", number(state.Last),
		"low", number(q.Low), "mid", number(q.Mid), "high", number(q.High), "votes", number(uint64(len(votes))))
	return state, true, k.Votes.Clear(ctx, nil)
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
