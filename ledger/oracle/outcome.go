package oracle

import (
	"context"

	"cosmossdk.io/collections"

	"github.com/grange-network/grange/core/lease"
)

// LeaseOutcome is what an epoch says of a device that held something in it.
//
// A decided epoch that is over says Proven or Faulted. The epoch under way, and
// one that was neutral with no decided epoch over since, is Undecided. A neutral
// epoch takes the outcome of the next decided one; a device that holds nothing
// any more by then had no chance to prove and counts as Proven.
//
// Ask within the history: the records of older epochs are gone, and the answer
// is that of the oldest decided epoch kept.
func (k *Keeper) LeaseOutcome(ctx context.Context, device [32]byte, epoch uint64) (lease.Outcome, error) {
	outcome, _, err := k.outcome(ctx, device, epoch)
	return outcome, err
}

// outcome also returns the decided epoch the answer comes from, 0 for none.
func (k *Keeper) outcome(ctx context.Context, device [32]byte, epoch uint64) (lease.Outcome, uint64, error) {
	now, err := k.CurrentEpoch(ctx)
	if err != nil {
		return lease.Undecided, 0, err
	}
	by, found, err := k.decidedFrom(ctx, epoch)
	if err != nil || !found || by >= now {
		return lease.Undecided, 0, err
	}
	proven, err := k.ProofOf.Has(ctx, collections.Join(device[:], by))
	if err != nil {
		return lease.Undecided, 0, err
	}
	if proven {
		return lease.Proven, by, nil
	}
	if by > epoch {
		heads, err := k.heads.HeadsAt(ctx, device, by)
		if err != nil {
			return lease.Undecided, 0, err
		}
		if len(heads) == 0 {
			return lease.Proven, by, nil
		}
	}
	return lease.Faulted, by, nil
}

// decidedFrom is the first epoch from the given one on that has a decided seed.
func (k *Keeper) decidedFrom(ctx context.Context, epoch uint64) (uint64, bool, error) {
	it, err := k.Decided.Iterate(ctx, new(collections.Range[uint64]).StartInclusive(epoch))
	if err != nil {
		return 0, false, err
	}
	defer it.Close()
	if !it.Valid() {
		return 0, false, nil
	}
	by, err := it.Key()
	return by, err == nil, err
}
