package money

import (
	"testing"

	"pgregory.net/rapid"
)

var shares = Parts[BPS]{Burned: 300, Validators: 100, Treasury: 100}

func TestTakeOfManySmallPayments(t *testing.T) {
	for _, c := range []struct {
		name          string
		amount, times uint64
		want          Parts[Credit]
	}{
		{"33", 33, 10_000, Parts[Credit]{9_900, 3_300, 3_300}},
		{"34", 34, 10_000, Parts[Credit]{10_200, 3_400, 3_400}},
		{"1", 1, 10_000, Parts[Credit]{300, 100, 100}},
		{"a dollar", 1_000_000, 3, Parts[Credit]{90_000, 30_000, 30_000}},
		{"nothing", 0, 5, Parts[Credit]{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var sum Parts[Credit]
			var carry Parts[uint64]
			for range c.times {
				var p Parts[Credit]
				p, carry = Take(Credit(c.amount), shares, carry)
				sum = Parts[Credit]{sum.Burned + p.Burned, sum.Validators + p.Validators, sum.Treasury + p.Treasury}
			}
			if c.amount == 1 { // what a payment of one could not pay waits for the next
				p, rest := Take(100, shares, carry)
				sum = Parts[Credit]{sum.Burned + p.Burned - 3, sum.Validators + p.Validators - 1, sum.Treasury + p.Treasury - 1}
				carry = rest
			}
			if sum != c.want || carry != (Parts[uint64]{}) {
				t.Errorf("took %v and carries %v, want %v and nothing", sum, carry, c.want)
			}
		})
	}
}

// Whatever the payments are, each part is at most its exact share, less only
// what is carried, and no payment pays more than itself.
func TestTakeLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var carry Parts[uint64]
		var paid, sum uint64
		for range rapid.IntRange(1, 200).Draw(t, "payments") {
			amount := Credit(rapid.Uint64Range(0, 1<<rapid.IntRange(0, 40).Draw(t, "bits")).Draw(t, "amount"))
			var p Parts[Credit]
			p, carry = Take(amount, shares, carry)
			if Sum(p) > amount {
				t.Fatalf("took %d of %d", Sum(p), amount)
			}
			paid, sum = paid+uint64(amount), sum+uint64(Sum(p))
			if owed := paid * 500; owed != sum*uint64(Whole)+carry.Burned+carry.Validators+carry.Treasury {
				t.Fatalf("of %d took %d and carries %v", paid, sum, carry)
			}
			if carry.Burned >= 2*uint64(Whole) || carry.Validators >= 2*uint64(Whole) || carry.Treasury >= 2*uint64(Whole) {
				t.Fatalf("carries %v", carry)
			}
		}
	})
}
