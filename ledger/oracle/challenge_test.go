package oracle

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// forged makes the root of a tree over two leaves exactly as given, which
// NewSumTree would refuse or sort, and their proofs.
func forged(a, b merkle.SumLeaf) (merkle.SumRoot, [2]merkle.SumProof) {
	number := binary.BigEndian.AppendUint64
	node := func(l merkle.SumLeaf) merkle.SumNode {
		return merkle.SumNode{Hash: sha256.Sum256(number(append([]byte{2}, l.Key[:]...), l.Amount)), Sum: l.Amount}
	}
	left, right := node(a), node(b)
	top := sha256.Sum256(number(append(number(append([]byte{3}, left.Hash[:]...), left.Sum), right.Hash[:]...), right.Sum))
	root := merkle.SumRoot{Size: 2, Total: a.Amount + b.Amount}
	root.Hash = sha256.Sum256(append(number(number([]byte{4}, root.Size), root.Total), top[:]...))
	return root, [2]merkle.SumProof{{Index: 0, Size: 2, Path: []merkle.SumNode{right}}, {Index: 1, Size: 2, Path: []merkle.SumNode{left}}}
}

func sumContent(r merkle.SumRoot) oraclepb.Content {
	return oraclepb.Content{RewardRoot: r.Hash[:], InputsRoot: make([]byte, 32), Total: r.Total, Leaves: r.Size}
}

