package parity

import (
	"testing"

	"github.com/grange-network/grange/ledger/credit"
	"github.com/grange-network/grange/ledger/market"
	"github.com/grange-network/grange/ledger/oracle"
	"github.com/grange-network/grange/sim"
)

// TestSimulatedRulesAreTheLedgers holds the simulator's parameters to those that
// a network starts with.
func TestSimulatedRulesAreTheLedgers(t *testing.T) {
	c, m, o := credit.DefaultParams(), market.DefaultParams(), oracle.DefaultParams()
	want := sim.Rules{
		WeightBPS: c.WeightBps, MaxStepBPS: c.MaxStepBps, BandBPS: c.BandBps, MaxBandBPS: c.MaxBandBps, SpreadBPS: c.SpreadBps, StaleSeconds: c.StaleSeconds,
		BurnBPS: c.BurnBps, ValidatorsBPS: c.ValidatorsBps, TreasuryBPS: c.TreasuryBps,
		RedeemPerBlock: c.RedeemPerBlock, RedeemMin: c.RedeemMin,
		RedeemWindowSeconds: c.RedeemWindowSeconds, RedeemWindowBPS: c.RedeemWindowBps, RedeemWindowFloor: c.RedeemWindowFloor,
		RebateBPS: c.RebateBps, BurnAverageEpochs: c.BurnAverageEpochs,
		SimpleGrain: c.SimpleGrain, BaselineGrain: c.BaselineGrain, HalfLifeEpochs: c.HalfLifeEpochs,
		BaselineStart: c.BaselineStart, BaselineDoublingEpochs: c.BaselineDoublingEpochs,
		GraceEpochs: m.GraceEpochs, WindowEpochs: m.WindowEpochs, FaultLimit: m.FaultLimit, SlashBPS: m.SlashBps, MinBond: m.MinBond,
		ChallengeEpochs: o.ChallengeEpochs, BreakerEpochs: o.BreakerEpochs, BreakerLimit: o.BreakerLimit,
		SettleNanoGrain: 2500, // 2,500 gas of an item at the least price of 0.001 ugrain
		CarryTake:       true, ForwardRedeem: true, ForwardBuy: true, Haircut: true, LienUp: true, StaleNoBonus: true,
		WarnBPS: 9500, HaltBPS: 9000, // of the rule before, which the ledger has no more
	}
	if got := sim.DefaultRules(); got != want {
		t.Errorf("the simulator has\n%+v\nthe ledger\n%+v", got, want)
	}
	if c.RoundSeconds != 10 {
		t.Errorf("the ledger's rounds are %d s apart, the simulator takes them for 10", c.RoundSeconds)
	}
	if o.EpochSeconds != sim.EpochSeconds {
		t.Errorf("the simulator's epochs have %d s, the ledger's %d", sim.EpochSeconds, o.EpochSeconds)
	}
}
