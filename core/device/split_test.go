package device

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/money"
)

func TestDistribute(t *testing.T) {
	for _, c := range []struct {
		name   string
		amount uint64
		splits []Split
		want   []Payment
		paid   []uint64
	}{
		{"no splits", 100, nil, []Payment{{"owner", 100}}, nil},
		{"nothing", 0, []Split{{To: "a", Share: 5000}}, []Payment{}, []uint64{0}},
		{"half", 101, []Split{{To: "a", Share: 5000}}, []Payment{{"a", 50}, {"owner", 51}}, []uint64{0}},
		{"lien stops at its cap", 1000, []Split{{To: "bank", Share: 9000, Denom: "c", Cap: 500, Paid: 300, Lien: true}},
			[]Payment{{"bank", 200}, {"owner", 800}}, []uint64{500}},
		{"paid lien takes nothing", 1000, []Split{{To: "bank", Share: 9000, Denom: "c", Cap: 500, Paid: 500, Lien: true}},
			[]Payment{{"owner", 1000}}, []uint64{500}},
		{"lien of another coin", 1000, []Split{{To: "bank", Share: 9000, Denom: "d", Cap: 500, Lien: true}},
			[]Payment{{"owner", 1000}}, []uint64{0}},
		{"lien first, split of the rest", 1000, []Split{
			{To: "bank", Share: 5000, Denom: "c", Cap: 1 << 40, Lien: true}, {To: "a", Share: 5000},
		}, []Payment{{"bank", 500}, {"a", 250}, {"owner", 250}}, []uint64{500, 0}},
		{"lien rounds up", 1, []Split{
			{To: "bank", Share: 1, Denom: "c", Cap: 1 << 40, Lien: true}, {To: "a", Share: 10000},
		}, []Payment{{"bank", 1}}, []uint64{1, 0}},
		{"a lien before another takes the odd one", 3, []Split{
			{To: "bank", Share: 5000, Denom: "c", Cap: 1 << 40, Lien: true}, {To: "late", Share: 5000, Denom: "c", Cap: 1 << 40, Lien: true},
		}, []Payment{{"bank", 2}, {"late", 1}}, []uint64{2, 1}},
		{"everything promised away", 999, []Split{
			{To: "bank", Share: 10000, Denom: "c", Cap: 1 << 40, Lien: true}, {To: "a", Share: 10000},
		}, []Payment{{"bank", 999}}, []uint64{999, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, after := Distribute(c.amount, "c", "owner", c.splits)
			if !reflect.DeepEqual(got, c.want) {
				t.Fatalf("payments %v, want %v", got, c.want)
			}
			for i, s := range after {
				if s.Paid != c.paid[i] {
					t.Errorf("split %d has been paid %d, want %d", i, s.Paid, c.paid[i])
				}
			}
		})
	}
}

