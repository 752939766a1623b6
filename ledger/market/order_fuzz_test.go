package market

import (
	"testing"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

// FuzzSettle hands in whatever bytes as receipts, commitments, leaves and
// disputes: nothing but what was signed or stated is ever paid.
func FuzzSettle(f *testing.F) {
	w := newWorld(f)
	u, v := w.addUnit(1), w.addUnit(2)
	id := w.stand(f, "lora", money.Price{Credits: 1, Per: 1}, 500, lane(0, 1000))
	paper := w.served(f, id, u, 0, 1, 30)
	w.epoch = 2
	tree := sums(f, map[[32]byte]uint64{u.id: 10, v.id: 20})
	if err := w.declare(id, tree); err != nil {
		f.Fatal(err)
	}
	leaf := leafItem(f, id, tree, u.id)
	f.Add(id[:], u.id[:], uint64(10), leaf.Proof, paper)
	f.Add(id[:], v.id[:], uint64(10), leaf.Proof, paper)
	f.Add(id[:31], []byte{}, ^uint64(0), []byte{}, []byte{})
	base := w.ctx
	f.Fuzz(func(t *testing.T, standing, device []byte, units uint64, proof, wire []byte) {
		w.ctx, _ = base.CacheContext()
		before := w.of(ModuleName, money.CreditDenom)
		r, err := w.msgs.Settle(w.ctx, &marketpb.MsgSettle{Signer: "anybody", Leaves: []marketpb.LeafItem{{Standing: standing, Device: device, Units: units, Proof: proof}}})
		if err == nil && (r.Paid != units || units > 20) {
			t.Fatalf("a leaf of %d units was paid %d", units, r.Paid)
		}
		if got := w.of(ModuleName, money.CreditDenom); err != nil && got != before {
			t.Fatalf("a refused leaf cost %d", before-got)
		}
		_, err = w.msgs.Settle(w.ctx, &marketpb.MsgSettle{Signer: "anybody", Disputes: []marketpb.DisputeItem{{Standing: standing, Device: device, Receipts: [][]byte{wire}}}})
		if err == nil && string(wire) != string(paper) {
			t.Fatalf("a dispute with a receipt that nobody signed: %x", wire)
		}
		_, err = w.msgs.Settle(w.ctx, &marketpb.MsgSettle{Signer: "anybody", Receipts: [][]byte{wire}, Commitments: [][]byte{proof}})
		if err == nil {
			t.Fatal("a receipt of no lease was settled")
		}
		if err == nil || r != nil { // the vault is not part of the cached state
			w.add(ModuleName, money.CreditDenom, sub(before, w.of(ModuleName, money.CreditDenom)))
		}
	})
}

// BenchmarkCollect settles leaves of a statement of 100 000 devices, a hundred
// in a message; the time is of one leaf.
func BenchmarkCollect(b *testing.B) {
	const devices, batch = 100_000, 100
	w := newWorld(b)
	id := w.stand(b, "lora", money.Price{Credits: 1, Per: 1}, 90_000, lane(0, 800_000))
	stated := map[[32]byte]uint64{}
	var ids [][32]byte
	for n := range devices {
		d := seeded("id", n)
		stated[d] = 1
		ids = append(ids, d)
	}
	for n := range 1000 {
		w.addUnit(n)
	}
	tree := sums(b, stated)
	if err := w.declare(id, tree); err != nil {
		b.Fatal(err)
	}
	var items []marketpb.LeafItem
	for _, d := range ids[:1000] {
		items = append(items, leafItem(b, id, tree, d))
	}
	if _, proof, _ := tree.Prove(ids[0]); len(proof.Encode()) > merkle.MaxSumProofSize {
		b.Fatal("proof is too long")
	}
	b.ResetTimer()
	for i := 0; i < b.N; i += batch {
		at := i % len(items)
		if at == 0 {
			b.StopTimer()
			for _, d := range ids[:1000] { // forget, so that every leaf pays again
				_ = w.Accounts.Remove(w.ctx, pairOf(id, d))
			}
			s := w.standingOf(b, id)
			w.add(ModuleName, money.CreditDenom, sub(uint64(s.Stated), 0))
			w.minted += uint64(s.Stated)
			s.Stated = 0
			_ = w.storeStanding(w.ctx, s)
			b.StartTimer()
		}
		if _, err := w.collect(items[at : at+batch]...); err != nil {
			b.Fatal(err)
		}
	}
}
