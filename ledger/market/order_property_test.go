package market

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

// machine drives a market with random orders, honest and not.
type machine struct {
	*world
	t       *testing.T
	units   []unit
	offers  []uint64 // of units, by index
	demands []uint64
	leases  [][32]byte
	routes  [][32]byte
	served  map[[32]byte]map[int]uint64 // by standing lease and unit, on lane 0
	papers  map[[32]byte][][]byte       // receipts of earlier epochs, by account
	trees   map[[32]byte][]*merkle.SumTree
	paid    map[[32]byte]map[int]uint64 // to see that paid never falls
}

func newMachine(t *testing.T) *machine {
	m := &machine{world: newWorld(t), t: t, served: map[[32]byte]map[int]uint64{}, papers: map[[32]byte][][]byte{},
		trees: map[[32]byte][]*merkle.SumTree{}, paid: map[[32]byte]map[int]uint64{}}
	for n := range 4 {
		u := m.addUnit(n)
		m.units = append(m.units, u)
		m.offers = append(m.offers, m.postOf(t, u, "compute", 25))
	}
	return m
}

func one[T any](r *rapid.T, from []T, what string) T {
	if len(from) == 0 {
		r.Skip("no " + what)
	}
	return rapid.SampledFrom(from).Draw(r, what)
}