// without is a tree that lacks one device.
func without(t testing.TB, n byte, tree *merkle.SumTree) *merkle.SumTree {
	t.Helper()
	left := slices.DeleteFunc(slices.Clone(tree.Leaves()), func(l merkle.SumLeaf) bool { return l.Key == deviceID(n) })
	out, err := merkle.NewSumTree(left, ^uint64(0))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func id(n byte) []byte {
	d := deviceID(n)
	return d[:]
}

func (w *world) challenge(who string, msg oraclepb.MsgChallenge) (r *oraclepb.MsgChallengeResponse, err error) {
	msg.Challenger, msg.Vertical, msg.Epoch = account(who), "storage", max(msg.Epoch, 1)
	err = w.try(func(ctx context.Context) (err error) {
		r, err = w.msgs.Challenge(ctx, &msg)
		return err
	})
	return r, err
}

func leafOf(l merkle.SumLeaf, p merkle.SumProof) oraclepb.DeviceClaim {
	return oraclepb.DeviceClaim{Device: l.Key[:], Lifetime: l.Amount, Proof: p.Encode()}
}

func proven(t testing.TB, tree *merkle.SumTree, n byte) oraclepb.DeviceClaim {
	t.Helper()
	leaf, proof, err := tree.Prove(deviceID(n))
	if err != nil {
		t.Fatal(err)
	}
	return leafOf(leaf, proof)
}

func traced(t testing.TB, tree *merkle.SumTree, n byte) (oraclepb.DeviceClaim, []byte) {
	t.Helper()
	leaf, proof, err := tree.Prove(deviceID(n))
	if err != nil {
		t.Fatal(err)
	}
	return oraclepb.DeviceClaim{Device: leaf.Key[:], Lifetime: leaf.Amount}, proof.Trace(leaf).Encode()
}

// challengeWorld has a challenger with 1000 GRAIN, device 1 paid 100 under
// epoch 1, and is in the epoch after the second ended.
func challengeWorld(t testing.TB) *world {
	w := newWorld(t)
	w.purse.of[string(operator("watcher"))] = 1_000_000_000
	w.start()
	tree := leavesOf(t, 100, 0)
	w.accept(1, contentOf(tree))
	w.nextEpoch()
	w.must(w.claim(1, tree, 1))
	return w
}

const deposit, riches = 100_000_000, 1_000_000_000

func TestChallengeRefutesFraud(t *testing.T) {
	twice, twiceProofs := forged(merkle.SumLeaf{Key: deviceID(1), Amount: 100}, merkle.SumLeaf{Key: deviceID(1), Amount: 90})
	back, backProofs := forged(merkle.SumLeaf{Key: deviceID(2), Amount: 100}, merkle.SumLeaf{Key: deviceID(1), Amount: 100})
	right := leavesOf(t, 100, 50)
	low := leavesOf(t, 99, 50)
	gone := without(t, 1, leavesOf(t, 100, 50, 70))
	misstated := contentOf(right)
	misstated.Total += 7
	miscounted := contentOf(right)
	miscounted.Leaves += 7
	leaf, trace := traced(t, right, 2)
	for _, c := range []struct {
		name    string
		content oraclepb.Content
		msg     oraclepb.MsgChallenge
		words   string
	}{
		{"a device twice", sumContent(twice), oraclepb.MsgChallenge{Fraud: oraclepb.FRAUD_ORDER, Leaves: []oraclepb.DeviceClaim{
			leafOf(merkle.SumLeaf{Key: deviceID(1), Amount: 100}, twiceProofs[0]), leafOf(merkle.SumLeaf{Key: deviceID(1), Amount: 90}, twiceProofs[1]),
		}}, "leaf 0 is of device"},
		{"devices out of order", sumContent(back), oraclepb.MsgChallenge{Fraud: oraclepb.FRAUD_ORDER, Leaves: []oraclepb.DeviceClaim{
			leafOf(merkle.SumLeaf{Key: deviceID(2), Amount: 100}, backProofs[0]), leafOf(merkle.SumLeaf{Key: deviceID(1), Amount: 100}, backProofs[1]),
		}}, "leaf 1 of"},
		{"another total than the tree's", misstated, oraclepb.MsgChallenge{Fraud: oraclepb.FRAUD_SUM, Leaves: []oraclepb.DeviceClaim{leaf}, Trace: trace}, "with total 150, reported are 2 with 157"},
		{"another count than the tree's", miscounted, oraclepb.MsgChallenge{Fraud: oraclepb.FRAUD_SUM, Leaves: []oraclepb.DeviceClaim{leaf}, Trace: trace}, "reported are 9"},
		{"a falling lifetime", contentOf(low), oraclepb.MsgChallenge{Fraud: oraclepb.FRAUD_FALLING, Leaves: []oraclepb.DeviceClaim{proven(t, low, 1)}}, "has 99 and was paid 100"},
		{"a paid device left out", contentOf(gone), oraclepb.MsgChallenge{Fraud: oraclepb.FRAUD_MISSING, Device: id(1), Leaves: []oraclepb.DeviceClaim{proven(t, gone, 2)}}, "has 0 and was paid 100"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := challengeWorld(t)
			w.setParams(func(p *oraclepb.Params) { p.DissentBps = 0 })
			_, err := w.vote("small", 2, contentOf(leavesOf(t, 123)))
			w.must(err)
			w.accept(2, c.content)
			c.msg.Epoch = 2
			r, err := w.challenge("watcher", c.msg)
			w.must(err)
			if !r.Proven {
				t.Fatalf("not proven: %s", r.Reason)
			}
			// Big and mid voted for it: 10 % of 80 GRAIN is burned, a fifth of that earned.
			if w.stakes.burned != 8_000_000 || r.Reward != 1_600_000 || w.of("small").Fined != 0 || w.of("mid").Refuted != 1 {
				t.Fatalf("burned %d, reward %d", w.stakes.burned, r.Reward)
			}
			if got := w.purse.of[string(operator("watcher"))]; got != riches+1_600_000 || w.purse.of[ModuleName] != 0 {
				t.Fatalf("the challenger has %d, the module %d", got, w.purse.of[ModuleName])
			}
			list, err := w.asks.Refutations(w.ctx, &oraclepb.QueryRefutationsRequest{})
			w.must(err)
			if len(list.Refutations) != 1 || list.Refutations[0].Fined != 8_000_000 {
				t.Fatalf("on record: %+v", list.Refutations)
			}
			w.afterRefutation(t, c.msg)
		})
	}
}

