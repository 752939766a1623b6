package lease

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/grange-network/grange/core/money"
	"pgregory.net/rapid"
)

var rules = Rules{Grace: 2, Window: 2, FaultLimit: 3}

func begin(t *testing.T, hold money.Credit, caps ...money.Credit) Lease {
	t.Helper()
	terms := Terms{
		ID: [32]byte{1}, Payer: "payer", Owner: "owner", Kind: "storage", Capacity: 1000,
		Use: money.Price{Credits: 2, Per: 10}, Hold: money.Price{Credits: 1, Per: 10}, HoldBudget: hold,
	}
	for i, c := range caps {
		terms.Lanes = append(terms.Lanes, Lane{ID: uint32(i), Key: [32]byte{byte(i + 1)}, Cap: c})
	}
	l, err := Begin(terms, 1)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestClaim(t *testing.T) {
	l := begin(t, 0, 100)
	for _, c := range []struct {
		name  string
		claim Claim
		pay   money.Credit
		want  string
	}{
		{"first", Claim{Lane: 0, Seq: 1, Units: 50, Epoch: 1}, 10, ""},
		{"the same again pays nothing", Claim{Lane: 0, Seq: 1, Units: 50, Epoch: 1}, 0, ""},
		{"rounds down", Claim{Lane: 0, Seq: 2, Units: 54, Epoch: 1}, 0, ""},
		{"rounding is not lost", Claim{Lane: 0, Seq: 3, Units: 55, Epoch: 1}, 1, ""},
		{"older pays nothing", Claim{Lane: 0, Seq: 2, Units: 54, Epoch: 1}, 0, ""},
		{"more units with an old number pay nothing", Claim{Lane: 0, Seq: 3, Units: 99, Epoch: 1}, 0, ""},
		{"unknown lane", Claim{Lane: 9, Seq: 1, Units: 1, Epoch: 1}, 0, "no lane 9"},
		{"from the future", Claim{Lane: 0, Seq: 4, Units: 60, Epoch: 7}, 0, "receipt of epoch 7, the ledger is in epoch 1"},
		{"the cap holds", Claim{Lane: 0, Seq: 4, Units: 1 << 60, Epoch: 1}, 89, ""},
		{"even when the price overflows", Claim{Lane: 0, Seq: 5, Units: ^uint64(0), Epoch: 1}, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			next, pay, err := l.Claim(c.claim, 1)
			check(t, err, c.want)
			if pay != c.pay {
				t.Fatalf("paid %d, want %d", pay, c.pay)
			}
			l = next
		})
	}
}

func TestLifeOfAnExhaustedLease(t *testing.T) {
	l := begin(t, 25, 100)
	l, err := l.Commit(Commitment{Revision: 1, Units: 100}, 1) // 10 ucredit an epoch from epoch 2
	check(t, err, "")
	step := func(epoch uint64, outcome Outcome, pay money.Credit, state State) {
		t.Helper()
		for l.Accruable(epoch) {
			var a Accrual
			l, a, err = l.Accrue(outcome)
			check(t, err, "")
			if a.Pay != pay {
				t.Fatalf("epoch %d paid %d, want %d", a.Epoch, a.Pay, pay)
			}
		}
		if l = l.Advance(epoch, rules); l.State != state {
			t.Fatalf("in epoch %d the lease is %s, want %s", epoch, l.State, state)
		}
	}
	step(2, Proven, 0, Open) // epoch 1: nothing was in force
	step(3, Proven, 10, Open)
	step(4, Proven, 10, Grace) // 5 left, the next epoch costs 10
	if _, err = l.Commit(Commitment{Revision: 2, Units: 101}, 4); err == nil {
		t.Fatal("a lease in grace took more units")
	}
	funded, owed, err := l.Fund(5, nil, 4)
	check(t, err, "")
	if funded.State != Open || owed != 5 {
		t.Fatalf("funded lease is %s and owes %d", funded.State, owed)
	}
	step(5, Proven, 5, Grace)
	step(6, Proven, 0, Closing)
	if _, _, err = l.Fund(100, nil, 6); err == nil {
		t.Fatal("a closing lease took money")
	}
	l, pay, err := l.Claim(Claim{Lane: 0, Seq: 1, Units: 50, Epoch: 6}, 7)
	check(t, err, "")
	if pay != 10 {
		t.Fatalf("a receipt in the window paid %d", pay)
	}
	step(9, Proven, 0, Closing)
	l, refund, err := l.Finish(9, rules)
	check(t, err, "")
	if refund != 90 || l.State != Closed || l.Held() != 0 {
		t.Fatalf("refund %d, state %s, held %d", refund, l.State, l.Held())
	}
	_, _, err = l.Claim(Claim{Lane: 0, Seq: 2, Units: 60, Epoch: 9}, 9)
	check(t, err, "window for receipts is over")
}

func TestFaultsCloseALeaseAndPayNothing(t *testing.T) {
	l := begin(t, 1000, 1)
	l, _ = l.Commit(Commitment{Revision: 1, Units: 100}, 1)
	for epoch := uint64(2); epoch <= 5; epoch++ {
		for l.Accruable(epoch) {
			var a Accrual
			l, a, _ = l.Accrue(Faulted)
			if a.Pay != 0 {
				t.Fatalf("a faulted epoch paid %d", a.Pay)
			}
		}
		l = l.Advance(epoch, rules)
	}
	if l.State != Closing || l.Reason != ReasonFaulted {
		t.Fatalf("after 3 faults the lease is %s (%s)", l.State, l.Reason)
	}
}