func (m *machine) actions() map[string]func(*rapid.T) {
	price := func(r *rapid.T, name string) uint64 { return rapid.Uint64Range(0, 11).Draw(r, name) }
	return map[string]func(*rapid.T){
		"ask": func(r *rapid.T) {
			if len(m.demands) < 6 {
				m.demands = append(m.demands, m.ask(m.t, rapid.Uint64Range(1, 4).Draw(r, "open")))
			}
		},
		"bid": func(r *rapid.T) {
			i := rapid.IntRange(0, len(m.units)-1).Draw(r, "unit")
			_ = m.bid(one(r, m.demands, "demand"), m.units[i], m.offers[i], price(r, "use"), price(r, "hold"))
		},
		"award": func(r *rapid.T) {
			id := one(r, m.demands, "demand")
			d, err := m.Demands.Get(m.ctx, id)
			if err != nil || len(d.Bids) == 0 {
				r.Skip("no bid")
			}
			b := rapid.SampledFrom(d.Bids).Draw(r, "bid")
			if l, err := m.award(id, b.Offer, b.Use.Credits, b.Hold.Credits); err == nil {
				m.leases = append(m.leases, l)
			}
		},
		"take bid back": func(r *rapid.T) {
			i := rapid.IntRange(0, len(m.units)-1).Draw(r, "unit")
			_, _ = m.msgs.Close(m.ctx, &marketpb.MsgClose{Signer: m.units[i].owner.String(), OfferId: one(r, m.demands, "demand"), Bid: m.offers[i]})
		},
		"cancel": func(r *rapid.T) {
			_, _ = m.msgs.Post(m.ctx, &marketpb.MsgPost{Owner: m.payer.String(), OfferId: one(r, m.demands, "demand"), Side: marketpb.SIDE_DEMAND, Status: marketpb.OFFER_STATUS_WITHDRAWN})
		},
		"migrate": func(r *rapid.T) {
			from, to := one(r, m.leases, "lease"), rapid.IntRange(0, len(m.offers)-1).Draw(r, "to")
			res, err := m.msgs.Accept(m.ctx, &marketpb.MsgAccept{Payer: m.payer.String(), OfferId: m.offers[to], Capacity: 5, Migrate: from[:],
				HoldBudget: rapid.Uint64Range(0, 1500).Draw(r, "hold"), Lanes: []marketpb.Lane{lane(0, 50)},
				Use: marketpb.Price{Credits: 10, Per: 1}, Hold: marketpb.Price{Credits: 10, Per: 1}})
			if err == nil {
				m.leases = append(m.leases, [32]byte(res.LeaseId))
			}
		},
		"close lease": func(r *rapid.T) {
			id := one(r, m.leases, "lease")
			_, _ = m.msgs.Close(m.ctx, &marketpb.MsgClose{Signer: m.payer.String(), LeaseId: id[:]})
		},
		"withdraw offer": func(r *rapid.T) {
			if rapid.IntRange(0, 9).Draw(r, "really") > 0 {
				return
			}
			i := rapid.IntRange(0, len(m.units)-1).Draw(r, "unit")
			o, _ := m.Offers.Get(m.ctx, m.offers[i])
			_, _ = m.msgs.Post(m.ctx, &marketpb.MsgPost{Owner: o.Owner, OfferId: o.Id, Device: o.Device, Kind: o.Kind, Use: o.Use, Hold: o.Hold, Capacity: o.Capacity, Status: marketpb.OFFER_STATUS_WITHDRAWN})
		},
		"stand": func(r *rapid.T) {
			if len(m.routes) < 3 {
				limit := rapid.SampledFrom([]uint64{60, 400, 5000}).Draw(r, "cap")
				m.routes = append(m.routes, m.stand(m.t, "lora", money.Price{Credits: 1, Per: 1}, 600, lane(0, limit)))
			}
		},
		"serve": func(r *rapid.T) {
			id, i := one(r, m.routes, "route"), rapid.IntRange(0, len(m.units)-1).Draw(r, "unit")
			if m.served[id] == nil {
				m.served[id] = map[int]uint64{}
			}
			m.served[id][i] += rapid.Uint64Range(1, 90).Draw(r, "units")
			account := lease.AccountID(id, m.units[i].id)
			m.papers[account] = append(m.papers[account], m.world.served(m.t, id, m.units[i], 0, uint64(len(m.papers[account])+1), m.served[id][i]))
		},
		"state": func(r *rapid.T) {
			id := one(r, m.routes, "route")
			honest := rapid.Bool().Draw(r, "honest")
			units := map[[32]byte]uint64{}
			for i, u := range m.units {
				n := m.served[id][i]
				if !honest {
					n = rapid.Uint64Range(0, n+5).Draw(r, "units")
				}
				if n > 0 {
					units[u.id] = n
				}
			}
			tree := sums(m.t, units)
			if err := m.declare(id, tree); err == nil {
				m.trees[id] = append(m.trees[id], tree)
			}
		},
		"collect": func(r *rapid.T) {
			id := one(r, m.routes, "route")
			tree := one(r, m.trees[id], "tree")
			u := rapid.SampledFrom(m.units).Draw(r, "unit")
			if _, _, err := tree.Prove(u.id); err != nil {
				r.Skip("not stated")
			}
			_, _ = m.world.collect(leafItem(m.t, id, tree, u.id), leafItem(m.t, id, tree, u.id))
		},
		"contest": func(r *rapid.T) {
			id, u := one(r, m.routes, "route"), rapid.SampledFrom(m.units).Draw(r, "unit")
			_ = m.world.contest(id, u, one(r, m.papers[lease.AccountID(id, u.id)], "receipt"))
		},
		"fund route": func(r *rapid.T) {
			id := one(r, m.routes, "route")
			_, _ = m.msgs.Fund(m.ctx, &marketpb.MsgFund{Funder: m.payer.String(), LeaseId: id[:], Bond: rapid.Uint64Range(0, 200).Draw(r, "bond"), Lanes: []marketpb.Lane{lane(0, 40)}})
		},
		"close route": func(r *rapid.T) {
			if rapid.IntRange(0, 4).Draw(r, "really") == 0 {
				id := one(r, m.routes, "route")
				_, _ = m.msgs.Close(m.ctx, &marketpb.MsgClose{Signer: m.payer.String(), LeaseId: id[:]})
			}
		},
		"epoch":  func(*rapid.T) { m.turnTo(m.t, m.epoch+1) },
		"reload": m.reload,
		"":       m.verify,
	}
}

// reload exports the market and goes on with what another keeper imported: the
// bytes must be the same.
func (m *machine) reload(r *rapid.T) {
	first, err := m.ExportGenesis(m.ctx)
	if err != nil {
		r.Fatal(err)
	}
	if err := CheckGenesis(*first); err != nil {
		r.Fatal(err)
	}
	w := newWorld(m.t)
	w.vault, w.epoch, w.others, w.minted = m.vault, m.epoch, m.others, m.minted
	w.Keeper.bank, w.Keeper.credits = m.vault, m.vault
	if err := w.InitGenesis(w.ctx, *first); err != nil {
		r.Fatal(err)
	}
	second, err := w.ExportGenesis(w.ctx)
	if err != nil {
		r.Fatal(err)
	}
	if a, b := w.cdc.MustMarshal(first), w.cdc.MustMarshal(second); string(a) != string(b) {
		r.Fatalf("exported, imported and exported again, the market differs:\n%x\n%x", a, b)
	}
	m.world = w
}