// afterRefutation checks that the epoch is closed and the next report covers it.
func (w *world) afterRefutation(t *testing.T, msg oraclepb.MsgChallenge) {
	_, err := w.challenge("watcher", msg)
	w.refused(err, ErrNotFound, "no report")
	_, err = w.vote("small", 2, contentOf(leavesOf(t, 101)))
	w.refused(err, ErrDone, "was refuted")
	w.nextEpoch()
	w.refused(w.claim(2, leavesOf(t, 100, 50), 2), ErrNotFound, "no report")
	next := leavesOf(t, 100, 60)
	w.accept(3, contentOf(next))
	w.nextEpoch()
	w.must(w.claim(3, next, 2))
	if got := w.treasury.paid[deviceID(2)]; got != 60 {
		t.Fatalf("device 2 got %d, want 60", got)
	}
}

func TestFalseChallengeCostsTheDeposit(t *testing.T) {
	tree := leavesOf(t, 100, 50, 70)
	leaf, trace := traced(t, tree, 2)
	wrong := proven(t, tree, 2)
	wrong.Lifetime--
	for _, c := range []struct {
		name  string
		msg   oraclepb.MsgChallenge
		words string
	}{
		{"leaves in order", oraclepb.MsgChallenge{Fraud: oraclepb.FRAUD_ORDER, Leaves: []oraclepb.DeviceClaim{proven(t, tree, 1), proven(t, tree, 2)}}, "may both be there"},
		{"leaves told in the wrong order", oraclepb.MsgChallenge{Fraud: oraclepb.FRAUD_ORDER, Leaves: []oraclepb.DeviceClaim{proven(t, tree, 2), proven(t, tree, 1)}}, "may both be there"},
		{"one leaf twice", oraclepb.MsgChallenge{Fraud: oraclepb.FRAUD_ORDER, Leaves: []oraclepb.DeviceClaim{proven(t, tree, 2), proven(t, tree, 2)}}, "may both be there"},
		{"a leaf that is not there", oraclepb.MsgChallenge{Fraud: oraclepb.FRAUD_FALLING, Leaves: []oraclepb.DeviceClaim{wrong}}, "proof does not lead"},
		{"a lifetime that did not fall", oraclepb.MsgChallenge{Fraud: oraclepb.FRAUD_FALLING, Leaves: []oraclepb.DeviceClaim{proven(t, tree, 1)}}, "has 100 and was paid 100"},
		{"sums that add up", oraclepb.MsgChallenge{Fraud: oraclepb.FRAUD_SUM, Leaves: []oraclepb.DeviceClaim{leaf}, Trace: trace}, "add up"},
		{"a trace of another leaf", oraclepb.MsgChallenge{Fraud: oraclepb.FRAUD_SUM, Leaves: []oraclepb.DeviceClaim{{Device: id(1), Lifetime: 100}}, Trace: trace}, "proof does not lead"},
		{"leaves that are no neighbours", oraclepb.MsgChallenge{Fraud: oraclepb.FRAUD_MISSING, Device: id(2), Leaves: []oraclepb.DeviceClaim{proven(t, tree, 1), proven(t, tree, 3)}}, "not the neighbours"},
		{"a device beyond the end that was not paid", oraclepb.MsgChallenge{Fraud: oraclepb.FRAUD_MISSING, Device: id(9), Leaves: []oraclepb.DeviceClaim{proven(t, tree, 3)}}, "has 0 and was paid 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := challengeWorld(t)
			w.accept(2, contentOf(tree))
			c.msg.Epoch = 2
			r, err := w.challenge("watcher", c.msg)
			w.must(err)
			if r.Proven || r.Reward != 0 {
				t.Fatalf("proven: %+v", r)
			}
			if !strings.Contains(r.Reason, c.words) {
				t.Errorf("reason %q, want %q", r.Reason, c.words)
			}
			if got := w.purse.of[string(operator("watcher"))]; got != riches-deposit || w.purse.of["community"] != deposit || w.stakes.burned != 0 {
				t.Fatalf("the challenger has %d, the community %d, burned %d", got, w.purse.of["community"], w.stakes.burned)
			}
			w.nextEpoch()
			w.must(w.claim(2, tree, 2, 3))
		})
	}
}

