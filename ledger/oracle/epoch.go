package oracle

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"cosmossdk.io/collections"

	"github.com/grange-network/grange/core/beacon"
	"github.com/grange-network/grange/ledger/api/oraclepb"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

// BeginBlock moves the clock: it decides the seed at the reveal deadline, ends
// the epoch when it is over, and removes old records. At most one epoch ends
// per block.
func (k *Keeper) BeginBlock(ctx context.Context) error {
	params, err := k.Params.Get(ctx)
	if err != nil {
		return fmt.Errorf("read oracle parameters: %w", err)
	}
	e, err := k.current(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		return k.open(ctx, 1)
	}
	if err != nil {
		return err
	}
	e = tick(ctx, e, params)
	if e.Status == oraclepb.EPOCH_STATUS_REVEALING && e.Elapsed >= nanos(params, params.RevealBps) {
		if e, err = k.decide(ctx, e); err != nil {
			return err
		}
	}
	if err := k.Epochs.Set(ctx, e.Number, e); err != nil {
		return err
	}
	if e.Elapsed >= whole(params) {
		if err := k.end(ctx, e, params); err != nil {
			return err
		}
	}
	return k.prune(ctx, e.Number, params)
}

// tick counts the time since the last block, but never more than the longest
// gap: when the ledger stands still, so does the epoch.
func tick(ctx context.Context, e oraclepb.Epoch, params oraclepb.Params) oraclepb.Epoch {
	time, _ := now(ctx)
	gap := max(time-e.SeenTime, 0)
	e.Elapsed += min(gap, nanos(params, params.MaxGapBps))
	e.SeenTime = max(time, e.SeenTime)
	return e
}

// open starts an epoch at this block.
func (k *Keeper) open(ctx context.Context, epoch uint64) error {
	time, height := now(ctx)
	e := oraclepb.Epoch{
		Number: epoch, StartTime: time, StartHeight: height, SeenTime: time,
		Status: oraclepb.EPOCH_STATUS_REVEALING,
	}
	emit(ctx, EventEpoch, "epoch", number(epoch), "status", e.Status.String(), "seed", "")
	return k.Epochs.Set(ctx, epoch, e)
}

// end closes the books of an epoch and opens the next.
func (k *Keeper) end(ctx context.Context, e oraclepb.Epoch, params oraclepb.Params) error {
	if err := k.countMissed(ctx, e, params); err != nil {
		return err
	}
	for _, h := range k.hooks {
		if err := h.EpochEnded(ctx, e.Number); err != nil {
			return fmt.Errorf("end epoch %d: %w", e.Number, err)
		}
	}
	// After the hooks: one of them sets the budget.
	if err := k.addBudgets(ctx, e.Number, params); err != nil {
		return err
	}
	return k.open(ctx, e.Number+1)
}

// decide fixes the seed at the deadline: by the signatures of more than two
// thirds of the power, or as neutral.
func (k *Keeper) decide(ctx context.Context, e oraclepb.Epoch) (oraclepb.Epoch, error) {
	signatures, revealed, total, err := k.revealed(ctx, e.Number)
	if err != nil {
		return e, err
	}
	return k.fix(ctx, e, signatures, revealed, total, quorum(revealed, total))
}

// fix writes the seed that follows from the signatures, or the neutral one.
func (k *Keeper) fix(ctx context.Context, e oraclepb.Epoch, signatures []beacon.Signature, revealed, total uint64, decided bool) (oraclepb.Epoch, error) {
	previous, err := k.seedBefore(ctx, e.Number)
	if err != nil {
		return e, err
	}
	seed := beacon.Neutral(previous, e.Number)
	e.Status = oraclepb.EPOCH_STATUS_NEUTRAL
	if decided {
		if seed, err = beacon.Next(previous, e.Number, signatures); err != nil {
			return e, err
		}
		e.Status = oraclepb.EPOCH_STATUS_DECIDED
		if err := k.Decided.Set(ctx, e.Number); err != nil {
			return e, err
		}
	}
	_, e.DecidedHeight = now(ctx)
	e.Seed, e.RevealedPower, e.TotalPower = seed[:], revealed, total
	emit(ctx, EventEpoch, "epoch", number(e.Number), "status", e.Status.String(), "seed", hex.EncodeToString(e.Seed))
	return e, k.Epochs.Set(ctx, e.Number, e)
}

// seedBefore is the seed that an epoch's own is folded into.
func (k *Keeper) seedBefore(ctx context.Context, epoch uint64) (beacon.Seed, error) {
	before, err := k.Epochs.Get(ctx, epoch-1)
	if errors.Is(err, collections.ErrNotFound) && epoch == 1 {
		return beacon.Genesis(sdk.UnwrapSDKContext(ctx).ChainID()), nil
	}
	if err != nil {
		return beacon.Seed{}, fmt.Errorf("read seed before epoch %d: %w", epoch, err)
	}
	return beacon.Seed(before.Seed), nil
}

// revealed collects the signatures of an epoch and the power behind them now.
// The signature of a validator that left the set meanwhile still counts into
// the seed, but its power does not.
func (k *Keeper) revealed(ctx context.Context, epoch uint64) (signatures []beacon.Signature, power, total uint64, err error) {
	if total, err = k.totalPower(ctx); err != nil {
		return nil, 0, 0, err
	}
	err = k.Reveals.Walk(ctx, collections.NewPrefixedPairRange[uint64, []byte](epoch), func(key collections.Pair[uint64, []byte], signature []byte) (bool, error) {
		p, err := k.power(ctx, key.K2())
		power += p
		signatures = append(signatures, beacon.Signature(signature))
		return false, err
	})
	return signatures, power, total, err
}
