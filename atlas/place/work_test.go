package place

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/atlas"
)

func TestBatchIntervalIsTheBest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, m := rapid.IntRange(1, 3600).Draw(t, "checkpoint"), rapid.IntRange(1, 10_000).Draw(t, "mtbf")
		at := Interval(c, m)
		best := Overhead(c, at, m)
		for _, other := range []int{at / 2, at - 2, at + 2, at * 2} {
			if other >= 1 && Overhead(c, other, m).Cmp(best) < 0 {
				// one second of rounding is allowed for
				if Overhead(c, at+1, m).Cmp(Overhead(c, other, m)) > 0 {
					t.Fatalf("C=%d M=%d: every %d s costs %s, every %d s %s", c, m, at, best.FloatString(8), other, Overhead(c, other, m).FloatString(8))
				}
			}
		}
	})
}

func TestBatch(t *testing.T) {
	cheap := Offer{ID: "cheap", Network: "n", Kind: "shared", Price: *d("1"), Availability: d("97"), Providers: 1, MTBF: 10}
	steady := Offer{ID: "steady", Network: "s", Kind: "hyperscaler", Price: *d("2"), Availability: d("99.99"), Providers: 1}
	b := Batch{Workload: Workload{Units: 1}, WorkHours: 100, Checkpoint: 45, Repair: 30}
	got, err := SolveBatch(b, []Offer{steady, cheap})
	if err != nil {
		t.Fatal(err)
	}
	// t = √(2·45·36000) = 1800 s; 1 + 45/1800 + 1800/72000 = 1.05
	first := got.Plans[0]
	if first.Offer != "cheap" || first.Interval != 1800 || first.Overhead.String() != "5" || first.Cost.String() != "105" || first.Hours.String() != "105" {
		t.Errorf("%+v", first)
	}
	if s := got.Plans[1]; !s.Derived || s.MTBF != 4999 {
		t.Errorf("MTBF of 99.99 %% with half an hour of repair: %+v", s)
	}
	b.Deadline = 104
	got, err = SolveBatch(b, []Offer{steady, cheap})
	if err != nil || len(got.Plans) != 1 || got.Plans[0].Offer != "steady" || got.Rejected[0].Rule != "deadline" {
		t.Errorf("with a deadline: %+v, %v", got, err)
	}
}

// Each hour is its own problem: every way to split its overflow over the offers.
func TestBurstEqualsBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var offers []Offer
		for i := range rapid.IntRange(0, 3).Draw(t, "offers") {
			offers = append(offers, Offer{ID: string(rune('a' + i)), Network: "n", Price: atlas.DecimalOf(rapid.Int64Range(0, 5).Draw(t, "price")),
				Providers: rapid.IntRange(1, 2).Draw(t, "providers"), Units: rapid.IntRange(1, 3).Draw(t, "units")})
		}
		b := Burst{Quota: rapid.IntRange(0, 3).Draw(t, "quota"), Demand: rapid.SliceOfN(rapid.IntRange(0, 12), 1, 4).Draw(t, "demand")}
		got, err := SolveBurst(b, offers)
		if err != nil {
			t.Fatal(err)
		}
		var cost, uncovered int64
		for _, demand := range b.Demand {
			c, u := cheapestSplit(offers, max(0, demand-b.Quota))
			cost, uncovered = cost+c, uncovered+u
		}
		if got.Uncovered != uncovered || int64(got.Cost) != cost*million {
			t.Fatalf("costs %s with %d uncovered, brute force %d with %d", got.Cost, got.Uncovered, cost, uncovered)
		}
	})
}

func cheapestSplit(offers []Offer, want int) (cost, uncovered int64) {
	if len(offers) == 0 {
		return 0, int64(want)
	}
	cost, uncovered = -1, int64(want)+1
	price := offers[0].Price.Rat().Num().Int64()
	for take := 0; take <= min(want, offers[0].Units*offers[0].Providers); take++ {
		c, u := cheapestSplit(offers[1:], want-take)
		if c += int64(take) * price; u < uncovered || u == uncovered && c < cost {
			cost, uncovered = c, u
		}
	}
	return cost, uncovered
}
