package oracle

import (
	"fmt"
	"time"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// Bounds of parameters and messages.
const (
	MaxChallenges   = 64
	MaxProofSize    = 16 << 10 // bytes of one answer
	MaxClaims       = 256      // leaves of one Claim
	MaxVerticalSize = 32       // bytes of a vertical's name
	maxVerticals    = 64
	maxMissWindow   = 1024
	maxJailEpochs   = 365
	// Largest fines and reward, in 1/10000.
	maxDissentBPS      = 100
	maxEquivocationBPS = 2000
	maxFraudBPS        = 5000
	maxChallengerBPS   = 5000
	maxSpan            = 10 * 365 * 24 * time.Hour
)

// DefaultParams are those of a network with epochs of a day. All times but the
// first follow from it, so a test network changes that one only.
func DefaultParams() oraclepb.Params {
	return oraclepb.Params{
		EpochSeconds: 24 * 3600, RevealBps: 4000, MaxGapBps: 2000,
		Challenges: 4, HistoryEpochs: 128, ChallengeEpochs: 1,
		BreakerEpochs: 1, BreakerLimit: 1_000_000_000_000, // a million GRAIN
		PrunePerBlock: 200, Verticals: []string{"storage"},
		MissWindow: 14, MissLimit: 7, MissJailEpochs: 1, DissentBps: 1,
		EquivocationBps: 500, EquivocationJailEpochs: 7,
		FraudBps: 1000, ChallengerBps: 2000, ChallengeDeposit: 100_000_000, // 100 GRAIN
	}
}

// ValidateParams reports the first parameter that cannot work, or nil.
func ValidateParams(p oraclepb.Params) error {
	longest := uint64(maxSpan.Seconds())
	gap := (uint32(money.Whole) - min(p.RevealBps, uint32(money.Whole))) / 2
	switch {
	case p.EpochSeconds == 0 || p.EpochSeconds > longest:
		return fmt.Errorf("epoch_seconds is %d, want 1 to %d", p.EpochSeconds, longest)
	case p.RevealBps == 0 || p.RevealBps >= uint32(money.Whole):
		return fmt.Errorf("reveal_bps is %d, want 1 to %d", p.RevealBps, money.Whole-1)
	case p.MaxGapBps == 0 || p.MaxGapBps > gap:
		return fmt.Errorf("max_gap_bps is %d, want 1 to %d, half of the epoch after the reveals", p.MaxGapBps, gap)
	case p.Challenges == 0 || p.Challenges > MaxChallenges:
		return fmt.Errorf("challenges is %d, want 1 to %d", p.Challenges, MaxChallenges)
	case p.HistoryEpochs < 2 || p.HistoryEpochs > 1<<20:
		return fmt.Errorf("history_epochs is %d, want 2 to %d", p.HistoryEpochs, 1<<20)
	case p.ChallengeEpochs == 0 || p.ChallengeEpochs >= p.HistoryEpochs:
		return fmt.Errorf("challenge_epochs is %d, want 1 to %d, less than the history", p.ChallengeEpochs, p.HistoryEpochs-1)
	case p.BreakerEpochs == 0 || p.BreakerEpochs > longest/p.EpochSeconds:
		return fmt.Errorf("breaker_epochs is %d, want 1 to %d", p.BreakerEpochs, longest/p.EpochSeconds)
	case p.BreakerLimit == 0:
		return fmt.Errorf("breaker_limit is 0: nothing could ever be claimed")
	case p.PrunePerBlock == 0 || p.PrunePerBlock > 10_000:
		return fmt.Errorf("prune_per_block is %d, want 1 to 10000", p.PrunePerBlock)
	case len(p.Verticals) > maxVerticals:
		return fmt.Errorf("%d verticals, at most %d are allowed", len(p.Verticals), maxVerticals)
	}
	if err := validatePenalties(p); err != nil {
		return err
	}
	for i, v := range p.Verticals {
		if err := checkVertical(v); err != nil {
			return err
		}
		if i > 0 && p.Verticals[i-1] >= v {
			return fmt.Errorf("verticals %q and %q are not sorted or repeat", p.Verticals[i-1], v)
		}
	}
	return nil
}

func validatePenalties(p oraclepb.Params) error {
	if p.MissWindow > maxMissWindow || p.MissLimit > p.MissWindow {
		return fmt.Errorf("miss_limit is %d of miss_window %d, want at most the window and that at most %d", p.MissLimit, p.MissWindow, maxMissWindow)
	}
	for _, v := range []struct {
		name      string
		value, to uint32
	}{
		{"miss_jail_epochs", p.MissJailEpochs, maxJailEpochs},
		{"equivocation_jail_epochs", p.EquivocationJailEpochs, maxJailEpochs},
		{"dissent_bps", p.DissentBps, maxDissentBPS},
		{"equivocation_bps", p.EquivocationBps, maxEquivocationBPS},
		{"fraud_bps", p.FraudBps, maxFraudBPS},
		{"challenger_bps", p.ChallengerBps, maxChallengerBPS},
	} {
		if v.value > v.to {
			return fmt.Errorf("%s is %d, want at most %d", v.name, v.value, v.to)
		}
	}
	return nil
}

// nanos is a share of the epoch in nanoseconds.
func nanos(p oraclepb.Params, share uint32) int64 {
	q, _, _ := money.MulDiv(p.EpochSeconds*1_000_000_000, uint64(share), uint64(money.Whole)) // share ≤ Whole, so it fits
	return int64(q)
}

// whole is the epoch in nanoseconds.
func whole(p oraclepb.Params) int64 { return nanos(p, uint32(money.Whole)) }

func checkVertical(v string) error {
	if len(v) == 0 || len(v) > MaxVerticalSize {
		return fmt.Errorf("vertical %q has %d bytes, want 1 to %d", v, len(v), MaxVerticalSize)
	}
	for _, c := range []byte(v) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("vertical %q: want a-z, 0-9 and -", v)
		}
	}
	return nil
}
