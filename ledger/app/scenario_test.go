package app_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	coredevice "github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

// net is what a payee gets of a payment: 5 % is taken.
func net(gross uint64) int64 {
	return int64(gross - gross*300/10_000 - 2*(gross*100/10_000))
}

// off says that got is not want: what is below one ucredit of each of the three
// shares of the take is carried from one payment to the next, whoever makes it.
func off(got, want, payments int64) bool { return max(got, want)-min(got, want) > 3*payments }

// One buyer opens a LoRaWAN route. A thousand gateways that he has never heard
// of forward packets for three epochs; each is paid by one leaf. He forgets one,
// who is paid from the bond.
func TestScenarioLoRaWANRoute(t *testing.T) {
	const gateways = 1000
	b := newBench(t, gateways)
	nodes := make([]node, gateways)
	for i := range nodes {
		nodes[i] = b.register("gateway", i, b.people[i])
	}
	// 10 ucredit for a unit of 24 bytes; 400 000 units and a tenth as bond.
	id := b.stand("lorawan", per(10, 1), 400_000, laneOf(0, 4_000_000))
	rng := rand.New(rand.NewPCG(1, 1))
	units := map[coredevice.ID]uint64{}
	forgotten := nodes[77]
	var paper []byte
	var tree *merkle.SumTree
	for epoch := range 3 {
		for _, d := range nodes {
			units[d.id] += 1 + rng.Uint64N(100)
		}
		paper = b.served(id, forgotten, 0, uint64(epoch+1), units[forgotten.id])
		stated := map[coredevice.ID]uint64{}
		for d, n := range units {
			if d != forgotten.id {
				stated[d] = n
			}
		}
		tree = b.state(id, stated)
		if epoch != 1 { // collecting late loses nothing
			b.collect(id, tree, append(append([]node(nil), nodes[:77]...), nodes[78:]...)...)
		}
		b.turn(1)
		b.books()
	}
	for i, d := range nodes {
		if got, want := b.earned(d.owner), net(10*units[d.id]); d.id != forgotten.id && off(got, want, 3) {
			t.Fatalf("gateway %d earned %d for %d units, want %d", i, got, units[d.id], want)
		}
	}
	b.must(b.contest(id, forgotten, paper))
	b.turn(2)
	owed := 10 * units[forgotten.id]
	if got, want := b.earned(forgotten.owner), net(owed)+int64(owed/10); off(got, want, 1) {
		t.Fatalf("the forgotten gateway earned %d, want %d and a penalty", got, want)
	}
	b.books()
	b.must(b.do(func(ctx context.Context) error {
		_, err := b.market.Close(ctx, &marketpb.MsgClose{Signer: b.payer.String(), LeaseId: id[:]})
		return err
	}))
	b.turn(3)
	if s := b.standing(id); s.State != lease.Closed || s.Held()+s.Bond != 0 {
		t.Fatalf("%s with %d and %d", s.State, s.Held(), s.Bond)
	}
	b.books()
}

