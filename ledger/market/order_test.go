package market

import (
	"context"
	"errors"
	"math/big"
	"testing"

	errorsmod "cosmossdk.io/errors"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

func TestDemandRefusals(t *testing.T) {
	w := newWorld(t)
	eu := marketpb.Attribute{Key: "region", Value: "eu"}
	u, v, stranger := w.addUnit(1), w.addUnit(2), w.addUnit(3)
	offer, plain := w.postOf(t, u, "compute", 15, eu), w.postOf(t, v, "compute", 100)
	other, small := w.postOf(t, u, "storage", 100, eu), w.postOf(t, u, "compute", 5, eu)
	poor := w.addUnit(4)
	poorOffer := w.postOf(t, poor, "compute", 100, eu)
	w.add(poor.owner.String(), money.GrainDenom, big.NewInt(-999_000+99_999))
	demand := w.ask(t, 3, eu)
	post := func(change func(*marketpb.MsgPost)) error {
		m := &marketpb.MsgPost{Owner: w.payer.String(), Side: marketpb.SIDE_DEMAND, Kind: "compute", Capacity: 1, OpenEpochs: 1, Lanes: []marketpb.Lane{lane(0, 5)}}
		change(m)
		_, err := w.msgs.Post(w.ctx, m)
		return err
	}
	accept := func(change func(*marketpb.MsgAccept)) error {
		m := &marketpb.MsgAccept{Payer: u.owner.String(), OfferId: demand, Bid: offer, Use: marketpb.Price{Credits: 1, Per: 1}}
		change(m)
		_, err := w.msgs.Accept(w.ctx, m)
		return err
	}
	for _, c := range []struct {
		name string
		err  error
		want *errorsmod.Error
	}{
		{"with a device", post(func(m *marketpb.MsgPost) { m.Device = u.id[:] }), ErrInvalid},
		{"with a provider's bond", post(func(m *marketpb.MsgPost) { m.Bond = 1 }), ErrInvalid},
		{"closed at once", post(func(m *marketpb.MsgPost) { m.OpenEpochs = 0 }), ErrInvalid},
		{"bad kind", post(func(m *marketpb.MsgPost) { m.Kind = "" }), ErrInvalid},
		{"no lane", post(func(m *marketpb.MsgPost) { m.Lanes = nil }), ErrInvalid},
		{"a deposit not owned", post(func(m *marketpb.MsgPost) { m.HoldBudget = 1 << 40 }), ErrFunds},
		{"unknown side", post(func(m *marketpb.MsgPost) { m.Side = 9 }), ErrInvalid},
		{"an offer with lanes", post(func(m *marketpb.MsgPost) { m.Side = marketpb.SIDE_SUPPLY }), ErrInvalid},
		{"another's demand", post(func(m *marketpb.MsgPost) { m.OfferId = demand; m.Owner = u.owner.String(); m.Status = 3 }), ErrNotYours},
		{"a demand changed", post(func(m *marketpb.MsgPost) { m.OfferId = demand }), ErrInvalid},
		{"an unknown demand", post(func(m *marketpb.MsgPost) { m.OfferId = 99 }), ErrNotFound},
		{"bid under nothing", accept(func(m *marketpb.MsgAccept) { m.OfferId = 99 }), ErrNotFound},
		{"bid under an offer", accept(func(m *marketpb.MsgAccept) { m.OfferId = plain }), ErrNotFound},
		{"bid with no offer", accept(func(m *marketpb.MsgAccept) { m.Bid = 99 }), ErrNotFound},
		{"bid with another's offer", accept(func(m *marketpb.MsgAccept) { m.Payer = stranger.owner.String() }), ErrNotYours},
		{"bid of another kind", accept(func(m *marketpb.MsgAccept) { m.Bid = other }), ErrInvalid},
		{"bid without the attribute", accept(func(m *marketpb.MsgAccept) { m.Bid = plain; m.Payer = v.owner.String() }), ErrInvalid},
		{"bid with too little capacity", accept(func(m *marketpb.MsgAccept) { m.Bid = small }), ErrSoldOut},
		{"bid above the price", accept(func(m *marketpb.MsgAccept) { m.Use.Credits = 11 }), ErrState},
		{"bid with lanes", accept(func(m *marketpb.MsgAccept) { m.Lanes = []marketpb.Lane{lane(0, 1)} }), ErrInvalid},
		{"bid for other capacity", accept(func(m *marketpb.MsgAccept) { m.Capacity = 11 }), ErrInvalid},
		{"bid without the deposit", accept(func(m *marketpb.MsgAccept) { m.Bid = poorOffer; m.Payer = poor.owner.String() }), ErrBond},
		{"award to nobody", accept(func(m *marketpb.MsgAccept) { m.Payer = w.payer.String() }), ErrState},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !errorsmod.IsOf(c.err, c.want) {
				t.Fatalf("got %v, want %v", c.err, c.want)
			}
		})
	}
	if err := w.bid(demand, u, offer, 5, 5); err != nil {
		t.Fatal(err)
	}
	if _, err := w.award(demand, offer, 4, 5); !errorsmod.IsOf(err, ErrPrice) {
		t.Fatalf("award at a price nobody bid: %v", err)
	}
	_, err := w.msgs.Close(w.ctx, &marketpb.MsgClose{Signer: v.owner.String(), OfferId: demand, Bid: offer})
	if !errorsmod.IsOf(err, ErrNotYours) {
		t.Fatalf("another's bid withdrawn: %v", err)
	}
	// 10 of its 15 units are reserved: they cannot be leased too.
	_, err = w.msgs.Accept(w.ctx, &marketpb.MsgAccept{Payer: w.payer.String(), OfferId: offer, Capacity: 6, Lanes: []marketpb.Lane{lane(1, 1)},
		Use: marketpb.Price{Credits: 10, Per: 1}, Hold: marketpb.Price{Credits: 10, Per: 1}})
	if !errorsmod.IsOf(err, ErrSoldOut) {
		t.Fatalf("reserved capacity was leased: %v", err)
	}
	w.checkBooks(t)
}

