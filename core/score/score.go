package score

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/grange-network/grange/core/money"
)

// grainUnit is how many ugrain one GRAIN has.
const grainUnit = 1_000_000

// Errors that callers tell apart.
var (
	ErrEpoch  = errors.New("usage of another epoch")
	ErrRebate = errors.New("rebate is not below the whole")
	ErrOrder  = errors.New("epoch does not follow the last one")
)

// Usage is what one device's usage burned in one epoch: evidence the ledger
// keeps. A device may occur more than once; its burns add up.
type Usage struct {
	Device [32]byte
	Epoch  uint64
	Burned money.Credit
}

// Terms are what an epoch offers for a vertical.
type Terms struct {
	Vertical string
	Epoch    uint64
	Pool     money.Grain // most that all devices get together
	Rebate   money.BPS   // ρ, below money.Whole
	Price    uint64      // ucredit per GRAIN; 0 when the ledger had none: nobody gets a bonus
}

// Bonus is what one device gets for one epoch, with the terms that led to it.
type Bonus struct {
	Device [32]byte
	Burned money.Credit // by its usage
	Share  money.Grain  // of the pool: ⌊pool · burned / Σ burned⌋
	Cap    money.Grain  // ⌊ρ · burned⌋ in ugrain
	Amount money.Grain  // the lesser of the two
}

// Capped says whether ρ bound the bonus, rather than the pool.
func (b Bonus) Capped() bool { return b.Cap < b.Share }

// Compute returns the bonus of every device that burned, sorted by device. It
// refuses usage of another epoch (ErrEpoch), a rebate of the whole or more
// (ErrRebate) and burns whose sum exceeds 64 bits (money.ErrOverflow).
func Compute(terms Terms, usage []Usage) ([]Bonus, error) {
	if terms.Rebate >= money.Whole {
		return nil, fmt.Errorf("score epoch %d with a rebate of %d of %d: %w", terms.Epoch, terms.Rebate, money.Whole, ErrRebate)
	}
	burns, total, err := merge(terms.Epoch, usage)
	if err != nil {
		return nil, err
	}
	out := make([]Bonus, 0, len(burns))
	for _, u := range burns {
		b, err := terms.bonus(u, total)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// merge adds up the burns of each device, sorted by device, and drops those
// that burned nothing.
func merge(epoch uint64, usage []Usage) (merged []Usage, total money.Credit, err error) {
	sorted := slices.Clone(usage)
	slices.SortFunc(sorted, func(a, b Usage) int { return bytes.Compare(a.Device[:], b.Device[:]) })
	for _, u := range sorted {
		if u.Epoch != epoch {
			return nil, 0, fmt.Errorf("score epoch %d: device %x used in epoch %d: %w", epoch, u.Device, u.Epoch, ErrEpoch)
		}
		if total, err = money.Add(total, u.Burned); err != nil {
			return nil, 0, fmt.Errorf("score epoch %d: %w", epoch, err)
		}
		if u.Burned == 0 {
			continue
		}
		if n := len(merged); n > 0 && merged[n-1].Device == u.Device {
			merged[n-1].Burned += u.Burned // at most the total, which fits
		} else {
			merged = append(merged, u)
		}
	}
	return merged, total, nil
}

func (t Terms) bonus(u Usage, total money.Credit) (Bonus, error) {
	b := Bonus{Device: u.Device, Burned: u.Burned}
	if t.Price == 0 {
		return b, nil
	}
	share, _, err := money.MulDiv(uint64(t.Pool), uint64(u.Burned), uint64(total))
	if err != nil {
		return b, err
	}
	b.Share = money.Grain(share)
	b.Cap = grains(money.Share(u.Burned, t.Rebate), t.Price)
	b.Amount = min(b.Share, b.Cap)
	return b, nil
}

// grains is ⌊credits · 10⁶ / price⌋, or all of 64 bits where that is more: it
// is only ever a bound.
func grains(credits money.Credit, price uint64) money.Grain {
	g, _, err := money.MulDiv(uint64(credits), grainUnit, price)
	if err != nil {
		return ^money.Grain(0)
	}
	return money.Grain(g)
}

// Sum adds up bonuses. It is at most the pool they were computed from.
func Sum(bonuses []Bonus) money.Grain {
	var total money.Grain
	for _, b := range bonuses {
		total += b.Amount
	}
	return total
}
