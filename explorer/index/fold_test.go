package index

import (
	"context"
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/cosmos/gogoproto/proto"

	"github.com/grange-network/grange/explorer/chaintest"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/client"
)

// script makes one block of one transaction for each step.
type script struct {
	t      *testing.T
	blocks []client.Block
}

func (s *script) do(m proto.Message, events ...client.Event) {
	h := int64(len(s.blocks) + 1)
	b := client.Block{Height: h, Time: time.Unix(h, 0), Hash: []byte{byte(h)}, Proposer: []byte{1}} // no app hash: so is the first block's
	var messages []proto.Message
	if m != nil {
		messages = append(messages, m)
	}
	for i := range events {
		events[i].Attributes = append(events[i].Attributes, client.Attribute{Key: "msg_index", Value: "0"})
	}
	b.Txs = []client.Tx{chaintest.Transaction(s.t, "grange1buyer", events, messages...)}
	s.blocks = append(s.blocks, b)
}

func (s *script) begin() {
	s.do(nil, chaintest.Event("grange.oracle.epoch", "epoch", "1", "status", "EPOCH_STATUS_DECIDED", "seed", "00"))
	s.do(&devicepb.MsgRegister{Owner: "grange1owner", Profile: devicepb.Profile{Status: devicepb.STATUS_ACTIVE, Metadata: "a\x00b\xff", Capabilities: []string{"x\x00y", `q"z`}}},
		chaintest.Event("grange.device.register", "device", chaintest.ID("device"), "did", "did:key:z1", "owner", "grange1owner"))
	s.do(&marketpb.MsgPost{Owner: "grange1owner", Kind: "storage", Capacity: 1000, Bond: 5},
		chaintest.Event("grange.market.offer", "offer", "1", "device", chaintest.ID("device"), "owner", "grange1owner", "status", "OFFER_STATUS_OPEN"))
}

