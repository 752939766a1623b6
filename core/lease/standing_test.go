package lease

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/money"
)

var standingRules = Rules{Grace: 2, Window: 2, Dispute: 1, Bond: 1000, Penalty: 1000}

func device(i int) [32]byte { return [32]byte{0: byte(i >> 8), 1: byte(i), 31: 1} }

// route is a standing lease of lanes with the given caps; a unit costs 2 ucredit.
func route(t testing.TB, bond money.Credit, caps ...money.Credit) Standing {
	t.Helper()
	o := Order{ID: [32]byte{9}, Payer: "payer", Kind: "lora", Use: money.Price{Credits: 2, Per: 1}, Bond: bond}
	for i, c := range caps {
		o.Lanes = append(o.Lanes, Lane{ID: uint32(i), Key: [32]byte{byte(i + 1)}, Cap: c})
	}
	s, err := Stand(o, 1, standingRules)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tree(t testing.TB, units map[int]uint64) *merkle.SumTree {
	t.Helper()
	var leaves []merkle.SumLeaf
	for d, n := range units {
		leaves = append(leaves, merkle.SumLeaf{Key: device(d), Amount: n})
	}
	out, err := merkle.NewSumTree(leaves, ^uint64(0))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func statement(tr *merkle.SumTree, epoch uint64) Statement {
	r := tr.Root()
	return Statement{Epoch: epoch, Root: r.Hash, Size: r.Size, Total: r.Total}
}

func collect(t testing.TB, s Standing, a Account, tr *merkle.SumTree) (Standing, Account, money.Credit) {
	t.Helper()
	leaf, proof, err := tr.Prove(a.Device)
	if err != nil {
		t.Fatal(err)
	}
	s, a, pay, err := s.Collect(a, leaf, proof)
	if err != nil {
		t.Fatal(err)
	}
	return s, a, pay
}

func TestStandRefuses(t *testing.T) {
	good := Order{Payer: "p", Use: money.Price{Credits: 1, Per: 1}, Lanes: []Lane{{Key: [32]byte{1}, Cap: 100}}, Bond: 10}
	for _, c := range []struct {
		name   string
		change func(*Order)
		want   string
	}{
		{"as it is", func(*Order) {}, ""},
		{"free units", func(o *Order) { o.Use.Credits = 0 }, "units are free"},
		{"price per nothing", func(o *Order) { o.Use.Per = 0 }, "divide by zero"},
		{"no lane", func(o *Order) { o.Lanes = nil }, "no lane"},
		{"bond below a tenth", func(o *Order) { o.Bond = 9 }, "at least 10 is needed: bond"},
		{"empty escrow", func(o *Order) { o.Lanes = []Lane{{Key: [32]byte{1}}} }, "exhausted"},
		{"term in the past", func(o *Order) { o.Expires = 1 }, "term ends in epoch 1"},
		{"escrow and bond beyond 64 bits", func(o *Order) { o.Bond = ^money.Credit(0) }, "64 bits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := good
			c.change(&o)
			_, err := Stand(o, 2, standingRules)
			check(t, err, c.want)
		})
	}
}

func TestDeclare(t *testing.T) {
	s := route(t, 10, 100) // 50 units
	st := func(epoch, total uint64) Statement { return Statement{Epoch: epoch, Size: 1, Total: total} }
	s, err := s.Declare(st(1, 20), 1)
	check(t, err, "")
	for _, c := range []struct {
		name string
		st   Statement
		want string
	}{
		{"twice in an epoch", st(1, 30), "the last statement is of epoch 1"},
		{"of an epoch to come", st(3, 30), "the ledger is in epoch 2"},
		{"fewer units", st(2, 19), "fewer than the 20 stated before"},
		{"more than the escrow", st(2, 51), "cost more than the escrow of 100"},
		{"a price beyond 64 bits", st(2, ^uint64(0)), "cost more than the escrow"},
		{"nothing", Statement{Epoch: 2, Total: 20}, "statement of nothing"},
		{"all of the escrow", st(2, 50), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.Declare(c.st, 2)
			check(t, err, c.want)
		})
	}
	for e := uint64(2); e < 9; e++ {
		if s, err = s.Declare(st(e, 20+e), e); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.Statements); n != MaxStatements || s.Statements[0].Epoch != 5 {
		t.Fatalf("%d statements are kept, the oldest of epoch %d", n, s.Statements[0].Epoch)
	}
}

