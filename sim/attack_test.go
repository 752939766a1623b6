package sim

import (
	"context"
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
	closed := 0
	for _, k := range Attacks {
		if !k.Closed {
			continue
		}
		closed++
		t.Run(k.Kind, func(t *testing.T) {
			for _, r := range attacked(t, k, nil) {
				a := r.Attacks[0]
				if a.Volume == 0 {
					t.Errorf("seed %d: the attack did nothing", r.Seed)
				}
				if a.Profit >= 0 {
					t.Errorf("seed %d: %s moved %s and made %s", r.Seed, k.Title, Dollars(int64(a.Volume)), Dollars(a.Profit))
				}
			}
		})
	}
	if closed < 6 {
		t.Errorf("%d attacks are held by the rules, want at least 6", closed)
	}
}

// TestKnownHoles shows that the attacks which are listed as open do pay under
// the ledger's rules of today, and no longer do under the proposed change. When
// the ledger's rules change, this test says which entry to move.
func TestKnownHoles(t *testing.T) {
	for _, k := range Attacks {
		if k.Closed {
			continue
		}
		t.Run(k.Kind, func(t *testing.T) {
			if f := attackFigures(attacked(t, k, nil), 0); f.Profit.P50 <= Rounding {
				t.Errorf("median profit is %s: it is not open any more", Dollars(f.Profit.P50))
			}
			if f := attackFigures(attacked(t, k, k.Close), 0); f.Wins > 0 {
				t.Errorf("with %s it pays in %d of %d runs, at best %s", k.Proposal, f.Wins, seeds(t), Dollars(f.Profit.Max))
			}
		})
	}
}

// TestClosedStayClosed: no proposed rule opens an attack that loses today.
func TestClosedStayClosed(t *testing.T) {
	if testing.Short() {
		t.Skip("runs every attack anew")
	}
	all := func(r *Rules) {
		for _, name := range Proposals {
			if err := r.Propose(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, k := range Attacks {
		if !k.Closed {
			continue
		}
		t.Run(k.Kind, func(t *testing.T) {
			if f := attackFigures(attacked(t, k, all), 0); f.Profit.Max >= 0 {
				t.Errorf("pays at best %s", Dollars(f.Profit.Max))
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
	if many.Totals.RewardsBudget > one.Totals.RewardsBudget {
		t.Errorf("budget is %d ugrain with 128 devices, %d with one", many.Totals.RewardsBudget, one.Totals.RewardsBudget)
	}
}
