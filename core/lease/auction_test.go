package lease

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/money"
)

func ask(t testing.TB) Demand {
	t.Helper()
	d, err := Ask(1, Terms{
		Payer: "buyer", Kind: "compute", Capacity: 10, HoldBudget: 500,
		Use: money.Price{Credits: 10, Per: 1}, Hold: money.Price{Credits: 5, Per: 1},
		Lanes: []Lane{{ID: 0, Key: [32]byte{1}, Cap: 100}},
	}, 20, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func bid(offer, use, hold uint64) Bid {
	return Bid{Offer: offer, Owner: "owner", Use: money.Price{Credits: use, Per: 1}, Hold: money.Price{Credits: hold, Per: 1}, Deposit: 7}
}

func TestAskRefuses(t *testing.T) {
	for _, c := range []struct {
		name       string
		terms      Terms
		term, open uint64
		want       string
	}{
		{"closed at once", Terms{Capacity: 1, Lanes: []Lane{{Key: [32]byte{1}}}}, 0, 0, "open for 0 epochs"},
		{"open for ever", Terms{Capacity: 1, Lanes: []Lane{{Key: [32]byte{1}}}}, 0, MaxDemandEpochs + 1, "open for 1001 epochs"},
		{"nothing", Terms{Lanes: []Lane{{Key: [32]byte{1}}}}, 0, 1, "capacity is 0"},
		{"no lane", Terms{Capacity: 1}, 0, 1, "no lane"},
		{"a term beyond 64 bits", Terms{Capacity: 1, Lanes: []Lane{{Key: [32]byte{1}}}}, ^uint64(0), 1, "64 bits"},
		{"a deposit beyond 64 bits", Terms{Capacity: 1, HoldBudget: ^money.Credit(0), Lanes: []Lane{{Key: [32]byte{1}, Cap: 1}}}, 0, 1, "64 bits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Ask(1, c.terms, c.term, c.open, 1)
			check(t, err, c.want)
		})
	}
}

func TestPlace(t *testing.T) {
	d := ask(t)
	for _, c := range []struct {
		name  string
		bid   Bid
		epoch uint64
		want  string
	}{
		{"at the most", bid(9, 10, 5), 1, ""},
		{"for nothing", bid(9, 0, 0), 1, ""},
		{"per more units", Bid{Offer: 9, Use: money.Price{Credits: 100, Per: 10}, Hold: money.Price{Credits: 1, Per: 1}}, 3, ""},
		{"dearer by a hair", Bid{Offer: 9, Use: money.Price{Credits: 10<<60 + 1, Per: 1 << 60}}, 1, "to use, demand 1 allows"},
		{"dear to use", bid(9, 11, 5), 1, "to use, demand 1 allows"},
		{"dear to hold", bid(9, 10, 6), 1, "to hold, demand 1 allows"},
		{"per nothing", Bid{Offer: 9, Use: money.Price{Credits: 1}}, 1, "divide by zero"},
		{"too late", bid(9, 1, 1), 4, "took bids until epoch 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, out, err := d.Place(c.bid, c.epoch)
			check(t, err, c.want)
			if out != nil {
				t.Fatalf("displaced %+v", out)
			}
		})
	}
}

func TestAFullBookKeepsBetterBidsOnly(t *testing.T) {
	d := ask(t)
	var err error
	for i := range uint64(MaxBids) {
		if d, _, err = d.Place(bid(i+1, 8, 4), 1); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		bid  Bid
		want string
	}{
		{"as dear", bid(99, 8, 4), "none dearer"},
		{"cheaper in one, dearer in the other", bid(99, 7, 5), "none dearer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := d.Place(c.bid, 1)
			check(t, err, c.want)
		})
	}
	better, out, err := d.Place(bid(99, 8, 3), 1)
	check(t, err, "")
	if len(better.Bids) != MaxBids || out == nil || out.Bid.Offer != 1 || out.Reason != ReasonOutbid {
		t.Fatalf("%d bids, displaced %+v", len(better.Bids), out)
	}
	again, out, err := d.Place(bid(5, 9, 5), 1)
	check(t, err, "")
	if len(again.Bids) != MaxBids || out == nil || out.Bid.Offer != 5 || out.Reason != ReasonReplaced {
		t.Fatalf("%d bids, displaced %+v", len(again.Bids), out)
	}
}

func TestAwardIsALease(t *testing.T) {
	d := ask(t)
	for i := range uint64(3) {
		d, _, _ = d.Place(bid(i+1, 9-i, 4), 1)
	}
	_, _, _, _, err := d.Award(7, [32]byte{1}, 2)
	check(t, err, "offer 7 has no bid")
	ended, won, lost, terms, err := d.Award(2, [32]byte{8}, 2)
	check(t, err, "")
	if won.Offer != 2 || len(lost) != 2 || ended.Deposit != 0 || ended.Reason != ReasonAwarded || ended.Lease != ([32]byte{8}) {
		t.Fatalf("won %+v, lost %+v, ended %+v", won, lost, ended)
	}
	l, err := Begin(terms, 2)
	check(t, err, "")
	if l.Deposited != d.Deposit || l.Use.Credits != 8 || l.Expires != 22 || l.Payer != "buyer" {
		t.Fatalf("lease %+v", l)
	}
	_, _, _, _, err = ended.Award(1, [32]byte{1}, 2)
	check(t, err, "has ended (awarded)")
	_, _, err = ended.Withdraw(1)
	check(t, err, "has ended (awarded)")
	_, _, _, err = ended.End(ReasonCancelled)
	check(t, err, "already ended")
	_, _, _, _, err = d.Award(2, [32]byte{1}, 4)
	check(t, err, "took bids until epoch 3")
}