func (m *machine) verify(r *rapid.T) {
	m.checkBooks(r)
	for i, id := range m.offers {
		o, err := m.Offers.Get(m.ctx, id)
		if err != nil {
			r.Fatal(err)
		}
		var sold uint64
		var bids, leases uint32
		for _, d := range must(values(m.ctx, m.Demands)) {
			for _, b := range d.Bids {
				if b.Offer == id {
					sold += d.Capacity
					bids++
				}
			}
		}
		for _, l := range must(values(m.ctx, m.Leases)) {
			if l.Offer == id && l.State != marketpb.LEASE_STATE_CLOSED {
				sold += l.Capacity
				leases++
			}
		}
		if o.Sold != sold || o.Bids != bids || o.Leases != leases {
			r.Fatalf("offer %d of unit %d says %d sold, %d bids, %d leases; there are %d, %d, %d", id, i, o.Sold, o.Bids, o.Leases, sold, bids, leases)
		}
	}
	open := map[string]uint32{}
	for _, d := range must(values(m.ctx, m.Disputes)) {
		open[string(d.Standing)]++
	}
	for _, id := range m.routes {
		s := m.standingOf(m.t, id)
		if s.Stated+s.Disputed+s.Refunded > s.Deposited || s.Disputes != open[string(id[:])] {
			r.Fatalf("route %x paid %d, %d, %d of %d with %d disputes", id[:4], s.Stated, s.Disputed, s.Refunded, s.Deposited, s.Disputes)
		}
		if m.paid[id] == nil {
			m.paid[id] = map[int]uint64{}
		}
		var sum uint64
		for i, u := range m.units {
			a, err := m.account(m.ctx, id, u.id)
			if err != nil {
				r.Fatal(err)
			}
			if uint64(a.Paid) < m.paid[id][i] && s.State != lease.Closed {
				r.Fatalf("unit %d of route %x was paid %d, now %d", i, id[:4], m.paid[id][i], a.Paid)
			}
			m.paid[id][i] = uint64(a.Paid)
			sum += uint64(a.Paid)
		}
		if s.State != lease.Closed && sum > uint64(s.Stated+s.Disputed+s.Forfeited) {
			r.Fatalf("accounts of route %x have %d, it paid %d", id[:4], sum, s.Stated+s.Disputed+s.Forfeited)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Whatever is asked, bid, awarded, migrated, stated, collected and disputed, by
// honest and dishonest parties: coins are conserved, no capacity is sold twice,
// and at the end nothing is left in the market but bonds of offers.
func TestOrdersConserveValue(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := newMachine(t)
		r.Repeat(m.actions())
		for _, id := range append(m.leases, m.routes...) {
			_, _ = m.msgs.Close(m.ctx, &marketpb.MsgClose{Signer: m.payer.String(), LeaseId: id[:]})
		}
		m.turnTo(t, m.epoch+12)
		m.verify(r)
		for _, id := range m.leases {
			if l := m.lease(t, id); l.State != lease.Closed {
				r.Fatalf("lease %x is still %s", id[:4], l.State)
			}
		}
		for _, id := range m.routes {
			if s := m.standingOf(t, id); s.State != lease.Closed {
				r.Fatalf("route %x is still %s with %d disputes", id[:4], s.State, s.Disputes)
			}
		}
		if got := m.of(ModuleName, money.CreditDenom); got != 0 {
			r.Fatalf("the market keeps %d ucredit", got)
		}
		for _, left := range []int{len(must(values(m.ctx, m.Demands))), len(must(values(m.ctx, m.Disputes))), len(must(values(m.ctx, m.Accounts)))} {
			if left != 0 {
				r.Fatalf("%d demands, disputes or accounts are kept", left)
			}
		}
	})
}

// A hundred gateways of one payer sign for one lease at the same time, each on
// its lane. Their receipts arrive in any order, again, and forged: the lease
// pays each lane's newest receipt up to its cap, once, and never more than its
// escrow.
func TestHundredGatewaysCannotOverspendOneEscrow(t *testing.T) {
	const gateways = 100
	for seed := range uint64(5) {
		rng := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t)
		u := w.addUnit(0)
		offer := w.postOf(t, u, "cdn", 10)
		lanes := make([]marketpb.Lane, gateways)
		var escrow uint64
		for n := range gateways {
			lanes[n] = lane(n, rng.Uint64N(500))
			escrow += lanes[n].Cap
		}
		res, err := w.msgs.Accept(w.ctx, &marketpb.MsgAccept{Payer: w.payer.String(), OfferId: offer, Capacity: 1, Lanes: lanes,
			Use: marketpb.Price{Credits: 10, Per: 1}, Hold: marketpb.Price{Credits: 10, Per: 1}})
		if err != nil {
			t.Fatal(err)
		}
		id := [32]byte(res.LeaseId)
		type paper struct {
			wire  []byte
			false bool
		}
		var all []paper
		newest := make([]uint64, gateways)
		for n := range gateways {
			for seq := uint64(1); seq <= 2; seq++ {
				newest[n] += rng.Uint64N(40) + 1
				wire := signed(t, id, u, n, seq, newest[n])
				all = append(all, paper{wire, false}, paper{wire, false})
			}
			forged := signed(t, id, u, (n+1)%gateways, 9, 1<<40) // by another gateway's key
			forged[35] = byte(n)
			all = append(all, paper{forged, true})
		}
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		var total uint64
		for len(all) > 0 {
			n := min(len(all), 1+rng.IntN(40))
			batch, bad := [][]byte{}, false
			for _, p := range all[:n] {
				batch, bad = append(batch, p.wire), bad || p.false
			}
			paid, err := w.settle(batch, nil)
			if (err != nil) != bad {
				t.Fatalf("a batch with forged %v: %v", bad, err)
			}
			if bad { // each alone: what is forged is refused, what is not counts
				for _, p := range all[:n] {
					paid, err := w.settle([][]byte{p.wire}, nil)
					if (err != nil) != p.false {
						t.Fatalf("a receipt forged %v: %v", p.false, err)
					}
					total += paid
				}
			}
			total += paid
			all = all[n:]
			if total > escrow {
				t.Fatalf("paid %d of an escrow of %d", total, escrow)
			}
		}
		w.checkBooks(t)
		var want uint64
		for n, units := range newest {
			want += min(10*units, lanes[n].Cap)
		}
		l := w.lease(t, id)
		if total != want || uint64(l.Paid()) != want || uint64(l.Held()) != escrow-want {
			t.Fatalf("paid %d, lease says %d and holds %d; want %d of %d", total, l.Paid(), l.Held(), want, escrow)
		}
	}
}