func TestCollect(t *testing.T) {
	s := route(t, 100, 1000)
	tr := tree(t, map[int]uint64{1: 10, 2: 20, 3: 30})
	s, err := s.Declare(statement(tr, 1), 1)
	check(t, err, "")
	a := Account{Device: device(1)}
	s, a, pay := collect(t, s, a, tr)
	if pay != 20 || a.Paid != 20 || a.Units != 10 {
		t.Fatalf("paid %d, account %+v", pay, a)
	}
	if _, _, pay = collect(t, s, a, tr); pay != 0 {
		t.Fatalf("the same leaf again paid %d", pay)
	}
	leaf, proof, _ := tr.Prove(device(2))
	for _, c := range []struct {
		name string
		leaf merkle.SumLeaf
		a    Account
		want string
	}{
		{"more units", merkle.SumLeaf{Key: leaf.Key, Amount: 21}, Account{Device: device(2)}, "does not"},
		{"another device", merkle.SumLeaf{Key: device(4), Amount: 20}, Account{Device: device(4)}, "does not"},
		{"another's account", leaf, a, "leaf of device"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, _, pay, err := s.Collect(c.a, c.leaf, proof); err == nil || pay != 0 {
				t.Fatalf("paid %d, %v", pay, err)
			}
		})
	}
	next := tree(t, map[int]uint64{1: 15, 2: 20, 3: 30, 4: 1})
	s, err = s.Declare(statement(next, 2), 2)
	check(t, err, "")
	old := Account{Device: device(3)}
	if s, _, pay = collect(t, s, old, tr); pay != 60 {
		t.Fatalf("a leaf of the statement before paid %d", pay)
	}
	if _, a, pay = collect(t, s, a, next); pay != 10 || a.Paid != 30 {
		t.Fatalf("five more units paid %d, %d in all", pay, a.Paid)
	}
}

func TestDisputePaysAnOmittedProvider(t *testing.T) {
	for _, c := range []struct {
		name           string
		cap, bond      money.Credit
		stated         uint64 // of another device, 2 ucredit each
		answer         uint64 // units the payer's next statement has for the device
		serve          uint64
		escrow, frBond money.Credit
		penalty        money.Credit
	}{
		{"from the free escrow, penalty from the bond", 1000, 100, 100, 0, 40, 80, 0, 8},
		{"promised escrow is not touched", 1000, 100, 490, 0, 40, 20, 60, 8},
		{"penalty is what the bond has left", 1000, 100, 490, 0, 59, 20, 98, 2},
		{"no more than there is", 1000, 100, 490, 0, 100, 20, 100, 0},
		{"an answer in time costs nothing", 1000, 100, 100, 40, 40, 0, 0, 0},
		{"half an answer", 1000, 100, 100, 30, 40, 20, 0, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := route(t, c.bond, c.cap)
			s, err := s.Declare(statement(tree(t, map[int]uint64{1: c.stated}), 1), 1)
			check(t, err, "")
			a := Account{Device: device(2)}
			s, d, err := s.Contest(a, []Claim{{Lane: 0, Seq: 1, Units: c.serve, Epoch: 1}}, nil, 2, standingRules)
			check(t, err, "")
			if _, _, _, err := s.Resolve(d, a, 3, standingRules); err == nil {
				t.Fatal("resolved while the payer may answer")
			}
			if c.answer > 0 {
				tr := tree(t, map[int]uint64{1: c.stated, 2: c.answer})
				s, err = s.Declare(statement(tr, 3), 3)
				check(t, err, "")
				s, a, _ = collect(t, s, a, tr)
			}
			s, a, v, err := s.Resolve(d, a, 4, standingRules)
			check(t, err, "")
			if v.Escrow != c.escrow || v.Bond != c.frBond || v.Penalty != c.penalty {
				t.Fatalf("escrow %d, bond %d, penalty %d; want %d, %d, %d", v.Escrow, v.Bond, v.Penalty, c.escrow, c.frBond, c.penalty)
			}
			if got := s.Bond + s.Forfeited; got != c.bond {
				t.Fatalf("bond and forfeited are %d", got)
			}
			if want := c.escrow + c.frBond + money.Credit(2*c.answer); a.Paid != want {
				t.Fatalf("the account has %d, want %d", a.Paid, want)
			}
			// What disputes took from the escrow can be promised to nobody.
			all := Statement{Epoch: 4, Size: 1, Total: uint64(c.cap-c.escrow) / 2}
			if next, err := s.Declare(all, 4); err != nil || next.Free() != 0 {
				t.Fatalf("all that is left can be stated: free %d, %v", next.Free(), err)
			}
			all.Total++
			if _, err := s.Declare(all, 4); err == nil {
				t.Fatal("more than is left was stated")
			}
			if s.Disputes != 0 {
				t.Fatalf("%d disputes are left", s.Disputes)
			}
			// What was stated is still there for the other device.
			other := Account{Device: device(1)}
			s.Statements = s.Statements[:1]
			if _, _, pay := collect(t, s, other, tree(t, map[int]uint64{1: c.stated})); pay != money.Credit(2*c.stated) {
				t.Fatalf("the stated device was paid %d of %d", pay, 2*c.stated)
			}
		})
	}
}

