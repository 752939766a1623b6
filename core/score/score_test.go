package score

import (
	"encoding/binary"
	"errors"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/money"
)

func id(n uint64) (d [32]byte) {
	binary.BigEndian.PutUint64(d[:], n)
	return d
}

func drawTerms(t *rapid.T, epoch uint64) Terms {
	return Terms{
		Vertical: "storage", Epoch: epoch,
		Pool:   money.Grain(rapid.Uint64Range(0, 1<<50).Draw(t, "pool")),
		Rebate: money.BPS(rapid.Uint32Range(0, uint32(money.Whole)-1).Draw(t, "rebate")),
		Price:  rapid.Uint64Range(0, 1<<40).Draw(t, "price"),
	}
}

func drawUsage(t *rapid.T, epoch uint64) []Usage {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Usage {
		return Usage{Device: id(rapid.Uint64Range(0, 15).Draw(t, "device")), Epoch: epoch, Burned: money.Credit(rapid.Uint64Range(0, 1<<50).Draw(t, "burned"))}
	}), 0, 30).Draw(t, "usage")
}

func TestComputeCases(t *testing.T) {
	terms := Terms{Vertical: "storage", Epoch: 3, Pool: 1000, Rebate: 8000, Price: 2_000_000} // 2 USD a GRAIN
	for _, c := range []struct {
		name  string
		terms Terms
		usage []Usage
		want  []money.Grain
	}{
		{"no evidence", terms, nil, nil},
		{"nothing burned", terms, []Usage{{id(1), 3, 0}}, nil},
		// 0.8 · 1000 ucredit = 800 ucredit = 400 ugrain at 2 USD; the pool offers 1000.
		{"capped by its own burn", terms, []Usage{{id(1), 3, 1000}}, []money.Grain{400}},
		// 0.8 · 8000 = 3200 ugrain and 800 ugrain; the pool offers 800 and 200.
		{"capped by the pool", terms, []Usage{{id(2), 3, 2000}, {id(1), 3, 8000}}, []money.Grain{800, 200}},
		{"one device twice", terms, []Usage{{id(1), 3, 400}, {id(1), 3, 600}}, []money.Grain{400}},
		{"no price", Terms{Epoch: 3, Pool: 1000, Rebate: 8000}, []Usage{{id(1), 3, 1000}}, []money.Grain{0}},
		{"no pool", Terms{Epoch: 3, Rebate: 8000, Price: 1}, []Usage{{id(1), 3, 1000}}, []money.Grain{0}},
		{"burn too small to return anything", terms, []Usage{{id(1), 3, 1}}, []money.Grain{0}},
		{"cap beyond 64 bits", Terms{Epoch: 3, Pool: 7, Rebate: 8000, Price: 1}, []Usage{{id(1), 3, ^money.Credit(0)}}, []money.Grain{7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Compute(c.terms, c.usage)
			if err != nil {
				t.Fatal(err)
			}
			var amounts []money.Grain
			for _, b := range got {
				amounts = append(amounts, b.Amount)
			}
			if !slices.Equal(amounts, c.want) {
				t.Fatalf("got %v, want %v", amounts, c.want)
			}
		})
	}
}

func TestComputeRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		terms Terms
		usage []Usage
		want  error
	}{
		{"rebate of the whole", Terms{Epoch: 1, Rebate: money.Whole}, nil, ErrRebate},
		{"usage of another epoch", Terms{Epoch: 1}, []Usage{{id(1), 2, 1}}, ErrEpoch},
		{"burns beyond 64 bits", Terms{Epoch: 1}, []Usage{{id(1), 1, ^money.Credit(0)}, {id(2), 1, 1}}, money.ErrOverflow},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Compute(c.terms, c.usage); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}