// The same for a standing lease: a hundred gateways, a hundred devices, every
// leaf and dispute in any order and again.
func TestHundredGatewaysCannotOverspendAStandingLease(t *testing.T) {
	const n = 100
	w := newWorld(t)
	w.epoch = 1
	var units []unit
	var lanes []marketpb.Lane
	for i := range n {
		units = append(units, w.addUnit(i))
		lanes = append(lanes, lane(i, 100))
	}
	id := w.stand(t, "cdn", money.Price{Credits: 1, Per: 1}, 1000, lanes...) // 10 000 and 1 000
	rng := rand.New(rand.NewPCG(7, 7))
	stated := map[[32]byte]uint64{}
	var papers [][]byte
	for i, u := range units {
		stated[u.id] = 90                                      // 9 000 of the 10 000
		papers = append(papers, w.served(t, id, u, i, 1, 150)) // each signed for half as much again
	}
	w.turnTo(t, 2)
	tree := sums(t, stated)
	if err := w.declare(id, tree); err != nil {
		t.Fatal(err)
	}
	order := rng.Perm(2 * n)
	var paid uint64
	for _, k := range order {
		i := k % n
		_ = w.contest(id, units[i], papers[i])
		got, err := w.collect(leafItem(t, id, tree, units[i].id))
		if err != nil {
			t.Fatal(err)
		}
		paid += got
		w.checkBooks(t)
	}
	if paid != 9000 {
		t.Fatalf("leaves were paid %d", paid)
	}
	w.turnTo(t, 12)
	w.checkBooks(t)
	s := w.standingOf(t, id)
	var sum uint64
	for _, u := range units {
		sum += w.of(u.owner.String(), money.CreditDenom)
	}
	if s.State != lease.Closed || s.Stated+s.Disputed+s.Refunded != s.Deposited || s.Forfeited > 1000 {
		t.Fatalf("%s: %d stated, %d disputed, %d refunded of %d; %d forfeited", s.State, s.Stated, s.Disputed, s.Refunded, s.Deposited, s.Forfeited)
	}
	if sum > 11_000 || w.of(ModuleName, money.CreditDenom) != 0 {
		t.Fatalf("providers got %d of 11000, the market keeps %d", sum, w.of(ModuleName, money.CreditDenom))
	}
}