// A buyer asks for a machine. Twenty providers bid each other down, a better bid
// takes the place of a dear one, and the cheapest wins. Then its machine dies:
// the buyer moves the lease to another provider, escrow and all.
func TestScenarioComputeAuction(t *testing.T) {
	const bidders = lease.MaxBids
	b := newBench(t, bidders+1)
	demand, err := b.post(&marketpb.MsgPost{
		Owner: b.payer.String(), Side: marketpb.SIDE_DEMAND, Kind: "compute", Capacity: 8, OpenEpochs: 2, TermEpochs: 10,
		Use: per(100, 1), Hold: per(1000, 1), HoldBudget: 50_000, Lanes: []marketpb.Lane{laneOf(0, 20_000)},
	})
	b.must(err)
	bid := func(d node, offer, hold uint64) error {
		_, err := b.accept(&marketpb.MsgAccept{Payer: d.owner.String(), OfferId: demand.OfferId, Bid: offer, Use: per(100, 1), Hold: per(hold, 1)})
		return err
	}
	var nodes []node
	var offers []uint64
	for i := range bidders + 1 {
		nodes = append(nodes, b.register("machine", i, b.people[i]))
		offers = append(offers, b.offer(nodes[i], "compute", per(100, 1), per(1000, 1), 8))
	}
	for i := range bidders {
		b.must(bid(nodes[i], offers[i], 1000-10*uint64(i)))
	}
	if err := bid(nodes[bidders], offers[bidders], 1000); err == nil || !strings.Contains(err.Error(), "none dearer") {
		t.Fatalf("bid 21 at the dearest price: %v", err)
	}
	b.must(bid(nodes[bidders], offers[bidders], 700)) // instead of the dearest
	best := offers[bidders]
	won, err := b.accept(&marketpb.MsgAccept{Payer: b.payer.String(), OfferId: demand.OfferId, Bid: best, Use: per(100, 1), Hold: per(700, 1)})
	b.must(err)
	b.books()
	for i, d := range nodes[:bidders] {
		o, err := b.Ours.Market.Offers.Get(b.ctx, offers[i])
		b.must(err)
		if o.Sold != 0 || o.Bids != 0 || b.Standard.Bank.GetBalance(b.ctx, d.owner, money.GrainDenom).Amount.Int64() != rich-1_000_000 {
			t.Fatalf("bidder %d lost and has %d units reserved", i, o.Sold)
		}
	}
	paid, err := b.settle(&marketpb.MsgSettle{Receipts: [][]byte{b.receipt([32]byte(won.LeaseId), nodes[bidders], 0, 1, 50, [32]byte{})}})
	b.must(err)
	if paid != 5000 {
		t.Fatalf("50 units paid %d", paid)
	}
	b.turn(1)
	next, err := b.accept(&marketpb.MsgAccept{
		Payer: b.payer.String(), OfferId: offers[3], Capacity: 8, HoldBudget: 40_000, Lanes: []marketpb.Lane{laneOf(1, 10_000)},
		TermEpochs: 9, Use: per(100, 1), Hold: per(1000, 1), Migrate: won.LeaseId,
	})
	b.must(err)
	if got := b.credits(b.payer); got != rich-70_000 {
		t.Fatalf("the move cost the buyer %d more", rich-70_000-got)
	}
	b.turn(3)
	old, l := b.lease(won.LeaseId), b.lease(next.LeaseId)
	if old.State != lease.Closed || old.Reason != lease.ReasonMigrated || l.Deposited != 65_000 {
		t.Fatalf("old lease %s (%s), new one has %d", old.State, old.Reason, l.Deposited)
	}
	b.books()
}

// Twelve homes trade energy over the 96 quarter hours of a day. The community's
// meter point states all of it with one root; each home's receipt commits to its
// 96 readings.
func TestScenarioEnergyCommunity(t *testing.T) {
	const homes, intervals = 12, 96
	b := newBench(t, homes)
	id := b.stand("energy", per(250, 1), 4_000_000, laneOf(0, 40_000_000)) // 250 ucredit a Wh
	rng := rand.New(rand.NewPCG(3, 3))
	var nodes []node
	units := map[coredevice.ID]uint64{}
	papers := map[coredevice.ID][]byte{}
	for i := range homes {
		d := b.register("meter", i, b.people[i])
		nodes = append(nodes, d)
		var readings [][]byte
		for t := range uint64(intervals) {
			wh := rng.Uint64N(200)
			units[d.id] += wh
			readings = append(readings, binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, t), wh))
		}
		papers[d.id] = b.receipt(lease.AccountID(id, d.id), d, 0, 1, units[d.id], merkle.Root(readings))
	}
	tree := b.state(id, units)
	if tree.Root().Size != homes {
		t.Fatalf("one root of %d homes", tree.Root().Size)
	}
	paid := b.collect(id, tree, nodes...)
	if want := 250 * tree.Root().Total; paid != want {
		t.Fatalf("paid %d for %d Wh, want %d", paid, tree.Root().Total, want)
	}
	for _, d := range nodes {
		if got := b.earned(d.owner); off(got, net(250*units[d.id]), 1) {
			t.Fatalf("a home earned %d for %d Wh", got, units[d.id])
		}
	}
	if again := b.collect(id, tree, nodes...); again != 0 {
		t.Fatalf("the same leaves again paid %d", again)
	}
	b.turn(1)
	for _, d := range nodes { // receipts that the statement covers are worth nothing more
		if err := b.contest(id, d, papers[d.id]); err == nil || !strings.Contains(err.Error(), "nothing is owed") {
			t.Fatalf("a settled receipt in dispute: %v", err)
		}
	}
	b.books()
}