// The order of evidence, and how it is cut into records, never matters.
func TestShuffledEvidenceGivesTheSameReport(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		terms, usage := drawTerms(t, 1), drawUsage(t, 1)
		state, want, _, err := State{}.Next(terms, usage)
		if err != nil {
			t.Fatal(err)
		}
		again, got, _, err := State{}.Next(terms, rapid.Permutation(usage).Draw(t, "order"))
		if err != nil || got != want || !slices.Equal(again.Leaves, state.Leaves) {
			t.Fatalf("shuffled: %+v, want %+v (%v)", got, want, err)
		}
		var cut []Usage
		for _, u := range usage {
			part := money.Credit(rapid.Uint64Range(0, uint64(u.Burned)).Draw(t, "part"))
			cut = append(cut, Usage{u.Device, u.Epoch, part}, Usage{u.Device, u.Epoch, u.Burned - part})
		}
		if _, got, _, err := (State{}).Next(terms, cut); err != nil || got != want {
			t.Fatalf("cut into records: %+v, want %+v (%v)", got, want, err)
		}
	})
}

func TestTotalStaysWithinThePoolAndTheBurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		terms, usage := drawTerms(t, 1), drawUsage(t, 1)
		bonuses, err := Compute(terms, usage)
		if err != nil {
			t.Fatal(err)
		}
		if sum := Sum(bonuses); sum > terms.Pool {
			t.Fatalf("bonuses sum to %d, more than the pool of %d", sum, terms.Pool)
		}
		for _, b := range bonuses {
			// Self-dealing loses: the bonus at the epoch's price is worth less
			// than what was burned for it.
			worth := new(big.Int).Mul(new(big.Int).SetUint64(uint64(b.Amount)), new(big.Int).SetUint64(terms.Price))
			cost := new(big.Int).Mul(new(big.Int).SetUint64(uint64(b.Burned)), big.NewInt(grainUnit))
			if worth.Cmp(cost) >= 0 {
				t.Fatalf("bonus %d at %d ucredit per GRAIN is worth what %d ucredit burned cost, or more", b.Amount, terms.Price, b.Burned)
			}
			if b.Amount > b.Share || b.Amount > b.Cap {
				t.Fatalf("bonus %+v exceeds a bound", b)
			}
		}
	})
}

// A device that shows up as k devices never gets more.
func TestSplittingADeviceNeverEarnsMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		terms, usage := drawTerms(t, 1), drawUsage(t, 1)
		burn := rapid.Uint64Range(1, 1<<50).Draw(t, "burn")
		k := rapid.IntRange(2, 8).Draw(t, "k")
		whole, err := Compute(terms, append(slices.Clone(usage), Usage{id(100), 1, money.Credit(burn)}))
		if err != nil {
			t.Fatal(err)
		}
		split, left := slices.Clone(usage), burn
		for i := range k {
			part := left
			if i < k-1 {
				part = rapid.Uint64Range(0, left).Draw(t, "part")
			}
			split = append(split, Usage{id(100 + uint64(i)), 1, money.Credit(part)})
			left -= part
		}
		parts, err := Compute(terms, split)
		if err != nil {
			t.Fatal(err)
		}
		own := func(bonuses []Bonus) (sum money.Grain) {
			for _, b := range bonuses {
				if n := binary.BigEndian.Uint64(b.Device[:]); n >= 100 {
					sum += b.Amount
				}
			}
			return sum
		}
		if own(parts) > own(whole) {
			t.Fatalf("as %d devices it earns %d, as one %d", k, own(parts), own(whole))
		}
	})
}

// Whatever share of the usage an attacker buys from his own devices, with or
// without others around, he ends with less than he put in.
func TestWashTradingLoses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		terms, usage := drawTerms(t, 1), drawUsage(t, 1)
		var spent money.Credit
		for i := range rapid.IntRange(1, 5).Draw(t, "devices") {
			burn := money.Credit(rapid.Uint64Range(1, 1<<50).Draw(t, "wash"))
			usage, spent = append(usage, Usage{id(100 + uint64(i)), 1, burn}), spent+burn
		}
		bonuses, err := Compute(terms, usage)
		if err != nil {
			t.Fatal(err)
		}
		worth := new(big.Int)
		for _, b := range bonuses {
			if binary.BigEndian.Uint64(b.Device[:]) >= 100 {
				worth.Add(worth, new(big.Int).Mul(new(big.Int).SetUint64(uint64(b.Amount)), new(big.Int).SetUint64(terms.Price)))
			}
		}
		cost := new(big.Int).Mul(new(big.Int).SetUint64(uint64(spent)), big.NewInt(grainUnit))
		if worth.Cmp(cost) >= 0 {
			t.Fatalf("burned %d ucredit and got %v·10⁻⁶ back", spent, worth)
		}
	})
}

func TestLifetimesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var state State
		want := map[[32]byte]money.Grain{}
		var epoch uint64
		for range rapid.IntRange(1, 6).Draw(t, "epochs") {
			epoch += rapid.Uint64Range(1, 3).Draw(t, "step")
			terms := drawTerms(t, epoch)
			before := slices.Clone(state.Leaves)
			next, report, bonuses, err := state.Next(terms, drawUsage(t, epoch))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(before, state.Leaves) {
				t.Fatal("Next changed the state it was called on")
			}
			var total money.Grain
			for _, b := range bonuses {
				want[b.Device] += b.Amount
			}
			for d, w := range want {
				if got := next.Lifetime(d); got != w {
					t.Fatalf("device %x: lifetime %d, want %d", d, got, w)
				}
				total += w
			}
			if report.Rewards.Total != uint64(total) || report.Rewards.Size != uint64(len(next.Leaves)) {
				t.Fatalf("root says %d in %d leaves, want %d in %d", report.Rewards.Total, report.Rewards.Size, total, len(next.Leaves))
			}
			state = next
		}
	})
}

func TestNextRefusesAnOldEpoch(t *testing.T) {
	for _, epoch := range []uint64{0, 4, 5} {
		if _, _, _, err := (State{Epoch: 5}).Next(Terms{Epoch: epoch}, nil); !errors.Is(err, ErrOrder) {
			t.Errorf("epoch %d: %v", epoch, err)
		}
	}
}

func TestNextRefusesABrokenState(t *testing.T) {
	if _, _, _, err := (State{Leaves: []Leaf{{id(1), 1}, {id(1), 2}}}).Next(Terms{Epoch: 1}, nil); !errors.Is(err, merkle.ErrDuplicate) {
		t.Errorf("duplicate: %v", err)
	}
	full := State{Leaves: []Leaf{{id(1), ^money.Grain(0)}}}
	terms := Terms{Epoch: 1, Pool: 100, Rebate: 8000, Price: 1}
	for _, d := range []uint64{1, 2} {
		if _, _, _, err := full.Next(terms, []Usage{{id(d), 1, 100}}); err == nil {
			t.Errorf("device %d: a total beyond 64 bits was accepted", d)
		}
	}
}

// Every input enters the inputs root.
func TestInputsRootCoversEverything(t *testing.T) {
	terms := Terms{Vertical: "storage", Epoch: 2, Pool: 10, Rebate: 20, Price: 30}
	bonuses := []Bonus{{Device: id(1), Burned: 5}, {Device: id(2), Burned: 6}}
	seen := map[merkle.Hash]string{}
	add := func(name string, terms Terms, before merkle.Hash, bonuses []Bonus) {
		h := Inputs(terms, before, bonuses)
		if other, taken := seen[h]; taken {
			t.Errorf("%s and %s have the same root", name, other)
		}
		seen[h] = name
	}
	change := func(f func(*Terms)) Terms { c := terms; f(&c); return c }
	add("base", terms, merkle.Hash{}, bonuses)
	add("vertical", change(func(t *Terms) { t.Vertical = "sensing" }), merkle.Hash{}, bonuses)
	add("epoch", change(func(t *Terms) { t.Epoch++ }), merkle.Hash{}, bonuses)
	add("pool", change(func(t *Terms) { t.Pool++ }), merkle.Hash{}, bonuses)
	add("grant", change(func(t *Terms) { t.Grant++ }), merkle.Hash{}, bonuses)
	add("evidence", change(func(t *Terms) { t.Evidence[31]++ }), merkle.Hash{}, bonuses)
	add("rebate", change(func(t *Terms) { t.Rebate++ }), merkle.Hash{}, bonuses)
	add("price", change(func(t *Terms) { t.Price++ }), merkle.Hash{}, bonuses)
	add("before", terms, merkle.Hash{1}, bonuses)
	add("fewer", terms, merkle.Hash{}, bonuses[:1])
	add("weight", terms, merkle.Hash{}, []Bonus{{Device: id(1), Burned: 5, Weight: 1}, {Device: id(2), Burned: 6}})
	add("penalty", terms, merkle.Hash{}, []Bonus{{Device: id(1), Burned: 5, Penalty: 1}, {Device: id(2), Burned: 6}})
	add("burned", terms, merkle.Hash{}, []Bonus{{Device: id(1), Burned: 6}, {Device: id(2), Burned: 6}})
}