func TestChallengeRules(t *testing.T) {
	w := challengeWorld(t)
	tree := leavesOf(t, 99, 50)
	w.accept(2, contentOf(tree))
	falling := oraclepb.MsgChallenge{Epoch: 2, Fraud: oraclepb.FRAUD_FALLING, Leaves: []oraclepb.DeviceClaim{proven(t, tree, 1)}}
	change := func(f func(*oraclepb.MsgChallenge)) oraclepb.MsgChallenge { m := falling; f(&m); return m }
	for _, c := range []struct {
		name, who string
		msg       oraclepb.MsgChallenge
		want      error
		words     string
	}{
		{"no such report", "watcher", change(func(m *oraclepb.MsgChallenge) { m.Epoch = 9 }), ErrNotFound, "epoch 9"},
		{"payable already", "watcher", change(func(m *oraclepb.MsgChallenge) { m.Epoch = 1 }), ErrTooLate, "payable since epoch 3"},
		{"no fraud", "watcher", change(func(m *oraclepb.MsgChallenge) { m.Fraud = 0 }), ErrInvalid, "fraud 0"},
		{"no leaf", "watcher", change(func(m *oraclepb.MsgChallenge) { m.Leaves = nil }), ErrInvalid, "0 leaves"},
		{"too many leaves", "watcher", change(func(m *oraclepb.MsgChallenge) { m.Leaves = append(m.Leaves, m.Leaves...) }), ErrInvalid, "2 leaves"},
		{"no proof", "watcher", change(func(m *oraclepb.MsgChallenge) { m.Leaves = []oraclepb.DeviceClaim{{Device: id(1)}} }), ErrInvalid, "decode sum proof"},
		{"no trace", "watcher", change(func(m *oraclepb.MsgChallenge) { m.Fraud = oraclepb.FRAUD_SUM }), ErrInvalid, "decode sum trace"},
		{"no device", "watcher", change(func(m *oraclepb.MsgChallenge) { m.Fraud = oraclepb.FRAUD_MISSING }), ErrInvalid, "device"},
		{"no deposit", "pauper", falling, ErrDeposit, "100000000 ugrain"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := w.challenge(c.who, c.msg)
			w.refused(err, c.want, c.words)
		})
	}
	if w.purse.of[string(operator("watcher"))] != riches || w.stakes.burned != 0 {
		t.Fatal("a refused challenge cost something")
	}
}

// A device that was paid by a later report proves nothing about an earlier one
// that is still in its window, which a change of parameters can leave behind.
func TestPaymentsOfLaterReportsAreNoFraud(t *testing.T) {
	w := newWorld(t)
	w.purse.of[string(operator("watcher"))] = riches
	w.setParams(func(p *oraclepb.Params) { p.ChallengeEpochs = 5 })
	w.start()
	first, second := leavesOf(t, 100, 50), leavesOf(t, 200, 50)
	w.accept(1, contentOf(first))
	w.setParams(func(p *oraclepb.Params) { p.ChallengeEpochs = 1 })
	w.nextEpoch()
	w.accept(2, contentOf(second))
	w.nextEpoch()
	w.must(w.claim(2, second, 1))
	r, err := w.challenge("watcher", oraclepb.MsgChallenge{Epoch: 1, Fraud: oraclepb.FRAUD_FALLING, Leaves: []oraclepb.DeviceClaim{proven(t, first, 1)}})
	w.must(err)
	if r.Proven || w.stakes.burned != 0 {
		t.Fatalf("an honest report was refuted: %s", r.Reason)
	}
}

// A report that nobody challenges in time may take from a device what it was
// paid and give it to another: all claims together still get no more than the
// total.
func TestFallingLeavesPayNobodyTwice(t *testing.T) {
	w := challengeWorld(t) // device 1 was paid 100
	tree := leavesOf(t, 10, 150)
	w.accept(2, contentOf(tree))
	w.nextEpoch()
	w.must(w.claim(2, tree, 2))
	if got := w.treasury.paid[deviceID(2)]; got != 60 {
		t.Fatalf("device 2 got %d, the total of 160 leaves 60", got)
	}
	w.refused(w.claim(2, tree, 2), ErrBudget, "took from some")
}