func TestFundRefusals(t *testing.T) {
	l := begin(t, 10, 10)
	for _, c := range []struct {
		name string
		hold money.Credit
		lane Lane
		want string
	}{
		{"another key for a lane", 0, Lane{ID: 0, Key: [32]byte{7}, Cap: 1}, "open another lane"},
		{"a key twice", 0, Lane{ID: 5, Key: [32]byte{1}, Cap: 1}, "one key, one lane"},
		{"expired", 0, Lane{ID: 6, Key: [32]byte{6}, Expires: 2}, "before this epoch 3"},
		{"overflow of the budget", ^money.Credit(0), Lane{ID: 0, Key: [32]byte{1}}, "64 bits"},
		{"overflow of a cap", 0, Lane{ID: 0, Key: [32]byte{1}, Cap: ^money.Credit(0)}, "64 bits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := l.Fund(c.hold, []Lane{c.lane}, 3)
			check(t, err, c.want)
		})
	}
}

func check(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Fatal(err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Fatalf("error %v, want one with %q", err, want)
	}
}

// The order in which receipts settle, and how often, never changes what is paid.
func TestClaimsAreOrderIndependent(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		l, err := Begin(Terms{
			Use:   money.Price{Credits: rapid.Uint64Range(1, 100).Draw(r, "credits"), Per: rapid.Uint64Range(1, 100).Draw(r, "per")},
			Lanes: []Lane{{ID: 1, Key: [32]byte{1}, Cap: money.Credit(rapid.Uint64Range(0, 10_000).Draw(r, "cap"))}},
		}, 1)
		if err != nil {
			r.Fatal(err)
		}
		var claims []Claim
		var units uint64
		for i, n := range rapid.SliceOfN(rapid.Uint64Range(0, 1000), 1, 20).Draw(r, "units") {
			units += n
			claims = append(claims, Claim{Lane: 1, Seq: uint64(i + 1), Units: units, Epoch: 1})
		}
		last, _, _ := l.Claim(claims[len(claims)-1], 1)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 0))
		shuffled := append(append([]Claim(nil), claims...), claims...)
		rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		for _, c := range shuffled {
			if l, _, err = l.Claim(c, 1); err != nil {
				r.Fatal(err)
			}
		}
		if l.Paid() != last.Paid() {
			r.Fatalf("shuffled claims paid %d, the newest alone pays %d", l.Paid(), last.Paid())
		}
	})
}

// A lease under any sequence of operations conserves value, never takes back
// what it paid, and always ends.
func TestLeaseConservesValue(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		amount := rapid.Uint64Range(0, 2000)
		l, err := Begin(Terms{
			ID: [32]byte{9}, Capacity: 500,
			Use:        money.Price{Credits: rapid.Uint64Range(0, 9).Draw(r, "use"), Per: 7},
			Hold:       money.Price{Credits: rapid.Uint64Range(0, 9).Draw(r, "hold"), Per: 7},
			HoldBudget: money.Credit(amount.Draw(r, "budget")),
			Lanes:      []Lane{{ID: 0, Key: [32]byte{1}, Cap: money.Credit(amount.Draw(r, "cap"))}},
			Expires:    rapid.Uint64Range(0, 30).Draw(r, "expires"),
		}, 0)
		if err != nil {
			r.Fatal(err)
		}
		escrow, paid, refunded := l.Deposited, money.Credit(0), money.Credit(0)
		epoch := uint64(0)
		verify := func() {
			if l.Paid() != paid || l.Deposited != escrow || l.Refunded != refunded || paid+refunded+l.Held() != escrow {
				r.Fatalf("paid %d/%d refunded %d/%d held %d deposited %d/%d", l.Paid(), paid, l.Refunded, refunded, l.Held(), l.Deposited, escrow)
			}
		}
		turn := func(r *rapid.T) {
			epoch++
			for l.Accruable(epoch) {
				o := Outcome(rapid.IntRange(0, 2).Draw(r, "outcome"))
				next, a, err := l.Accrue(o)
				if err != nil {
					break // undecided
				}
				l, paid = next, paid+a.Pay
			}
			l = l.Advance(epoch, rules)
			if l.Ended(epoch, rules) {
				var refund money.Credit
				if l, refund, err = l.Finish(epoch, rules); err != nil {
					r.Fatal(err)
				}
				refunded += refund
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"claim": func(r *rapid.T) {
				next, pay, err := l.Claim(Claim{Seq: rapid.Uint64Range(0, 50).Draw(r, "seq"), Units: rapid.Uint64().Draw(r, "units") >> rapid.IntRange(0, 63).Draw(r, "shift"), Epoch: epoch}, epoch)
				if err == nil {
					l, paid = next, paid+pay
				}
			},
			"fund": func(r *rapid.T) {
				next, in, err := l.Fund(money.Credit(amount.Draw(r, "hold")), []Lane{{ID: 0, Key: [32]byte{1}, Cap: money.Credit(amount.Draw(r, "cap"))}}, epoch)
				if err == nil {
					l, escrow = next, escrow+in
				}
			},
			"commit": func(r *rapid.T) {
				if next, err := l.Commit(Commitment{Revision: l.last().Revision + 1, Units: rapid.Uint64Range(0, 500).Draw(r, "units")}, epoch); err == nil {
					l = next
				}
			},
			"epoch": turn,
			"close": func(r *rapid.T) {
				if rapid.IntRange(0, 9).Draw(r, "really") == 0 {
					if next, err := l.Close(ReasonPayer, epoch, rules); err == nil {
						l = next
					}
				}
			},
			"": func(*rapid.T) { verify() },
		})
		if l.State != Closed {
			l, _ = l.Close(ReasonPayer, epoch, rules)
		}
		for range 2*rules.Window + 2 + rules.Grace {
			turn(r)
		}
		verify()
		if l.State != Closed {
			r.Fatalf("lease still %s %d epochs after it was closed", l.State, 2*rules.Window+2)
		}
	})
}
