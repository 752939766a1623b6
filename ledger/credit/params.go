package credit

import (
	"errors"
	"fmt"

	"github.com/grange-network/grange/core/emission"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/price"
	"github.com/grange-network/grange/ledger/api/creditpb"
)

// Bounds on parameters that bound work or trust.
const (
	maxTake            = 5000 // bps: a payee keeps at least half
	maxRedeemPerBlock  = 1000
	maxBuyPerBlock     = 1000
	maxKeepEpochs      = 100_000
	maxGrants          = 64
	defaultHalfLife    = 2190 // epochs: six years of days, Filecoin's
	defaultSimple      = 180_000_000_000_000
	defaultBaseline    = 420_000_000_000_000
	defaultTarget      = 1_000_000_000 // ucredit an epoch: 1000 USD a day
	defaultTargetGrows = 365
)

// DefaultParams returns the parameters a network starts with. Amounts suit
// epochs of a day; a test network with short epochs may keep them, since what
// is minted follows what is burned long before it reaches the schedule.
func DefaultParams() creditpb.Params {
	return creditpb.Params{
		WeightBps: 10, MaxStepBps: 1500, BandBps: 20_000, MaxBandBps: 1000, SpreadBps: 25,
		QuorumBps: 6667, RoundSeconds: 10, StaleSeconds: 600,

		BurnBps: 300, ValidatorsBps: 100, TreasuryBps: 100,

		RedeemPerBlock: 200, RedeemMin: 10_000, BuyPerBlock: 500,
		RedeemWindowSeconds: 86_400, RedeemWindowBps: 1000, RedeemWindowFloor: 1_000_000_000,

		RebateBps: 8000, BurnAverageEpochs: 7,
		SimpleGrain: defaultSimple, BaselineGrain: defaultBaseline, HalfLifeEpochs: defaultHalfLife,
		BaselineStart: defaultTarget, BaselineDoublingEpochs: defaultTargetGrows,
		KeepEpochs: 1000,
	}
}

func rulesOf(p creditpb.Params) price.Rules {
	return price.Rules{
		Weight: money.BPS(p.WeightBps), MaxStep: money.BPS(p.MaxStepBps), Band: p.BandBps,
		MaxBand: money.BPS(p.MaxBandBps), Spread: money.BPS(p.SpreadBps), StaleAfter: p.StaleSeconds,
	}
}

func scheduleOf(p creditpb.Params) emission.Schedule {
	return emission.Schedule{
		Simple: money.Grain(p.SimpleGrain), Baseline: money.Grain(p.BaselineGrain), HalfLife: p.HalfLifeEpochs,
		BaselineStart: money.Credit(p.BaselineStart), BaselineDoubling: p.BaselineDoublingEpochs,
	}
}

// ValidateParams reports everything in p that contradicts itself, wrapped in
// ErrParameters, or nil.
func ValidateParams(p creditpb.Params) error {
	errs := []error{rulesOf(p).Valid(), scheduleOf(p).Valid(), validTrade(p), validGrants(p)}
	want := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	take := uint64(p.BurnBps) + uint64(p.ValidatorsBps) + uint64(p.TreasuryBps)
	want(take <= maxTake, "take is %d bps in all, want at most %d", take, maxTake)
	want(p.QuorumBps >= 5000 && p.QuorumBps < uint32(money.Whole), "quorum is %d bps, want 5000 to 9999", p.QuorumBps)
	want(p.RoundSeconds <= p.StaleSeconds/2, "rounds are %d s apart, more than half of the %d s after which a price is stale", p.RoundSeconds, p.StaleSeconds)
	want(p.StaleSeconds <= 1<<32, "price is stale after %d s, want at most %d", p.StaleSeconds, uint64(1)<<32)
	want(p.RebateBps < uint32(money.Whole), "rebate is %d bps: minting all that was burned makes trading with oneself free, want below %d", p.RebateBps, money.Whole)
	want(p.BurnAverageEpochs >= 1, "burn is averaged over 0 epochs, want at least 1")
	want(p.KeepEpochs >= 1 && p.KeepEpochs <= maxKeepEpochs, "%d epoch records are kept, want 1 to %d", p.KeepEpochs, maxKeepEpochs)
	if err := errors.Join(errs...); err != nil {
		return ErrParameters.Wrap(err.Error())
	}
	return nil
}

func validTrade(p creditpb.Params) error {
	switch {
	case p.RedeemPerBlock < 1 || p.RedeemPerBlock > maxRedeemPerBlock:
		return fmt.Errorf("%d redemptions per block, want 1 to %d", p.RedeemPerBlock, maxRedeemPerBlock)
	case p.RedeemMin < 1 || p.RedeemWindowFloor < p.RedeemMin:
		return fmt.Errorf("redemption window lets %d ucredit through and the least redemption is %d: nothing would pass", p.RedeemWindowFloor, p.RedeemMin)
	case p.RedeemWindowSeconds < 1:
		return errors.New("redemption window is 0 s, want at least 1")
	case p.RedeemWindowBps > uint32(money.Whole):
		return fmt.Errorf("redemption window is %d bps of the credits, want at most %d", p.RedeemWindowBps, money.Whole)
	case p.BuyPerBlock < 1 || p.BuyPerBlock > maxBuyPerBlock:
		return fmt.Errorf("%d purchases per block, want 1 to %d", p.BuyPerBlock, maxBuyPerBlock)
	}
	return nil
}

func grantOf(g creditpb.Grant) emission.Grant {
	return emission.Grant{Total: money.Grain(g.Ugrain), Start: g.StartEpoch, End: g.EndEpoch}
}

// grantTotal is what all grants can add together, valid ones given.
func grantTotal(p creditpb.Params) (total money.Grain) {
	for _, g := range p.Grants {
		total += money.Grain(g.Ugrain) // maxGrants of at most GrantCap fit
	}
	return total
}

// validGrants wants grants in order, so that records are, and within the caps.
func validGrants(p creditpb.Params) error {
	if len(p.Grants) > maxGrants {
		return fmt.Errorf("%d grants, want at most %d", len(p.Grants), maxGrants)
	}
	for i, g := range p.Grants {
		if g.Vertical == "" {
			return fmt.Errorf("grant %d has no vertical", i)
		}
		if err := grantOf(g).Valid(); err != nil {
			return fmt.Errorf("%s: %w", g.Vertical, err)
		}
		if i == 0 {
			continue
		}
		if last := p.Grants[i-1]; g.Vertical < last.Vertical || g.Vertical == last.Vertical && g.StartEpoch < last.EndEpoch {
			return fmt.Errorf("grant of %s from epoch %d comes after that of %s, which ends at %d: sort them by vertical, one at a time each", g.Vertical, g.StartEpoch, last.Vertical, last.EndEpoch)
		}
	}
	if total := grantTotal(p); total > emission.GrantCap {
		return fmt.Errorf("grants of %d ugrain in all, want at most %d", total, emission.GrantCap)
	}
	return nil
}
