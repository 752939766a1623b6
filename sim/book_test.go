package sim

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/price"
)

// open is a Book with a price of 1 USD and an account with a million GRAIN.
func open(t interface{ Fatal(...any) }, change func(*Rules)) (*Book, Account) {
	rules := DefaultRules()
	if change != nil {
		change(&rules)
	}
	b, err := NewBook(rules, 300_000_000*grainOf)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Vote([]price.Vote{{Price: dollar, Power: 1}}); err != nil {
		t.Fatal(err)
	}
	a := b.Open()
	if err := b.Send(float, a, 1_000_000*grainOf); err != nil {
		t.Fatal(err)
	}
	return b, a
}

// TestBooksAddUp does what accounts might do in any order and counts everything
// after every step.
func TestBooksAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, first := open(t, func(r *Rules) {
			r.CarryTake = rapid.Bool().Draw(t, "carry")
			r.Haircut = rapid.Bool().Draw(t, "haircut")
			r.ForwardRedeem = rapid.Bool().Draw(t, "forward")
		})
		accounts := []Account{first, b.Open(), b.Open()}
		var devices []*Device
		var leases []*Lease
		now := int64(0)
		some := func(most uint64) uint64 { return rapid.Uint64Range(0, most).Draw(t, "amount") }
		who := func() Account { return rapid.SampledFrom(accounts).Draw(t, "account") }
		do := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) { do(b.Check()) },
			"buy": func(*rapid.T) {
				a := who()
				_, err := b.Buy(a, money.Grain(some(uint64(b.Grain(a)))))
				do(err)
			},
			"redeem": func(*rapid.T) {
				a := who()
				_, err := b.Redeem(a, money.Credit(some(uint64(b.Credit(a)))))
				do(err)
			},
			"block": func(*rapid.T) {
				now += int64(some(3600))
				b.Advance(now)
				_, err := b.PayRedemptions()
				do(err)
			},
			"price": func(*rapid.T) {
				do(b.Vote([]price.Vote{{Price: rapid.Uint64Range(1, 1000*dollar).Draw(t, "price"), Power: 1}}))
			},
			"register": func(*rapid.T) {
				if a := who(); uint64(b.Grain(a)) >= b.rules.MinBond {
					d, err := b.Register(a)
					do(err)
					d.Splits = []device.Split{{To: name(who()), Share: 3000, Denom: money.CreditDenom, Cap: 1_000_000, Lien: true}}
					devices = append(devices, d)
				}
			},
			"lease": func(*rapid.T) {
				a := who()
				if len(devices) == 0 {
					return
				}
				has := uint64(b.Credit(a))
				hold := some(has)
				l, err := b.Accept(a, rapid.SampledFrom(devices).Draw(t, "device"), Terms{
					Use:  money.Price{Credits: some(1000), Per: 1 + some(100)},
					Hold: money.Price{Credits: some(1000), Per: 1 + some(100)}, Capacity: 1_000_000,
					TermEpochs: some(5), HoldBudget: money.Credit(hold), Cap: money.Credit(some(has - hold)),
				})
				do(err)
				leases = append(leases, l)
			},
			"use": func(*rapid.T) {
				if len(leases) == 0 {
					return
				}
				l := rapid.SampledFrom(leases).Draw(t, "lease")
				if l.State != lease.Closed {
					_, err := b.Settle(l, some(10_000))
					do(err)
				}
				if l.State == lease.Open {
					do(b.Hold(l, some(10_000)))
				}
			},
			"epoch": func(*rapid.T) {
				for _, d := range devices {
					d.Faulty = rapid.Bool().Draw(t, "faulty")
				}
				now += EpochSeconds
				b.Advance(now)
				_, err := b.EndEpoch()
				do(err)
				for _, d := range devices {
					_, err := b.Claim(d)
					do(err)
				}
				b.Distribute(accounts, []uint64{3, 2, 1})
			},
		})
	})
}

// TestCheckSees takes or adds one unit anywhere and wants it noticed.
func TestCheckSees(t *testing.T) {
	for what, spoil := range map[string]func(*Book, Account){
		"credits out of nothing": func(b *Book, a Account) { b.credit[a]++ },
		"grains out of nothing":  func(b *Book, a Account) { b.grain[a]++ },
		"a poorer escrow":        func(b *Book, _ Account) { b.escrow--; b.treasury++ },
		"a poorer pool":          func(b *Book, _ Account) { b.totals.Pool-- },
		"a larger budget":        func(b *Book, _ Account) { b.totals.RewardsBudget += 1 << 60 },
		"a forgotten redemption": func(b *Book, _ Account) { b.queue = nil },
	} {
		t.Run(what, func(t *testing.T) {
			b, a := open(t, nil)
			if _, err := b.Buy(a, 1000*grainOf); err != nil {
				t.Fatal(err)
			}
			d, err := b.Register(a)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.Accept(a, d, Terms{Use: unitPrice, Capacity: 1, Cap: 500 * dollar}); err != nil {
				t.Fatal(err)
			}
			if ok, err := b.Redeem(a, 100*dollar); !ok || err != nil {
				t.Fatal(ok, err)
			}
			if err := b.Check(); err != nil {
				t.Fatal(err)
			}
			if spoil(b, a); b.Check() == nil {
				t.Error("nothing was noticed")
			}
		})
	}
}

