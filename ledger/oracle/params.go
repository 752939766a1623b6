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
	maxSpan         = 10 * 365 * 24 * time.Hour
)

// DefaultParams are those of a network with epochs of a day.
func DefaultParams() oraclepb.Params {
	p := ParamsFor(24 * time.Hour)
	p.MaxGapMs = 600_000
	p.BreakerSeconds = 24 * 3600
	return p
}

// ParamsFor are defaults for another length of epoch: two fifths of it for the
// reveals, and at most a tenth passing between two blocks.
func ParamsFor(epoch time.Duration) oraclepb.Params {
	ms := uint64(epoch.Milliseconds())
	return oraclepb.Params{
		EpochMs: ms, RevealBps: 4000, MaxGapMs: max(ms/10, 1),
		Challenges: 4, HistoryEpochs: 128, ChallengeEpochs: 1,
		BreakerSeconds: max(ms/1000, 1), BreakerLimit: 1_000_000_000_000, // a million GRAIN per epoch
		PrunePerBlock: 200, Verticals: []string{"storage"},
	}
}

// ValidateParams reports the first parameter that cannot work, or nil.
func ValidateParams(p oraclepb.Params) error {
	epoch := maxSpan.Milliseconds()
	switch {
	case p.EpochMs < 1000 || p.EpochMs > uint64(epoch):
		return fmt.Errorf("epoch_ms is %d, want 1000 to %d", p.EpochMs, epoch)
	case p.RevealBps == 0 || p.RevealBps >= uint32(money.Whole):
		return fmt.Errorf("reveal_bps is %d, want 1 to %d", p.RevealBps, money.Whole-1)
	case p.MaxGapMs == 0 || p.MaxGapMs > (p.EpochMs-revealMs(p))/2:
		return fmt.Errorf("max_gap_ms is %d, want 1 to %d, half of the epoch after the reveals", p.MaxGapMs, (p.EpochMs-revealMs(p))/2)
	case p.Challenges == 0 || p.Challenges > MaxChallenges:
		return fmt.Errorf("challenges is %d, want 1 to %d", p.Challenges, MaxChallenges)
	case p.HistoryEpochs < 2 || p.HistoryEpochs > 1<<20:
		return fmt.Errorf("history_epochs is %d, want 2 to %d", p.HistoryEpochs, 1<<20)
	case p.ChallengeEpochs == 0 || p.ChallengeEpochs >= p.HistoryEpochs:
		return fmt.Errorf("challenge_epochs is %d, want 1 to %d, less than the history", p.ChallengeEpochs, p.HistoryEpochs-1)
	case p.BreakerSeconds == 0 || p.BreakerSeconds > uint64(maxSpan.Seconds()):
		return fmt.Errorf("breaker_seconds is %d, want 1 to %.0f", p.BreakerSeconds, maxSpan.Seconds())
	case p.BreakerLimit == 0:
		return fmt.Errorf("breaker_limit is 0: nothing could ever be claimed")
	case p.PrunePerBlock == 0 || p.PrunePerBlock > 10_000:
		return fmt.Errorf("prune_per_block is %d, want 1 to 10000", p.PrunePerBlock)
	case len(p.Verticals) > maxVerticals:
		return fmt.Errorf("%d verticals, at most %d are allowed", len(p.Verticals), maxVerticals)
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

// revealMs is the part of an epoch in which validators reveal.
func revealMs(p oraclepb.Params) uint64 {
	q, _, _ := money.MulDiv(p.EpochMs, uint64(p.RevealBps), uint64(money.Whole)) // a share, so it fits
	return q
}

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
