package oracle

import (
	"context"
	"encoding/hex"
	"slices"
	"time"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// Reasons of fines and jailings, as events name them.
const (
	reasonMissed       = "missed reveals"
	reasonDissent      = "dissent"
	reasonEquivocation = "equivocation"
	reasonFraud        = "fraud"
)

// countMissed counts the epoch against everybody who could have revealed and did
// not, and jails who did so too often. Nobody is jailed for an epoch without a
// seed: more than two thirds of the power must have been able to reveal, and stay.
func (k *Keeper) countMissed(ctx context.Context, e oraclepb.Epoch, params oraclepb.Params) error {
	silent, err := k.silent(ctx, e.Number)
	if err != nil {
		return err
	}
	for _, operator := range silent {
		often := false
		err := k.conduct(ctx, operator, func(c *oraclepb.Conduct) {
			c.Missed++
			c.RecentlyMissed = recent(append(c.RecentlyMissed, e.Number), e.Number, params)
			often = params.MissLimit > 0 && len(c.RecentlyMissed) >= int(params.MissLimit)
		})
		if err != nil {
			return err
		}
		if often && e.Status == oraclepb.EPOCH_STATUS_DECIDED {
			if err := k.jail(ctx, operator, reasonMissed, params.MissJailEpochs, params); err != nil {
				return err
			}
		}
	}
	return nil
}

// silent are the validators with a key for the epoch that did not reveal it.
func (k *Keeper) silent(ctx context.Context, epoch uint64) (silent [][]byte, err error) {
	err = k.Keys.Walk(ctx, nil, func(operator []byte, key oraclepb.Key) (bool, error) {
		if keyAt(key, epoch) == nil {
			return false, nil
		}
		power, err := k.power(ctx, operator)
		if err != nil || power == 0 {
			return false, err
		}
		done, err := k.Reveals.Has(ctx, collections.Join(epoch, operator))
		if !done {
			silent = append(silent, operator)
		}
		return false, err
	})
	return silent, err
}

// recent keeps the epochs of the window that ends with now, and no more of them
// than jail.
func recent(epochs []uint64, now uint64, params oraclepb.Params) []uint64 {
	kept := slices.DeleteFunc(epochs, func(n uint64) bool { return n+uint64(params.MissWindow) <= now })
	return kept[max(len(kept)-int(params.MissLimit), 0):]
}

// judge counts a vote for or against what was accepted and fines dissent.
func (k *Keeper) judge(ctx context.Context, operator []byte, vote oraclepb.Vote, agrees bool) error {
	if agrees {
		return k.conduct(ctx, operator, func(c *oraclepb.Conduct) { c.Agreed++ })
	}
	params, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	if err := k.conduct(ctx, operator, func(c *oraclepb.Conduct) { c.Dissented++ }); err != nil {
		return err
	}
	_, err = k.fine(ctx, operator, vote, reasonDissent, params.DissentBps)
	return err
}

// punishEquivocation fines and jails for two different votes on one epoch.
func (k *Keeper) punishEquivocation(ctx context.Context, operator []byte, first oraclepb.Vote) error {
	params, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	if err := k.conduct(ctx, operator, func(c *oraclepb.Conduct) { c.Equivocated++ }); err != nil {
		return err
	}
	if _, err := k.fine(ctx, operator, first, reasonEquivocation, params.EquivocationBps); err != nil {
		return err
	}
	return k.jail(ctx, operator, reasonEquivocation, params.EquivocationJailEpochs, params)
}

// fine burns a share of what was at stake behind a vote. A fine or a jailing that
// fails must not stop the report or the block it belongs to: it is logged and
// leaves nothing behind.
func (k *Keeper) fine(ctx context.Context, operator []byte, vote oraclepb.Vote, reason string, bps uint32) (money.Grain, error) {
	if bps == 0 {
		return 0, nil
	}
	cached, write := sdk.UnwrapSDKContext(ctx).CacheContext()
	burned, err := k.stakes.Fine(cached, operator, vote.Height, vote.Power, money.BPS(bps))
	if err != nil {
		k.logger.Error("fine validator", "validator", vote.Validator, "reason", reason, "error", err)
		return 0, nil
	}
	if burned == 0 {
		return 0, nil
	}
	write()
	emit(ctx, EventFine, "validator", vote.Validator, "reason", reason, "burned", number(burned))
	return burned, k.conduct(ctx, operator, func(c *oraclepb.Conduct) { c.Fined += uint64(burned) })
}

// jail takes a validator out of the set for some epochs. It then has to ask to
// come back, and starts with a clean window.
func (k *Keeper) jail(ctx context.Context, operator []byte, reason string, epochs uint32, params oraclepb.Params) error {
	if epochs == 0 {
		return nil
	}
	seconds := min(uint64(epochs)*params.EpochSeconds, uint64(maxSpan/time.Second))
	until := sdk.UnwrapSDKContext(ctx).BlockTime().Add(time.Duration(seconds) * time.Second)
	cached, write := sdk.UnwrapSDKContext(ctx).CacheContext()
	jailed, err := k.stakes.Jail(cached, operator, until)
	if err != nil {
		k.logger.Error("jail validator", "operator", hex.EncodeToString(operator), "reason", reason, "error", err)
		return nil
	}
	if !jailed {
		return nil
	}
	write()
	return k.conduct(ctx, operator, func(c *oraclepb.Conduct) {
		c.Jailed++
		c.RecentlyMissed = nil
		emit(ctx, EventJail, "validator", c.Validator, "reason", reason, "epochs", number(epochs))
	})
}
