package price

import (
	"math/big"
	"slices"
	"testing"

	"github.com/grange-network/grange/core/money"
	"pgregory.net/rapid"
)

var rules = Rules{Weight: 2500, MaxStep: 1500, Band: 20_000, MaxBand: 2000, Spread: 25, StaleAfter: 600}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		name  string
		votes []Vote
		want  uint64
		ok    bool
	}{
		{"no votes", nil, 0, false},
		{"only votes without power", []Vote{{Price: 5}}, 0, false},
		{"one vote", []Vote{{7, 1}}, 7, true},
		{"two equal powers take the lower", []Vote{{9, 5}, {7, 5}}, 7, true},
		{"power decides, not the count", []Vote{{1, 1}, {2, 1}, {3, 1}, {100, 4}}, 100, true},
		{"an outlier does not move it", []Vote{{10, 3}, {11, 3}, {Max, 3}}, 11, true},
		{"powers whose sum passes 64 bits", []Vote{{1, 1 << 63}, {2, 1 << 63}, {3, 1<<63 + 1}}, 2, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, ok := Median(c.votes); got != c.want || ok != c.ok {
				t.Errorf("Median(%v) = %d %v, want %d %v", c.votes, got, ok, c.want, c.ok)
			}
		})
	}
}

// The median must split the power: less than half strictly below, at least
// half at or below; and the order of votes must not matter.
func TestMedianSplitsThePower(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		votes := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Vote {
			return Vote{rapid.Uint64Range(Min, 50).Draw(t, "price"), rapid.Uint64().Draw(t, "power")}
		}), 1, 30).Draw(t, "votes")
		got, ok := Median(votes)
		shuffled := rapid.Permutation(votes).Draw(t, "shuffled")
		if again, _ := Median(shuffled); again != got {
			t.Fatalf("median %d became %d after a shuffle", got, again)
		}
		total, below, upTo := new(big.Int), new(big.Int), new(big.Int)
		for _, v := range votes {
			p := new(big.Int).SetUint64(v.Power)
			total.Add(total, p)
			if v.Price < got {
				below.Add(below, p)
			}
			if v.Price <= got {
				upTo.Add(upTo, p)
			}
		}
		if total.Sign() == 0 {
			if ok {
				t.Fatal("median of no power")
			}
			return
		}
		if !ok || new(big.Int).Lsh(below, 1).Cmp(total) >= 0 || new(big.Int).Lsh(upTo, 1).Cmp(total) < 0 {
			t.Fatalf("median %d of %v does not split the power", got, votes)
		}
	})
}

func TestMinorityCannotMoveTheMedianOutsideTheHonestRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		honest := rapid.SliceOfN(rapid.Uint64Range(900, 1100), 4, 20).Draw(t, "honest")
		var votes []Vote
		for _, p := range honest {
			votes = append(votes, Vote{p, 10})
		}
		for range (len(honest) - 1) * 9 / 10 { // strictly less power than the honest
			votes = append(votes, Vote{rapid.Uint64Range(Min, Max).Draw(t, "attack"), 10})
		}
		got, _ := Median(votes)
		if got < slices.Min(honest) || got > slices.Max(honest) {
			t.Fatalf("median %d left the honest range %d to %d", got, slices.Min(honest), slices.Max(honest))
		}
	})
}

func drawRules(t *rapid.T) Rules {
	return Rules{
		Weight:     money.BPS(rapid.Uint32Range(1, 10_000).Draw(t, "weight")),
		MaxStep:    money.BPS(rapid.Uint32Range(1, 5000).Draw(t, "step")),
		Band:       rapid.Uint32Range(0, 100_000).Draw(t, "band"),
		MaxBand:    money.BPS(rapid.Uint32Range(0, 4999).Draw(t, "widest")),
		Spread:     money.BPS(rapid.Uint32Range(0, 999).Draw(t, "spread")),
		StaleAfter: 600,
	}
}

func TestRoundsKeepTheirPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRules(t)
		var s State
		for i, m := range rapid.SliceOfN(rapid.Uint64Range(Min, Max), 1, 40).Draw(t, "medians") {
			next, err := s.Next(r, m, int64(i))
			if err != nil {
				t.Fatal(err)
			}
			if s.Known() {
				within(t, "sample", s.Last, next.Last, r.MaxStep)
				within(t, "average", s.Average, next.Average, r.MaxStep)
			}
			q := next.Quote(r)
			if q.Low < Min || q.Low > q.Mid || q.Mid > q.High {
				t.Fatalf("quote %+v is not ordered", q)
			}
			if q.Low > next.Last && next.Last > Min || q.High < next.Last {
				t.Fatalf("quote %+v does not enclose the sample %d", q, next.Last)
			}
			grains := money.Grain(rapid.Uint64Range(0, 1<<50).Draw(t, "grains"))
			if c, err := q.Credits(grains); err == nil {
				if back, err := q.Grains(c); err != nil || back > grains {
					t.Fatalf("%d ugrain became %d ucredit became %d ugrain (%v) at %+v", grains, c, back, err, q)
				}
			}
			s = next
		}
	})
}

