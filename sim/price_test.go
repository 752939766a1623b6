package sim

import (
	"context"
	"testing"

	"github.com/grange-network/grange/core/money"
)

// TestNoPumpIsLongEnough: the average is so long that holding the price up until
// it has come along costs more than it brings, for minutes as for hours. One of
// three times the weight is not.
func TestNoPumpIsLongEnough(t *testing.T) {
	s, err := Load("attack-pump")
	if err != nil {
		t.Fatal(err)
	}
	for _, rounds := range []int{180, 360, 512} {
		s.Attackers[0].Parties = rounds
		results, err := Many(context.Background(), s, 100, 4, nil)
		if err != nil {
			t.Fatal(err)
		}
		if f := attackFigures(results, 0); f.Wins > 0 {
			t.Errorf("held for %d rounds it pays in %d runs, at best %s", rounds, f.Wins, Dollars(f.Profit.Max))
		}
	}
}

// TestLedgerPriceFollows compares the ledger's price with the exchange's after
// each round of two weeks at 4 % a day: the exchange is never outside the ledger's
// two sides, and what the distance costs those who trade is bounded.
func TestLedgerPriceFollows(t *testing.T) {
	s := short(t, "base", 14)
	s.Rounds, s.Validators.OutagePPM = ledgerRounds, 0
	w, err := newWorld(s, 1)
	if err != nil {
		t.Fatal(err)
	}
	whole := int64(money.Whole)
	var n, gap, buy, sell int64 // sums, bps of the exchange's price
	for day := range s.Days {
		if err := w.runDayEach(day, func() {
			q, at := w.book.Quote(), int64(w.exchange.price())
			low, mid, high := int64(q.Low), int64(q.Mid), int64(q.High)
			if low > at || high < at {
				t.Fatalf("day %d, round %d: the exchange is at %d, the ledger trades at %d to %d", day, w.round, at, low, high)
			}
			n, gap = n+1, gap+max(mid-at, at-mid)*whole/at
			buy, sell = buy+(at-low)*whole/at, sell+(high-at)*whole/at
		}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("the average is off by %d bps, buying costs %d, redeeming %d", gap/n, buy/n, sell/n)
	if gap/n > 150 || buy/n > 300 || sell/n > 300 {
		t.Errorf("the average is off by %d bps, buying costs %d, redeeming %d: too much", gap/n, buy/n, sell/n)
	}
}