func TestContestRefuses(t *testing.T) {
	s := route(t, 100, 500, 500)
	s.Lanes[1].Expires = 1
	a := Account{Device: device(1), Paid: 20}
	claim := func(lane uint32, units, epoch uint64) Claim {
		return Claim{Lane: lane, Seq: 1, Units: units, Epoch: epoch}
	}
	for _, c := range []struct {
		name   string
		claims []Claim
		want   string
	}{
		{"no receipt", nil, "0 receipts"},
		{"too many", make([]Claim, MaxDisputeLanes+1), "9 receipts"},
		{"unknown lane", []Claim{claim(7, 50, 1)}, "no lane 7"},
		{"a lane twice", []Claim{claim(0, 50, 1), claim(0, 60, 1)}, "order receipts by lane"},
		{"an epoch that is not over", []Claim{claim(0, 50, 3)}, "could not state yet"},
		{"an expired lane", []Claim{claim(1, 50, 2)}, "expired in epoch 1"},
		{"all is paid", []Claim{claim(0, 10, 1)}, "nothing is owed"},
		{"two lanes", []Claim{claim(0, 10, 1), claim(1, 1, 1)}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := s.Contest(a, c.claims, nil, 3, standingRules)
			check(t, err, c.want)
		})
	}
	closing, err := s.Close(ReasonPayer, 3, standingRules)
	check(t, err, "")
	_, _, err = closing.Contest(a, []Claim{claim(0, 20, 4)}, nil, 3, standingRules)
	check(t, err, "")
	_, _, err = closing.Contest(a, []Claim{claim(0, 20, 5)}, nil, 3, standingRules)
	check(t, err, "could not state yet")
	_, _, err = closing.Contest(a, []Claim{claim(0, 20, 1)}, nil, 6, standingRules)
	check(t, err, "the window for receipts is over")
	s, d, err := s.Contest(a, []Claim{claim(0, 20, 1)}, nil, 3, standingRules)
	check(t, err, "")
	_, _, err = s.Contest(a, []Claim{claim(0, 20, 1)}, &d, 3, standingRules)
	check(t, err, "no more than the 40 ucredit already in dispute")
	again, d, err := s.Contest(a, []Claim{claim(0, 21, 2)}, &d, 4, standingRules)
	check(t, err, "")
	if again.Disputes != 1 || d.Until != 5 {
		t.Fatalf("%d disputes, answer until %d", again.Disputes, d.Until)
	}
}

// A dispute filed in the window is resolved before the lease ends, and then also
// out of what was promised but never collected.
func TestDisputeInTheWindowOfAClosingLease(t *testing.T) {
	s := route(t, 10, 100)
	s, err := s.Declare(statement(tree(t, map[int]uint64{1: 50}), 1), 1)
	check(t, err, "")
	s, err = s.Close(ReasonPayer, 1, standingRules)
	check(t, err, "")
	a := Account{Device: device(2)}
	s, d, err := s.Contest(a, []Claim{{Lane: 0, Units: 30, Epoch: 1}}, nil, 3, standingRules)
	check(t, err, "")
	if s.Ended(9) {
		t.Fatal("ended with a dispute")
	}
	_, _, err = s.Finish(9)
	check(t, err, "with 1 disputes")
	s, a, v, err := s.Resolve(d, a, 5, standingRules)
	check(t, err, "")
	if v.Escrow != 60 || v.Bond != 0 || v.Penalty != 6 || a.Paid != 60 {
		t.Fatalf("verdict %+v, account %+v", v, a)
	}
	_, back, err := s.Finish(5)
	check(t, err, "")
	if back != 40+4 {
		t.Fatalf("%d went back", back)
	}
}

