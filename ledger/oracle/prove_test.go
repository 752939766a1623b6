package oracle

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/cosmos/cosmos-sdk/types/query"
	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/ledger/api/oraclepb"
)

func TestProveIsAcceptedOnce(t *testing.T) {
	w := newWorld(t)
	d := deviceID(1)
	w.hold(d, 3)
	w.start()
	w.decide()
	w.must(w.prove(d, 2, w.answers(d)))
	w.refused(w.prove(d, 2, w.answers(d)), ErrDone, "has proven epoch 2")
	p, err := w.Proofs.Get(w.ctx, 1)
	w.must(err)
	if p.Epoch != 2 || p.Challenges != 4 || p.Units != 1000+2000+3000 || p.Size_ != 4*32 || p.Height != w.ctx.BlockHeight() {
		t.Fatalf("record %+v", p)
	}
}

func TestProveRules(t *testing.T) {
	w := newWorld(t)
	d, empty := deviceID(1), deviceID(2)
	w.hold(d, 2)
	w.start()
	w.refused(w.prove(d, 2, nil), ErrTooEarly, "not known yet")
	w.decide()
	good := w.answers(d)
	with := func(i int, b []byte) [][]byte {
		c := append([][]byte(nil), good...)
		c[i] = b
		return c
	}
	flipped := append([]byte(nil), good[2]...)
	flipped[0] ^= 1
	for _, c := range []struct {
		name   string
		device [32]byte
		epoch  uint64
		proofs [][]byte
		want   error
		words  string
	}{
		{"last epoch", d, 1, good, ErrTooLate, "epoch 1 in epoch 2"},
		{"next epoch", d, 3, good, ErrTooEarly, "epoch 3 in epoch 2"},
		{"nothing held", empty, 2, good, ErrNothing, ""},
		{"no proofs", d, 2, nil, ErrCount, "0 proofs for 4 challenges"},
		{"one too few", d, 2, good[:3], ErrCount, "3 proofs for 4"},
		{"one too many", d, 2, append(with(0, good[0]), good[0]), ErrCount, "5 proofs for 4"},
		{"one empty", d, 2, with(1, nil), ErrProof, "proof 1 of lease"},
		{"one changed", d, 2, with(2, flipped), ErrProof, "proof 2 of lease"},
		{"too large", d, 2, with(3, make([]byte, MaxProofSize+1)), ErrInvalid, "proof 3 has 16385 bytes"},
		{"another device's", func() [32]byte { x := deviceID(3); w.hold(x, 2); return x }(), 2, good, ErrProof, "proof 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.refused(w.prove(c.device, c.epoch, c.proofs), c.want, c.words)
		})
	}
	for _, c := range []struct {
		name string
		msg  oraclepb.MsgProve
	}{
		{"no signer", oraclepb.MsgProve{Device: d[:], Epoch: 2, Proofs: good}},
		{"short device", oraclepb.MsgProve{Signer: account("x"), Device: d[:31], Epoch: 2, Proofs: good}},
		{"no device", oraclepb.MsgProve{Signer: account("x"), Epoch: 2, Proofs: good}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := w.msgs.Prove(w.ctx, &c.msg)
			w.refused(err, ErrInvalid, "")
		})
	}
	w.must(w.prove(d, 2, good))
}

func TestNothingIsProvenInANeutralEpoch(t *testing.T) {
	w := newWorld(t)
	d := deviceID(1)
	w.hold(d, 1)
	w.start()
	for range 5 {
		w.block(10)
	}
	w.refused(w.prove(d, 2, make([][]byte, 4)), ErrNeutral, "epoch 2")
}

