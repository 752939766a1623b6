package market

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"testing"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

// fataler is a test of testing or of rapid.
type fataler interface{ Fatalf(string, ...any) }

// unit is a device, its key and its owner.
type unit struct {
	id    [32]byte
	key   ed25519.PrivateKey
	owner sdk.AccAddress
}

func seeded(name string, n int) [32]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte(name), uint64(n)))
}

// session is the private key of a payer's lane.
func session(n int) ed25519.PrivateKey {
	seed := seeded("session", n)
	return ed25519.NewKeyFromSeed(seed[:])
}

func lane(n int, limit uint64) marketpb.Lane {
	return marketpb.Lane{Id: uint32(n), Key: session(n).Public().(ed25519.PublicKey), Cap: limit}
}

// addUnit registers device n of an owner of its own, who has GRAIN to bond.
func (w *world) addUnit(n int) unit {
	seed, owner := seeded("device", n), seeded("owner", n)
	u := unit{id: seeded("id", n), key: ed25519.NewKeyFromSeed(seed[:]), owner: owner[:20]}
	if w.others == nil {
		w.others = map[[32]byte]unit{}
	}
	w.others[u.id] = u
	w.add(u.owner.String(), money.GrainDenom, big.NewInt(1_000_000))
	return u
}

// postOf posts an offer of a device.
func (w *world) postOf(t testing.TB, u unit, kind string, capacity uint64, attributes ...marketpb.Attribute) uint64 {
	t.Helper()
	r, err := w.msgs.Post(w.ctx, &marketpb.MsgPost{
		Owner: u.owner.String(), Device: u.id[:], Kind: kind, Capacity: capacity, Bond: 1000, Attributes: attributes,
		Use: marketpb.Price{Credits: 10, Per: 1}, Hold: marketpb.Price{Credits: 10, Per: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.OfferId
}

func (w *world) bid(demand uint64, u unit, offer, use, hold uint64) error {
	_, err := w.msgs.Accept(w.ctx, &marketpb.MsgAccept{
		Payer: u.owner.String(), OfferId: demand, Bid: offer,
		Use: marketpb.Price{Credits: use, Per: 1}, Hold: marketpb.Price{Credits: hold, Per: 1},
	})
	return err
}

func (w *world) award(demand, offer, use, hold uint64) ([32]byte, error) {
	r, err := w.msgs.Accept(w.ctx, &marketpb.MsgAccept{
		Payer: w.payer.String(), OfferId: demand, Bid: offer,
		Use: marketpb.Price{Credits: use, Per: 1}, Hold: marketpb.Price{Credits: hold, Per: 1},
	})
	if err != nil {
		return [32]byte{}, err
	}
	return [32]byte(r.LeaseId), nil
}

// ask posts a demand of compute for 10 units at no more than 10 and 10.
func (w *world) ask(t testing.TB, open uint64, attributes ...marketpb.Attribute) uint64 {
	t.Helper()
	r, err := w.msgs.Post(w.ctx, &marketpb.MsgPost{
		Owner: w.payer.String(), Side: marketpb.SIDE_DEMAND, Kind: "compute", Capacity: 10, HoldBudget: 1000, TermEpochs: 20,
		OpenEpochs: open, Lanes: []marketpb.Lane{lane(0, 500)}, Attributes: attributes,
		Use: marketpb.Price{Credits: 10, Per: 1}, Hold: marketpb.Price{Credits: 10, Per: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.OfferId
}

// stand opens a standing lease of the payer; a unit costs price.
func (w *world) stand(t testing.TB, kind string, price money.Price, bond uint64, lanes ...marketpb.Lane) [32]byte {
	t.Helper()
	r, err := w.msgs.Post(w.ctx, &marketpb.MsgPost{
		Owner: w.payer.String(), Side: marketpb.SIDE_STANDING, Kind: kind, Use: pricePB(price), PayerBond: bond, Lanes: lanes,
	})
	if err != nil {
		t.Fatal(err)
	}
	return [32]byte(r.LeaseId)
}

// served is a receipt of a device under a standing lease, signed by lane n.
func (w *world) served(t testing.TB, id [32]byte, u unit, n int, seq, units uint64) []byte {
	t.Helper()
	r := receipt.Receipt{Lease: lease.AccountID(id, u.id), Lane: uint32(n), Seq: seq, Units: units, Epoch: w.epoch}
	if err := r.SignPayer(receipt.ChainOf(testChain), session(n)); err != nil {
		t.Fatal(err)
	}
	if err := r.CountersignProvider(receipt.ChainOf(testChain), u.key); err != nil {
		t.Fatal(err)
	}
	return r.Encode()
}

// sums builds the tree of a statement.
func sums(t testing.TB, units map[[32]byte]uint64) *merkle.SumTree {
	t.Helper()
	var leaves []merkle.SumLeaf
	for d, n := range units {
		leaves = append(leaves, merkle.SumLeaf{Key: d, Amount: n})
	}
	tree, err := merkle.NewSumTree(leaves, ^uint64(0))
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func (w *world) declare(id [32]byte, tree *merkle.SumTree) error {
	r := tree.Root()
	_, err := w.msgs.Settle(w.ctx, &marketpb.MsgSettle{Signer: w.payer.String(), Statements: []marketpb.StatementItem{
		{Standing: id[:], Epoch: w.epoch, Root: r.Hash[:], Size_: r.Size, Total: r.Total},
	}})
	return err
}

func leafItem(t testing.TB, id [32]byte, tree *merkle.SumTree, device [32]byte) marketpb.LeafItem {
	t.Helper()
	leaf, proof, err := tree.Prove(device)
	if err != nil {
		t.Fatal(err)
	}
	return marketpb.LeafItem{Standing: id[:], Device: device[:], Units: leaf.Amount, Proof: proof.Encode()}
}

func (w *world) collect(items ...marketpb.LeafItem) (uint64, error) {
	r, err := w.msgs.Settle(w.ctx, &marketpb.MsgSettle{Signer: w.owner.String(), Leaves: items})
	if err != nil {
		return 0, err
	}
	return r.Paid, nil
}

func (w *world) contest(id [32]byte, u unit, receipts ...[]byte) error {
	_, err := w.msgs.Settle(w.ctx, &marketpb.MsgSettle{Signer: u.owner.String(), Disputes: []marketpb.DisputeItem{
		{Standing: id[:], Device: u.id[:], Receipts: receipts},
	}})
	return err
}

func (w *world) standingOf(t testing.TB, id [32]byte) lease.Standing {
	t.Helper()
	s, err := w.standing(w.ctx, id[:])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// heldByOrders is what standing leases and demands hold.
func (w *world) heldByOrders(r fataler) (held money.Credit) {
	standings, err := values(w.ctx, w.Standings)
	if err != nil {
		r.Fatalf("%v", err)
	}
	for _, p := range standings {
		s, err := StandingOf(p)
		if err != nil {
			r.Fatalf("%v", err)
		}
		held += s.Held() + s.Bond
	}
	demands, err := values(w.ctx, w.Demands)
	if err != nil {
		r.Fatalf("%v", err)
	}
	for _, d := range demands {
		held += money.Credit(d.Deposit)
	}
	return held
}

func (w *world) bidDeposits(r fataler) (sum uint64) {
	demands, err := values(w.ctx, w.Demands)
	if err != nil {
		r.Fatalf("%v", err)
	}
	for _, d := range demands {
		for _, b := range d.Bids {
			sum += b.Deposit
		}
	}
	return sum
}

func pairOf(standing, device [32]byte) collections.Pair[[]byte, []byte] {
	return collections.Join(standing[:], device[:])
}

// signed is a receipt of a bilateral lease on lane n.
func signed(t testing.TB, id [32]byte, u unit, n int, seq, units uint64) []byte {
	t.Helper()
	r := receipt.Receipt{Lease: id, Lane: uint32(n), Seq: seq, Units: units, Epoch: 1}
	if err := r.SignPayer(receipt.ChainOf(testChain), session(n)); err != nil {
		t.Fatal(err)
	}
	if err := r.CountersignProvider(receipt.ChainOf(testChain), u.key); err != nil {
		t.Fatal(err)
	}
	return r.Encode()
}

// sub is a−b as a change of a balance.
func sub(a, b uint64) *big.Int {
	return new(big.Int).Sub(new(big.Int).SetUint64(a), new(big.Int).SetUint64(b))
}