// Deposits of bids are never lost: placed = standing + displaced + withdrawn + ended.
func TestBidsAreConserved(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		d := ask(t)
		placed, gone := 0, 0
		r.Repeat(map[string]func(*rapid.T){
			"place": func(r *rapid.T) {
				b := bid(rapid.Uint64Range(1, 30).Draw(r, "offer"), rapid.Uint64Range(0, 11).Draw(r, "use"), rapid.Uint64Range(0, 6).Draw(r, "hold"))
				next, out, err := d.Place(b, 1)
				if err != nil {
					return
				}
				if placed++; out != nil {
					gone++
				}
				d = next
			},
			"withdraw": func(r *rapid.T) {
				if next, _, err := d.Withdraw(rapid.Uint64Range(1, 30).Draw(r, "offer")); err == nil {
					d = next
					gone++
				}
			},
			"": func(r *rapid.T) {
				if len(d.Bids) != placed-gone || len(d.Bids) > MaxBids {
					r.Fatalf("%d bids, %d placed and %d gone", len(d.Bids), placed, gone)
				}
			},
		})
		_, lost, refund, err := d.End(ReasonExpired)
		if err != nil || len(lost) != placed-gone || refund != 600 {
			r.Fatalf("%d lost, refund %d, %v", len(lost), refund, err)
		}
	})
}

// compare never rounds: it agrees with cross multiplication in 128 bits.
func TestCompareOrdersPrices(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		price := func(name string) money.Price {
			return money.Price{Credits: rapid.Uint64().Draw(r, name), Per: rapid.Uint64Range(1, ^uint64(0)).Draw(r, name+" per")}
		}
		a, b, c := price("a"), price("b"), price("c")
		if compare(a, b) != -compare(b, a) || compare(a, a) != 0 {
			r.Fatalf("compare is not antisymmetric for %v and %v", a, b)
		}
		if compare(a, b) <= 0 && compare(b, c) <= 0 && compare(a, c) > 0 {
			r.Fatalf("compare is not transitive for %v, %v, %v", a, b, c)
		}
	})
}

func TestMigrateLeavesWhatTheOldProviderMayEarn(t *testing.T) {
	for _, c := range []struct {
		name    string
		held    uint64 // units committed: 10 are 1 ucredit an epoch
		epoch   uint64
		accrued bool
		moved   money.Credit
	}{
		{"nothing held", 0, 2, true, 1000},
		{"the epoch under way stays", 100, 3, true, 980},
		{"undecided epochs stay", 100, 5, false, 960},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := begin(t, 1000, 100)
			if c.held > 0 {
				var err error
				l, err = l.Commit(Commitment{Revision: 1, Units: c.held}, 1)
				check(t, err, "")
			}
			for c.accrued && l.Accruable(c.epoch) {
				l, _, _ = l.Accrue(Proven)
			}
			next, moved, err := l.Migrate([32]byte{2}, c.epoch, rules)
			check(t, err, "")
			if l.HoldPaid+moved+pendingOf(next) != 1000 || moved != c.moved {
				t.Fatalf("paid %d, moved %d, stays %d", l.HoldPaid, moved, pendingOf(next))
			}
			if next.State != Closing || next.Reason != ReasonMigrated || next.Successor != ([32]byte{2}) {
				t.Fatalf("%s (%s)", next.State, next.Reason)
			}
			_, _, err = next.Migrate([32]byte{3}, c.epoch, rules)
			check(t, err, "follows it already")
			paidOut, pay, err := next.Claim(Claim{Lane: 0, Seq: 1, Units: 500, Epoch: c.epoch}, c.epoch)
			check(t, err, "")
			if pay != 100 {
				t.Fatalf("a receipt of the window paid %d of a lane of 100", pay)
			}
			for e := c.epoch; !paidOut.Ended(e, rules); e++ {
				for paidOut.Accruable(e) {
					if paidOut, _, err = paidOut.Accrue(Proven); err != nil {
						t.Fatal(err)
					}
				}
			}
			done, refund, err := paidOut.Finish(paidOut.Until+1, rules)
			check(t, err, "")
			if done.Paid()+moved+refund != l.Deposited || done.Held() != 0 {
				t.Fatalf("paid %d, moved %d, refunded %d of %d", done.Paid(), moved, refund, l.Deposited)
			}
		})
	}
}

func pendingOf(l Lease) money.Credit { return l.HoldBudget - l.HoldPaid }