func TestDemandEndsAndReturnsEverything(t *testing.T) {
	for _, c := range []struct {
		name   string
		end    func(t *testing.T, w *world, demand uint64)
		reason lease.Reason
	}{
		{"cancelled", func(t *testing.T, w *world, demand uint64) {
			if _, err := w.msgs.Post(w.ctx, &marketpb.MsgPost{Owner: w.payer.String(), OfferId: demand, Side: marketpb.SIDE_DEMAND, Status: marketpb.OFFER_STATUS_WITHDRAWN}); err != nil {
				t.Fatal(err)
			}
		}, lease.ReasonCancelled},
		{"expired", func(t *testing.T, w *world, _ uint64) { w.turnTo(t, 4) }, lease.ReasonExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			demand := w.ask(t, 3)
			var offers []uint64
			for n := range 3 {
				u := w.addUnit(n)
				offers = append(offers, w.postOf(t, u, "compute", 10))
				if err := w.bid(demand, u, offers[n], 5, uint64(5-n)); err != nil {
					t.Fatal(err)
				}
			}
			w.checkBooks(t)
			c.end(t, w, demand)
			w.checkBooks(t)
			d, err := w.Demands.Get(w.ctx, demand)
			if err != nil || d.Reason != string(c.reason) || d.Deposit != 0 || len(d.Bids) != 0 {
				t.Fatalf("%+v, %v", d, err)
			}
			if got := w.of(w.payer.String(), money.CreditDenom); got != 1_000_000 {
				t.Fatalf("the buyer has %d ucredit back", got)
			}
			for n, id := range offers {
				o, _ := w.Offers.Get(w.ctx, id)
				if o.Sold != 0 || o.Bids != 0 || w.of(w.addUnitOwner(n), money.GrainDenom) != 999_000 {
					t.Fatalf("offer %d: %d sold, %d bids, owner has %d ugrain", id, o.Sold, o.Bids, w.of(w.addUnitOwner(n), money.GrainDenom))
				}
			}
			if _, err := w.award(demand, offers[0], 5, 5); !errorsmod.IsOf(err, ErrState) {
				t.Fatalf("awarded after its end: %v", err)
			}
			w.turnTo(t, w.epoch+10)
			if has, _ := w.Demands.Has(w.ctx, demand); has {
				t.Fatal("the demand is remembered for ever")
			}
		})
	}
}