func TestOutcomes(t *testing.T) {
	w := newWorld(t)
	honest, lazy, gone := deviceID(1), deviceID(2), deviceID(3)
	for _, d := range [][32]byte{honest, lazy, gone} {
		w.hold(d, 1)
	}
	w.holds.until[gone] = 3
	check := func(device [32]byte, epoch uint64, want lease.Outcome) {
		t.Helper()
		got, err := w.LeaseOutcome(w.ctx, device, epoch)
		if err != nil || got != want {
			t.Errorf("in epoch %d, device %d, epoch %d: %s (%v), want %s", w.epoch().Number, device[0], epoch, got, err, want)
		}
	}
	w.start() // epoch 2; epoch 1 was neutral
	check(honest, 1, lease.Undecided)
	w.decide()
	w.must(w.prove(honest, 2, w.answers(honest)))
	check(honest, 2, lease.Undecided) // not over
	w.nextEpoch()                     // epoch 3, will be neutral
	for epoch := uint64(1); epoch <= 2; epoch++ {
		check(honest, epoch, lease.Proven)
		check(lazy, epoch, lease.Faulted)
	}
	check(honest, 3, lease.Undecided)
	w.nextEpoch() // epoch 4
	check(honest, 3, lease.Undecided)
	w.decide()
	w.must(w.prove(honest, 4, w.answers(honest)))
	w.nextEpoch() // epoch 5
	for epoch := uint64(3); epoch <= 4; epoch++ {
		check(honest, epoch, lease.Proven)
		check(lazy, epoch, lease.Faulted)
	}
	// It held something in neutral epoch 3 and nothing in 4, where it could have
	// proven it.
	check(gone, 3, lease.Proven)
	check(honest, 6, lease.Undecided)
}

func TestQueriesOfProofs(t *testing.T) {
	w := newWorld(t)
	a, b := deviceID(1), deviceID(2)
	w.hold(a, 2)
	w.hold(b, 1)
	w.start()
	for range 3 {
		w.decide()
		w.must(w.prove(a, w.epoch().Number, w.answers(a)))
		w.must(w.prove(b, w.epoch().Number, w.answers(b)))
		w.nextEpoch()
	}
	list := func(device string, limit uint64) (out []uint64) {
		t.Helper()
		r, err := w.asks.Proofs(w.ctx, &oraclepb.QueryProofsRequest{Device: device, Pagination: &query.PageRequest{Limit: limit}})
		w.must(err)
		for _, p := range r.Proofs {
			out = append(out, p.Sequence)
		}
		return out
	}
	if got := fmt.Sprint(list("", 4)); got != "[6 5 4 3]" {
		t.Errorf("newest four: %s", got)
	}
	if got := fmt.Sprint(list(fmt.Sprintf("%x", a), 0)); got != "[5 3 1]" {
		t.Errorf("of one device: %s", got)
	}
	if _, err := w.asks.Proofs(w.ctx, &oraclepb.QueryProofsRequest{Device: "xyz"}); err == nil {
		t.Error("a device that is none was accepted")
	}
	w.decide()
	c, err := w.asks.Challenges(w.ctx, &oraclepb.QueryChallengesRequest{Device: fmt.Sprintf("%x", a)})
	w.must(err)
	if len(c.Challenges) != 4 || len(c.Heads) != 2 || c.Proven || c.Epoch != w.epoch().Number || c.Heads[0].Lease[0] > c.Heads[1].Lease[0] {
		t.Errorf("challenges %+v", c)
	}
	o, err := w.asks.Outcome(w.ctx, &oraclepb.QueryOutcomeRequest{Device: fmt.Sprintf("%x", a), Epoch: 1})
	w.must(err)
	if o.Outcome != oraclepb.OUTCOME_PROVEN || o.DecidedBy != 2 {
		t.Errorf("outcome of neutral epoch 1: %+v", o)
	}
}

// Records older than the history go, a bounded number per block, and nothing
// within it does.
func TestPruneIsBoundedAndKeepsTheHistory(t *testing.T) {
	w := newWorld(t)
	params, err := w.Params.Get(w.ctx)
	w.must(err)
	params.PrunePerBlock = 3
	w.must(w.Params.Set(w.ctx, params))
	d := deviceID(1)
	w.hold(d, 1)
	w.start()
	for range 25 {
		w.decide()
		w.must(w.prove(d, w.epoch().Number, w.answers(d)))
		before := w.count()
		w.block(0)
		if gone := before - w.count(); gone > 3 {
			t.Fatalf("one block removed %d records", gone)
		}
		w.nextEpoch()
	}
	now := w.epoch().Number
	for e := now - params.HistoryEpochs; e < now; e++ {
		if got, err := w.LeaseOutcome(w.ctx, d, e); err != nil || got != lease.Proven {
			t.Errorf("epoch %d of %d: %s (%v)", e, now, got, err)
		}
	}
	if _, err := w.Epochs.Get(w.ctx, 3); err == nil {
		t.Error("epoch 3 is still there")
	}
	if _, err := w.Proofs.Get(w.ctx, 1); err == nil {
		t.Error("proof 1 is still there")
	}
	if r, _ := w.asks.Epoch(w.ctx, &oraclepb.QueryEpochRequest{Number: now - 1}); r == nil || len(r.Reveals) != 3 {
		t.Errorf("last epoch: %+v", r)
	}
}

