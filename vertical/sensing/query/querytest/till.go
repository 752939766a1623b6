// Package querytest has a till in memory, for tests of what is sold by the row.
package querytest

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/grange-network/grange/vertical/sensing/query"
)

// Till knows one buyer, whose token is "good".
type Till struct {
	mu   sync.Mutex
	left uint64
	owed query.Rows
}

// Token of the buyer.
const Token = "good"

// NewTill is one with so many units in its escrow.
func NewTill(units uint64) *Till { return &Till{left: units, owed: query.Rows{}} }

// Buyer implements query.Till.
func (t *Till) Buyer(_ context.Context, token string) (string, error) {
	if token != Token {
		return "", fmt.Errorf("%w: token %q is not one", query.ErrNoLease, token)
	}
	return "buyer", nil
}

// Charge implements query.Till.
func (t *Till) Charge(_ context.Context, _ string, rows query.Rows) (query.Bill, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := rows.Total()
	if n > t.left {
		return query.Bill{}, fmt.Errorf("%w: %d units are left, the answer costs %d", query.ErrUnpaid, t.left, n)
	}
	t.left -= n
	for d, k := range rows {
		t.owed[d] += k
	}
	return query.Bill{Lease: "lease", Units: n, Left: t.left}, nil
}

// Owed is what each device is owed.
func (t *Till) Owed() query.Rows {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.owed)
}