func (w *world) addUnitOwner(n int) string { return w.others[seeded("id", n)].owner.String() }

func TestAwardAndWithdraw(t *testing.T) {
	w := newWorld(t)
	demand := w.ask(t, 3)
	a, b, c := w.addUnit(1), w.addUnit(2), w.addUnit(3)
	oa, ob, oc := w.postOf(t, a, "compute", 10), w.postOf(t, b, "compute", 10), w.postOf(t, c, "compute", 10)
	for _, x := range []struct {
		u     unit
		offer uint64
	}{{a, oa}, {b, ob}, {c, oc}} {
		if err := w.bid(demand, x.u, x.offer, 4, 4); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.bid(demand, b, ob, 3, 3); err != nil { // again, for less
		t.Fatal(err)
	}
	if _, err := w.msgs.Close(w.ctx, &marketpb.MsgClose{Signer: c.owner.String(), OfferId: demand, Bid: oc}); err != nil {
		t.Fatal(err)
	}
	w.checkBooks(t)
	id, err := w.award(demand, ob, 3, 3)
	if err != nil {
		t.Fatal(err)
	}
	w.checkBooks(t)
	l := w.lease(t, id)
	if l.Owner != b.owner.String() || l.Device != b.id || l.Deposited != 1500 || l.Use.Credits != 3 || l.Expires != 21 || l.Capacity != 10 {
		t.Fatalf("lease %+v", l)
	}
	for _, x := range []struct {
		offer  uint64
		sold   uint64
		leases uint32
	}{{oa, 0, 0}, {ob, 10, 1}, {oc, 0, 0}} {
		if o, _ := w.Offers.Get(w.ctx, x.offer); o.Sold != x.sold || o.Leases != x.leases || o.Bids != 0 {
			t.Fatalf("offer %d: sold %d, %d leases, %d bids", x.offer, o.Sold, o.Leases, o.Bids)
		}
	}
	w.turnTo(t, 22+1+1+1) // term, window
	if l = w.lease(t, id); l.State != lease.Closed || l.Reason != lease.ReasonExpired {
		t.Fatalf("after its term the lease is %s (%s)", l.State, l.Reason)
	}
	w.checkBooks(t)
}

func TestMigration(t *testing.T) {
	w := newWorld(t)
	a, b := w.addUnit(1), w.addUnit(2)
	oa, ob := w.postOf(t, a, "compute", 500), w.postOf(t, b, "compute", 500)
	accept := func(offer, hold, limit, capacity uint64, from []byte) ([32]byte, error) {
		r, err := w.msgs.Accept(w.ctx, &marketpb.MsgAccept{Payer: w.payer.String(), OfferId: offer, Capacity: capacity, HoldBudget: hold,
			Lanes: []marketpb.Lane{lane(int(offer), limit)}, Migrate: from,
			Use: marketpb.Price{Credits: 10, Per: 1}, Hold: marketpb.Price{Credits: 10, Per: 1}})
		if err != nil {
			return [32]byte{}, err
		}
		return [32]byte(r.LeaseId), nil
	}
	old, err := accept(oa, 5000, 300, 500, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.turnTo(t, 2)
	for _, c := range []struct {
		name   string
		offer  uint64
		amount uint64
		from   []byte
		want   *errorsmod.Error
	}{
		{"unknown lease", ob, 1, make([]byte, 32), ErrNotFound},
		{"the same device", oa, 1, old[:], ErrSoldOut},
		{"more than the new offer has", ob, 501, old[:], ErrSoldOut},
	} {
		if _, err := accept(c.offer, 1000, 200, c.amount, c.from); !errorsmod.IsOf(err, c.want) {
			t.Fatalf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	before := w.of(w.payer.String(), money.CreditDenom)
	id, err := accept(ob, 1000, 200, 400, old[:])
	if err != nil {
		t.Fatal(err)
	}
	w.checkBooks(t)
	next, l := w.lease(t, id), w.lease(t, old)
	if got := w.of(w.payer.String(), money.CreditDenom); got != before {
		t.Fatalf("the payer deposited %d although the old lease held enough", before-got)
	}
	if next.Deposited != 5000 || l.State != lease.Closing || l.Reason != lease.ReasonMigrated || l.Held() != 300 {
		t.Fatalf("new deposit %d; old %s (%s) holds %d", next.Deposited, l.State, l.Reason, l.Held())
	}
	if _, err := accept(ob, 0, 0, 1, old[:]); !errorsmod.IsOf(err, ErrState) {
		t.Fatalf("migrated twice: %v", err)
	}
	// The last receipt of the old provider still counts; the rest follows.
	w.turnTo(t, w.epoch+3)
	if l, next = w.lease(t, old), w.lease(t, id); l.State != lease.Closed || next.Deposited != 5300 {
		t.Fatalf("old lease %s, the new one has %d", l.State, next.Deposited)
	}
	if o, _ := w.Offers.Get(w.ctx, oa); o.Sold != 0 || o.Leases != 0 {
		t.Fatalf("the old offer still sells %d to %d leases", o.Sold, o.Leases)
	}
	w.checkBooks(t)
	// A lease that nobody follows any more refunds its payer.
	third, err := accept(oa, 0, 100, 10, id[:])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.msgs.Close(w.ctx, &marketpb.MsgClose{Signer: w.payer.String(), LeaseId: third[:]}); err != nil {
		t.Fatal(err)
	}
	w.turnTo(t, w.epoch+6)
	w.checkBooks(t)
	if got := w.of(w.payer.String(), money.CreditDenom); got != 1_000_000 {
		t.Fatalf("the payer has %d ucredit when all is closed", got)
	}
}

func TestStandingRefusals(t *testing.T) {
	w := newWorld(t)
	u, v := w.addUnit(1), w.addUnit(2)
	price := money.Price{Credits: 1, Per: 1}
	id := w.stand(t, "lora", price, 1000, lane(0, 5000), lane(1, 5000))
	good := w.served(t, id, u, 0, 1, 100)
	w.turnTo(t, 2)
	flip := func(b []byte, at int) []byte { c := append([]byte(nil), b...); c[at] ^= 1; return c }
	tree := sums(t, map[[32]byte]uint64{u.id: 10, v.id: 20})
	if err := w.declare(id, tree); err != nil {
		t.Fatal(err)
	}
	leaf := leafItem(t, id, tree, u.id)
	settle := func(m marketpb.MsgSettle) error {
		if m.Signer == "" {
			m.Signer = w.payer.String()
		}
		_, err := w.msgs.Settle(w.ctx, &m)
		return err
	}
	statement := func(change func(*marketpb.StatementItem)) error {
		r := tree.Root()
		s := marketpb.StatementItem{Standing: id[:], Epoch: 2, Root: r.Hash[:], Size_: r.Size, Total: r.Total}
		change(&s)
		return settle(marketpb.MsgSettle{Statements: []marketpb.StatementItem{s}})
	}
	leafWith := func(change func(*marketpb.LeafItem)) error {
		l := leaf
		change(&l)
		return settle(marketpb.MsgSettle{Leaves: []marketpb.LeafItem{l}})
	}
	post := func(change func(*marketpb.MsgPost)) error {
		m := &marketpb.MsgPost{Owner: w.payer.String(), Side: marketpb.SIDE_STANDING, Kind: "lora", Use: marketpb.Price{Credits: 1, Per: 1},
			PayerBond: 10, Lanes: []marketpb.Lane{lane(0, 100)}}
		change(m)
		_, err := w.msgs.Post(w.ctx, m)
		return err
	}
	tooMany := make([]marketpb.LeafItem, 513)
	for _, c := range []struct {
		name string
		err  error
		want *errorsmod.Error
	}{
		{"nothing", settle(marketpb.MsgSettle{}), ErrInvalid},
		{"too many", settle(marketpb.MsgSettle{Leaves: tooMany}), ErrTooMany},
		{"posted with a device", post(func(m *marketpb.MsgPost) { m.Device = u.id[:] }), ErrInvalid},
		{"posted with a small bond", post(func(m *marketpb.MsgPost) { m.PayerBond = 9 }), ErrInvalid},
		{"posted for free", post(func(m *marketpb.MsgPost) { m.Use.Credits = 0 }), ErrInvalid},
		{"posted without the credits", post(func(m *marketpb.MsgPost) { m.PayerBond = 1 << 40 }), ErrFunds},
		{"posted over another", post(func(m *marketpb.MsgPost) { m.OfferId = 1 }), ErrInvalid},
		{"statement of a short id", statement(func(s *marketpb.StatementItem) { s.Standing = s.Standing[:31] }), ErrInvalid},
		{"statement of a short root", statement(func(s *marketpb.StatementItem) { s.Root = nil }), ErrInvalid},
		{"statement of no lease", statement(func(s *marketpb.StatementItem) { s.Standing = make([]byte, 32) }), ErrNotFound},
		{"statement twice", statement(func(*marketpb.StatementItem) {}), ErrState},
		{"statement above the escrow", statement(func(s *marketpb.StatementItem) { s.Epoch = 3; s.Total = 10_001 }), ErrState},
		{"statement of another", settle(marketpb.MsgSettle{Signer: w.owner.String(), Statements: []marketpb.StatementItem{{Standing: id[:], Epoch: 2, Root: make([]byte, 32)}}}), ErrNotYours},
		{"leaf of more units", leafWith(func(l *marketpb.LeafItem) { l.Units++ }), ErrProof},
		{"leaf of another device", leafWith(func(l *marketpb.LeafItem) { l.Device = v.id[:] }), ErrProof},
		{"leaf with a cut proof", leafWith(func(l *marketpb.LeafItem) { l.Proof = l.Proof[:len(l.Proof)-1] }), ErrInvalid},
		{"leaf with a long proof", leafWith(func(l *marketpb.LeafItem) { l.Proof = make([]byte, 1<<16) }), ErrInvalid},
		{"leaf without a proof", leafWith(func(l *marketpb.LeafItem) { l.Proof = nil }), ErrInvalid},
		{"leaf of no lease", leafWith(func(l *marketpb.LeafItem) { l.Standing = make([]byte, 32) }), ErrNotFound},
		{"dispute without a receipt", w.contest(id, u), ErrState},
		{"dispute with another's receipt", w.contest(id, v, good), ErrInvalid},
		{"dispute of a device nobody knows", w.contest(id, unit{id: [32]byte{1}, owner: u.owner}, good), ErrNotFound},
		{"dispute with more units", w.contest(id, u, flip(good, 51)), ErrSignature},
		{"dispute with another lane", w.contest(id, u, flip(good, 35)), ErrSignature},
		{"dispute with a lane that is not", w.contest(id, u, flip(good, 33)), ErrNotFound},
		{"dispute the device did not sign", w.contest(id, u, flip(good, 219)), ErrSignature},
		{"dispute the payer did not sign", w.contest(id, u, flip(good, 150)), ErrSignature},
		{"dispute cut short", w.contest(id, u, good[:219]), ErrInvalid},
		{"dispute of this epoch", w.contest(id, u, w.served(t, id, u, 0, 2, 120)), ErrState},
		{"dispute of one lane twice", w.contest(id, u, good, good), ErrState},
		{"closed by another", func() error {
			_, err := w.msgs.Close(w.ctx, &marketpb.MsgClose{Signer: u.owner.String(), LeaseId: id[:]})
			return err
		}(), ErrNotYours},
		{"lanes by another", func() error {
			_, err := w.msgs.Fund(w.ctx, &marketpb.MsgFund{Funder: u.owner.String(), LeaseId: id[:], Lanes: []marketpb.Lane{lane(5, 0)}})
			return err
		}(), ErrNotYours},
		{"a hold budget", func() error {
			_, err := w.msgs.Fund(w.ctx, &marketpb.MsgFund{Funder: w.payer.String(), LeaseId: id[:], HoldBudget: 1})
			return err
		}(), ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !errorsmod.IsOf(c.err, c.want) {
				t.Fatalf("got %v, want %v", c.err, c.want)
			}
		})
	}
	if s := w.standingOf(t, id); s.Stated != 0 || s.Disputes != 0 {
		t.Fatalf("refused items paid %d and left %d disputes", s.Stated, s.Disputes)
	}
	w.ctx = w.ctx.WithChainID("another-chain-1")
	if err := w.contest(id, u, good); !errorsmod.IsOf(err, ErrSignature) {
		t.Fatalf("a receipt of another chain: %v", err)
	}
	w.ctx = w.ctx.WithChainID(testChain)
	if err := w.contest(id, u, good); err != nil {
		t.Fatal(err)
	}
	w.checkBooks(t)
}

func TestOmittedProviderIsPaidFromEscrowAndBond(t *testing.T) {
	w := newWorld(t)
	u, v := w.addUnit(1), w.addUnit(2)
	id := w.stand(t, "lora", money.Price{Credits: 1, Per: 1}, 500, lane(0, 1000))
	mine := w.served(t, id, u, 0, 1, 300)
	w.turnTo(t, 2)
	tree := sums(t, map[[32]byte]uint64{v.id: 900})
	if err := w.declare(id, tree); err != nil {
		t.Fatal(err)
	}
	if err := w.contest(id, u, mine); err != nil {
		t.Fatal(err)
	}
	q := NewQueryServer(w.Keeper)
	if x, err := q.Account(w.ctx, &marketpb.QueryAccountRequest{Standing: id[:], Device: u.id[:]}); err != nil || x.Dispute == nil || x.Dispute.Until != 4 {
		t.Fatalf("%+v, %v", x, err)
	}
	w.turnTo(t, 4)
	if w.of(u.owner.String(), money.CreditDenom) != 0 {
		t.Fatal("paid while the payer may answer")
	}
	w.turnTo(t, 5)
	w.checkBooks(t)
	// 300 owed: 100 free in the escrow, 200 of the bond, less take; 30 penalty without take.
	if got := w.of(u.owner.String(), money.CreditDenom); got != 285+30 {
		t.Fatalf("the provider has %d ucredit", got)
	}
	s := w.standingOf(t, id)
	if s.Disputed != 100 || s.Bond != 270 || s.Forfeited != 230 || s.Free() != 0 {
		t.Fatalf("disputed %d, bond %d, forfeited %d, free %d", s.Disputed, s.Bond, s.Forfeited, s.Free())
	}
	if paid, err := w.collect(leafItem(t, id, tree, v.id)); err != nil || paid != 900 {
		t.Fatalf("the stated provider was paid %d, %v", paid, err)
	}
	x, err := q.Explain(w.ctx, &marketpb.QueryExplainRequest{Epoch: 5, Device: u.id[:]})
	if err != nil || len(x.Leases) != 1 || x.Leases[0].UsePaid != 300 || x.Leases[0].Penalty != 30 || x.Usage.UsePaid != 300 {
		t.Fatalf("explain: %+v, %v", x, err)
	}
	w.turnTo(t, 12)
	if s = w.standingOf(t, id); s.State != lease.Closed || s.Reason != lease.ReasonExhausted {
		t.Fatalf("%s (%s)", s.State, s.Reason)
	}
	if has, _ := w.Accounts.Has(w.ctx, pairOf(id, v.id)); has {
		t.Fatal("accounts of a closed lease are kept")
	}
	w.checkBooks(t)
	if got := w.of(ModuleName, money.CreditDenom); got != 0 {
		t.Fatalf("the market keeps %d ucredit", got)
	}
}

// refusing is a network that takes nothing.
type refusing struct{}

func (refusing) Take(context.Context, string, money.Credit) (net, burned money.Credit, err error) {
	return 0, 0, errors.New("refused")
}

// A provider whose payouts cannot be made delays nobody for ever.
func TestDisputeThatCannotBePaidIsDropped(t *testing.T) {
	w := newWorld(t)
	u := w.addUnit(1)
	id := w.stand(t, "lora", money.Price{Credits: 1, Per: 1}, 500, lane(0, 1000))
	mine := w.served(t, id, u, 0, 1, 300)
	w.turnTo(t, 2)
	if err := w.contest(id, u, mine); err != nil {
		t.Fatal(err)
	}
	if _, err := w.msgs.Close(w.ctx, &marketpb.MsgClose{Signer: w.payer.String(), LeaseId: id[:]}); err != nil {
		t.Fatal(err)
	}
	w.Keeper.credits = refusing{}
	w.turnTo(t, 7) // until 4, tried again through 7
	if s := w.standingOf(t, id); s.State != lease.Closing || s.Disputes != 1 {
		t.Fatalf("%s with %d disputes", s.State, s.Disputes)
	}
	w.turnTo(t, 9)
	if s := w.standingOf(t, id); s.State != lease.Closed || s.Disputed != 0 {
		t.Fatalf("%s until %d, %d disputes, %d paid to disputes", s.State, s.Until, s.Disputes, s.Disputed)
	}
	w.checkBooks(t)
	if got := w.of(w.payer.String(), money.CreditDenom); got != 1_000_000 {
		t.Fatalf("the payer has %d back", got)
	}
}

// However much is due, a block does a bounded part of it, and the rest comes
// with the next blocks.
func TestOrderQueuesAreBounded(t *testing.T) {
	w := newWorld(t)
	p, _ := w.Params.Get(w.ctx)
	p.LeasesPerBlock = 2
	if err := w.Params.Set(w.ctx, p); err != nil {
		t.Fatal(err)
	}
	id := w.stand(t, "lora", money.Price{Credits: 1, Per: 1}, 500, lane(0, 1000))
	stated := map[[32]byte]uint64{}
	for n := range 5 {
		u := w.addUnit(n)
		stated[u.id] = 1
		if n < 4 {
			w.stand(t, "lora", money.Price{Credits: 1, Per: 1}, 500, lane(n, 1000))
		}
		w.ask(t, 1)
		paper := w.served(t, id, u, 0, 1, 10)
		w.epoch = 2
		if err := w.contest(id, u, paper); err != nil {
			t.Fatal(err)
		}
		w.epoch = 1
	}
	left := func() (disputes, standings, demands int) {
		a, _ := dueIn(w.ctx, w.DisputesDue, w.epoch, 100)
		b, _ := dueIn(w.ctx, w.StandingsDue, w.epoch, 100)
		c, _ := dueIn(w.ctx, w.DemandsDue, w.epoch, 100)
		return len(a), len(b), len(c)
	}
	w.epoch = 5
	for _, want := range []int{3, 1, 0} {
		if err := w.EndBlock(w.ctx); err != nil {
			t.Fatal(err)
		}
		if a, b, c := left(); a != want || b != want || c != want {
			t.Fatalf("%d disputes, %d standing leases and %d demands are due, want %d of each", a, b, c, want)
		}
	}
	w.checkBooks(t)
}

// Accounts of a closed standing lease are removed a hundred in a block.
func TestAccountsAreSwept(t *testing.T) {
	w := newWorld(t)
	id := w.stand(t, "lora", money.Price{Credits: 1, Per: 1}, 500, lane(0, 1000))
	stated := map[[32]byte]uint64{}
	for n := range 250 {
		stated[w.addUnit(n).id] = 1
	}
	tree := sums(t, stated)
	if err := w.declare(id, tree); err != nil {
		t.Fatal(err)
	}
	for d := range stated {
		if _, err := w.collect(leafItem(t, id, tree, d)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.msgs.Close(w.ctx, &marketpb.MsgClose{Signer: w.payer.String(), LeaseId: id[:]}); err != nil {
		t.Fatal(err)
	}
	w.turnTo(t, 2)
	w.epoch = 3
	for _, want := range []int{150, 50, 0, 0} {
		if err := w.EndBlock(w.ctx); err != nil {
			t.Fatal(err)
		}
		if got := len(must(values(w.ctx, w.Accounts))); got != want {
			t.Fatalf("%d accounts are left, want %d", got, want)
		}
	}
	if n, _ := w.Swept.Iterate(w.ctx, nil); n.Valid() {
		t.Fatal("the lease is still being swept")
	}
	w.checkBooks(t)
}