func within(t *rapid.T, name string, from, to uint64, step money.BPS) {
	diff := max(from, to) - min(from, to)
	if diff > max(money.Share(from, step), 1) {
		t.Fatalf("%s moved from %d to %d, more than %d bps", name, from, to, step)
	}
}

// A steady price must be reached, whatever it was before.
func TestAverageConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Uint64Range(1, 1_000_000_000).Draw(t, "start")
		goal := rapid.Uint64Range(1, 1_000_000_000).Draw(t, "goal")
		s, err := State{}.Next(rules, start, 0)
		for i := 1; err == nil && i < 400; i++ {
			s, err = s.Next(rules, goal, int64(i))
		}
		q := s.Quote(rules)
		if err != nil || s.Last != goal || max(q.Mid, goal)-min(q.Mid, goal) > 1 {
			t.Fatalf("from %d towards %d: %+v, %+v (%v)", start, goal, s, q, err)
		}
	})
}

func TestQuoteByHand(t *testing.T) {
	s, err := State{}.Next(rules, 2_000_000, 100)
	if err != nil {
		t.Fatal(err)
	}
	if q := s.Quote(rules); q != (Quote{Low: 1_995_000, Mid: 2_000_000, High: 2_005_000}) {
		t.Errorf("first quote %+v", q)
	}
	// −50 % is limited to −15 %: sample 1.7 M, average 1.925 M, deviation a
	// quarter of their distance, band two of those.
	if s, err = s.Next(rules, 1_000_000, 160); err != nil {
		t.Fatal(err)
	}
	if s.Last != 1_700_000 || s.Average>>fraction != 1_925_000 || s.Deviation>>fraction != 56_250 {
		t.Errorf("second round %+v", s)
	}
	if q := s.Quote(rules); q != (Quote{Low: 1_583_531, Mid: 1_925_000, High: 2_042_594}) {
		t.Errorf("second quote %+v", q)
	}
}

func TestStale(t *testing.T) {
	s := State{Last: 1, Average: 1 << fraction, Updated: 1000}
	for _, c := range []struct {
		name string
		s    State
		now  int64
		want bool
	}{
		{"no price", State{}, 0, true},
		{"same second", s, 1000, false},
		{"last second", s, 1600, false},
		{"one later", s, 1601, true},
		{"clock behind", s, 10, false},
	} {
		if got := c.s.Stale(rules, c.now); got != c.want {
			t.Errorf("%s: stale is %v", c.name, got)
		}
	}
}

func TestRefusals(t *testing.T) {
	change := func(f func(*Rules)) Rules { r := rules; f(&r); return r }
	for name, r := range map[string]Rules{
		"no weight":  change(func(r *Rules) { r.Weight = 0 }),
		"no step":    change(func(r *Rules) { r.MaxStep = 0 }),
		"great step": change(func(r *Rules) { r.MaxStep = 5001 }),
		"wide band":  change(func(r *Rules) { r.MaxBand = 5000 }),
		"many bands": change(func(r *Rules) { r.Band = 100_001 }),
		"spread":     change(func(r *Rules) { r.Spread = 1000 }),
		"never old":  change(func(r *Rules) { r.StaleAfter = 0 }),
	} {
		if _, err := (State{}).Next(r, 5, 0); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, p := range []uint64{0, Max + 1} {
		if _, err := (State{}).Next(rules, p, 0); err == nil {
			t.Errorf("price %d: accepted", p)
		}
	}
	if _, err := (Quote{}).Grains(1); err == nil {
		t.Error("grains without a price: accepted")
	}
}

func TestRedeem(t *testing.T) {
	q := Quote{Low: 900_000, Mid: 1_000_000, High: 1_100_000}
	for _, c := range []struct {
		name    string
		credits money.Credit
		pool    money.Grain
		debt    money.Credit
		want    money.Grain
	}{
		{"covered: worth at the high side", 1_100_000, 5_000_000, 2_200_000, 1_000_000},
		{"below cover: a part", 1_100_000, 1_000_000, 2_200_000, 500_000},
		{"everything", 2_200_000, 1_000_000, 2_200_000, 1_000_000},
		{"nothing behind it", 5, 0, 10, 0},
		{"no debt", 5, 10, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := q.Redeem(c.credits, c.pool, c.debt); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

// Whoever redeems, at whatever price, leaves at least as much for each credit of
// the others.
func TestRedeemTakesNothingFromOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := Quote{High: rapid.Uint64Range(Min, Max).Draw(t, "high")}
		debt := rapid.Uint64Range(2, 1<<50).Draw(t, "debt")
		pool := rapid.Uint64Range(0, 1<<50).Draw(t, "pool")
		a := rapid.Uint64Range(1, debt-1).Draw(t, "credits")
		got := uint64(q.Redeem(money.Credit(a), money.Grain(pool), money.Credit(debt)))
		if got > pool {
			t.Fatalf("%d of a pool of %d", got, pool)
		}
		left := new(big.Int).Mul(new(big.Int).SetUint64(pool-got), new(big.Int).SetUint64(debt))
		if before := new(big.Int).Mul(new(big.Int).SetUint64(pool), new(big.Int).SetUint64(debt-a)); left.Cmp(before) < 0 {
			t.Fatalf("%d ugrain for %d of %d ucredit leave less for the others", got, a, debt)
		}
	})
}