// A payer who moves stated units from one device to another cannot overspend
// the escrow: the second is left with what is there, and with his receipts.
func TestMovedUnitsAreNotPaidTwice(t *testing.T) {
	s := route(t, 100, 100)
	for i, want := range []money.Credit{80, 20, 0} {
		tr := tree(t, map[int]uint64{i: 40 + uint64(i)})
		var err error
		s, err = s.Declare(statement(tr, uint64(i+1)), uint64(i+1))
		check(t, err, "")
		var pay money.Credit
		var a Account
		s, a, pay = collect(t, s, Account{Device: device(i)}, tr)
		if pay != want || a.Paid != want || s.Stated > s.Deposited || s.Free() > s.Held() {
			t.Fatalf("device %d was paid %d, want %d; %d of %d stated, free %d", i, pay, want, s.Stated, s.Deposited, s.Free())
		}
	}
	a := Account{Device: device(1), Paid: 20, Units: 41}
	s, d, err := s.Contest(a, []Claim{{Lane: 0, Seq: 1, Units: 41, Epoch: 2}}, nil, 3, standingRules)
	check(t, err, "")
	_, _, v, err := s.Resolve(d, a, 5, standingRules)
	check(t, err, "")
	if v.Escrow != 0 || v.Bond != 62 || v.Penalty != 6 {
		t.Fatalf("verdict %+v", v)
	}
}

// A stolen session key signs what it likes: the loss is its lane.
func TestStolenLaneKeyCostsItsLane(t *testing.T) {
	s := route(t, 200, 100, 900)
	a := Account{Device: device(1)}
	s, d, err := s.Contest(a, []Claim{{Lane: 0, Seq: 1, Units: ^uint64(0), Epoch: 1}, {Lane: 1, Seq: 1, Units: 3, Epoch: 1}}, nil, 2, standingRules)
	check(t, err, "")
	s, a, v, err := s.Resolve(d, a, 4, standingRules)
	check(t, err, "")
	if v.Paid() != 106 || s.Lanes[0].Paid != 100 || s.Lanes[1].Paid != 6 {
		t.Fatalf("paid %d, of lanes %d and %d", v.Paid(), s.Lanes[0].Paid, s.Lanes[1].Paid)
	}
	_, _, err = s.Contest(a, []Claim{{Lane: 0, Seq: 2, Units: ^uint64(0), Epoch: 1}}, nil, 5, standingRules)
	check(t, err, "")
}

func TestBondPausesAStandingLease(t *testing.T) {
	s := route(t, 100, 1000)
	s, d, err := s.Contest(Account{Device: device(1)}, []Claim{{Lane: 0, Units: 100, Epoch: 1}}, nil, 2, standingRules)
	check(t, err, "")
	s, _, _, err = s.Resolve(d, Account{Device: device(1)}, 4, standingRules)
	check(t, err, "")
	s.Bond = 50 // of 80 that 800 ucredit need
	if s = s.Advance(4, standingRules); s.State != Grace || s.Reason != ReasonBond {
		t.Fatalf("%s (%s)", s.State, s.Reason)
	}
	ok, due, err := s.Fund(nil, 30, 5, standingRules)
	check(t, err, "")
	if ok.State != Open || due != 30 {
		t.Fatalf("with the bond restored it is %s, %d due", ok.State, due)
	}
	if s = s.Advance(6, standingRules); s.State != Closing || s.Reason != ReasonBond {
		t.Fatalf("after grace: %s (%s)", s.State, s.Reason)
	}
	_, _, err = s.Fund(nil, 30, 6, standingRules)
	check(t, err, "open a new one")
	if s.Ended(8) {
		t.Fatal("ended within the window")
	}
	s, back, err := s.Finish(9)
	check(t, err, "")
	if back != 800+50 || s.Held() != 0 || s.Bond != 0 {
		t.Fatalf("%d go back, %d held", back, s.Held())
	}
}