func TestReportVector(t *testing.T) {
	terms := Terms{Vertical: "storage", Epoch: 1, Pool: 1_000_000, Rebate: 8000, Price: 1_000_000}
	_, report, _, err := State{}.Next(terms, []Usage{{id(1), 1, 300}, {id(2), 1, 700}})
	if err != nil {
		t.Fatal(err)
	}
	if got := report.Rewards.Hash.String(); got != vectorRewards || report.Rewards.Total != 800 {
		t.Errorf("reward root %s, total %d, want %s, 800", got, report.Rewards.Total, vectorRewards)
	}
	if got := report.Inputs.String(); got != vectorInputs {
		t.Errorf("inputs root %s, want %s", got, vectorInputs)
	}
}

const (
	vectorRewards = "ab7d4ef6840bd71629d6a11a6f15eee5b48ef01336ae8235558ec78c6942e4ee"
	vectorInputs  = "ae0e27c50c4d429af30ef4ccfc0792e82a5b558163fc9ef2a51ccb051f9360a0"
)

func TestExplain(t *testing.T) {
	terms := Terms{Vertical: "storage", Epoch: 3, Pool: 1000, Grant: 100, Rebate: 8000, Price: 2_000_000}
	bonuses, err := Compute(terms, []Usage{{id(1), 3, 1000}, {id(2), 3, 3000}}, Line{id(3), 3, 0}, Line{id(1), 1, 1000})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"epoch: 3", "burned by the device: 1000 ucredit", "burned by all: 4000 ucredit", "pool: 1000 ugrain",
		"share of the pool: 250 ugrain", "rebate: 8000 bps", "price of a GRAIN: 2000000 ucredit",
		"cap by own burn: 400 ugrain", "penalty: 1000 bps", "bonus of usage: 225 ugrain",
		"weight of the device: 1", "weight of all: 4", "grant: 100 ugrain", "share of the grant: 25 ugrain", "bonus: 250 ugrain",
	}
	for i, term := range Explain(terms, bonuses, id(1)) {
		if term.String() != want[i] {
			t.Errorf("term %d: %q, want %q", i, term, want[i])
		}
	}
	if terms := Explain(terms, bonuses, id(9)); terms[len(terms)-1].Value != 0 || terms[1].Value != 0 {
		t.Errorf("a device without usage: %v", terms)
	}
	if bonuses[0].Capped() || !(Bonus{Share: 2, Cap: 1}).Capped() {
		t.Error("Capped is wrong")
	}
}

func BenchmarkNext(b *testing.B) {
	usage := make([]Usage, 100_000)
	for i := range usage {
		usage[i] = Usage{Device: id(uint64(i) * 0x9e3779b97f4a7c15), Epoch: 1, Burned: money.Credit(i + 1)}
	}
	terms := Terms{Vertical: "storage", Epoch: 1, Pool: 1 << 50, Rebate: 8000, Price: 1_000_000}
	for b.Loop() {
		if _, _, _, err := (State{}).Next(terms, usage); err != nil {
			b.Fatal(err)
		}
	}
}
