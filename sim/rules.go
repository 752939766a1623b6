package sim

import (
	"errors"
	"fmt"
	"strings"

	"github.com/grange-network/grange/core/emission"
	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/price"
)

// EpochSeconds is the length of a simulated epoch: a day, as on a real network.
const EpochSeconds = 86_400

// Rules are the ledger's parameters that move money. Field names and meanings
// are those of the credit, market and oracle modules; DefaultRules has their
// values.
type Rules struct {
	WeightBPS    uint32 `json:"weight_bps" yaml:"weight_bps"`
	MaxStepBPS   uint32 `json:"max_step_bps" yaml:"max_step_bps"`
	BandBPS      uint32 `json:"band_bps" yaml:"band_bps"`
	MaxBandBPS   uint32 `json:"max_band_bps" yaml:"max_band_bps"`
	SpreadBPS    uint32 `json:"spread_bps" yaml:"spread_bps"`
	StaleSeconds uint64 `json:"stale_seconds" yaml:"stale_seconds"`

	BurnBPS       uint32 `json:"burn_bps" yaml:"burn_bps"`
	ValidatorsBPS uint32 `json:"validators_bps" yaml:"validators_bps"`
	TreasuryBPS   uint32 `json:"treasury_bps" yaml:"treasury_bps"`

	RedeemPerBlock      uint32 `json:"redeem_per_block" yaml:"redeem_per_block"`
	RedeemMin           uint64 `json:"redeem_min" yaml:"redeem_min"`
	RedeemWindowSeconds uint64 `json:"redeem_window_seconds" yaml:"redeem_window_seconds"`
	RedeemWindowBPS     uint32 `json:"redeem_window_bps" yaml:"redeem_window_bps"`
	RedeemWindowFloor   uint64 `json:"redeem_window_floor" yaml:"redeem_window_floor"`

	RebateBPS              uint32 `json:"rebate_bps" yaml:"rebate_bps"`
	BurnAverageEpochs      uint32 `json:"burn_average_epochs" yaml:"burn_average_epochs"`
	SimpleGrain            uint64 `json:"simple_grain" yaml:"simple_grain"`
	BaselineGrain          uint64 `json:"baseline_grain" yaml:"baseline_grain"`
	HalfLifeEpochs         uint64 `json:"half_life_epochs" yaml:"half_life_epochs"`
	BaselineStart          uint64 `json:"baseline_start" yaml:"baseline_start"`
	BaselineDoublingEpochs uint64 `json:"baseline_doubling_epochs" yaml:"baseline_doubling_epochs"`

	GraceEpochs  uint64 `json:"grace_epochs" yaml:"grace_epochs"`
	WindowEpochs uint64 `json:"window_epochs" yaml:"window_epochs"`
	FaultLimit   uint32 `json:"fault_limit" yaml:"fault_limit"`
	SlashBPS     uint32 `json:"slash_bps" yaml:"slash_bps"`
	MinBond      uint64 `json:"min_bond" yaml:"min_bond"`

	ChallengeEpochs uint64 `json:"challenge_epochs" yaml:"challenge_epochs"`
	BreakerEpochs   uint64 `json:"breaker_epochs" yaml:"breaker_epochs"`
	BreakerLimit    uint64 `json:"breaker_limit" yaml:"breaker_limit"`

	// SettleNanoGrain is the least fee of one settled receipt, in 10⁻⁹ GRAIN:
	// 2,500 gas at 0.001 ugrain. What storing the lease costs on top is left
	// out, which favours attackers.
	SettleNanoGrain uint64 `json:"settle_nano_grain" yaml:"settle_nano_grain"`

	// Safeguards are on, as on the ledger. A test turns each off and shows what
	// it holds; see docs/economy.md.

	// CarryTake carries the rounding of the take from payment to payment; without
	// it each payment rounds down.
	CarryTake bool `json:"carry_take" yaml:"carry_take"`
	// ForwardRedeem pays a redemption at a round whose votes were all cast after
	// it was asked for; without it at the price of any block.
	ForwardRedeem bool `json:"forward_redeem" yaml:"forward_redeem"`
	// ForwardBuy makes credits only at the price of a round that closes; without
	// it at the price of any block.
	ForwardBuy bool `json:"forward_buy" yaml:"forward_buy"`
	// Haircut redeems at all times, but below full collateral gives each credit
	// only its part of the pool; without it redemptions slow below WarnBPS and
	// halt at HaltBPS.
	Haircut bool `json:"haircut" yaml:"haircut"`
	// LienUp rounds a lien's part of a payment up; without it down.
	LienUp bool `json:"lien_up" yaml:"lien_up"`
	// StaleNoBonus leaves no demand pool to an epoch that ends with a stale price.
	StaleNoBonus bool `json:"stale_no_bonus" yaml:"stale_no_bonus"`
	// WarnBPS and HaltBPS are collateral ratios, for the rule before Haircut.
	WarnBPS uint32 `json:"warn_bps" yaml:"warn_bps"`
	HaltBPS uint32 `json:"halt_bps" yaml:"halt_bps"`
}