// A publisher gives each of three delivery gateways a lane: a token key with a
// cap and an end. Edges serve viewers against tokens of any of them. One key is
// stolen and signs a fortune for its thief's edge: the loss is its lane.
func TestScenarioCDNPublisher(t *testing.T) {
	b := newBench(t, 3)
	short := laneOf(2, 30_000)
	short.Expires = 1
	id := b.stand("cdn", per(1, 1000), 20_000, laneOf(0, 100_000), laneOf(1, 50_000), short)
	edge, omitted, thief := b.register("edge", 0, b.people[0]), b.register("edge", 1, b.people[1]), b.register("edge", 2, b.people[2])
	papers := [][]byte{b.served(id, omitted, 0, 1, 4_000_000), b.served(id, omitted, 1, 1, 6_000_000)}
	stolen := b.served(id, thief, 1, 1, ^uint64(0))
	b.turn(1)
	late := b.served(id, edge, 2, 1, 1000)
	tree := b.state(id, map[coredevice.ID]uint64{edge.id: 90_000_000})
	if paid := b.collect(id, tree, edge); paid != 90_000 {
		t.Fatalf("90 MB paid %d", paid)
	}
	b.must(b.contest(id, omitted, papers...))
	b.must(b.contest(id, thief, stolen))
	b.turn(1)
	if err := b.contest(id, edge, late); err == nil || !strings.Contains(err.Error(), "expired in epoch 1") {
		t.Fatalf("a token after its end: %v", err)
	}
	b.turn(1)
	b.books()
	s := b.standing(id)
	if l, _ := s.Lane(1); l.Paid > 50_000 {
		t.Fatalf("the stolen lane of 50000 paid %d", l.Paid)
	}
	if got, want := b.earned(omitted.owner), net(10_000)+1000; off(got, want, 1) {
		t.Fatalf("the omitted edge earned %d, want %d", got, want)
	}
	if got := b.earned(thief.owner); got > 50_000+5_000 {
		t.Fatalf("the thief got %d out of a lane of 50000", got)
	}
}

// A subscriber pays a relay for a stream: a receipt each epoch, a top-up in
// between, and what is left comes back when the subscription ends.
func TestScenarioStreamSubscription(t *testing.T) {
	b := newBench(t, 1)
	relay := b.register("relay", 0, b.people[0])
	offer := b.offer(relay, "stream", per(2, 1), per(0, 0), 100)
	r, err := b.accept(&marketpb.MsgAccept{Payer: b.payer.String(), OfferId: offer, Capacity: 1, TermEpochs: 4,
		Use: per(2, 1), Lanes: []marketpb.Lane{laneOf(0, 1000)}})
	b.must(err)
	var units uint64
	for epoch := range uint64(4) {
		units += 200
		_, err := b.settle(&marketpb.MsgSettle{Receipts: [][]byte{b.receipt([32]byte(r.LeaseId), relay, 0, epoch+1, units, [32]byte{})}})
		b.must(err)
		if epoch == 1 {
			b.must(b.do(func(ctx context.Context) error {
				_, err := b.market.Fund(ctx, &marketpb.MsgFund{Funder: b.payer.String(), LeaseId: r.LeaseId, Lanes: []marketpb.Lane{laneOf(0, 800)}})
				return err
			}))
		}
		b.books()
		b.turn(1)
	}
	b.turn(4)
	l := b.lease(r.LeaseId)
	if l.State != lease.Closed || l.Reason != lease.ReasonExpired || l.Paid() != 1600 || l.Refunded != 200 {
		t.Fatalf("%s (%s): paid %d, refunded %d", l.State, l.Reason, l.Paid(), l.Refunded)
	}
	if got := b.credits(b.payer); got != rich-1600 {
		t.Fatalf("the subscriber paid %d", rich-got)
	}
	b.books()
}