// TestTakeRounding is the hole of small payments, and its end.
func TestTakeRounding(t *testing.T) {
	for _, c := range []struct {
		name          string
		carry         bool
		amount, times uint64
		net           money.Credit
	}{
		{"33 ucredit pay no take", false, 33, 1000, 33_000},
		{"34 pay one burned", false, 34, 1000, 33_000},
		{"99 pay no validators", false, 99, 1000, 97_000},
		{"100 pay all of it", false, 100, 1000, 95_000},
		{"33 carried", true, 33, 1000, 31_350},
		{"1 carried, two more wait", true, 1, 1000, 952},
		{"100 carried", true, 100, 1000, 95_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, _ := open(t, func(r *Rules) { r.CarryTake = c.carry })
			var net money.Credit
			for range c.times {
				n, _ := b.take(money.Credit(c.amount))
				net += n
			}
			if net != c.net {
				t.Errorf("%d payments of %d leave %d, want %d", c.times, c.amount, net, c.net)
			}
		})
	}
}

func TestRedemption(t *testing.T) {
	b, a := open(t, func(r *Rules) { // the rules before, first
		r.Haircut, r.ForwardBuy, r.ForwardRedeem, r.WeightBPS = false, false, false, 2500
	})
	made, err := b.Buy(a, 100_000*grainOf)
	if err != nil || made == 0 {
		t.Fatal(made, err)
	}
	if ok, err := b.Redeem(a, made); !ok || err != nil {
		t.Fatal(ok, err)
	}
	paid, err := b.PayRedemptions()
	if err != nil {
		t.Fatal(err)
	}
	// A tenth of 99,750 credits is more than the floor of the window.
	if len(paid) != 1 || paid[0].Credit != made/10 {
		t.Fatalf("paid %v, want a tenth of %d", paid, made)
	}
	if paid, _ := b.PayRedemptions(); len(paid) != 0 {
		t.Errorf("paid %v in the same moment", paid)
	}
	b.Advance(6 * 3600)
	if err := b.Vote([]price.Vote{{Price: dollar, Power: 1}}); err != nil {
		t.Fatal(err)
	}
	if paid, _ := b.PayRedemptions(); len(paid) != 1 {
		t.Errorf("paid %v hours later, want what the window has forgotten", paid)
	}
	for at := int64(6*3600 + 10); b.Collateral() > uint64(b.rules.HaltBPS); at += 10 {
		b.Advance(at)
		if err := b.Vote([]price.Vote{{Price: dollar / 2, Power: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	if ok, _ := b.Redeem(a, b.Credit(a)); ok || !b.Halted() {
		t.Error("redemption goes on although it should halt")
	}
	b.rules.Haircut = true
	b.Advance(b.now + 100_000)
	if err := b.Vote([]price.Vote{{Price: dollar / 2, Power: 1}}); err != nil {
		t.Fatal(err)
	}
	before, pool := b.debt(), b.totals.Pool
	paid, err = b.PayRedemptions()
	if err != nil || len(paid) != 1 {
		t.Fatal(paid, err)
	}
	if want := mulDiv(uint64(pool), uint64(paid[0].Credit), uint64(before)); uint64(paid[0].Grain) != want {
		t.Errorf("paid %d ugrain, its part of the pool is %d", paid[0].Grain, want)
	}
}

func TestForwardPrices(t *testing.T) {
	b, a := open(t, nil)
	if made, _ := b.Buy(a, 1000*grainOf); made == 0 {
		t.Fatal("a buy in the moment of a round makes nothing")
	}
	b.Advance(5)
	if made, _ := b.Buy(a, 1000*grainOf); made != 0 {
		t.Error("a buy between two rounds is made at the old price")
	}
	if ok, err := b.Redeem(a, 100*dollar); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if paid, _ := b.PayRedemptions(); len(paid) != 0 {
		t.Error("a redemption is paid at the price of before")
	}
	for _, c := range []struct {
		at   int64
		want int // redemptions paid
	}{{10, 0}, {15, 0}, {20, 1}} { // votes of the round at 10 may have been cast before it
		b.Advance(c.at)
		if c.at%10 == 0 {
			if err := b.Vote([]price.Vote{{Price: dollar, Power: 1}}); err != nil {
				t.Fatal(err)
			}
		}
		if paid, _ := b.PayRedemptions(); len(paid) != c.want {
			t.Errorf("at %d s %d redemptions are paid, want %d", c.at, len(paid), c.want)
		}
	}
}

func TestGenesisWithinCap(t *testing.T) {
	if _, err := NewBook(DefaultRules(), 400_000_001*grainOf); err == nil || !strings.Contains(err.Error(), "cap") {
		t.Errorf("got %v, want it refused", err)
	}
}
