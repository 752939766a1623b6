package emission

import (
	"math/big"
	"testing"

	"github.com/grange-network/grange/core/money"
	"pgregory.net/rapid"
)

const precision = 400 // binary digits of the reference

func float(v uint64) *big.Float {
	return new(big.Float).SetPrec(precision).SetUint64(v)
}

// ln2 = Σ 1/(k·2^k)
var ln2 = func() *big.Float {
	sum, half := float(0), float(1)
	for k := uint64(1); k <= precision; k++ {
		half.Quo(half, float(2))
		sum.Add(sum, new(big.Float).Quo(half, float(k)))
	}
	return sum
}()

// expRatio returns e^(sign·ln2·n/d) for n < d by its power series: another
// way than the roots the package multiplies.
func expRatio(n, d uint64, negative bool) *big.Float {
	x := new(big.Float).Mul(ln2, new(big.Float).Quo(float(n), float(d)))
	if negative {
		x.Neg(x)
	}
	sum, term := float(1), float(1)
	for k := uint64(1); k < 120; k++ {
		term.Quo(new(big.Float).Mul(term, x), float(k))
		sum.Add(sum, term)
	}
	return sum
}

func floor(f *big.Float) *big.Int {
	i, _ := f.Int(nil)
	return i
}

func TestHalveMatchesHighPrecision(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Uint64().Draw(t, "total")
		halfLife := rapid.Uint64Range(1, MaxHalfLife).Draw(t, "halfLife")
		steps := rapid.Uint64Range(0, 70*halfLife).Draw(t, "steps")
		want := new(big.Float).Mul(float(total), expRatio(steps%halfLife, halfLife, true))
		want.SetMantExp(want, -int(steps/halfLife))
		exact := floor(want)
		got := new(big.Int).SetUint64(Halve(total, steps, halfLife))
		if diff := new(big.Int).Sub(exact, got); diff.Sign() < 0 || diff.Cmp(big.NewInt(1)) > 0 {
			t.Fatalf("Halve(%d, %d, %d) = %v, want %v or one below", total, steps, halfLife, got, exact)
		}
	})
}

func TestGrowMatchesHighPrecision(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Uint64().Draw(t, "start")
		doubling := rapid.Uint64Range(1, MaxHalfLife).Draw(t, "doubling")
		steps := rapid.Uint64Range(0, 70*doubling).Draw(t, "steps")
		want := new(big.Float).Mul(float(start), expRatio(steps%doubling, doubling, false))
		want.SetMantExp(want, int(steps/doubling))
		exact, got := floor(want), new(big.Int).SetUint64(Grow(start, steps, doubling))
		if !exact.IsUint64() {
			exact.SetUint64(^uint64(0))
		}
		if diff := new(big.Int).Sub(exact, got); diff.Sign() < 0 || diff.Cmp(big.NewInt(2)) > 0 {
			t.Fatalf("Grow(%d, %d, %d) = %v, want %v or up to two below", start, steps, doubling, got, exact)
		}
	})
}

// Vectors of S·2^(−e/h) computed with 60 digits of decimal arithmetic.
func TestHalveVectors(t *testing.T) {
	for _, c := range []struct{ total, steps, halfLife, want uint64 }{
		{1_000_000_000_000_000, 0, 2190, 1_000_000_000_000_000},
		{1_000_000_000_000_000, 1, 2190, 999_683_544_520_701},
		{1_000_000_000_000_000, 365, 2190, 890_898_718_140_339},
		{1_000_000_000_000_000, 2190, 2190, 500_000_000_000_000},
		{1_000_000_000_000_000, 10_000, 2190, 42_211_793_971_249},
		{7, 1, 3, 5},
		{^uint64(0), 1, 3, 14_641_190_473_997_345_812},
	} {
		if got := Halve(c.total, c.steps, c.halfLife); got != c.want {
			t.Errorf("Halve(%d, %d, %d) = %d, want %d", c.total, c.steps, c.halfLife, got, c.want)
		}
	}
}

