package oracle

import (
	"context"
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/ledger/api/oraclepb"
)

func claimOf(t testing.TB, tree *merkle.SumTree, device [32]byte) oraclepb.DeviceClaim {
	t.Helper()
	leaf, proof, err := tree.Prove(device)
	if err != nil {
		t.Fatal(err)
	}
	return oraclepb.DeviceClaim{Device: device[:], Lifetime: leaf.Amount, Proof: proof.Encode()}
}

func (w *world) claimAll(epoch uint64, claims ...oraclepb.DeviceClaim) (paid []uint64, err error) {
	err = w.try(func(ctx context.Context) error {
		r, err := w.msgs.Claim(ctx, &oraclepb.MsgClaim{Signer: account("anybody"), Vertical: "storage", Epoch: epoch, Claims: claims})
		if r != nil {
			paid = r.Paid
		}
		return err
	})
	return paid, err
}

// claim claims for devices by number.
func (w *world) claim(epoch uint64, tree *merkle.SumTree, devices ...byte) error {
	w.t.Helper()
	var claims []oraclepb.DeviceClaim
	for _, d := range devices {
		claims = append(claims, claimOf(w.t, tree, deviceID(d)))
	}
	_, err := w.claimAll(epoch, claims...)
	return err
}

func TestClaimPaysOnceAndOnlyTheDifference(t *testing.T) {
	w := newWorld(t)
	w.start()
	first := leavesOf(t, 300, 500)
	w.accept(1, contentOf(first))
	w.refused(w.claim(1, first, 1), ErrTooEarly, "payable from epoch 3")
	w.nextEpoch()
	w.must(w.claim(1, first, 1))
	if got := w.treasury.paid[deviceID(1)]; got != 300 {
		t.Fatalf("paid %d, want 300", got)
	}
	w.must(w.claim(1, first, 1, 2)) // the first is paid, the second not
	w.must(w.claim(1, first, 1, 2)) // both are
	second := leavesOf(t, 800, 500)
	w.accept(2, contentOf(second))
	w.nextEpoch()
	w.must(w.claim(2, second, 1, 2))
	w.must(w.claim(1, first, 1, 2)) // an older report owes nothing any more
	if a, b := w.treasury.paid[deviceID(1)], w.treasury.paid[deviceID(2)]; a != 800 || b != 500 || w.treasury.minted != 1300 || w.treasury.held[ModuleName] != 0 {
		t.Fatalf("paid %d and %d, minted %d, left %d", a, b, w.treasury.minted, w.treasury.held[ModuleName])
	}
	r, err := w.asks.Claimed(w.ctx, &oraclepb.QueryClaimedRequest{Device: "0100000000000000000000000000000000000000000000000000000000000001"})
	w.must(err)
	if r.Paid != 800 || len(r.Claimed) != 1 || r.Claimed[0].Vertical != "storage" {
		t.Fatalf("claimed %+v", r)
	}
}

func TestClaimRules(t *testing.T) {
	w := newWorld(t)
	w.start()
	tree := leavesOf(t, 300, 500, 100)
	w.accept(1, contentOf(tree))
	w.nextEpoch()
	good, other := claimOf(t, tree, deviceID(1)), claimOf(t, tree, deviceID(2))
	change := func(f func(*oraclepb.DeviceClaim)) oraclepb.DeviceClaim { c := good; f(&c); return c }
	foreign := claimOf(t, leavesOf(t, 301, 499, 100), deviceID(1))
	for _, c := range []struct {
		name   string
		claims []oraclepb.DeviceClaim
		want   error
		words  string
	}{
		{"none", nil, ErrInvalid, "0 claims"},
		{"too many", make([]oraclepb.DeviceClaim, MaxClaims+1), ErrInvalid, "257 claims"},
		{"short device", []oraclepb.DeviceClaim{change(func(c *oraclepb.DeviceClaim) { c.Device = c.Device[:8] })}, ErrInvalid, "device has 8 bytes"},
		{"no proof", []oraclepb.DeviceClaim{change(func(c *oraclepb.DeviceClaim) { c.Proof = nil })}, ErrInvalid, "length 0"},
		{"more than the leaf", []oraclepb.DeviceClaim{change(func(c *oraclepb.DeviceClaim) { c.Lifetime++ })}, ErrProof, ""},
		{"less than the leaf", []oraclepb.DeviceClaim{change(func(c *oraclepb.DeviceClaim) { c.Lifetime-- })}, ErrProof, ""},
		{"another's leaf", []oraclepb.DeviceClaim{change(func(c *oraclepb.DeviceClaim) { c.Device = other.Device })}, ErrProof, ""},
		{"another tree's", []oraclepb.DeviceClaim{foreign}, ErrProof, ""},
		{"one bad of two", []oraclepb.DeviceClaim{good, foreign}, ErrProof, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := w.claimAll(1, c.claims...)
			w.refused(err, c.want, c.words)
		})
	}
	_, err := w.claimAll(9, good)
	w.refused(err, ErrNotFound, "epoch 9")
	_, err = w.msgs.Claim(w.ctx, &oraclepb.MsgClaim{Vertical: "storage", Epoch: 1, Claims: []oraclepb.DeviceClaim{good}})
	w.refused(err, ErrInvalid, "signer")
	w.treasury.refuses[deviceID(2)] = true
	if _, err := w.claimAll(1, good, other); err == nil {
		t.Error("a device that cannot be paid was")
	}
	if w.treasury.paid[deviceID(2)] != 0 {
		t.Error("a refused claim paid")
	}
	if got, err := w.claimAll(1, good, good); err != nil || got[0] != 300 || got[1] != 0 {
		t.Errorf("a device twice in one message: %v (%v)", got, err)
	}
}

