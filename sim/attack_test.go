package sim

import (
	"context"
	"slices"
	"testing"
)

// seeds is how many different lives every attack has.
func seeds(t *testing.T) int {
	if testing.Short() {
		return 4
	}
	return 24
}

func attacked(t *testing.T, k Attack, change func(*Rules)) []Result {
	t.Helper()
	s, err := Load("attack-" + k.Kind)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Attackers) != 1 || s.Attackers[0].Kind != k.Kind {
		t.Fatalf("scenario %s has attackers %v", s.Name, s.Attackers)
	}
	if change != nil {
		change(&s.Rules)
	}
	n := seeds(t)
	if s.Rounds > 1000 {
		n = max(n/3, 2) // as many price rounds as the ledger has
	}
	results, err := Many(context.Background(), s, 100, n, nil)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// TestAttacksLose is the promise of the economy: each of these attacks ends with
// less than it began with, whatever the luck.
func TestAttacksLose(t *testing.T) {
	for _, k := range Attacks {
		t.Run(k.Kind, func(t *testing.T) {
			for _, r := range attacked(t, k, nil) {
				a := r.Attacks[0]
				if a.Profit > Rounding || len(k.Safeguards) == 0 && a.Profit >= 0 {
					t.Errorf("seed %d: %s moved %s and made %s", r.Seed, k.Title, Dollars(int64(a.Volume)), Dollars(a.Profit))
				}
				if a.Volume == 0 && len(k.Safeguards) == 0 {
					t.Errorf("seed %d: the attack did nothing", r.Seed)
				}
			}
		})
	}
	if len(Attacks) < 6 {
		t.Errorf("%d attacks, want at least 6", len(Attacks))
	}
}

// TestKnownHoles runs each attack that a rule holds under the rules before, where
// it must pay, so that the test above could fail, and with its own rule put back
// among them, where it must not: the rule is there for a reason, and is enough.
func TestKnownHoles(t *testing.T) {
	for _, k := range Attacks {
		if len(k.Safeguards) == 0 {
			continue
		}
		rules := func(own bool) func(*Rules) {
			return func(r *Rules) {
				for _, name := range Safeguards {
					if err := r.set(name, own && slices.Contains(k.Safeguards, name)); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		t.Run(k.Kind, func(t *testing.T) {
			if f := attackFigures(attacked(t, k, rules(false)), 0); f.Profit.P50 <= Rounding {
				t.Errorf("median profit under the rules before is %s: there is no hole", Dollars(f.Profit.P50))
			}
			if f := attackFigures(attacked(t, k, rules(true)), 0); f.Wins > 0 {
				t.Errorf("with %v it pays in %d of %d runs, at best %s", k.Safeguards, f.Wins, seeds(t), Dollars(f.Profit.Max))
			}
		})
	}
}

// TestSplittingEarnsNoMore compares the bonus on equal volume with one device
// and with many.
func TestSplittingEarnsNoMore(t *testing.T) {
	s := short(t, "attack-self", 60)
	s.Attackers[0].StartDay = 10
	one, err := Run(s, 9)
	if err != nil {
		t.Fatal(err)
	}
	s.Attackers[0] = Attacker{Kind: "split", USD: s.Attackers[0].USD, Parties: 128, StartDay: 10}
	many, err := Run(s, 9)
	if err != nil {
		t.Fatal(err)
	}
	// The bonds of more devices move the exchange a little.
	if most := one.Totals.RewardsBudget; many.Totals.RewardsBudget > most+most/100_000 {
		t.Errorf("budget is %d ugrain with 128 devices, %d with one", many.Totals.RewardsBudget, one.Totals.RewardsBudget)
	}
}
