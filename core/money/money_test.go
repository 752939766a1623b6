package money

import (
	"errors"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestMulDivMatchesBigIntegers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint64().Draw(t, "a"), rapid.Uint64().Draw(t, "b")
		r, c := rapid.Uint64().Draw(t, "r"), rapid.Uint64Min(1).Draw(t, "c")
		n := new(big.Int).Mul(new(big.Int).SetUint64(a), new(big.Int).SetUint64(b))
		n.Add(n, new(big.Int).SetUint64(r))
		q, m := new(big.Int).QuoRem(n, new(big.Int).SetUint64(c), new(big.Int))
		gotQ, gotM, err := MulDivAdd(a, b, r, c)
		if !q.IsUint64() {
			if !errors.Is(err, ErrOverflow) {
				t.Fatalf("(%d·%d+%d)/%d: want overflow, got %v", a, b, r, c, err)
			}
			return
		}
		if err != nil || gotQ != q.Uint64() || gotM != m.Uint64() {
			t.Fatalf("(%d·%d+%d)/%d = %d r %d (%v), want %v r %v", a, b, r, c, gotQ, gotM, err, q, m)
		}
	})
}

func TestUnitsIsTheInverseOfOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Price{Credits: rapid.Uint64Range(1, 1<<40).Draw(t, "credits"), Per: rapid.Uint64Range(1, 1<<40).Draw(t, "per")}
		have := Credit(rapid.Uint64Range(0, 1<<50).Draw(t, "have"))
		u := p.Units(have)
		if got, err := p.Of(u); err == nil && got > have {
			t.Fatalf("%v: %d units cost %d, more than %d", p, u, got, have)
		}
		if u < ^uint64(0) {
			if got, err := p.Of(u + 1); err == nil && got <= have {
				t.Fatalf("%v: %d units cost %d, still within %d", p, u+1, got, have)
			}
		}
	})
}

func TestCarryLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Price{Credits: rapid.Uint64Range(1, 1<<20).Draw(t, "credits"), Per: rapid.Uint64Range(1, 1<<40).Draw(t, "per")}
		var paid Credit
		var total, rem uint64
		for _, u := range rapid.SliceOfN(rapid.Uint64Range(0, 1<<30), 1, 50).Draw(t, "units") {
			c, r, err := p.Carry(u, rem)
			if err != nil {
				t.Fatal(err)
			}
			paid, rem, total = paid+c, r, total+u
		}
		want, err := p.Of(total)
		if err != nil || paid != want {
			t.Fatalf("%v: carried %d, priced at once %d (%v)", p, paid, want, err)
		}
	})
}

func TestShare(t *testing.T) {
	for _, c := range []struct {
		amount Credit
		share  BPS
		want   Credit
	}{{0, 500, 0}, {199, 500, 9}, {100, Whole, 100}, {100, Whole + 1, 100}, {^Credit(0), Whole, ^Credit(0)}} {
		if got := Share(c.amount, c.share); got != c.want {
			t.Errorf("Share(%d, %d) = %d, want %d", c.amount, c.share, got, c.want)
		}
	}
}

func TestAddSubRefuseToWrap(t *testing.T) {
	if _, err := Add(^Credit(0), 1); !errors.Is(err, ErrOverflow) {
		t.Errorf("Add wrapped: %v", err)
	}
	if _, err := Sub(Credit(1), 2); err == nil {
		t.Error("Sub wrapped")
	}
}