func TestBreakerHoldsBackAndLetsGo(t *testing.T) {
	w := newWorld(t)
	w.treasury.budget = 1_000_000_000
	w.start()
	tree := leavesOf(t, 600_000, 700_000, 50_000)
	w.accept(1, contentOf(tree))
	w.nextEpoch()
	all := []oraclepb.DeviceClaim{claimOf(t, tree, deviceID(1)), claimOf(t, tree, deviceID(2)), claimOf(t, tree, deviceID(3))}
	paid, err := w.claimAll(1, all...)
	if err != nil || paid[0] != 600_000 || paid[1] != 400_000 || paid[2] != 0 {
		t.Fatalf("up to the limit of a million: %v (%v)", paid, err)
	}
	_, err = w.claimAll(1, all...)
	w.refused(err, ErrBreaker, "2 devices are owed")
	w.block(10) // a tenth of the window of an epoch
	paid, err = w.claimAll(1, all...)
	if err != nil || paid[0] != 0 || paid[1] != 100_000 || paid[2] != 0 {
		t.Fatalf("after a tenth of the window: %v (%v)", paid, err)
	}
	for range 10 {
		w.block(10)
	}
	paid, err = w.claimAll(1, all...)
	if err != nil || paid[1] != 200_000 || paid[2] != 50_000 {
		t.Fatalf("after the window: %v (%v)", paid, err)
	}
	if w.treasury.minted != 1_350_000 {
		t.Fatalf("minted %d", w.treasury.minted)
	}
}

func TestDecayNeverLetsMoreThanTheFormula(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		level := rapid.Uint64().Draw(t, "level")
		window := rapid.Uint64Range(1, 1<<62).Draw(t, "window")
		gone := rapid.Int64Range(-1000, 1<<62).Draw(t, "gone")
		b := decay(oraclepb.Breaker{Level: level, Time: 1000}, 1000+gone, window)
		switch {
		case gone <= 0 && b.Level != level:
			t.Fatalf("no time passed: %d became %d", level, b.Level)
		case gone > 0 && uint64(gone) >= window && b.Level != 0:
			t.Fatalf("the window passed: %d is left", b.Level)
		case b.Level > level:
			t.Fatalf("%d grew to %d", level, b.Level)
		}
	})
}

// Over any history of reports and claims: nobody is paid more than his newest
// claimed leaf, what is paid is what is minted, and it never exceeds the budgets.
func TestClaimsConserve(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		w.start()
		lifetimes := []uint64{0, 0, 0}
		budgets := uint64(1000)
		trees := map[uint64]*merkle.SumTree{}
		for range rapid.IntRange(1, 8).Draw(rt, "epochs") {
			epoch := w.epoch().Number - 1
			for i := range lifetimes {
				lifetimes[i] += rapid.Uint64Range(0, 333).Draw(rt, "bonus")
			}
			tree := leavesOf(t, lifetimes...)
			if rapid.Bool().Draw(rt, "quorum") {
				w.accept(epoch, contentOf(tree))
				trees[epoch] = tree
			}
			w.nextEpoch()
			budgets += 1000
			for range rapid.IntRange(0, 4).Draw(rt, "claims") {
				at := rapid.Uint64Range(1, epoch).Draw(rt, "at")
				if tree := trees[at]; tree != nil {
					w.must(w.claim(at, tree, byte(rapid.IntRange(1, 3).Draw(rt, "device"))))
				}
			}
		}
		var paid uint64
		for i, most := range lifetimes {
			got := w.treasury.paid[deviceID(byte(i+1))]
			if paid += got; got > most {
				rt.Fatalf("device %d was paid %d of %d", i+1, got, most)
			}
		}
		if paid != w.treasury.minted || paid > budgets || w.treasury.held[ModuleName] != 0 {
			rt.Fatalf("paid %d, minted %d, budgets %d, held %d", paid, w.treasury.minted, budgets, w.treasury.held[ModuleName])
		}
	})
}

