package oracle

import (
	"bytes"
	"context"
	"testing"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// leavesOf makes a tree of lifetimes for devices 1, 2, …
func leavesOf(t testing.TB, lifetimes ...uint64) *merkle.SumTree {
	t.Helper()
	var leaves []merkle.SumLeaf
	for i, n := range lifetimes {
		leaves = append(leaves, merkle.SumLeaf{Key: deviceID(byte(i + 1)), Amount: n})
	}
	tree, err := merkle.NewSumTree(leaves, ^uint64(0))
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func contentOf(tree *merkle.SumTree) oraclepb.Content {
	r := tree.Root()
	return oraclepb.Content{RewardRoot: r.Hash[:], InputsRoot: bytes.Repeat([]byte{7}, 32), Total: r.Total, Leaves: r.Size}
}

func (w *world) vote(name string, epoch uint64, c oraclepb.Content) (r *oraclepb.MsgReportResponse, err error) {
	err = w.try(func(ctx context.Context) (err error) {
		r, err = w.msgs.Report(ctx, &oraclepb.MsgReport{Validator: valoper(name), Epoch: epoch, Vertical: "storage", Content: c})
		return err
	})
	return r, err
}

// accept has big and mid vote.
func (w *world) accept(epoch uint64, c oraclepb.Content) {
	w.t.Helper()
	_, err := w.vote("big", epoch, c)
	w.must(err)
	r, err := w.vote("mid", epoch, c)
	w.must(err)
	if !r.Accepted {
		w.t.Fatalf("report of epoch %d was not accepted", epoch)
	}
}

func TestReportIsAcceptedByMoreThanTwoThirds(t *testing.T) {
	w := newWorld(t)
	w.start()
	c := contentOf(leavesOf(t, 300, 700))
	r, err := w.vote("big", 1, c)
	if err != nil || r.Accepted {
		t.Fatalf("with 50 of 100: %+v (%v)", r, err)
	}
	w.set[string(operator("mid"))] = 16 // 66 of 86
	w.set[string(operator("small"))] = 33
	if r, err = w.vote("mid", 1, c); err != nil || r.Accepted {
		t.Fatalf("with 66 of 99: %+v (%v)", r, err)
	}
	if r, err = w.vote("small", 1, c); err != nil || !r.Accepted {
		t.Fatalf("with all: %+v (%v)", r, err)
	}
	got, err := w.asks.Report(w.ctx, &oraclepb.QueryReportRequest{Vertical: "storage"})
	w.must(err)
	if got.Report == nil || got.Report.Epoch != 1 || got.Report.AcceptedEpoch != 2 || got.Report.PayableEpoch != 3 || len(got.Votes) != 3 || got.Limit != 1000 {
		t.Fatalf("report %+v", got)
	}
}

func TestDissentIsRecorded(t *testing.T) {
	w := newWorld(t)
	w.start()
	right, wrong := contentOf(leavesOf(t, 300)), contentOf(leavesOf(t, 301))
	_, err := w.vote("small", 1, wrong)
	w.must(err)
	w.accept(1, right)
	w.set[string(operator("late"))] = 5
	w.set[string(operator("later"))] = 5
	if r, err := w.vote("late", 1, right); err != nil || !r.Accepted {
		t.Fatalf("late and right: %+v (%v)", r, err)
	}
	if r, err := w.vote("later", 1, wrong); err != nil || r.Accepted {
		t.Fatalf("late and wrong: %+v (%v)", r, err)
	}
	for name, want := range map[string][2]uint64{"big": {1, 0}, "mid": {1, 0}, "small": {0, 1}, "late": {1, 0}, "later": {0, 1}} {
		c, err := w.Conducts.Get(w.ctx, operator(name))
		if err != nil || [2]uint64{c.Agreed, c.Dissented} != want {
			t.Errorf("%s: %+v (%v), want %v", name, c, err, want)
		}
	}
}

func TestEquivocationIsRecordedAndDoesNotCount(t *testing.T) {
	w := newWorld(t)
	w.start()
	a, b := contentOf(leavesOf(t, 300)), contentOf(leavesOf(t, 301))
	_, err := w.vote("big", 1, a)
	w.must(err)
	_, err = w.vote("big", 1, a)
	w.refused(err, ErrDone, "has voted for this content")
	r, err := w.vote("big", 1, b)
	if err != nil || !r.Equivocation || r.Accepted {
		t.Fatalf("second vote: %+v (%v)", r, err)
	}
	_, err = w.vote("big", 1, contentOf(leavesOf(t, 302)))
	w.refused(err, ErrDone, "on record")
	if r, err = w.vote("mid", 1, b); err != nil || r.Accepted {
		t.Fatalf("the second vote counted: %+v (%v)", r, err)
	}
	list, err := w.asks.Equivocations(w.ctx, &oraclepb.QueryEquivocationsRequest{})
	w.must(err)
	if len(list.Equivocations) != 1 || list.Equivocations[0].Validator != valoper("big") || !same(list.Equivocations[0].First, a) || !same(list.Equivocations[0].Second, b) {
		t.Fatalf("on record: %+v", list.Equivocations)
	}
	if c, err := w.Conducts.Get(w.ctx, operator("big")); err != nil || c.Equivocated != 1 {
		t.Fatalf("conduct %+v (%v)", c, err)
	}
}

func TestReportRules(t *testing.T) {
	w := newWorld(t)
	w.start()
	good := contentOf(leavesOf(t, 400))
	change := func(f func(*oraclepb.Content)) oraclepb.Content { c := good; f(&c); return c }
	send := func(validator string, epoch uint64, vertical string, c oraclepb.Content) error {
		return w.try(func(ctx context.Context) error {
			_, err := w.msgs.Report(ctx, &oraclepb.MsgReport{Validator: validator, Epoch: epoch, Vertical: vertical, Content: c})
			return err
		})
	}
	big := valoper("big")
	w.refused(send("", 1, "storage", good), ErrInvalid, "validator address")
	w.refused(send(valoper("nobody"), 1, "storage", good), ErrNotBonded, "")
	w.refused(send(big, 1, "storage", change(func(c *oraclepb.Content) { c.RewardRoot = c.RewardRoot[:31] })), ErrInvalid, "reward root has 31 bytes")
	w.refused(send(big, 1, "storage", change(func(c *oraclepb.Content) { c.InputsRoot = nil })), ErrInvalid, "inputs root has 0 bytes")
	w.refused(send(big, 1, "sensing", good), ErrUnsupported, "sensing")
	w.refused(send(big, 0, "storage", good), ErrInvalid, "epoch is 0")
	w.refused(send(big, 2, "storage", good), ErrTooEarly, "not over")
	w.refused(send(big, ^uint64(0), "storage", good), ErrTooEarly, "not over")
	w.refused(send(big, 1, "storage", contentOf(leavesOf(t, 1001))), ErrBudget, "total 1001 exceeds 1000")
	w.must(send(big, 1, "storage", contentOf(leavesOf(t, 1000))))
	for range 12 {
		w.nextEpoch()
	}
	w.refused(send(big, 1, "storage", good), ErrTooLate, "epochs of history")
}

func TestTotalsGrowWithinTheBudgets(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.accept(1, contentOf(leavesOf(t, 400))) // 600 of epoch 1 stay unminted
	w.nextEpoch()
	w.nextEpoch()
	w.nextEpoch() // 2, 3 and 4 are over
	_, err := w.vote("big", 2, contentOf(leavesOf(t, 399)))
	w.refused(err, ErrBudget, "total 399 is below 400")
	_, err = w.vote("big", 2, contentOf(leavesOf(t, 1401)))
	w.refused(err, ErrBudget, "total 1401 exceeds 1400")
	// Epochs 2 and 3 had no quorum: their budgets are in the report of epoch 4.
	_, err = w.vote("big", 4, contentOf(leavesOf(t, 3401)))
	w.refused(err, ErrBudget, "total 3401 exceeds 3400")
	w.accept(4, contentOf(leavesOf(t, 3400)))
	_, err = w.vote("small", 3, contentOf(leavesOf(t, 1400)))
	w.refused(err, ErrTooLate, "epoch 4 is accepted")
}

func TestReportsAreListedNewestFirst(t *testing.T) {
	w := newWorld(t)
	w.start()
	for epoch := uint64(1); epoch <= 3; epoch++ {
		w.accept(epoch, contentOf(leavesOf(t, 100*epoch)))
		w.nextEpoch()
	}
	for _, vertical := range []string{"", "storage"} {
		r, err := w.asks.Reports(w.ctx, &oraclepb.QueryReportsRequest{Vertical: vertical})
		w.must(err)
		if len(r.Reports) != 3 || r.Reports[0].Epoch != 3 || r.Reports[2].Epoch != 1 {
			t.Fatalf("reports of %q: %+v", vertical, r.Reports)
		}
	}
	if _, err := w.asks.Report(w.ctx, &oraclepb.QueryReportRequest{Vertical: "storage", Epoch: 4}); err == nil {
		t.Error("a report that nobody voted on was found")
	}
}

// A report of a sleepy vertical outlives the history until a newer one replaces
// it: lifetime totals must stay claimable.
func TestNewestPayableReportIsNeverPruned(t *testing.T) {
	w := newWorld(t)
	w.start()
	tree := leavesOf(t, 400)
	w.accept(1, contentOf(tree))
	for range 15 {
		w.nextEpoch()
	}
	w.must(w.claim(1, tree, 1))
	if got := w.treasury.paid[deviceID(1)]; got != 400 {
		t.Fatalf("paid %d, want 400", got)
	}
	w.accept(w.epoch().Number-1, contentOf(leavesOf(t, 500)))
	for range 13 {
		w.nextEpoch()
	}
	w.refused(w.claim(1, tree, 1), ErrNotFound, "epoch 1")
}

func TestParams(t *testing.T) {
	w := newWorld(t)
	good := DefaultParams()
	change := func(f func(*oraclepb.Params)) oraclepb.Params { p := DefaultParams(); f(&p); return p }
	for _, c := range []struct {
		name   string
		params oraclepb.Params
		words  string
	}{
		{"good", good, ""},
		{"no epoch", change(func(p *oraclepb.Params) { p.EpochSeconds = 0 }), "epoch_seconds"},
		{"endless epoch", change(func(p *oraclepb.Params) { p.EpochSeconds = ^uint64(0) }), "epoch_seconds"},
		{"no time to reveal", change(func(p *oraclepb.Params) { p.RevealBps = 0 }), "reveal_bps"},
		{"no time to prove", change(func(p *oraclepb.Params) { p.RevealBps = 10000 }), "reveal_bps"},
		{"gap as long as the proofs' time", change(func(p *oraclepb.Params) { p.MaxGapBps = 3001 }), "max_gap_bps"},
		{"no gap", change(func(p *oraclepb.Params) { p.MaxGapBps = 0 }), "max_gap_bps"},
		{"no challenges", change(func(p *oraclepb.Params) { p.Challenges = 0 }), "challenges"},
		{"too many challenges", change(func(p *oraclepb.Params) { p.Challenges = 65 }), "challenges"},
		{"no history", change(func(p *oraclepb.Params) { p.HistoryEpochs = 1 }), "history_epochs"},
		{"no window", change(func(p *oraclepb.Params) { p.ChallengeEpochs = 0 }), "challenge_epochs"},
		{"window beyond the history", change(func(p *oraclepb.Params) { p.ChallengeEpochs = p.HistoryEpochs }), "challenge_epochs"},
		{"no breaker window", change(func(p *oraclepb.Params) { p.BreakerEpochs = 0 }), "breaker_epochs"},
		{"endless breaker window", change(func(p *oraclepb.Params) { p.BreakerEpochs = ^uint64(0) }), "breaker_epochs"},
		{"no limit", change(func(p *oraclepb.Params) { p.BreakerLimit = 0 }), "breaker_limit"},
		{"no pruning", change(func(p *oraclepb.Params) { p.PrunePerBlock = 0 }), "prune_per_block"},
		{"bad vertical", change(func(p *oraclepb.Params) { p.Verticals = []string{"a/b"} }), "vertical"},
		{"empty vertical", change(func(p *oraclepb.Params) { p.Verticals = []string{""} }), "vertical"},
		{"verticals out of order", change(func(p *oraclepb.Params) { p.Verticals = []string{"b", "a"} }), "sorted"},
		{"more misses than epochs", change(func(p *oraclepb.Params) { p.MissLimit = p.MissWindow + 1 }), "miss_limit"},
		{"endless miss window", change(func(p *oraclepb.Params) { p.MissWindow = 1025 }), "miss_window"},
		{"jail for ever", change(func(p *oraclepb.Params) { p.EquivocationJailEpochs = 366 }), "equivocation_jail_epochs"},
		{"dissent costs all", change(func(p *oraclepb.Params) { p.DissentBps = 101 }), "dissent_bps"},
		{"fraud costs all", change(func(p *oraclepb.Params) { p.FraudBps = 5001 }), "fraud_bps"},
		{"challenger gets all", change(func(p *oraclepb.Params) { p.ChallengerBps = 5001 }), "challenger_bps"},
		{"vertical twice", change(func(p *oraclepb.Params) { p.Verticals = []string{"a", "a"} }), "repeat"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := w.msgs.UpdateParams(w.ctx, &oraclepb.MsgUpdateParams{Authority: "gov", Params: c.params})
			if c.words == "" {
				w.must(err)
				return
			}
			w.refused(err, ErrInvalid, c.words)
		})
	}
	_, err := w.msgs.UpdateParams(w.ctx, &oraclepb.MsgUpdateParams{Authority: account("big"), Params: good})
	w.refused(err, ErrAuthority, "gov")
}

// Whatever honest and dishonest validators report, accepted totals never pass
// the sum of the budgets and never fall.
func TestAcceptedTotalsStayWithinBudgets(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		w.start()
		var total, budgets uint64
		budgets = 1000
		for range rapid.IntRange(1, 8).Draw(rt, "epochs") {
			epoch := w.epoch().Number - 1
			for _, name := range []string{"big", "mid", "small"} {
				c := contentOf(leavesOf(t, rapid.Uint64Range(0, 4000).Draw(rt, "total")))
				if rapid.Bool().Draw(rt, "honest") {
					c = contentOf(leavesOf(t, total+500))
				}
				_, _ = w.vote(name, epoch, c) // many are refused
			}
			if r, found, err := w.report(w.ctx, "storage", epoch); err != nil {
				rt.Fatal(err)
			} else if found {
				if r.Content.Total < total || r.Content.Total > budgets {
					rt.Fatalf("accepted total %d after %d, budgets sum to %d", r.Content.Total, total, budgets)
				}
				total = r.Content.Total
			}
			w.treasury.budget = rapid.Uint64Range(0, 1000).Draw(rt, "budget")
			budgets += w.treasury.budget
			w.nextEpoch()
		}
	})
}

// A vote cannot know whether it will be the one that completes the quorum, so
// that must not cost more gas than its simulation saw.
func TestCompletingAQuorumCostsNoMoreGas(t *testing.T) {
	w := newWorld(t)
	w.start()
	c := contentOf(leavesOf(t, 300, 700))
	gas := map[string]uint64{}
	for _, name := range []string{"big", "mid", "small"} {
		before := w.ctx.GasMeter().GasConsumed()
		_, err := w.vote(name, 1, c)
		w.must(err)
		gas[name] = w.ctx.GasMeter().GasConsumed() - before
	}
	if r, err := w.asks.Report(w.ctx, &oraclepb.QueryReportRequest{Vertical: "storage"}); err != nil || r.Report == nil {
		t.Fatalf("no quorum: %+v (%v)", r, err)
	}
	if least := min(gas["big"], gas["mid"], gas["small"]); max(gas["big"], gas["mid"], gas["small"]) > least+least/10 {
		t.Errorf("votes cost %v gas: the one that completed the quorum paid for all", gas)
	}
}