// count is the number of records that pruning may remove.
func (w *world) count() (n int) {
	w.t.Helper()
	g, err := w.ExportGenesis(w.ctx)
	w.must(err)
	return len(g.Epochs) + len(g.Reveals) + len(g.Proofs) + len(g.Votes) + len(g.Reports) + len(g.Equivocations)
}

// No message, however malformed, does anything but return an error of this
// module.
func TestMalformedMessagesAreRefused(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		w.start()
		blob := rapid.SliceOfN(rapid.Byte(), 0, 120)
		name := rapid.SampledFrom([]string{"", valoper("big"), account("big"), "grangevaloper1xyz", strings.Repeat("x", 300)})
		number := rapid.SampledFrom([]uint64{0, 1, 2, 3, ^uint64(0)})
		before, err := w.ExportGenesis(w.ctx)
		w.must(err)
		calls := []func(context.Context) error{
			func(ctx context.Context) error {
				_, err := w.msgs.RegisterKey(ctx, &oraclepb.MsgRegisterKey{Validator: name.Draw(rt, "name"), PublicKey: blob.Draw(rt, "key"), Possession: blob.Draw(rt, "proof")})
				return err
			},
			func(ctx context.Context) error {
				_, err := w.msgs.Reveal(ctx, &oraclepb.MsgReveal{Validator: name.Draw(rt, "name"), Epoch: number.Draw(rt, "epoch"), Signature: blob.Draw(rt, "signature")})
				return err
			},
			func(ctx context.Context) error {
				_, err := w.msgs.Prove(ctx, &oraclepb.MsgProve{Signer: name.Draw(rt, "name"), Device: blob.Draw(rt, "device"), Epoch: number.Draw(rt, "epoch"), Proofs: [][]byte{blob.Draw(rt, "proof")}})
				return err
			},
			func(ctx context.Context) error {
				content := oraclepb.Content{RewardRoot: blob.Draw(rt, "root"), InputsRoot: blob.Draw(rt, "inputs"), Total: ^uint64(0), Leaves: number.Draw(rt, "leaves")}
				_, err := w.msgs.Report(ctx, &oraclepb.MsgReport{Validator: name.Draw(rt, "name"), Epoch: number.Draw(rt, "epoch"), Vertical: rapid.SampledFrom([]string{"", "storage", "x"}).Draw(rt, "vertical"), Content: content})
				return err
			},
			func(ctx context.Context) error {
				claim := oraclepb.DeviceClaim{Device: blob.Draw(rt, "device"), Lifetime: number.Draw(rt, "lifetime"), Proof: blob.Draw(rt, "proof")}
				_, err := w.msgs.Claim(ctx, &oraclepb.MsgClaim{Signer: name.Draw(rt, "name"), Vertical: "storage", Epoch: number.Draw(rt, "epoch"), Claims: []oraclepb.DeviceClaim{claim}})
				return err
			},
			func(ctx context.Context) error {
				_, err := w.msgs.UpdateParams(ctx, &oraclepb.MsgUpdateParams{Authority: name.Draw(rt, "name")})
				return err
			},
		}
		if err := w.try(rapid.SampledFrom(calls).Draw(rt, "call")); err == nil {
			rt.Fatal("accepted")
		}
		after, err := w.ExportGenesis(w.ctx)
		w.must(err)
		if before.String() != after.String() {
			rt.Fatal("a refused message left a trace")
		}
	})
}