// Rounding the exponent down once gave one ucredit too much here.
func TestGrowIsNeverAboveTheExactValue(t *testing.T) {
	if got := Grow(1, 38_399, 641); got > 1_079_325_852_406_574_006 {
		t.Errorf("Grow(1, 38399, 641) = %d", got)
	}
	if got := Grow(1, 253, 4); got > 10_968_499_650_544_839_023 || got < 10_968_499_650_544_839_021 {
		t.Errorf("Grow(1, 253, 4) = %d, a number of 64 bits", got)
	}
}

func TestHalveNeverGrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Uint64().Draw(t, "total")
		halfLife := rapid.Uint64Range(1, MaxHalfLife).Draw(t, "halfLife")
		at := rapid.Uint64Range(0, 65*halfLife).Draw(t, "at")
		for e := at; e < at+50; e++ {
			if a, b := Halve(total, e, halfLife), Halve(total, e+1, halfLife); b > a {
				t.Fatalf("Halve(%d, ·, %d) grew from %d to %d at step %d", total, halfLife, a, b, e)
			}
		}
	})
}

// E_e = S·(e^λ − 1)·e^(−λe) for e = 1, 2, …, within one ugrain each.
func TestSimplePartFollowsTheFormula(t *testing.T) {
	s := Schedule{Simple: 300_000_000_000_000, HalfLife: 2190}
	lambda := expRatio(1, s.HalfLife, false)
	factor := new(big.Float).Mul(float(uint64(s.Simple)), new(big.Float).Sub(lambda, float(1)))
	var p Progress
	for e := uint64(1); e < 3*s.HalfLife; e++ {
		next, got, err := s.Next(p, 0)
		if err != nil {
			t.Fatal(err)
		}
		want := new(big.Float).Mul(factor, expRatio(e%s.HalfLife, s.HalfLife, true))
		want.SetMantExp(want, -int(e/s.HalfLife))
		diff := new(big.Float).Sub(want, float(uint64(got)))
		if diff.Abs(diff).Cmp(float(2)) > 0 {
			t.Fatalf("epoch %d releases %d, the formula says %v", e, got, want.Text('f', 3))
		}
		p = next
	}
}

func drawSchedule(t *rapid.T) Schedule {
	return Schedule{
		Simple:           money.Grain(rapid.Uint64Range(0, 500_000_000_000_000).Draw(t, "simple")),
		Baseline:         money.Grain(rapid.Uint64Range(0, 500_000_000_000_000).Draw(t, "baseline")),
		HalfLife:         rapid.Uint64Range(1, 100).Draw(t, "halfLife"),
		BaselineStart:    money.Credit(rapid.Uint64Range(1, 1<<40).Draw(t, "target")),
		BaselineDoubling: rapid.Uint64Range(0, 50).Draw(t, "doubling"),
	}
}

// Whatever the revenue, and even when the parameters change under way, all
// epochs together release no more than the total, and a network is never ahead
// of one that met its target from the first epoch.
func TestSumStaysWithinTheTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSchedule(t)
		var p, ahead Progress
		var sum, best money.Grain
		for range rapid.IntRange(1, 300).Draw(t, "epochs") {
			revenue := money.Credit(rapid.Uint64().Draw(t, "revenue") >> rapid.IntRange(0, 63).Draw(t, "shift"))
			next, e, err := s.Next(p, revenue)
			if err != nil {
				t.Fatal(err)
			}
			p, sum = next, sum+e
			if ahead, e, err = s.Next(ahead, ^money.Credit(0)); err != nil {
				t.Fatal(err)
			}
			best += e
			if sum != p.Issued || sum > s.Total() {
				t.Fatalf("released %d, counted %d, total %d", sum, p.Issued, s.Total())
			}
			if sum > best || p.Theta > p.Epoch {
				t.Fatalf("epoch %d: released %d, more than %d of a network at its target (θ %d)", p.Epoch, sum, best, p.Theta)
			}
		}
		changed := drawSchedule(t)
		for range 50 {
			issued := p.Issued
			var err error
			if p, _, err = changed.Next(p, rapid.Custom(func(t *rapid.T) money.Credit {
				return money.Credit(rapid.Uint64().Draw(t, "r"))
			}).Draw(t, "revenue")); err != nil {
				t.Fatal(err)
			}
			if p.Issued > max(changed.Total(), issued) {
				t.Fatalf("issued %d passes %d after a change", p.Issued, changed.Total())
			}
		}
	})
}

