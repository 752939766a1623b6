package score

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/money"
)

func TestGrantCases(t *testing.T) {
	terms := Terms{Vertical: "sensing", Epoch: 3, Pool: 1000, Grant: 100, Rebate: 8000, Price: 1_000_000}
	for _, c := range []struct {
		name  string
		terms Terms
		usage []Usage
		lines []Line
		want  map[uint64]money.Grain
	}{
		{"the only device gets all of it", terms, nil, []Line{{id(1), 1, 0}}, map[uint64]money.Grain{1: 100}},
		{"by weight, the rest unminted", terms, nil, []Line{{id(2), 2, 0}, {id(1), 1, 0}}, map[uint64]money.Grain{1: 33, 2: 66}},
		{"no weight", terms, nil, []Line{{id(1), 0, 0}}, map[uint64]money.Grain{1: 0}},
		{"no grant", Terms{Epoch: 3, Pool: 1000, Rebate: 8000, Price: 1}, nil, []Line{{id(1), 7, 0}}, map[uint64]money.Grain{1: 0}},
		{"without a price as well", Terms{Epoch: 3, Grant: 100, Rebate: 8000}, []Usage{{id(1), 3, 1000}}, []Line{{id(1), 1, 0}}, map[uint64]money.Grain{1: 100}},
		{"on top of usage", terms, []Usage{{id(1), 3, 500}}, []Line{{id(1), 1, 0}, {id(2), 1, 0}}, map[uint64]money.Grain{1: 450, 2: 50}},
		{"a penalty is on usage only", terms, []Usage{{id(1), 3, 500}}, []Line{{id(1), 1, 5000}}, map[uint64]money.Grain{1: 300}},
		{"what a penalty takes nobody gets", terms, []Usage{{id(1), 3, 500}, {id(2), 3, 500}}, []Line{{id(1), 0, 10_000}}, map[uint64]money.Grain{1: 0, 2: 400}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Compute(c.terms, c.usage, c.lines...)
			if err != nil || len(got) != len(c.want) {
				t.Fatalf("%d bonuses, %v, want %d", len(got), err, len(c.want))
			}
			for device, want := range c.want {
				for _, b := range got {
					if b.Device == id(device) && b.Amount != want {
						t.Errorf("device %d gets %d, want %d: %+v", device, b.Amount, want, b)
					}
				}
			}
		})
	}
}

func TestComputeRefusesLines(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []Line
		want  error
	}{
		{"a device twice", []Line{{id(1), 1, 0}, {id(2), 1, 0}, {id(1), 1, 0}}, ErrLine},
		{"a penalty above the whole", []Line{{id(1), 1, money.Whole + 1}}, ErrLine},
		{"weights beyond 64 bits", []Line{{id(1), ^uint64(0), 0}, {id(2), 1, 0}}, money.ErrOverflow},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Compute(Terms{Epoch: 1}, nil, c.lines...); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}

// Evidence never takes from usage, all stays within pool and grant, and what
// usage gets stays below what it burned.
func TestGrantAndPoolAreApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		terms, usage := drawTerms(t, 1), drawUsage(t, 1)
		terms.Grant = money.Grain(rapid.Uint64Range(0, 1<<50).Draw(t, "grant"))
		var lines []Line
		for d := range rapid.Uint64Range(0, 20).Draw(t, "lines") {
			lines = append(lines, Line{id(d), rapid.Uint64Range(0, 1<<40).Draw(t, "weight"), 0})
		}
		without, err := Compute(terms, usage)
		if err != nil {
			t.Fatal(err)
		}
		with, err := Compute(terms, usage, rapid.Permutation(lines).Draw(t, "order")...)
		if err != nil {
			t.Fatal(err)
		}
		var used, granted money.Grain
		for _, b := range with {
			if b.Usage > b.Cap || b.Usage > b.Share {
				t.Fatalf("usage gets %d of share %d, cap %d", b.Usage, b.Share, b.Cap)
			}
			used, granted = used+b.Usage, granted+b.Granted
		}
		if used != Sum(without) || used > terms.Pool || granted > terms.Grant {
			t.Fatalf("usage gets %d, without evidence %d, of %d; evidence gets %d of %d", used, Sum(without), terms.Pool, granted, terms.Grant)
		}
	})
}