// The sum of what is paid, and what each device is paid, do not depend on the
// order of leaves, on repetition, or on which statement a leaf is taken from.
func TestCollectingIsOrderIndependent(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := route(t, 100_000, 1_000_000)
		units := map[int]uint64{}
		var trees []*merkle.SumTree
		for e := uint64(1); e <= 3; e++ {
			for d := range 8 {
				if n := rapid.Uint64Range(0, 1000).Draw(r, "more"); n > 0 {
					units[d] += n
				}
			}
			units[0]++
			tr := tree(t, units)
			var err error
			if s, err = s.Declare(statement(tr, e), e); err != nil {
				r.Fatal(err)
			}
			trees = append(trees, tr)
		}
		type pick struct{ tree, dev int }
		var picks []pick
		for i, tr := range trees {
			for d := range 8 {
				if _, _, err := tr.Prove(device(d)); err == nil {
					picks = append(picks, pick{i, d}, pick{i, d})
				}
			}
		}
		rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 0)).Shuffle(len(picks), func(i, j int) { picks[i], picks[j] = picks[j], picks[i] })
		accounts := map[int]Account{}
		for _, p := range picks {
			a := accounts[p.dev]
			a.Device = device(p.dev)
			s, a, _ = collect(t, s, a, trees[p.tree])
			accounts[p.dev] = a
		}
		var sum money.Credit
		for d, n := range units {
			if accounts[d].Paid != money.Credit(2*n) {
				r.Fatalf("device %d was paid %d for %d units", d, accounts[d].Paid, n)
			}
			sum += accounts[d].Paid
		}
		if s.Stated != sum || s.Held() != 1_000_000-sum {
			r.Fatalf("stated %d, held %d, the accounts have %d", s.Stated, s.Held(), sum)
		}
	})
}

