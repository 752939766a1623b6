package emission

import (
	"fmt"
	"math/bits"

	"github.com/grange-network/grange/core/money"
)

// SupplyCap is the most ugrain that can ever exist: 10⁹ GRAIN. It is not a
// parameter.
const SupplyCap money.Grain = 1_000_000_000_000_000

// maxCatchUp bounds how many baseline epochs one epoch's revenue can pass, so
// that the work is bounded. What is not counted now is counted next epoch.
const maxCatchUp = 512

// Schedule is the upper bound on what all epochs may mint.
//
// The simple part is released by time alone. The baseline part is released by
// settled revenue, in Filecoin's form (spec section 2.6, "Minting Model") with
// revenue in the place of stored bytes: a target starts at BaselineStart per
// epoch and doubles every BaselineDoubling epochs; revenue counts up to the
// target; the baseline part has aged by θ epochs when the revenue counted so
// far equals the first θ epochs of the target. A network that meets its target
// releases as fast as time; one that does not releases later, never less.
type Schedule struct {
	Simple           money.Grain  // ugrain released by time
	Baseline         money.Grain  // ugrain released by revenue
	HalfLife         uint64       // epochs, 1 to MaxHalfLife
	BaselineStart    money.Credit // target revenue of the first epoch, at least 1 when there is a Baseline
	BaselineDoubling uint64       // epochs in which the target doubles; 0: it stays
}

// Total is what the schedule can release in all time.
func (s Schedule) Total() money.Grain { return s.Simple + s.Baseline }

// Valid reports why s cannot be followed, or nil.
func (s Schedule) Valid() error {
	total, err := money.Add(s.Simple, s.Baseline)
	switch {
	case err != nil || total > SupplyCap:
		return fmt.Errorf("schedule of %d and %d ugrain exceeds the supply cap of %d", s.Simple, s.Baseline, SupplyCap)
	case s.HalfLife < 1 || s.HalfLife > MaxHalfLife:
		return fmt.Errorf("half-life is %d epochs, want 1 to %d", s.HalfLife, uint64(MaxHalfLife))
	case s.Baseline > 0 && s.BaselineStart == 0:
		return fmt.Errorf("baseline part of %d ugrain has a target revenue of 0, want at least 1 ucredit", s.Baseline)
	}
	return nil
}

// Progress is how far a schedule has come. The zero Progress is its start.
type Progress struct {
	Epoch  uint64       // epochs passed
	Theta  uint64       // whole baseline epochs passed, at most Epoch
	Filled money.Credit // revenue counted into baseline epoch Theta+1, and what waits to be counted
	Issued money.Grain  // Σ of what was released
}

// Target returns the baseline's revenue target of an epoch, counted from 0.
func (s Schedule) Target(epoch uint64) money.Credit {
	return money.Credit(max(Grow(uint64(s.BaselineStart), epoch, s.BaselineDoubling), 1))
}

// Next passes one epoch in which revenue ucredit were settled, and returns how
// many ugrain the schedule releases for it. Changing a schedule's parameters
// under way is safe: Issued never passes Total.
func (s Schedule) Next(p Progress, revenue money.Credit) (Progress, money.Grain, error) {
	if err := s.Valid(); err != nil {
		return p, 0, err
	}
	before := s.baselineLeft(p)
	released := drop(Remaining(s.Simple, p.Epoch, s.HalfLife), Remaining(s.Simple, p.Epoch+1, s.HalfLife))
	if s.Baseline > 0 {
		p.Filled = addSaturated(p.Filled, min(revenue, s.Target(p.Epoch)))
		for range maxCatchUp {
			target := s.Target(p.Theta)
			if p.Filled < target || p.Theta > p.Epoch {
				break
			}
			p.Theta, p.Filled = p.Theta+1, p.Filled-target
		}
	}
	released += drop(before, s.baselineLeft(p))
	released = min(released, drop(s.Total(), p.Issued))
	p.Epoch++
	p.Issued += released
	return p, released, nil
}

// baselineLeft is the part of Baseline not yet released: the halving at θ,
// linear between two epochs.
func (s Schedule) baselineLeft(p Progress) money.Grain {
	here, next := Remaining(s.Baseline, p.Theta, s.HalfLife), Remaining(s.Baseline, p.Theta+1, s.HalfLife)
	target := s.Target(p.Theta)
	part, _, err := money.MulDiv(uint64(drop(here, next)), uint64(min(p.Filled, target)), uint64(target))
	if err != nil {
		return here // cannot happen: the share is at most one
	}
	return here - money.Grain(part)
}

// drop returns a−b, or 0 when b is the larger.
func drop(a, b money.Grain) money.Grain { return a - min(a, b) }

func addSaturated(a, b money.Credit) money.Credit {
	sum, carry := bits.Add64(uint64(a), uint64(b), 0)
	if carry != 0 {
		return money.Credit(^uint64(0))
	}
	return money.Credit(sum)
}