// DefaultRules are the parameters that a network of the ledger starts with.
func DefaultRules() Rules {
	return Rules{
		WeightBPS: slowWeight, MaxStepBPS: 1500, BandBPS: 20_000, MaxBandBPS: 1000, SpreadBPS: 25, StaleSeconds: 600,
		BurnBPS: 300, ValidatorsBPS: 100, TreasuryBPS: 100,
		RedeemPerBlock: 200, RedeemMin: 10_000,
		RedeemWindowSeconds: 86_400, RedeemWindowBPS: 1000, RedeemWindowFloor: 1_000_000_000,
		RebateBPS: 8000, BurnAverageEpochs: 7,
		SimpleGrain: 180_000_000_000_000, BaselineGrain: 420_000_000_000_000, HalfLifeEpochs: 2190,
		BaselineStart: 1_000_000_000, BaselineDoublingEpochs: 365,
		GraceEpochs: 7, WindowEpochs: 1, FaultLimit: 3, SlashBPS: 100, MinBond: 1_000_000,
		ChallengeEpochs: 1, BreakerEpochs: 1, BreakerLimit: 1_000_000_000_000,
		SettleNanoGrain: 2500, WarnBPS: 9500, HaltBPS: 9000,
		CarryTake: true, ForwardRedeem: true, ForwardBuy: true, Haircut: true, LienUp: true, StaleNoBonus: true,
	}
}

func (r Rules) prices() price.Rules {
	return price.Rules{
		Weight: money.BPS(r.WeightBPS), MaxStep: money.BPS(r.MaxStepBPS), Band: r.BandBPS,
		MaxBand: money.BPS(r.MaxBandBPS), Spread: money.BPS(r.SpreadBPS), StaleAfter: r.StaleSeconds,
	}
}

func (r Rules) schedule() emission.Schedule {
	return emission.Schedule{
		Simple: money.Grain(r.SimpleGrain), Baseline: money.Grain(r.BaselineGrain), HalfLife: r.HalfLifeEpochs,
		BaselineStart: money.Credit(r.BaselineStart), BaselineDoubling: r.BaselineDoublingEpochs,
	}
}

func (r Rules) leases() lease.Rules {
	return lease.Rules{Grace: r.GraceEpochs, Window: r.WindowEpochs, FaultLimit: r.FaultLimit}
}

// ledgerRounds is how many price rounds the ledger has in a day: one in 10 s.
const ledgerRounds = 8640

// weightAt is the weight of a round of which there are so many in a day, which is
// that of all the ledger's rounds in the same time: 1 − (1 − weight)^n.
func (r Rules) weightAt(rounds int) uint32 {
	const one = 1_000_000_000_000
	rest := uint64(one)
	for range max(ledgerRounds/rounds, 1) {
		rest = mulDiv(rest, uint64(money.Whole)-min(uint64(r.WeightBPS), uint64(money.Whole)), uint64(money.Whole))
	}
	return uint32(max((one-rest)/(one/uint64(money.Whole)), 1))
}

// Safeguards are the names that Without knows.
var Safeguards = []string{"carry_take", "forward_redeem", "forward_buy", "haircut", "lien_up", "slow_average", "stale_no_bonus"}

// Weights of the newest round in the average of the price, in bps: of some three
// hours, and what was before it, of less than a minute.
const slowWeight, fastWeight = 10, 2500

// Without turns one of the safeguards off: the rule that the ledger had before.
func (r *Rules) Without(name string) error { return r.set(name, false) }

func (r *Rules) set(name string, on bool) error {
	switch name {
	case "carry_take":
		r.CarryTake = on
	case "forward_redeem":
		r.ForwardRedeem = on
	case "forward_buy":
		r.ForwardBuy = on
	case "haircut":
		r.Haircut = on
	case "lien_up":
		r.LienUp = on
	case "slow_average":
		r.WeightBPS = fastWeight
		if on {
			r.WeightBPS = slowWeight
		}
	case "stale_no_bonus":
		r.StaleNoBonus = on
	default:
		return fmt.Errorf("rule %q cannot be turned off; those that can are %s", name, strings.Join(Safeguards, ", "))
	}
	return nil
}

// Valid reports everything in r that contradicts itself, or nil. The bounds are
// the ledger's, so that a scenario cannot simulate what a network would refuse.
func (r Rules) Valid() error {
	errs := []error{r.prices().Valid(), r.schedule().Valid()}
	want := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	whole := uint32(money.Whole)
	want(r.BurnBPS <= whole && r.ValidatorsBPS <= whole && r.TreasuryBPS <= whole && r.BurnBPS+r.ValidatorsBPS+r.TreasuryBPS <= whole/2,
		"take is %d, %d and %d bps, want at most %d in all", r.BurnBPS, r.ValidatorsBPS, r.TreasuryBPS, whole/2)
	want(r.RebateBPS < whole, "rebate_bps is %d, want below %d", r.RebateBPS, whole)
	want(r.BurnAverageEpochs >= 1, "burn_average_epochs is 0, want at least 1")
	want(r.RedeemPerBlock >= 1, "redeem_per_block is 0: nothing would be redeemed")
	want(r.RedeemMin >= 1 && r.RedeemWindowFloor >= r.RedeemMin, "redeem_window_floor is %d and redeem_min %d: nothing would pass", r.RedeemWindowFloor, r.RedeemMin)
	want(r.RedeemWindowSeconds >= 1, "redeem_window_seconds is 0, want at least 1")
	want(r.RedeemWindowBPS <= whole, "redeem_window_bps is %d, want at most %d", r.RedeemWindowBPS, whole)
	want(r.HaltBPS <= r.WarnBPS, "halt_bps is %d, above warn_bps %d", r.HaltBPS, r.WarnBPS)
	want(r.WindowEpochs >= 1, "window_epochs is 0, want at least 1")
	want(r.SlashBPS <= whole, "slash_bps is %d, want at most %d", r.SlashBPS, whole)
	want(r.BreakerEpochs >= 1 && r.BreakerEpochs <= 3650 && r.BreakerLimit >= 1, "breaker of %d ugrain in %d epochs lets nothing through or never forgets", r.BreakerLimit, r.BreakerEpochs)
	return errors.Join(errs...)
}