// Whatever payer and providers do, honest or not: the escrow and the bond are
// never overspent, nobody is paid more than his papers say, paid never falls,
// what an honest payer stated can be collected, and the lease ends.
func TestStandingConservesValue(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		const devices = 6
		caps := []money.Credit{rapid.SampledFrom([]money.Credit{50, 400, 3000}).Draw(r, "cap"), 300}
		bond := rapid.SampledFrom([]money.Credit{400, 1000}).Draw(r, "bond")
		s := route(t, bond, caps...)
		honest := rapid.Bool().Draw(r, "honest")
		epoch, bonded := uint64(1), bond
		var accounts [devices]Account
		var served, best [devices]uint64 // by receipts of lane 0; best of papers
		disputes := map[int]Dispute{}
		var trees []*merkle.SumTree
		for i := range accounts {
			accounts[i].Device = device(i)
		}
		verify := func(r *rapid.T) {
			if s.Stated+s.Disputed+s.Refunded > s.Deposited {
				r.Fatalf("%d+%d+%d out of an escrow of %d", s.Stated, s.Disputed, s.Refunded, s.Deposited)
			}
			if s.Bond+s.Forfeited != bonded && s.State != Closed {
				r.Fatalf("bond %d and forfeited %d, bonded %d", s.Bond, s.Forfeited, bonded)
			}
			if s.Free() > s.Held() || s.Promised() > s.Deposited-s.Disputed && s.Disputed <= s.Deposited && len(disputes) == 0 && s.State == Open {
				r.Fatalf("free %d of %d held, %d promised", s.Free(), s.Held(), s.Promised())
			}
			for _, l := range s.Lanes {
				if l.Paid > l.Cap {
					r.Fatalf("lane %d paid %d of %d", l.ID, l.Paid, l.Cap)
				}
			}
			for i, a := range accounts {
				if a.Paid > money.Credit(2*best[i]) {
					r.Fatalf("device %d was paid %d for %d units", i, a.Paid, best[i])
				}
			}
			if int(s.Disputes) != len(disputes) {
				r.Fatalf("%d disputes, %d are open", s.Disputes, len(disputes))
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"serve": func(r *rapid.T) {
				i := rapid.IntRange(0, devices-1).Draw(r, "device")
				served[i] += rapid.Uint64Range(1, 60).Draw(r, "units")
				best[i] = max(best[i], served[i])
			},
			"state": func(r *rapid.T) {
				units := map[int]uint64{}
				for i := range devices {
					n := max(served[i], uint64(accounts[i].Paid)/2)
					if !honest {
						n = rapid.Uint64Range(0, 2*n+1).Draw(r, "units")
					}
					if n > 0 {
						units[i] = n
					}
				}
				if len(units) == 0 {
					r.Skip("nothing served")
				}
				tr := tree(t, units)
				next, err := s.Declare(statement(tr, epoch), epoch)
				if err != nil {
					return
				}
				s, trees = next, append(trees, tr)
				for i, n := range units {
					best[i] = max(best[i], n)
				}
			},
			"collect": func(r *rapid.T) {
				if len(trees) == 0 || s.State == Closed {
					r.Skip("no statement")
				}
				tr := rapid.SampledFrom(trees[max(0, len(trees)-MaxStatements):]).Draw(r, "tree")
				i := rapid.IntRange(0, devices-1).Draw(r, "device")
				leaf, proof, err := tr.Prove(device(i))
				if err != nil {
					return
				}
				before := accounts[i]
				next, a, pay, err := s.Collect(before, leaf, proof)
				if err != nil {
					r.Fatal(err)
				}
				if a.Paid != before.Paid+pay {
					r.Fatalf("paid %d, account %d after %d", pay, a.Paid, before.Paid)
				}
				if owed := money.Credit(2 * leaf.Amount); honest && a.Paid < owed {
					r.Fatalf("an honest statement owes %d, the account has %d", owed, a.Paid)
				}
				s, accounts[i] = next, a
			},
			"contest": func(r *rapid.T) {
				i := rapid.IntRange(0, devices-1).Draw(r, "device")
				var pending *Dispute
				if d, ok := disputes[i]; ok {
					pending = &d
				}
				next, d, err := s.Contest(accounts[i], []Claim{{Lane: 0, Seq: 1, Units: served[i], Epoch: epoch - 1}}, pending, epoch, standingRules)
				if err == nil {
					s, disputes[i] = next, d
				}
			},
			"fund": func(r *rapid.T) {
				more := rapid.Uint64Range(0, 100).Draw(r, "bond")
				next, due, err := s.Fund([]Lane{{ID: 0, Key: [32]byte{1}, Cap: 50}}, money.Credit(more), epoch, standingRules)
				if err == nil {
					if due != money.Credit(more)+50 {
						r.Fatalf("due %d", due)
					}
					s, bonded = next, bonded+money.Credit(more)
				}
			},
			"epoch": func(r *rapid.T) {
				epoch++
				for _, i := range slices.Sorted(func(yield func(int) bool) {
					for i := range disputes {
						if !yield(i) {
							return
						}
					}
				}) {
					next, a, _, err := s.Resolve(disputes[i], accounts[i], epoch, standingRules)
					if err == nil {
						s, accounts[i] = next, a
						delete(disputes, i)
					}
				}
				s = s.Advance(epoch, standingRules)
			},
			"close": func(r *rapid.T) {
				if rapid.IntRange(0, 9).Draw(r, "really") == 0 {
					if next, err := s.Close(ReasonPayer, epoch, standingRules); err == nil {
						s = next
					}
				}
			},
			"": verify,
		})
		if next, err := s.Close(ReasonPayer, epoch, standingRules); err == nil {
			s = next
		}
		epoch = s.Until + standingRules.Dispute + 2
		for i, d := range disputes {
			var err error
			if s, accounts[i], _, err = s.Resolve(d, accounts[i], epoch, standingRules); err != nil {
				r.Fatal(err)
			}
			delete(disputes, i)
		}
		held, left := s.Held(), s.Bond
		s, back, err := s.Finish(epoch)
		if err != nil || back != held+left || s.Held() != 0 || s.Bond != 0 {
			r.Fatalf("%d back of %d held and %d bond, %v", back, held, left, err)
		}
		verify(r)
	})
}

func ExampleAccountID() {
	fmt.Printf("%x\n", AccountID([32]byte{1}, [32]byte{2}))
	// Output: f974e4ffb7e196c37dd401b9c66f22897fe0f4a69df1910fbb7425f2d3f06469
}
