package market

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

// accrueLimit bounds the epochs one lease is taken over in one block; a lease
// that lags further is due again in the next block.
const accrueLimit = 32

// pruneLimit bounds the old records removed in one block, of each kind.
const pruneLimit = 100

// EndBlock advances the leases that are due, oldest first and at most
// Params.LeasesPerBlock of them, as many standing leases, disputes and demands,
// and prunes old records.
func (k *Keeper) EndBlock(ctx context.Context) error {
	epoch, err := k.epochs.CurrentEpoch(ctx)
	if err != nil {
		return err
	}
	params, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	limit, rules := int(params.LeasesPerBlock), k.rules(params)
	err = drain(ctx, k, "lease", k.Due, epoch, limit, func(ctx context.Context, id []byte) (uint64, error) {
		return k.turn(ctx, id, epoch, params)
	})
	if err != nil {
		return err
	}
	err = drain(ctx, k, "dispute", k.DisputesDue, epoch, limit, func(ctx context.Context, key []byte) (uint64, error) {
		return k.turnDispute(ctx, key, epoch, rules)
	})
	if err != nil {
		return err
	}
	err = drain(ctx, k, "standing lease", k.StandingsDue, epoch, limit, func(ctx context.Context, id []byte) (uint64, error) {
		return k.turnStanding(ctx, id, epoch, rules)
	})
	if err != nil {
		return err
	}
	err = drain(ctx, k, "demand", k.DemandsDue, epoch, limit, func(ctx context.Context, id uint64) (uint64, error) {
		return k.turnDemand(ctx, id, epoch, params.HistoryEpochs)
	})
	if err != nil {
		return err
	}
	if err := k.sweep(ctx); err != nil {
		return err
	}
	return k.prune(ctx, epoch, params.HistoryEpochs)
}

func (k *Keeper) due(ctx context.Context, epoch uint64, limit int) ([]collections.Pair[uint64, []byte], error) {
	return dueIn(ctx, k.Due, epoch, limit)
}