func TestBaseline(t *testing.T) {
	s := Schedule{Baseline: 1_000_000_000, HalfLife: 10, BaselineStart: 1000, BaselineDoubling: 5}
	run := func(revenue func(e uint64) money.Credit, epochs int) Progress {
		var p Progress
		for range epochs {
			var err error
			if p, _, err = s.Next(p, revenue(p.Epoch)); err != nil {
				t.Fatal(err)
			}
		}
		return p
	}
	none := run(func(uint64) money.Credit { return 0 }, 50)
	if none.Issued != 0 {
		t.Errorf("no revenue released %d", none.Issued)
	}
	met := run(s.Target, 10)
	if met.Theta != 10 || met.Issued != 500_000_000 {
		t.Errorf("target met for a half-life: θ %d, released %d, want 10 and half", met.Theta, met.Issued)
	}
	half := run(func(e uint64) money.Credit { return s.Target(e) / 2 }, 10)
	if half.Issued == 0 || half.Issued >= met.Issued {
		t.Errorf("half of the target released %d, the target %d", half.Issued, met.Issued)
	}
	flat := run(func(uint64) money.Credit { return 500 }, 4)
	if flat.Theta != 1 || flat.Issued <= s.Baseline-Remaining(s.Baseline, 1, 10) {
		t.Errorf("2000 ucredit in four epochs: %+v", flat)
	}
}

// Σ Smooth ≤ Σ values, a steady value is never passed, and the average of a
// span forgets: Σ demand pools ≤ ρ·Σ burned is the reason for all of it.
func TestDemandPoolsNeverPassTheRebateOfTheBurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		span := rapid.Uint32Range(1, 60).Draw(t, "span")
		rebate := money.BPS(rapid.Uint32Range(0, 9999).Draw(t, "rebate"))
		var average, burned, minted, smooth money.Grain
		for range rapid.IntRange(1, 200).Draw(t, "epochs") {
			burn := money.Grain(rapid.Uint64Range(0, 1<<50).Draw(t, "burn"))
			released := money.Grain(rapid.Uint64Range(0, 1<<50).Draw(t, "released"))
			average = Smooth(average, burn, span)
			pool := DemandPool(released, average, rebate)
			burned, minted, smooth = burned+burn, minted+pool, smooth+average
			if pool > released || smooth > burned || minted > money.Share(burned, rebate) {
				t.Fatalf("pool %d of %d released; minted %d and smoothed %d of %d burned", pool, released, minted, smooth, burned)
			}
		}
	})
}

func TestSmoothMatchesTheFraction(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, v := rapid.Uint64().Draw(t, "average"), rapid.Uint64().Draw(t, "value")
		span := rapid.Uint32().Draw(t, "span")
		n := new(big.Int).SetUint64(uint64(max(span, 1)) + 1)
		want := new(big.Int).Mul(new(big.Int).SetUint64(a), new(big.Int).Sub(n, big.NewInt(2)))
		want.Add(want, new(big.Int).Lsh(new(big.Int).SetUint64(v), 1))
		want.Quo(want, n)
		if got := Smooth(money.Grain(a), money.Grain(v), span); uint64(got) != want.Uint64() {
			t.Fatalf("Smooth(%d, %d, %d) = %d, want %v", a, v, span, got, want)
		}
	})
}

func TestScheduleRefusals(t *testing.T) {
	good := Schedule{Simple: 1, Baseline: 1, HalfLife: 1, BaselineStart: 1}
	if err := good.Valid(); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]Schedule{
		"above the cap":     {Simple: SupplyCap, Baseline: 1, HalfLife: 1, BaselineStart: 1},
		"sum wraps":         {Simple: ^money.Grain(0), Baseline: 2, HalfLife: 1, BaselineStart: 1},
		"no half-life":      {Simple: 1},
		"long half-life":    {Simple: 1, HalfLife: MaxHalfLife + 1},
		"no baseline start": {Baseline: 1, HalfLife: 1},
	} {
		if _, _, err := s.Next(Progress{}, 0); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
