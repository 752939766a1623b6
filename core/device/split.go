package device

import (
	"errors"
	"fmt"

	"github.com/grange-network/grange/core/money"
)

// MaxSplits bounds the splits of a device, so that paying it is bounded work.
const MaxSplits = 8

// Split sends a part of a device's earnings to somebody. A lien is a Split that
// its owner cannot take away: a lender's, paid before all others until its cap.
type Split struct {
	// To is the beneficiary's account, in the ledger's notation.
	To string
	// Share is taken from the whole payment for a lien, otherwise from what the
	// liens left.
	Share money.BPS
	// Denom limits the split to one denomination; empty is all of them.
	Denom string
	// Cap is the most that may ever be paid; 0 is no limit.
	Cap uint64
	// Paid is what has been paid.
	Paid uint64
	Lien bool
}

// Owed is what may still be paid; unlimited is ^uint64(0).
func (s Split) Owed() uint64 {
	if s.Cap == 0 {
		return ^uint64(0)
	}
	if s.Paid >= s.Cap {
		return 0
	}
	return s.Cap - s.Paid
}

// Payment is a beneficiary's part.
type Payment struct {
	To     string
	Amount uint64
}

// ErrSplits is why splits are refused; test with errors.Is.
var ErrSplits = errors.New("payout splits are not valid")

// CheckSplits reports why splits cannot be stored, or nil: at most MaxSplits;
// each with a beneficiary and a share of 1 to 10,000; liens first, each with a
// denomination and a cap; the liens of a denomination sum to at most 10,000, and
// so do the others that apply to it.
func CheckSplits(splits []Split) error {
	if len(splits) > MaxSplits {
		return fmt.Errorf("%w: %d of them, want at most %d", ErrSplits, len(splits), MaxSplits)
	}
	for i, s := range splits {
		switch {
		case s.To == "":
			return fmt.Errorf("%w: number %d has no beneficiary", ErrSplits, i)
		case s.Share == 0 || s.Share > money.Whole:
			return fmt.Errorf("%w: number %d has %d basis points, want 1 to %d", ErrSplits, i, s.Share, money.Whole)
		case s.Lien && (s.Denom == "" || s.Cap == 0):
			return fmt.Errorf("%w: number %d is a lien and needs a denomination and a cap", ErrSplits, i)
		case s.Cap > 0 && s.Denom == "":
			return fmt.Errorf("%w: number %d has a cap of %d and needs a denomination", ErrSplits, i, s.Cap)
		case s.Lien && i > 0 && !splits[i-1].Lien:
			return fmt.Errorf("%w: number %d is a lien after one that is not: put liens first", ErrSplits, i)
		}
	}
	for _, s := range splits {
		for _, lien := range []bool{true, false} {
			if sum := shares(splits, s.Denom, lien); sum > uint64(money.Whole) {
				return fmt.Errorf("%w: shares of %q add up to %d basis points, want at most %d", ErrSplits, s.Denom, sum, money.Whole)
			}
		}
	}
	return nil
}

// shares sums those splits that apply to a payment in denom; for the empty denom
// only those that apply to all.
func shares(splits []Split, denom string, lien bool) (sum uint64) {
	for _, s := range splits {
		if s.Lien == lien && (s.Denom == "" || s.Denom == denom) {
			sum += uint64(s.Share)
		}
	}
	return sum
}

// Distribute divides amount of denom among the splits and the owner: each lien
// takes its share of amount up to what it is owed, each other split its share
// of the rest likewise, the owner what remains. A lien's part is rounded up, so
// that payments of a few units do not starve a lender; the others are rounded
// down in the owner's favour. It returns the parts above zero, in the order of the
// splits with the owner last, and the splits with what they now have been paid.
// The parts sum to amount exactly. Splits must satisfy CheckSplits.
func Distribute(amount uint64, denom, owner string, splits []Split) ([]Payment, []Split) {
	after := append([]Split(nil), splits...)
	payments := make([]Payment, 0, len(splits)+1)
	left := amount
	pay := func(i int, part uint64) {
		part = min(part, after[i].Owed(), left)
		if part == 0 {
			return
		}
		left -= part
		if after[i].Cap > 0 {
			after[i].Paid += part
		}
		payments = append(payments, Payment{after[i].To, part})
	}
	for i, s := range after {
		if s.Lien && s.Denom == denom {
			pay(i, amount-money.Share(amount, money.Whole-s.Share)) // rounded up
		}
	}
	rest := left
	for i, s := range after {
		if !s.Lien && (s.Denom == "" || s.Denom == denom) {
			pay(i, money.Share(rest, s.Share))
		}
	}
	if left > 0 {
		payments = append(payments, Payment{owner, left})
	}
	return payments, after
}

// Replace returns the splits after the owner asks for wanted: liens still owed
// stay, in their order; wanted replaces the others; liens in wanted that are not
// there yet are added after the old ones. A lien is the same when beneficiary,
// share, denomination and cap are. Paid in wanted is ignored for old liens and
// must be 0 otherwise. Liens that are paid off are dropped.
func Replace(old, wanted []Split) ([]Split, error) {
	var liens, others []Split
	for _, s := range old {
		if s.Lien && s.Owed() > 0 {
			liens = append(liens, s)
		}
	}
	kept := len(liens)
	used := make([]bool, kept)
	for i, s := range wanted {
		if j := findLien(liens[:kept], used, s); j >= 0 {
			used[j] = true
			continue
		}
		if s.Paid != 0 {
			return nil, fmt.Errorf("%w: number %d says %d is paid, want 0", ErrSplits, i, s.Paid)
		}
		if s.Lien {
			liens = append(liens, s)
		} else {
			others = append(others, s)
		}
	}
	all := append(liens, others...)
	return all, CheckSplits(all)
}

func findLien(liens []Split, used []bool, s Split) int {
	for i, l := range liens {
		if !used[i] && s.Lien && l.To == s.To && l.Share == s.Share && l.Denom == s.Denom && l.Cap == s.Cap {
			return i
		}
	}
	return -1
}

// Release removes the liens of a beneficiary and reports how many there were.
func Release(splits []Split, beneficiary string) (left []Split, released int) {
	for _, s := range splits {
		if s.Lien && s.To == beneficiary {
			released++
			continue
		}
		left = append(left, s)
	}
	return left, released
}