// A state that is exported, loaded and exported again has the same bytes, and
// goes on in the same way.
func TestGenesisRoundTrip(t *testing.T) {
	w := newWorld(t)
	d := deviceID(1)
	w.hold(d, 2)
	w.start()
	for i := range uint64(4) {
		w.decide()
		w.must(w.prove(d, w.epoch().Number, w.answers(d)))
		w.accept(w.epoch().Number-1, contentOf(leavesOf(t, 100*(i+1), 7)))
		w.nextEpoch()
	}
	w.must(w.reveal("big"))
	if _, err := w.vote("big", w.epoch().Number-1, contentOf(leavesOf(t, 600))); err != nil {
		t.Fatal(err)
	}
	if r, err := w.vote("big", w.epoch().Number-1, contentOf(leavesOf(t, 601))); err != nil || !r.Equivocation {
		t.Fatalf("%+v (%v)", r, err)
	}
	w.must(w.claim(3, leavesOf(t, 300, 7), 1))

	again := emptyWorld(t)
	again.ctx = again.ctx.WithBlockTime(w.ctx.BlockTime()).WithBlockHeight(w.ctx.BlockHeight())
	again.holds = w.holds
	again.heads = w.holds
	raw := NewModule(w.Keeper).ExportGenesis(w.ctx, w.cdc)
	w.must(NewModule(w.Keeper).ValidateGenesis(w.cdc, nil, raw))
	NewModule(again.Keeper).InitGenesis(again.ctx, w.cdc, raw)
	if got := NewModule(again.Keeper).ExportGenesis(again.ctx, w.cdc); string(got) != string(raw) {
		t.Fatalf("second export differs:\n%s\n%s", got, raw)
	}
	for _, x := range []*world{w, again} {
		x.must(x.reveal("mid"))
		x.must(x.reveal("small"))
		x.must(x.prove(d, x.epoch().Number, x.answers(d)))
		x.nextEpoch()
		x.refused(x.register("mid"), ErrKey, "registered before")
	}
	a, b := NewModule(w.Keeper).ExportGenesis(w.ctx, w.cdc), NewModule(again.Keeper).ExportGenesis(again.ctx, w.cdc)
	if string(a) != string(b) {
		t.Fatal("the loaded state went on differently")
	}
	if !json.Valid(a) {
		t.Fatal("export is no JSON")
	}
}

func TestGenesisRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*oraclepb.GenesisState)
	}{
		{"no parameters", func(g *oraclepb.GenesisState) { g.Params = oraclepb.Params{} }},
		{"gap between epochs", func(g *oraclepb.GenesisState) {
			seed := make([]byte, 32)
			g.Epochs = []oraclepb.Epoch{{Number: 1, Status: oraclepb.EPOCH_STATUS_DECIDED, Seed: seed}, {Number: 3, Status: oraclepb.EPOCH_STATUS_DECIDED, Seed: seed}}
		}},
		{"decided without a seed", func(g *oraclepb.GenesisState) {
			g.Epochs = []oraclepb.Epoch{{Number: 1, Status: oraclepb.EPOCH_STATUS_DECIDED}}
		}},
		{"revealing in the past", func(g *oraclepb.GenesisState) {
			g.Epochs = []oraclepb.Epoch{{Number: 1, Status: oraclepb.EPOCH_STATUS_REVEALING}, {Number: 2, Status: oraclepb.EPOCH_STATUS_REVEALING}}
		}},
		{"proof beyond the last", func(g *oraclepb.GenesisState) {
			g.Proofs = []oraclepb.Proof{{Sequence: 2, Device: make([]byte, 32)}}
		}},
		{"report without roots", func(g *oraclepb.GenesisState) { g.Reports = []oraclepb.Report{{}} }},
		{"claim of no device", func(g *oraclepb.GenesisState) { g.Claimed = []oraclepb.Claimed{{}} }},
		{"key of nobody", func(g *oraclepb.GenesisState) { g.Keys = []oraclepb.Key{{}} }},
		{"key that is no point", func(g *oraclepb.GenesisState) {
			g.Keys = []oraclepb.Key{{Validator: valoper("big"), PublicKey: make([]byte, 96)}}
		}},
		{"one key of two", func(g *oraclepb.GenesisState) {
			k := secret("big").Public()
			g.Keys = []oraclepb.Key{{Validator: valoper("big"), PublicKey: k[:]}, {Validator: valoper("mid"), PublicKey: k[:]}}
		}},
		{"reveal of nobody", func(g *oraclepb.GenesisState) { g.Reveals = []oraclepb.Reveal{{}} }},
		{"short reveal", func(g *oraclepb.GenesisState) { g.Reveals = []oraclepb.Reveal{{Validator: valoper("big")}} }},
		{"vote of nobody", func(g *oraclepb.GenesisState) { g.Votes = []oraclepb.Vote{{}} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := emptyWorld(t)
			g := DefaultGenesis()
			c.change(g)
			if err := w.InitGenesis(w.ctx, *g); err == nil {
				t.Fatal("accepted")
			}
		})
	}
}