// dueIn lists the first entries of a queue that are due in epoch.
func dueIn[T any](ctx context.Context, queue collections.KeySet[collections.Pair[uint64, T]], epoch uint64, limit int) ([]collections.Pair[uint64, T], error) {
	it, err := queue.Iterate(ctx, collections.NewPrefixUntilPairRange[uint64, T](epoch))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	var keys []collections.Pair[uint64, T]
	for ; it.Valid() && len(keys) < limit; it.Next() {
		key, err := it.Key()
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// drain takes what is due from a queue and hands it to turn, all or nothing for
// each. turn returns the epoch from which it is due again, or 0 for never. An
// entry must never stop the ledger: one that fails is left as it was, and tried
// again in the next epoch.
func drain[T any](ctx context.Context, k *Keeper, name string, queue collections.KeySet[collections.Pair[uint64, T]], epoch uint64, limit int, turn func(context.Context, T) (uint64, error)) error {
	due, err := dueIn(ctx, queue, epoch, limit)
	if err != nil {
		return err
	}
	for _, key := range due {
		if err := queue.Remove(ctx, key); err != nil {
			return err
		}
		cached, write := sdk.UnwrapSDKContext(ctx).CacheContext()
		next, err := turn(cached, key.K2())
		if err == nil {
			write()
		} else {
			k.logger.Error("advance "+name, "id", fmt.Sprintf("%x", any(key.K2())), "epoch", epoch, "error", err)
			next = epoch + 1
		}
		if next > 0 {
			if err := queue.Set(ctx, collections.Join(next, key.K2())); err != nil {
				return err
			}
		}
	}
	return nil
}

// turn advances one lease and returns the epoch from which it is due again, or
// 0 when it is closed.
func (k *Keeper) turn(ctx context.Context, id []byte, epoch uint64, params marketpb.Params) (uint64, error) {
	l, err := k.load(ctx, id)
	if err != nil {
		return 0, err
	}
	before := l.State
	l, behind, err := k.accrue(ctx, l, epoch, params)
	if err != nil {
		return 0, err
	}
	rules := k.rules(params)
	l = l.Advance(epoch, rules)
	if l.Ended(epoch, rules) {
		if l, err = k.finish(ctx, l, epoch, rules); err != nil {
			return 0, err
		}
	}
	if err := k.store(ctx, l); err != nil {
		return 0, err
	}
	if l.State != before {
		emitState(ctx, l)
	}
	switch {
	case l.State == lease.Closed:
		return 0, nil
	case behind:
		return epoch, nil
	}
	return epoch + 1, nil
}

// accrue takes the hold meter over the decided epochs and pays for them. It
// reports whether more could be taken at once.
func (k *Keeper) accrue(ctx context.Context, l lease.Lease, epoch uint64, params marketpb.Params) (lease.Lease, bool, error) {
	for n := 0; l.Accruable(epoch); n++ {
		if n == accrueLimit {
			return l, true, nil
		}
		outcome := lease.Proven
		if k.proven[l.Kind] && l.HeadAt(l.Next).Units > 0 {
			var err error
			if outcome, err = k.epochs.LeaseOutcome(ctx, l.Device, l.Next); err != nil {
				return l, false, err
			}
			if outcome == lease.Undecided {
				return l, false, nil
			}
		}
		next, a, err := l.Accrue(outcome)
		if err != nil {
			return l, false, err
		}
		if err := k.record(ctx, l, a, epoch, params); err != nil {
			return l, false, err
		}
		l = next
	}
	return l, false, nil
}

// record pays one accrued epoch, slashes a fault and keeps the terms.
func (k *Keeper) record(ctx context.Context, l lease.Lease, a lease.Accrual, epoch uint64, params marketpb.Params) error {
	if a.Units == 0 {
		return nil
	}
	net, burned, err := k.pay(ctx, l.Device, l.ID, a.Pay)
	if err != nil {
		return err
	}
	var slashed money.Grain
	if a.Outcome == lease.Faulted && l.State == lease.Open {
		if slashed, err = k.slash(ctx, l, a.Epoch, params); err != nil {
			return err
		}
	}
	if a.Pay > 0 || slashed > 0 {
		err = k.addUsage(ctx, epoch, l.Device, l.Kind, func(u *marketpb.Usage) {
			u.HoldPaid += uint64(a.Pay)
			u.Burned += uint64(burned)
			u.Net += uint64(net)
			u.Slashed += uint64(slashed)
		})
		if err != nil {
			return err
		}
	}
	emitAccrual(ctx, l, a, net, slashed)
	return k.addLeaseEpoch(ctx, a.Epoch, l.Device, l.ID, func(r *marketpb.LeaseEpoch) {
		r.Outcome, r.Seen = marketpb.Outcome(a.Outcome), true
		r.UnitsHeld, r.HoldOwed = a.Units, uint64(a.Owed)
		r.HoldPaid += uint64(a.Pay)
		r.Take += uint64(a.Pay - net)
		r.Net += uint64(net)
	})
}

// slash burns a part of the bond, once for each device and epoch.
func (k *Keeper) slash(ctx context.Context, l lease.Lease, epoch uint64, params marketpb.Params) (money.Grain, error) {
	key := collections.Join(epoch, l.Device[:])
	if done, err := k.Slashes.Has(ctx, key); err != nil || done {
		return 0, err
	}
	offer, err := k.Offers.Get(ctx, l.Offer)
	if err != nil {
		return 0, err
	}
	amount := money.Share(money.Grain(offer.Bond), money.BPS(params.SlashBps))
	if amount > 0 {
		if err := k.bank.BurnCoins(ctx, ModuleName, grains(amount)); err != nil {
			return 0, err
		}
		offer.Bond -= uint64(amount)
		offer.Slashed += uint64(amount)
		if err := k.Offers.Set(ctx, offer.Id, offer); err != nil {
			return 0, err
		}
	}
	return amount, k.Slashes.Set(ctx, key, marketpb.Slash{Epoch: epoch, Device: append([]byte(nil), l.Device[:]...), Amount: uint64(amount)})
}

// finish refunds a lease whose window is over and gives its capacity back.
func (k *Keeper) finish(ctx context.Context, l lease.Lease, epoch uint64, rules lease.Rules) (lease.Lease, error) {
	l, refund, err := l.Finish(epoch, rules)
	if err != nil {
		return l, err
	}
	moved, err := k.follow(ctx, l, refund, epoch)
	if err != nil {
		return l, err
	}
	if !moved {
		if err := k.payOut(ctx, l.Payer, credits(refund)); err != nil {
			return l, err
		}
	}
	offer, err := k.Offers.Get(ctx, l.Offer)
	if err != nil {
		return l, err
	}
	offer.Sold -= min(offer.Sold, l.Capacity)
	offer.Leases -= min(offer.Leases, 1)
	if err := k.Offers.Set(ctx, offer.Id, offer); err != nil {
		return l, err
	}
	if err := k.releaseBond(ctx, offer); err != nil {
		return l, err
	}
	return l, k.ByDevice.Remove(ctx, collections.Join(l.Device[:], l.ID[:]))
}

// releaseBond returns the bond of a withdrawn offer that serves no lease and
// stands in no bid.
func (k *Keeper) releaseBond(ctx context.Context, offer marketpb.Offer) error {
	if offer.Status != marketpb.OFFER_STATUS_WITHDRAWN || offer.Leases > 0 || offer.Bids > 0 || offer.Bond == 0 {
		return nil
	}
	owner, err := sdk.AccAddressFromBech32(offer.Owner)
	if err != nil {
		return err
	}
	bond := money.Grain(offer.Bond)
	offer.Bond = 0
	if err := k.Offers.Set(ctx, offer.Id, offer); err != nil {
		return err
	}
	return k.bank.SendCoinsFromModuleToAccount(ctx, ModuleName, owner, grains(bond))
}

// prune removes records older than the history, a bounded number in each block.
func (k *Keeper) prune(ctx context.Context, epoch, history uint64) error {
	if epoch <= history {
		return nil
	}
	oldest := epoch - history
	if err := pruneMap(ctx, k.LeaseEpochs, func(key collections.Triple[uint64, []byte, []byte]) bool { return key.K1() < oldest }); err != nil {
		return err
	}
	if err := pruneMap(ctx, k.Usage, func(key collections.Triple[uint64, []byte, string]) bool { return key.K1() < oldest }); err != nil {
		return err
	}
	if err := pruneMap(ctx, k.Burns, func(key collections.Pair[uint64, string]) bool { return key.K1() < oldest }); err != nil {
		return err
	}
	return pruneMap(ctx, k.Slashes, func(key collections.Pair[uint64, []byte]) bool { return key.K1() < oldest })
}

// pruneMap removes the first entries for as long as they are old.
func pruneMap[K, V any](ctx context.Context, m collections.Map[K, V], old func(K) bool) error {
	it, err := m.Iterate(ctx, nil)
	if err != nil {
		return err
	}
	var keys []K
	for ; it.Valid() && len(keys) < pruneLimit; it.Next() {
		key, err := it.Key()
		if err != nil {
			return errors.Join(err, it.Close())
		}
		if !old(key) {
			break
		}
		keys = append(keys, key)
	}
	if err := it.Close(); err != nil {
		return err
	}
	for _, key := range keys {
		if err := m.Remove(ctx, key); err != nil {
			return err
		}
	}
	return nil
}