func TestCheckSplitsRefuses(t *testing.T) {
	lien := Split{To: "bank", Share: 6000, Denom: "c", Cap: 1, Lien: true}
	plain := Split{To: "a", Share: 6000}
	for _, c := range []struct {
		name   string
		splits []Split
	}{
		{"too many", make([]Split, MaxSplits+1)},
		{"no beneficiary", []Split{{Share: 1}}},
		{"no share", []Split{{To: "a"}}},
		{"share above all", []Split{{To: "a", Share: 10001}}},
		{"lien without cap", []Split{{To: "a", Share: 1, Denom: "c", Lien: true}}},
		{"lien without denomination", []Split{{To: "a", Share: 1, Cap: 1, Lien: true}}},
		{"cap without denomination", []Split{{To: "a", Share: 1, Cap: 1}}},
		{"lien after a split", []Split{plain, lien}},
		{"liens above all", []Split{lien, lien}},
		{"splits above all", []Split{plain, plain}},
		{"splits of one coin above all", []Split{plain, {To: "b", Share: 6000, Denom: "c"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := CheckSplits(c.splits); !errors.Is(err, ErrSplits) {
				t.Fatalf("error is %v", err)
			}
		})
	}
}

func drawSplits(t *rapid.T) []Split {
	n := rapid.IntRange(0, MaxSplits).Draw(t, "n")
	var out []Split
	for i := range n {
		s := Split{
			To:    string(rune('a' + i)),
			Share: money.BPS(rapid.Uint32Range(1, 10_000/MaxSplits).Draw(t, "share")),
			Denom: rapid.SampledFrom([]string{"", "c", "d"}).Draw(t, "denom"),
			Lien:  rapid.Bool().Draw(t, "lien") && (i == 0 || out[i-1].Lien),
		}
		if s.Lien && s.Denom == "" {
			s.Denom = "c"
		}
		if s.Lien || s.Denom != "" && rapid.Bool().Draw(t, "capped") {
			s.Cap = rapid.Uint64Range(1, 1<<62).Draw(t, "cap")
			s.Paid = rapid.Uint64Range(0, s.Cap).Draw(t, "paid")
		}
		out = append(out, s)
	}
	return out
}

func TestDistributeConserves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		splits := drawSplits(t)
		if err := CheckSplits(splits); err != nil {
			t.Fatal(err)
		}
		amount := rapid.Uint64().Draw(t, "amount")
		payments, after := Distribute(amount, "c", "owner", splits)
		var sum uint64
		for _, p := range payments {
			if p.Amount == 0 {
				t.Fatal("payment of nothing")
			}
			sum += p.Amount
		}
		if sum != amount {
			t.Fatalf("paid %d of %d", sum, amount)
		}
		for i, s := range after {
			if s.Paid < splits[i].Paid {
				t.Fatalf("split %d: paid fell from %d to %d", i, splits[i].Paid, s.Paid)
			}
			if s.Cap > 0 && s.Paid > s.Cap {
				t.Fatalf("split %d: paid %d above cap %d", i, s.Paid, s.Cap)
			}
			s.Paid = splits[i].Paid
			if s != splits[i] {
				t.Fatalf("split %d changed: %v, was %v", i, s, splits[i])
			}
		}
	})
}

func TestSplittingAPaymentPaysALienNoLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		splits := []Split{{
			To: "bank", Share: money.BPS(rapid.Uint32Range(1, 10_000).Draw(t, "share")),
			Denom: "c", Cap: rapid.Uint64Range(1, 1<<40).Draw(t, "cap"), Lien: true,
		}}
		a, b := rapid.Uint64Range(0, 1<<40).Draw(t, "a"), rapid.Uint64Range(0, 1<<40).Draw(t, "b")
		_, whole := Distribute(a+b, "c", "owner", splits)
		_, first := Distribute(a, "c", "owner", splits)
		_, both := Distribute(b, "c", "owner", first)
		if both[0].Paid < whole[0].Paid || both[0].Paid-whole[0].Paid > 1 {
			t.Fatalf("in one payment %d, in two %d", whole[0].Paid, both[0].Paid)
		}
	})
}

func TestOwnerCannotShedALien(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old := drawSplits(t)
		wanted := drawSplits(t)
		for i := range wanted {
			wanted[i].Paid = 0
		}
		after, err := Replace(old, wanted)
		if err != nil {
			return // refused is safe
		}
		var owed []Split
		for _, s := range old {
			if s.Lien && s.Owed() > 0 {
				owed = append(owed, s)
			}
		}
		if len(after) < len(owed) || !slices.Equal(after[:len(owed)], owed) {
			t.Fatalf("liens were %v, splits are %v", owed, after)
		}
	})
}

func TestReplaceKeepsALienThatIsRepeated(t *testing.T) {
	lien := Split{To: "bank", Share: 5000, Denom: "c", Cap: 100, Paid: 40, Lien: true}
	got, err := Replace([]Split{lien}, []Split{lien, {To: "a", Share: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []Split{lien, {To: "a", Share: 1}}; !reflect.DeepEqual(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
}

func TestRelease(t *testing.T) {
	a := Split{To: "bank", Share: 1, Denom: "c", Cap: 9, Lien: true}
	b := Split{To: "bank", Share: 1}
	left, n := Release([]Split{a, b}, "bank")
	if n != 1 || len(left) != 1 || left[0] != b {
		t.Fatalf("%d released, %v left", n, left)
	}
}
