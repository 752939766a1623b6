package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden files anew")

// short is a shipped scenario with fewer days.
func short(t *testing.T, name string, days int) Scenario {
	t.Helper()
	s, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	s.Days = days
	return s
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSameSeedSameBytes(t *testing.T) {
	for _, name := range []string{"base", "pessimistic", "attack-ring", "attack-cartel"} {
		t.Run(name, func(t *testing.T) {
			s := short(t, name, 60)
			many, err := Many(context.Background(), s, 7, 3, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range many {
				alone, err := Run(s, 7+uint64(i))
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(marshal(t, r), marshal(t, alone)) {
					t.Errorf("seed %d differs between a run alone and one beside others", r.Seed)
				}
			}
			if bytes.Equal(marshal(t, many[0].Days), marshal(t, many[1].Days)) {
				t.Error("two seeds give the same days")
			}
			var first, second bytes.Buffer
			for _, b := range []*bytes.Buffer{&first, &second} {
				if err := errors.Join(WriteCSV(b, many), WriteSVG(b, s, many)); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(first.Bytes(), second.Bytes()) {
				t.Error("writing twice gives different files")
			}
		})
	}
}

// TestGolden holds the numbers of small runs, so that a change of any rule or
// agent is seen. Run with -update when it is meant.
func TestGolden(t *testing.T) {
	for _, name := range []string{"base", "attack-self"} {
		t.Run(name, func(t *testing.T) {
			r, err := Run(short(t, name, 45), 1)
			if err != nil {
				t.Fatal(err)
			}
			kept := r.Days[:0:0]
			for i, d := range r.Days {
				if i%11 == 0 {
					kept = append(kept, d)
				}
			}
			r.Days = kept
			got := append(marshal(t, r), '\n')
			file := filepath.Join("testdata", "golden-"+name+".json")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the run differs from %s:\n%s", file, got)
			}
		})
	}
}

// TestShippedScenarios runs all of them for a while: the books are checked at
// the end of every epoch.
func TestShippedScenarios(t *testing.T) {
	for _, name := range Names() {
		s := short(t, name, 20)
		for i := range s.Attackers {
			s.Attackers[i].StartDay = min(s.Attackers[i].StartDay, 5)
		}
		s.Rounds = min(s.Rounds, 1000)
		for _, rule := range append([]string{""}, Safeguards...) {
			if rule != "" && s.Rules.Without(rule) != nil {
				t.Fatalf("rule %s is not known", rule)
			}
			if _, err := Run(s, 3); err != nil {
				t.Errorf("%s without rule %q and those before: %v", name, rule, err)
			}
		}
	}
}

// TestAttackersDoNotChangeOthersLuck: the exchange without impact takes the same
// path with and without an attacker.
func TestAttackersDoNotChangeOthersLuck(t *testing.T) {
	s := short(t, "attack-self", 40)
	s.Exchange.DepthUSD = 1_000_000_000_000
	with, err := Run(s, 5)
	if err != nil {
		t.Fatal(err)
	}
	s.Attackers = nil
	without, err := Run(s, 5)
	if err != nil {
		t.Fatal(err)
	}
	for i := range with.Days {
		if a, b := with.Days[i], without.Days[i]; a.Price != b.Price || a.WantedTB != b.WantedTB {
			t.Fatalf("day %d: price %d and demand %d with an attacker, %d and %d without", i, a.Price, a.WantedTB, b.Price, b.WantedTB)
		}
	}
}

func TestManyStops(t *testing.T) {
	s := short(t, "base", 730)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s.Days = 30
	_, err := Many(ctx, s, 1, 50, func(int) { stop() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it cancelled", err)
	}
	if _, err := Many(context.Background(), s, 1, 0, nil); err == nil {
		t.Error("no runs are no error")
	}
	s.Rules.RebateBPS = 10_000
	if _, err := Many(context.Background(), s, 1, 4, nil); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want why the scenario is not valid", err)
	}
}

func BenchmarkBaseYear(b *testing.B) {
	s, err := Load("base")
	if err != nil {
		b.Fatal(err)
	}
	s.Days = year
	for i := 0; b.Loop(); i++ {
		if _, err := Run(s, uint64(i)); err != nil {
			b.Fatal(err)
		}
	}
}