func raw(t *testing.T, id string) []byte {
	b, err := hex.DecodeString(id)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A lease won in an auction has the size and the deposit that its demand had.
func TestAuctionedLease(t *testing.T) { both(t, auctionedLease) }

func auctionedLease(t *testing.T, at fresh) {
	s := &script{t: t}
	s.begin()
	lanes := []marketpb.Lane{{Id: 1, Cap: 30}, {Id: 2, Cap: 12}}
	s.do(&marketpb.MsgPost{Owner: "grange1buyer", Kind: "storage", Side: marketpb.SIDE_DEMAND, Capacity: 400, HoldBudget: 100, Lanes: lanes},
		chaintest.Event("grange.market.demand", "demand", "2", "buyer", "grange1buyer", "kind", "storage", "reason", ""))
	s.do(&marketpb.MsgAccept{Payer: "grange1owner", OfferId: 2, Bid: 1}, chaintest.Event("grange.market.bid", "demand", "2", "offer", "1", "owner", "grange1owner", "reason", ""))
	s.do(&marketpb.MsgAccept{Payer: "grange1buyer", OfferId: 2, Bid: 1},
		chaintest.Event("grange.market.lease", "lease", chaintest.ID("won"), "device", chaintest.ID("device"), "payer", "grange1buyer", "state", "open", "reason", ""),
		chaintest.Event("grange.market.demand", "demand", "2", "buyer", "grange1buyer", "kind", "storage", "reason", "awarded", "lease", chaintest.ID("won")))
	s.do(&marketpb.MsgFund{Funder: "grange1buyer", LeaseId: raw(t, chaintest.ID("won")), HoldBudget: 7, Lanes: lanes[:1]}) // changes no state: no event
	store := filled(t, at, s.blocks)
	l, err := store.Lease(context.Background(), chaintest.ID("won"))
	if err != nil {
		t.Fatal(err)
	}
	if *l.Capacity != 400 || *l.HoldBudget != 107 || *l.Deposited != 142+37 || *l.Kind != "storage" || *l.Offer != 1 {
		t.Errorf("capacity %s, hold budget %s, deposited %s, kind %s, offer %d", l.Capacity, l.HoldBudget, l.Deposited, *l.Kind, *l.Offer)
	}
	offers, err := store.Offers(context.Background(), OfferFilter{}, Page{})
	if err != nil || offers.Items[0].Sold != 400 || offers.Items[0].Free != 600 || offers.Items[0].Leases != 1 {
		t.Errorf("offer %+v, %v", offers.Items, err)
	}
}

// What statements and disputes of a standing lease paid reaches its lease, its
// devices and the epoch, the take off.
func TestStandingLeasePays(t *testing.T) { both(t, standingLeasePays) }

func standingLeasePays(t *testing.T, at fresh) {
	s := &script{t: t}
	s.begin()
	of := []string{"lease", chaintest.ID("standing"), "device", chaintest.ID("device")}
	with := func(pairs ...string) []string { return append(append([]string{}, of...), pairs...) }
	s.do(&marketpb.MsgPost{Owner: "grange1buyer", Kind: "sensing/weather", Side: marketpb.SIDE_STANDING, Lanes: []marketpb.Lane{{Id: 1, Cap: 900}}, PayerBond: 50},
		chaintest.Event("grange.market.standing", "lease", chaintest.ID("standing"), "payer", "grange1buyer", "kind", "sensing/weather", "state", "open", "reason", ""))
	s.do(&marketpb.MsgFund{Funder: "grange1buyer", LeaseId: raw(t, chaintest.ID("standing")), Lanes: []marketpb.Lane{{Id: 1, Cap: 100}}, Bond: 5})
	s.do(&marketpb.MsgSettle{Signer: "grange1buyer"}, chaintest.Event("grange.market.settle", with("units", "10", "paid", "100", "net", "95")...))
	s.do(nil, chaintest.Event("grange.market.dispute", with("state", "filed", "until", "3", "short", "0", "paid", "0", "penalty", "0", "net", "0")...))
	s.do(nil, chaintest.Event("grange.market.dispute", with("state", "resolved", "until", "3", "short", "40", "paid", "40", "penalty", "8", "net", "38")...))
	store, ctx := filled(t, at, s.blocks), context.Background()
	l, err := store.Lease(ctx, chaintest.ID("standing"))
	if err != nil || l.UsePaid != 140 || l.Net != 133 || l.Receipts != 1 || *l.Deposited != 1000 || l.HoldBudget != nil {
		t.Errorf("lease %+v, %v", l, err)
	}
	d, err := store.Device(ctx, chaintest.ID("device"))
	if err != nil || d.Paid != 140 || d.Net != 133 {
		t.Errorf("device %+v, %v", d, err)
	}
	w, err := store.Why(ctx, chaintest.ID("device"), 1)
	if err != nil || w.Reward.UsePaid != 140 || w.Reward.Take != 7 || w.Epoch.Paid != 140 || len(w.Leases) != 1 || w.Leases[0].Net != 133 || *w.Leases[0].Used != 10 {
		t.Errorf("why %+v, %v", w, err)
	}
}

// What a provider writes and claims breaks neither database nor sums.
func TestStrangeTextsAndNumbers(t *testing.T) { both(t, strangeTextsAndNumbers) }

func strangeTextsAndNumbers(t *testing.T, at fresh) {
	s := &script{t: t}
	s.begin()
	for _, id := range []string{"7", "8", "9"} {
		s.do(&marketpb.MsgPost{Owner: "grange1liar", Kind: "storage", Capacity: math.MaxUint64, Bond: math.MaxUint64, Attributes: []marketpb.Attribute{{Key: "\x00", Value: "\xff"}}},
			chaintest.Event("grange.market.offer", "offer", id, "device", chaintest.ID("device"), "owner", "grange1liar", "status", "OFFER_STATUS_OPEN"))
	}
	store, ctx := filled(t, at, s.blocks), context.Background()
	if got, want := dumpOf(t, store), dumpOf(t, filled(t, file, s.blocks)); got != want {
		t.Error(firstDifference(want, got))
	}
	o, err := store.Overview(ctx)
	if err != nil || o.Claimed != math.MaxInt64 {
		t.Errorf("claimed %d, %v", o.Claimed, err)
	}
	for _, word := range []string{"x\uFFFDy", `q"z`} {
		l, err := store.Devices(ctx, DeviceFilter{Capability: word}, Page{})
		if err != nil || len(l.Items) != 1 || !strings.Contains(*l.Items[0].Metadata, "a\uFFFDb") || l.Items[0].Claimed != math.MaxInt64 {
			t.Errorf("devices that say %q: %+v, %v", word, l.Items, err)
		}
	}
	if _, _, err := store.Cells(ctx, DeviceFilter{}, 5); err != nil {
		t.Error(err)
	}
}

// A kind's devices are those that offer it and those a standing lease paid.
func TestForSale(t *testing.T) { both(t, forSale) }

func forSale(t *testing.T, at fresh) {
	s := &script{t: t}
	s.begin()
	berlin := uint64(h3.At(52.5, 13.4, 8))
	for _, name := range []string{"a", "b", "c", "d"} {
		p := devicepb.Profile{Class: devicepb.CLASS_PRN, Cell: berlin, Status: devicepb.STATUS_ACTIVE}
		if name == "d" {
			p.Cell = 0
		}
		s.do(&devicepb.MsgRegister{Owner: "grange1" + name, Profile: p}, chaintest.Event("grange.device.register", "device", chaintest.ID(name), "did", "did:key:z"+name, "owner", "grange1"+name))
	}
	s.do(&marketpb.MsgPost{Owner: "grange1buyer", Kind: "sensing/weather", Side: marketpb.SIDE_STANDING, Lanes: []marketpb.Lane{{Id: 1, Cap: 900}}},
		chaintest.Event("grange.market.standing", "lease", chaintest.ID("standing"), "payer", "grange1buyer", "kind", "sensing/weather", "state", "open", "reason", ""))
	for _, name := range []string{"a", "b", "c", "d"} {
		s.do(nil, chaintest.Event("grange.market.settle", "lease", chaintest.ID("standing"), "device", chaintest.ID(name), "units", "10", "paid", "100", "net", "95"))
	}
	for i, use := range []uint64{30, 20, 25} {
		s.do(&marketpb.MsgPost{Owner: "grange1a", Kind: "sensing/weather", Use: marketpb.Price{Credits: use, Per: 10}, Capacity: 7},
			chaintest.Event("grange.market.offer", "offer", itoa(2+i), "device", chaintest.ID("a"), "owner", "grange1a", "status", "OFFER_STATUS_OPEN"))
	}
	all, err := filled(t, at, s.blocks).ForSale(context.Background(), 5)
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	k := all[0]
	if k.Kind != "sensing/weather" || k.Devices != 4 || k.Owners != 4 || k.Offers != 3 || k.Standing != 1 || k.Paid != 400 || k.Net != 380 || k.Capacity != 21 || k.Free != 21 ||
		k.Use == nil || k.Use.Credits != 20 || k.Hold != nil || k.Nowhere != 1 || len(k.Cells) != 1 || k.Cells[0].Devices != 3 || k.Cells[0].Owners != 3 {
		t.Errorf("weather: %+v", k)
	}
	if k := all[1]; k.Kind != "storage" || k.Devices != 1 || k.Standing != 0 || k.Capacity != 1000 || k.Nowhere != 1 || k.Cells != nil {
		t.Errorf("storage: %+v", k)
	}
}
