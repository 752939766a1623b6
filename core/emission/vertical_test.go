package emission

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/money"
)

// The parts of all verticals stay within the pool, one alone gets all of it, and
// one that burned nothing takes nothing from the others.
func TestVerticalPool(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool := money.Grain(rapid.Uint64().Draw(t, "pool"))
		burns := rapid.SliceOfN(rapid.Uint64Range(0, 1<<50), 1, 20).Draw(t, "burns")
		var all money.Credit
		for _, b := range burns {
			all += money.Credit(b)
		}
		left := pool
		for _, b := range burns {
			part := VerticalPool(pool, money.Credit(b), all)
			if part > left || b == 0 && part != 0 {
				t.Fatalf("part %d of burn %d, %d are left of the pool", part, b, left)
			}
			left -= part
		}
		if all > 0 && uint64(left) >= uint64(len(burns)) {
			t.Fatalf("%d of %d are lost to rounding by %d verticals", left, pool, len(burns))
		}
		if all > 0 && VerticalPool(pool, all, all) != pool {
			t.Fatalf("one vertical alone gets %d of %d", VerticalPool(pool, all, all), pool)
		}
	})
}