// A query over weather data sells rows of many stations for one fee. The fee is
// shared by rows, by one root; the station that is financed pays its lender first.
func TestScenarioWeatherQuery(t *testing.T) {
	b := newBench(t, 6)
	lender := b.people[5]
	rows := map[coredevice.ID]uint64{}
	var nodes []node
	for i := range 5 {
		d := b.register("station", i, b.people[i])
		nodes = append(nodes, d)
		rows[d.id] = uint64(1000 * (i + 1))
	}
	b.lien(nodes[0], lender.String(), 5000, 10_000)
	id := b.stand("weather", per(3, 1), 10_000, laneOf(0, 100_000)) // 3 ucredit a row
	fee := b.collect(id, b.state(id, rows), nodes...)
	if fee != 3*15_000 {
		t.Fatalf("the query cost %d", fee)
	}
	if got := b.earned(lender); off(got, net(3000)/2, 1) {
		t.Fatalf("the lender got %d of the station's %d", got, net(3000))
	}
	if got := b.earned(nodes[0].owner); off(got, net(3000)-net(3000)/2, 1) {
		t.Fatalf("the financed station's owner got %d", got)
	}
	for i, d := range nodes[1:] {
		if got := b.earned(d.owner); off(got, net(3*uint64(1000*(i+2))), 1) {
			t.Fatalf("station %d earned %d", i+1, got)
		}
	}
	b.books()
}

// lien promises a lender a share of a node's credits up to a cap.
func (b *bench) lien(d node, lender string, bps uint32, limit uint64) {
	b.Helper()
	b.must(b.payouts(d, devicepb.PayoutSplit{To: lender, Bps: bps, Denom: money.CreditDenom, Cap: limit, Lien: true}))
}

// payouts asks, as the owner, for new splits.
func (b *bench) payouts(d node, splits ...devicepb.PayoutSplit) error {
	return b.do(func(ctx context.Context) error {
		_, err := b.devices.Update(ctx, &devicepb.MsgUpdate{Owner: d.owner.String(), Device: d.id.String(), Payouts: &devicepb.Payouts{Splits: splits}})
		return err
	})
}

// A lender is repaid first, out of every settlement, up to the cap and no more;
// the owner alone cannot get rid of the lien, the lender can.
func TestLenderIsRepaidFirstAtSettle(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(b *bench, d node, lender string)
		want   []int64 // the lender's total after each payment of net 950
	}{
		{"up to the cap", func(*bench, node, string) {}, []int64{760, 1520, 2000, 2000}},
		{"the owner asks for no splits", func(b *bench, d node, _ string) { b.must(b.payouts(d)) }, []int64{760, 1520, 2000, 2000}},
		{"the owner promises all to a friend", func(b *bench, d node, _ string) {
			b.must(b.payouts(d, devicepb.PayoutSplit{To: b.people[2].String(), Bps: 10_000}))
		}, []int64{760, 1520, 2000, 2000}},
		{"the lender releases it", func(b *bench, d node, lender string) {
			b.must(b.do(func(ctx context.Context) error {
				_, err := b.devices.ReleaseLien(ctx, &devicepb.MsgReleaseLien{Beneficiary: lender, Device: d.id.String()})
				return err
			}))
		}, []int64{760, 760, 760, 760}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, 3)
			d, lender := b.register("node", 0, b.people[0]), b.people[1]
			b.lien(d, lender.String(), 8000, 2000)
			offer := b.offer(d, "stream", per(1, 1), per(0, 0), 100)
			r, err := b.accept(&marketpb.MsgAccept{Payer: b.payer.String(), OfferId: offer, Capacity: 1, Use: per(1, 1), Lanes: []marketpb.Lane{laneOf(0, 10_000)}})
			b.must(err)
			for i, want := range c.want {
				if i == 1 {
					c.change(b, d, lender.String())
				}
				paid, err := b.settle(&marketpb.MsgSettle{Receipts: [][]byte{b.receipt([32]byte(r.LeaseId), d, 0, uint64(i+1), uint64(1000*(i+1)), [32]byte{})}})
				b.must(err)
				if got := b.earned(lender); paid != 1000 || got != want {
					t.Fatalf("payment %d of %d: the lender has %d, want %d", i, paid, got, want)
				}
				if sum := b.earned(lender) + b.earned(d.owner) + b.earned(b.people[2]); sum != int64(950*(i+1)) {
					t.Fatalf("payment %d: all payees have %d", i, sum)
				}
				b.books()
			}
		})
	}
}
