package credit

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	"github.com/grange-network/grange/core/emission"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/price"
	"github.com/grange-network/grange/ledger/api/creditpb"
)

// pruneLimit bounds the old epoch records removed when an epoch ends.
const pruneLimit = 16

// EpochEnded closes an epoch: it retires what stood behind the credits the take
// burned, passes the schedule by an epoch, fixes the demand pool and records
// the price. Epochs must end in order, each once (ErrEpoch); the first one seen
// may have any number. A stale or missing price does not stop it, but leaves no demand pool.
func (k *Keeper) EpochEnded(ctx context.Context, epoch uint64) error {
	e, err := load(ctx, k.Emission)
	if err != nil {
		return err
	}
	if e.LastEpoch != 0 && epoch != e.LastEpoch+1 || epoch == 0 {
		return ErrEpoch.Wrapf("end epoch %d: the newest ended epoch is %d, want %d", epoch, e.LastEpoch, e.LastEpoch+1)
	}
	p, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	o, err := load(ctx, k.Open)
	if err != nil {
		return err
	}
	q, stale, err := k.quote(ctx, p)
	if err != nil {
		return err
	}
	t, err := load(ctx, k.Totals)
	if err != nil {
		return err
	}
	burned := retire(&t, o, q)
	progress, released, err := scheduleOf(p).Next(progressOf(e), money.Credit(o.Revenue))
	if err != nil {
		return err
	}
	average := emission.Smooth(money.Grain(e.BurnAverage), burned, p.BurnAverageEpochs)
	demand := emission.DemandPool(released, average, money.BPS(p.RebateBps))
	if stale {
		demand = 0 // what usage burned cannot be told in ugrain
	}
	t.RewardsBudget += uint64(demand)
	grants := grantsAt(p, epoch, &t)
	record := creditpb.EpochRecord{
		Epoch: epoch, Quote: quotePB(q), Stale: stale, Time: now(ctx),
		Revenue: o.Revenue, BurnedCredit: o.BurnedCredit, BurnedGrain: uint64(burned), BurnAverage: uint64(average),
		Released: uint64(released), DemandPool: uint64(demand), RebateBps: p.RebateBps, Grants: grants,
	}
	err = errors.Join(
		k.Totals.Set(ctx, t),
		k.Open.Set(ctx, creditpb.Open{CarryBurned: o.CarryBurned, CarryValidators: o.CarryValidators, CarryTreasury: o.CarryTreasury}),
		k.Emission.Set(ctx, emissionPB(epoch, progress, average)),
		k.Epochs.Set(ctx, epoch, record),
		k.pruneEpochs(ctx, epoch, uint64(p.KeepEpochs)),
	)
	if err != nil {
		return err
	}
	emit(ctx, EventEpoch, "epoch", number(epoch), "mid", number(q.Mid), "revenue", number(o.Revenue),
		"burned", number(burned), "released", number(released), "pool", number(demand), "granted", number(granted(grants)))
	return nil
}

// retire takes the part of the pool that stood behind the credits burned in the
// epoch out of it, and returns how many ugrain count as burned: that part, but
// no more than the credits were worth at the high price. So neither a rising
// nor a falling price lets rewards mint more than usage burned.
func retire(t *creditpb.Totals, o creditpb.Open, q price.Quote) money.Grain {
	owed := debt(*t, o)
	if o.BurnedCredit == 0 || owed == 0 {
		return 0
	}
	part, _, err := money.MulDiv(t.Pool, o.BurnedCredit, uint64(owed))
	if err != nil {
		return 0 // cannot happen: the burned credits are a part of the debt
	}
	t.Pool -= part
	t.GrainsRetired += part
	counts := money.Grain(part)
	if worth, err := q.Grains(money.Credit(o.BurnedCredit)); err == nil {
		counts = min(counts, worth)
	}
	return counts
}

// grantsAt returns the grants' parts for an epoch and counts them. Whatever the
// parameters were in between, all epochs together stay within the cap of grants.
func grantsAt(p creditpb.Params, epoch uint64, t *creditpb.Totals) (parts []creditpb.EpochGrant) {
	for _, g := range p.Grants {
		part := min(uint64(grantOf(g).At(epoch)), uint64(emission.GrantCap)-t.GrantsBudget)
		if part > 0 {
			t.GrantsBudget += part
			parts = append(parts, creditpb.EpochGrant{Vertical: g.Vertical, Ugrain: part})
		}
	}
	return parts
}

func granted(parts []creditpb.EpochGrant) (sum uint64) {
	for _, g := range parts {
		sum += g.Ugrain
	}
	return sum
}

func (k *Keeper) pruneEpochs(ctx context.Context, epoch, keep uint64) error {
	if epoch <= keep {
		return nil
	}
	old, err := first(ctx, k.Epochs, pruneLimit)
	if err != nil {
		return err
	}
	for _, r := range old {
		if r.Epoch > epoch-keep {
			break
		}
		if err := k.Epochs.Remove(ctx, r.Epoch); err != nil {
			return err
		}
	}
	return nil
}

// record returns an ended epoch's record, or ErrNotFound.
func (k *Keeper) record(ctx context.Context, epoch uint64) (creditpb.EpochRecord, error) {
	r, err := k.Epochs.Get(ctx, epoch)
	if errors.Is(err, collections.ErrNotFound) {
		e, err := load(ctx, k.Emission)
		if err != nil {
			return r, err
		}
		return r, ErrNotFound.Wrapf("epoch %d: it has not ended or its record is no longer kept; the newest is %d", epoch, e.LastEpoch)
	}
	return r, err
}

// PriceAt returns the price an ended epoch ended with, in ucredit per GRAIN.
// Convert burned credits to ugrain with its Grains, which errs towards less.
// ErrNotFound when the epoch is open or forgotten, ErrStale when there had not
// been a price yet.
func (k *Keeper) PriceAt(ctx context.Context, epoch uint64) (price.Quote, error) {
	r, err := k.record(ctx, epoch)
	if err != nil {
		return price.Quote{}, err
	}
	if r.Quote.High == 0 {
		return price.Quote{}, ErrStale.Wrapf("epoch %d ended before there was a price of GRAIN", epoch)
	}
	return price.Quote{Low: r.Quote.Low, Mid: r.Quote.Mid, High: r.Quote.High}, nil
}

// BonusBudget returns how many ugrain a vertical may mint for an ended epoch: its
// part of the demand pool, for usage, and its grant, for evidence; 0 when it has
// neither. own and all are what usage of the vertical and all usage burned in the
// epoch. ErrNotFound when the epoch is open or forgotten.
func (k *Keeper) BonusBudget(ctx context.Context, vertical string, epoch uint64, own, all money.Credit) (uint64, error) {
	r, err := k.record(ctx, epoch)
	if err != nil {
		return 0, err
	}
	budget := uint64(emission.VerticalPool(money.Grain(r.DemandPool), own, all))
	for _, g := range r.Grants {
		if g.Vertical == vertical {
			budget += g.Ugrain
		}
	}
	return budget, nil
}

func progressOf(e creditpb.Emission) emission.Progress {
	return emission.Progress{Epoch: e.Passed, Theta: e.Theta, Filled: money.Credit(e.Filled), Issued: money.Grain(e.Issued)}
}

func emissionPB(epoch uint64, p emission.Progress, average money.Grain) creditpb.Emission {
	return creditpb.Emission{
		LastEpoch: epoch, Passed: p.Epoch, Theta: p.Theta, Filled: uint64(p.Filled),
		Issued: uint64(p.Issued), BurnAverage: uint64(average),
	}
}
