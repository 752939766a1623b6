package oracle

import (
	"context"

	"cosmossdk.io/collections"

	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// prune removes records of epochs that are older than the history, at most
// PrunePerBlock of them. The epochs themselves go before what belongs to them,
// so that no outcome is read from an epoch whose proofs are half gone.
func (k *Keeper) prune(ctx context.Context, epoch uint64, params oraclepb.Params) error {
	if epoch <= params.HistoryEpochs {
		return nil
	}
	floor, left := epoch-params.HistoryEpochs, int(params.PrunePerBlock)
	steps := []func(context.Context, uint64, int) (int, error){
		k.pruneEpochs, k.pruneReveals, k.pruneProofs, k.pruneVotes, k.pruneEquivocations,
	}
	for _, step := range steps {
		removed, err := step(ctx, floor, left)
		if err != nil {
			return err
		}
		left -= removed
	}
	for _, vertical := range params.Verticals {
		removed, err := k.pruneReports(ctx, vertical, floor, left)
		if err != nil {
			return err
		}
		left -= removed
		rng := collections.NewPrefixedPairRange[string, uint64](vertical).EndExclusive(floor)
		if removed, err = removeFirst(ctx, k.Refutations, rng, left); err != nil {
			return err
		}
		left -= removed
		if removed, err = k.pruneBudgets(ctx, vertical, floor, left); err != nil {
			return err
		}
		left -= removed
	}
	return nil
}

func (k *Keeper) pruneEpochs(ctx context.Context, floor uint64, left int) (int, error) {
	numbers, err := firstKeys(ctx, k.Epochs, new(collections.Range[uint64]).EndExclusive(floor), left)
	if err != nil {
		return 0, err
	}
	for _, n := range numbers {
		if err := k.Epochs.Remove(ctx, n); err != nil {
			return 0, err
		}
		if err := k.Decided.Remove(ctx, n); err != nil {
			return 0, err
		}
	}
	return len(numbers), nil
}

func (k *Keeper) pruneReveals(ctx context.Context, floor uint64, left int) (int, error) {
	return removeFirst(ctx, k.Reveals, collections.NewPrefixUntilPairRange[uint64, []byte](floor-1), left)
}

func (k *Keeper) pruneVotes(ctx context.Context, floor uint64, left int) (int, error) {
	return removeFirst(ctx, k.Votes, collections.NewPrefixUntilTripleRange[uint64, string, []byte](floor-1), left)
}

func (k *Keeper) pruneEquivocations(ctx context.Context, floor uint64, left int) (int, error) {
	return removeFirst(ctx, k.Equivocations, collections.NewPrefixUntilTripleRange[uint64, string, []byte](floor-1), left)
}

func (k *Keeper) pruneProofs(ctx context.Context, floor uint64, left int) (int, error) {
	var old []oraclepb.Proof
	err := k.Proofs.Walk(ctx, nil, func(_ uint64, p oraclepb.Proof) (bool, error) {
		if p.Epoch >= floor || len(old) >= left {
			return true, nil
		}
		old = append(old, p)
		return false, nil
	})
	if err != nil {
		return 0, err
	}
	for _, p := range old {
		if err := k.Proofs.Remove(ctx, p.Sequence); err != nil {
			return 0, err
		}
		if err := k.ProofOf.Remove(ctx, collections.Join(p.Device, p.Epoch)); err != nil {
			return 0, err
		}
	}
	return len(old), nil
}

// pruneReports keeps the newest report that can be claimed, however old: claims
// are lifetime totals, and nobody loses one by sleeping.
func (k *Keeper) pruneReports(ctx context.Context, vertical string, floor uint64, left int) (int, error) {
	epoch, err := k.CurrentEpoch(ctx)
	if err != nil {
		return 0, err
	}
	newest, found, err := k.newestReport(ctx, vertical, func(r oraclepb.Report) bool { return r.PayableEpoch <= epoch })
	if err != nil || !found {
		return 0, err
	}
	rng := collections.NewPrefixedPairRange[string, uint64](vertical).EndExclusive(min(floor, newest.Epoch))
	return removeFirst(ctx, k.Reports, rng, left)
}

// pruneBudgets leaves the sums within the history, which the next one adds to.
func (k *Keeper) pruneBudgets(ctx context.Context, vertical string, floor uint64, left int) (int, error) {
	return removeFirst(ctx, k.Budgets, collections.NewPrefixedPairRange[string, uint64](vertical).EndExclusive(floor), left)
}

// firstKeys returns at most limit keys of a range, in order.
func firstKeys[K, V any](ctx context.Context, m collections.Map[K, V], rng collections.Ranger[K], limit int) ([]K, error) {
	if limit <= 0 {
		return nil, nil
	}
	it, err := m.Iterate(ctx, rng)
	if err != nil {
		return nil, err
	}
	defer it.Close()
	var keys []K
	for ; it.Valid() && len(keys) < limit; it.Next() {
		key, err := it.Key()
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func removeFirst[K, V any](ctx context.Context, m collections.Map[K, V], rng collections.Ranger[K], limit int) (int, error) {
	keys, err := firstKeys(ctx, m, rng, limit)
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		if err := m.Remove(ctx, key); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}
