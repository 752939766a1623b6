package simulation

import (
	"crypto/ed25519"
	"slices"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

func (w *world) price(most uint64) marketpb.Price {
	return marketpb.Price{Credits: w.rng.Uint64N(most + 1), Per: 1 + w.rng.Uint64N(3)}
}

// laneList is one to three lanes of small caps, mostly with keys of their own.
func (w *world) laneList() (out []marketpb.Lane) {
	keys := w.rng.Perm(len(w.lanes))
	for i := range 1 + w.rng.IntN(3) {
		k := w.lanes[keys[i]]
		if w.chance(2) {
			k = w.lanes[0]
		}
		l := marketpb.Lane{Id: uint32(i), Key: k.Public().(ed25519.PublicKey), Cap: 1 + w.rng.Uint64N(5_000_000)}
		if w.chance(5) {
			l.Expires = 1 + w.rng.Uint64N(80)
		}
		out = append(out, l)
	}
	return out
}

func (w *world) kind() string {
	k, _ := pick(w, []string{"storage", "storage", "compute", "relay"})
	return k
}

func (w *world) postOffer(v view) sdk.Msg {
	d, ok := pick(w, v.devices)
	u, known := w.unitByText(d.Id)
	if !ok || !known || len(v.offers) > 20 {
		return nil
	}
	return &marketpb.MsgPost{Owner: d.Owner, Device: u.id[:], Kind: w.kind(), Use: w.price(500), Hold: w.price(500), Capacity: 1 + w.rng.Uint64N(2_000), Bond: 1_000_000 + w.rng.Uint64N(5_000_000)}
}

func (w *world) changeOffer(v view) sdk.Msg {
	o, ok := pick(w, v.offers)
	if !ok {
		return nil
	}
	msg := &marketpb.MsgPost{Owner: o.Owner, OfferId: o.Id, Device: o.Device, Kind: o.Kind, Use: o.Use, Hold: o.Hold, Capacity: o.Capacity}
	switch w.rng.IntN(4) {
	case 0:
		msg.Status = marketpb.OFFER_STATUS_PAUSED
	case 1:
		msg.Status = marketpb.OFFER_STATUS_WITHDRAWN
	case 2:
		msg.Use, msg.Capacity = w.price(500), o.Sold+w.rng.Uint64N(500)
	default:
		msg.Bond = w.rng.Uint64N(1_000_000)
	}
	return msg
}

func (w *world) accept(v view) sdk.Msg {
	o, ok := pick(w, v.offers)
	if !ok || o.Status != marketpb.OFFER_STATUS_OPEN && !w.chance(10) {
		return nil
	}
	msg := &marketpb.MsgAccept{Payer: w.someone().address, OfferId: o.Id, Capacity: 1 + w.rng.Uint64N(min(max(o.Capacity-o.Sold, 1), 100)), HoldBudget: w.rng.Uint64N(3_000_000), Lanes: w.laneList(), Use: o.Use, Hold: o.Hold}
	if w.chance(40) {
		msg.TermEpochs = 1 + w.rng.Uint64N(12)
	}
	if l, some := pick(w, v.leases); some && w.chance(15) {
		msg.Payer, msg.Migrate = l.Payer, l.Id
	}
	return msg
}

func (w *world) auction(v view) sdk.Msg {
	d, ok := pick(w, v.demands)
	if !ok || w.chance(15) {
		return &marketpb.MsgPost{Owner: w.someone().address, Side: marketpb.SIDE_DEMAND, Kind: w.kind(), Use: w.price(900), Hold: w.price(900), Capacity: 1 + w.rng.Uint64N(50),
			HoldBudget: w.rng.Uint64N(500_000), Lanes: w.laneList(), TermEpochs: w.rng.Uint64N(6), OpenEpochs: 1 + w.rng.Uint64N(4)}
	}
	o, some := pick(w, v.offers)
	if b, bid := pick(w, d.Bids); bid && w.chance(40) {
		if w.chance(20) {
			return &marketpb.MsgClose{Signer: b.Owner, OfferId: d.Id, Bid: b.Offer}
		}
		return &marketpb.MsgAccept{Payer: d.Buyer, OfferId: d.Id, Bid: b.Offer, Use: b.Use, Hold: b.Hold}
	}
	if w.chance(8) {
		return &marketpb.MsgPost{Owner: d.Buyer, OfferId: d.Id, Side: marketpb.SIDE_DEMAND, Status: marketpb.OFFER_STATUS_WITHDRAWN}
	}
	if !some {
		return nil
	}
	return &marketpb.MsgAccept{Payer: o.Owner, OfferId: d.Id, Bid: o.Id,
		Use: marketpb.Price{Credits: w.rng.Uint64N(d.Use.Credits + 1), Per: d.Use.Per}, Hold: marketpb.Price{Credits: w.rng.Uint64N(d.Hold.Credits + 1), Per: d.Hold.Per}}
}

func (w *world) fund(v view) sdk.Msg {
	if s, ok := pick(w, v.standings); ok && w.chance(40) {
		return &marketpb.MsgFund{Funder: s.Payer, LeaseId: s.Id, Bond: w.rng.Uint64N(10_000), Lanes: w.laneList()}
	}
	l, ok := w.lease(v)
	if !ok {
		return nil
	}
	msg := &marketpb.MsgFund{Funder: l.Payer, LeaseId: l.Id, HoldBudget: w.rng.Uint64N(1_000_000)}
	if w.chance(20) {
		msg.Funder = w.someone().address
	}
	if lane, some := pick(w, l.Lanes); some && w.chance(50) {
		msg.Lanes = []marketpb.Lane{{Id: lane.Id, Key: lane.Key, Cap: w.rng.Uint64N(500_000), Expires: lane.Expires}}
	}
	return msg
}

func (w *world) closeLease(v view) sdk.Msg {
	if s, ok := pick(w, v.standings); ok && w.chance(20) {
		return &marketpb.MsgClose{Signer: s.Payer, LeaseId: s.Id}
	}
	l, ok := w.lease(v)
	if !ok || !w.chance(30) {
		return nil
	}
	signer, _ := pick(w, []string{l.Payer, l.Payer, l.Owner, w.someone().address})
	return &marketpb.MsgClose{Signer: signer, LeaseId: l.Id}
}

// lease is one that is not closed, mostly.
func (w *world) lease(v view) (marketpb.Lease, bool) {
	l, ok := pick(w, v.leases)
	for range 4 {
		if !ok || l.State != marketpb.LEASE_STATE_CLOSED {
			break
		}
		l, ok = pick(w, v.leases)
	}
	return l, ok
}

// settle hands in receipts and commitments of up to three leases, sometimes the
// same message again, sometimes with a signature for another chain.
func (w *world) settle(v view) sdk.Msg {
	if old, ok := pick(w, w.memory.settled); ok && w.chance(15) {
		again := *old
		again.Signer = w.someone().address
		return &again
	}
	msg := &marketpb.MsgSettle{Signer: w.someone().address}
	chain := receipt.ChainOf(chainID)
	if w.chance(3) {
		chain = receipt.ChainOf("another-chain")
	}
	for range 1 + w.rng.IntN(3) {
		l, ok := w.lease(v)
		if !ok {
			return nil
		}
		u, known := w.unitOf(l.Device)
		lane, _ := pick(w, l.Lanes)
		payer, ours := w.laneKey(lane.Key)
		if !known || !ours {
			continue
		}
		if w.chance(30) {
			w.commit(msg, v, l, u, chain)
			continue
		}
		r := receipt.Receipt{Lease: [32]byte(l.Id), Lane: lane.Id, Seq: lane.Seq + uint64(w.rng.IntN(3)), Units: lane.Units + w.rng.Uint64N(2_000), Epoch: v.epoch.Number - min(v.epoch.Number, uint64(w.rng.IntN(2)))}
		w.must(r.SignPayer(chain, payer))
		w.must(r.CountersignProvider(chain, u.key))
		msg.Receipts = append(msg.Receipts, r.Encode())
	}
	return msg
}

func (w *world) commit(msg *marketpb.MsgSettle, v view, l marketpb.Lease, u unit, chain receipt.Chain) {
	payer, ours := w.laneKey(l.Lanes[0].Key)
	if !ours {
		return
	}
	c := receipt.Commitment{Lease: [32]byte(l.Id), Revision: v.epoch.Number*100 + uint64(w.height%100), Root: [32]byte(seedOf("root", w.rng.IntN(100))), Units: w.rng.Uint64N(l.Capacity + 1)}
	w.must(c.SignPayer(chain, payer))
	w.must(c.CountersignProvider(chain, u.key))
	msg.Commitments = append(msg.Commitments, c.Encode())
}

// stand opens a standing lease, or uses one: states, collects, disputes.
func (w *world) stand(v view) sdk.Msg {
	s, ok := pick(w, v.standings)
	for range 4 {
		if ok && s.State == marketpb.LEASE_STATE_CLOSED {
			s, ok = pick(w, v.standings)
		}
	}
	if !ok || len(v.standings) < 5 && w.chance(10) {
		return &marketpb.MsgPost{Owner: w.someone().address, Side: marketpb.SIDE_STANDING, Kind: "lora", Use: w.price(20), PayerBond: 2_000_000 + w.rng.Uint64N(1_000_000),
			Lanes: w.laneList(), TermEpochs: w.rng.Uint64N(20)}
	}
	switch w.rng.IntN(4) {
	case 0:
		return w.declare(v, s)
	case 1:
		return w.collect(s)
	case 2:
		return w.dispute(v)
	default:
		w.serve(v, s)
		return nil
	}
}

func account(s marketpb.Standing, u unit) string { return string(s.Id) + string(u.id[:]) }

// serve signs a receipt of a standing lease; only a dispute shows it.
func (w *world) serve(v view, s marketpb.Standing) {
	d, ok := pick(w, v.devices)
	u, known := w.unitByText(d.Id)
	lane, some := pick(w, s.Lanes)
	payer, ours := w.laneKey(lane.Key)
	if !ok || !known || !some || !ours {
		return
	}
	w.memory.served[account(s, u)] += w.rng.Uint64N(3_000)
	r := receipt.Receipt{Lease: lease.AccountID([32]byte(s.Id), u.id), Lane: lane.Id, Seq: 1 + w.rng.Uint64N(1000), Units: w.memory.served[account(s, u)], Epoch: v.epoch.Number}
	w.must(r.SignPayer(receipt.ChainOf(chainID), payer))
	w.must(r.CountersignProvider(receipt.ChainOf(chainID), u.key))
	w.memory.papers = append(w.memory.papers[max(len(w.memory.papers)-40, 0):],
		marketpb.DisputeItem{Standing: s.Id, Device: u.id[:], Receipts: [][]byte{r.Encode()}})
}

// declare states what devices served, or less.
func (w *world) declare(v view, s marketpb.Standing) sdk.Msg {
	var leaves []merkle.SumLeaf
	for _, u := range w.units {
		if n := w.memory.served[account(s, u)]; n > 0 && !w.chance(15) {
			leaves = append(leaves, merkle.SumLeaf{Key: u.id, Amount: n - w.rng.Uint64N(n/4+1)})
		}
	}
	tree, err := merkle.NewSumTree(leaves, ^uint64(0))
	w.must(err)
	trees := append(w.memory.statements[string(s.Id)], tree)
	w.memory.statements[string(s.Id)] = trees[max(len(trees)-4, 0):]
	r := tree.Root()
	return &marketpb.MsgSettle{Signer: s.Payer, Statements: []marketpb.StatementItem{{Standing: s.Id, Epoch: v.epoch.Number, Root: r.Hash[:], Size_: r.Size, Total: r.Total}}}
}

func (w *world) collect(s marketpb.Standing) sdk.Msg {
	tree, ok := pick(w, w.memory.statements[string(s.Id)])
	if !ok {
		return nil
	}
	msg := &marketpb.MsgSettle{Signer: w.someone().address}
	for range 1 + w.rng.IntN(3) {
		if leaf, some := pick(w, tree.Leaves()); some {
			_, proof, err := tree.Prove(leaf.Key)
			w.must(err)
			msg.Leaves = append(msg.Leaves, marketpb.LeafItem{Standing: s.Id, Device: slices.Clone(leaf.Key[:]), Units: leaf.Amount, Proof: proof.Encode()})
		}
	}
	return msg
}

func (w *world) dispute(v view) sdk.Msg {
	paper, ok := pick(w, w.memory.papers)
	if !ok {
		return nil
	}
	return &marketpb.MsgSettle{Signer: w.someone().address, Disputes: []marketpb.DisputeItem{paper}}
}
