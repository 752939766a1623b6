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
	ErrLine   = errors.New("line cannot count")
)

// Usage is what one device's usage burned in one epoch: evidence the ledger
// keeps. A device may occur more than once; its burns add up.
type Usage struct {
	Device [32]byte
	Epoch  uint64
	Burned money.Credit
}

// Line is what a vertical found in the evidence of an epoch about one device.
type Line struct {
	Device  [32]byte
	Weight  uint64    // of the device in the grant; the weights of all fit 64 bits
	Penalty money.BPS // part of its usage bonus that nobody gets, at most money.Whole
}

// Terms are what an epoch offers for a vertical.
type Terms struct {
	Vertical string
	Epoch    uint64
	Pool     money.Grain // most that usage of all devices gets together
	Grant    money.Grain // most that evidence of all devices gets together
	Rebate   money.BPS   // ρ, below money.Whole
	Price    uint64      // ucredit per GRAIN; 0 when the ledger had none: usage gets no bonus
	Evidence [32]byte    // hash of what the lines were computed from; zero without lines
}

// Bonus is what one device gets for one epoch, with the terms that led to it.
type Bonus struct {
	Device  [32]byte
	Burned  money.Credit // by its usage
	Share   money.Grain  // of the pool: ⌊pool · burned / Σ burned⌋
	Cap     money.Grain  // ⌊ρ · burned⌋ in ugrain
	Penalty money.BPS    // part that is lost of the lesser of the two
	Usage   money.Grain  // what is left of it
	Weight  uint64       // of its evidence
	Granted money.Grain  // part of the grant: ⌊grant · weight / Σ weight⌋
	Amount  money.Grain  // for usage and evidence together
}

// Capped says whether ρ bound the bonus, rather than the pool.
func (b Bonus) Capped() bool { return b.Cap < b.Share }

// Compute returns the bonus of every device that burned or has a line, sorted by
// device. It refuses usage of another epoch (ErrEpoch), a rebate of the whole or
// more (ErrRebate), a device with two lines or a penalty above the whole
// (ErrLine), and burns, or weights, whose sum exceeds 64 bits (money.ErrOverflow).
func Compute(terms Terms, usage []Usage, lines ...Line) ([]Bonus, error) {
	if terms.Rebate >= money.Whole {
		return nil, fmt.Errorf("score epoch %d with a rebate of %d of %d: %w", terms.Epoch, terms.Rebate, money.Whole, ErrRebate)
	}
	burns, burned, err := merge(terms.Epoch, usage)
	if err != nil {
		return nil, err
	}
	sorted, weight, err := weigh(terms.Epoch, lines)
	if err != nil {
		return nil, err
	}
	out := make([]Bonus, 0, len(burns)+len(sorted))
	for len(burns) > 0 || len(sorted) > 0 {
		b := Bonus{}
		switch first := len(sorted) == 0 || len(burns) > 0 && bytes.Compare(burns[0].Device[:], sorted[0].Device[:]) <= 0; {
		case first:
			b.Device, b.Burned = burns[0].Device, burns[0].Burned
			burns = burns[1:]
		default:
			b.Device = sorted[0].Device
		}
		if len(sorted) > 0 && sorted[0].Device == b.Device {
			b.Weight, b.Penalty = sorted[0].Weight, sorted[0].Penalty
			sorted = sorted[1:]
		}
		if b, err = terms.bonus(b, burned, weight); err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// weigh sorts lines by device and adds up their weights.
func weigh(epoch uint64, lines []Line) (sorted []Line, total uint64, err error) {
	sorted = slices.Clone(lines)
	slices.SortFunc(sorted, func(a, b Line) int { return bytes.Compare(a.Device[:], b.Device[:]) })
	for i, l := range sorted {
		if l.Penalty > money.Whole || i > 0 && sorted[i-1].Device == l.Device {
			return nil, 0, fmt.Errorf("score epoch %d: device %x with a penalty of %d bps, or for the second time: %w", epoch, l.Device, l.Penalty, ErrLine)
		}
		if total, err = money.Add(total, l.Weight); err != nil {
			return nil, 0, fmt.Errorf("score epoch %d: weights: %w", epoch, err)
		}
	}
	return sorted, total, nil
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

// bonus fills in what follows from a device's burn and weight and those of all.
func (t Terms) bonus(b Bonus, burned money.Credit, weight uint64) (Bonus, error) {
	if t.Price > 0 && b.Burned > 0 {
		share, _, err := money.MulDiv(uint64(t.Pool), uint64(b.Burned), uint64(burned))
		if err != nil {
			return b, err
		}
		b.Share = money.Grain(share)
		b.Cap = grains(money.Share(b.Burned, t.Rebate), t.Price)
		b.Usage = money.Share(min(b.Share, b.Cap), money.Whole-b.Penalty)
	}
	if b.Weight > 0 {
		granted, _, err := money.MulDiv(uint64(t.Grant), b.Weight, weight)
		if err != nil {
			return b, err
		}
		b.Granted = money.Grain(granted)
	}
	var err error
	b.Amount, err = money.Add(b.Usage, b.Granted)
	return b, err
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

// Sum adds up bonuses. It is at most the pool and the grant they were computed
// from.
func Sum(bonuses []Bonus) money.Grain {
	var total money.Grain
	for _, b := range bonuses {
		total += b.Amount
	}
	return total
}
