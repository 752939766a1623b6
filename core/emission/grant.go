package emission

import (
	"fmt"

	"github.com/grange-network/grange/core/money"
)

// GrantCap is the most ugrain that bootstrap grants of all verticals can ever
// add together: 2 % of SupplyCap. It is not a parameter.
const GrantCap = SupplyCap / 50

// maxGrantEpochs bounds a grant's life, so that its weights fit 64 bits: more
// than 27 years of days.
const maxGrantEpochs = 10_000

// Grant is a bootstrap pool: Total ugrain for what a vertical's devices do before
// anybody pays for it. It tapers linearly from epoch Start and is over at epoch
// End, which gets nothing: of n epochs the first has the weight n, the last 1.
// An epoch's part that is not earned in it stays unminted.
type Grant struct {
	Total      money.Grain
	Start, End uint64 // epochs, Start below End
}

// Valid reports why g cannot be paid out, or nil.
func (g Grant) Valid() error {
	switch {
	case g.Total > GrantCap:
		return fmt.Errorf("grant of %d ugrain, want at most %d", g.Total, GrantCap)
	case g.Start == 0 || g.End <= g.Start:
		return fmt.Errorf("grant from epoch %d to %d: want a first epoch of 1 or later and an end after it", g.Start, g.End)
	case g.End-g.Start > maxGrantEpochs:
		return fmt.Errorf("grant from epoch %d to %d lasts %d epochs, want at most %d", g.Start, g.End, g.End-g.Start, maxGrantEpochs)
	}
	return nil
}

// At returns what the grant adds to the budget of an epoch, 0 outside Start to
// End. The parts of all epochs sum to Total.
func (g Grant) At(epoch uint64) money.Grain {
	if g.Valid() != nil || epoch < g.Start || epoch >= g.End {
		return 0
	}
	return g.before(epoch+1) - g.before(epoch)
}

// before is what the epochs before this one, of Start to End, got together.
func (g Grant) before(epoch uint64) money.Grain {
	n, i := g.End-g.Start, epoch-g.Start
	sum, _, err := money.MulDiv(uint64(g.Total), i*(2*n-i+1), n*(n+1))
	if err != nil {
		return 0 // cannot happen: i ≤ n, so the fraction is at most one
	}
	return money.Grain(sum)
}
