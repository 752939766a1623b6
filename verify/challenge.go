package verify

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/cosmos/cosmos-sdk/types/query"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/oracle"
)

// Bounds of the work on one disagreement.
const (
	maxTries = 12 // to find the published file
	maxSent  = 3  // challenges that the ledger refused, which costs no deposit
	// longestPause is in blocks; pauses double from one block on.
	longestPause = 256
)

var disagreements = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "grange_verifier_disagreements_total", Help: "Accepted reports that differ from what this verifier computed, by what came of them.",
}, []string{"vertical", "outcome"})

func init() { prometheus.MustRegister(disagreements) }

// quarrel is a disagreement and when it is looked at again.
type quarrel struct {
	Disagreement
	looks int   // without an end
	next  int64 // height
}

// challenge compares what the ledger accepted, as long as it is not payable, with
// what was computed here, and shows the ledger the frauds that it can judge.
func (v *verifier) challenge(ctx context.Context, t tick) error {
	verticals, err := v.verticals(ctx)
	if err != nil {
		return err
	}
	for _, name := range verticals {
		if e := v.challengeOn(ctx, name, t); e != nil {
			err = errors.Join(err, fmt.Errorf("challenge %s: %w", name, e))
		}
	}
	return err
}

// challengeOn looks at all open reports of a vertical and works on one of them.
func (v *verifier) challengeOn(ctx context.Context, name string, t tick) error {
	list, err := v.ledger.Oracle.Reports(ctx, &oraclepb.QueryReportsRequest{Vertical: name, Pagination: &query.PageRequest{Limit: 50}})
	if err != nil {
		return fmt.Errorf("list reports: %w", err)
	}
	current := t.epoch.Epoch.Number
	open := slices.DeleteFunc(slices.Clone(list.Reports), func(r oraclepb.Report) bool { return r.PayableEpoch <= current })
	if err := v.closeQuarrels(name, open); err != nil {
		return err
	}
	var failed error // one report that cannot be compared keeps no other from it
	for _, r := range open {
		q, err := v.quarrel(r, t.block.Height)
		failed = errors.Join(failed, err)
		if err == nil && q != nil {
			q.next = t.block.Height + min(int64(1)<<q.looks, longestPause)
			q.looks = min(q.looks+1, 62)
			return errors.Join(failed, v.pursue(ctx, q, r, list.Reports, current))
		}
	}
	return failed
}

// quarrel is the disagreement on a report that is to be looked at now, if there
// is one. Where nothing was computed there is nothing to compare with.
func (v *verifier) quarrel(r oraclepb.Report, height int64) (*quarrel, error) {
	key := reportKey{r.Vertical, r.Epoch}
	q, seen := v.quarrels[key]
	if seen && (q == nil || q.settled() || height < q.next) {
		return nil, nil
	}
	p, err := shelfOf(v.Home, r.Vertical).get(r.Epoch)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ours, err := contentOfPublished(p)
	if err != nil {
		return nil, err
	}
	if same(ours, r.Content) {
		v.quarrels[key] = nil
		if q == nil {
			return nil, nil
		}
		if err := os.Remove(DisagreementPath(v.Home, r.Vertical, r.Epoch)); !errors.Is(err, fs.ErrNotExist) {
			return nil, err // nil: all evidence is there by now
		}
		return nil, nil
	}
	if q == nil {
		q = &quarrel{Disagreement: Disagreement{Vertical: r.Vertical, Epoch: r.Epoch, Accepted: hex.EncodeToString(r.Content.RewardRoot)}}
		v.quarrels[key] = q
	}
	q.Ours = p.RewardRoot
	return q, v.turn(q, cmp.Or(q.Outcome, Open), q.Reason)
}

type reportKey struct {
	vertical string
	epoch    uint64
}

// closeQuarrels ends those whose report is gone or payable.
func (v *verifier) closeQuarrels(name string, open []oraclepb.Report) error {
	for key, q := range v.quarrels {
		if key.vertical != name || slices.ContainsFunc(open, func(r oraclepb.Report) bool { return r.Epoch == key.epoch }) {
			continue
		}
		delete(v.quarrels, key)
		if q == nil || q.settled() {
			continue
		}
		if err := v.turn(q, Over, q.Reason); err != nil {
			return err
		}
	}
	return nil
}

// turn notes what came of a disagreement, and says it when that is new.
func (v *verifier) turn(q *quarrel, o Outcome, reason string) error {
	if q.Outcome != o {
		disagreements.WithLabelValues(q.Vertical, string(o)).Inc()
		v.log.Warn("the ledger accepted another result than ours", "vertical", q.Vertical, "epoch", q.Epoch,
			"ours", q.Ours, "accepted", q.Accepted, "outcome", string(o), "fraud", q.Fraud, "reason", reason)
	}
	q.Outcome, q.Reason = o, reason
	return q.store(v.Home)
}

// remembered are the disagreements on record, less those of epochs that are no
// longer kept.
func remembered(c Config) (map[reportKey]*quarrel, error) {
	all, err := Disagreements(c.Home)
	if err != nil {
		return nil, err
	}
	newest := map[string]uint64{}
	for _, d := range all {
		newest[d.Vertical] = max(newest[d.Vertical], d.Epoch)
	}
	out := map[reportKey]*quarrel{}
	for _, d := range all {
		if d.Epoch+c.keep() < newest[d.Vertical] {
			if err := os.Remove(DisagreementPath(c.Home, d.Vertical, d.Epoch)); err != nil {
				return nil, err
			}
			continue
		}
		out[reportKey{d.Vertical, d.Epoch}] = &quarrel{Disagreement: d}
	}
	return out, nil
}

// pursue does the next step in a disagreement.
func (v *verifier) pursue(ctx context.Context, q *quarrel, r oraclepb.Report, reports []oraclepb.Report, current uint64) error {
	if lacks, err := v.lacks(ctx, r); err != nil || lacks != "" {
		if err != nil {
			return err
		}
		return v.turn(q, Incomplete, lacks)
	}
	s, err := v.suspect(ctx, r)
	if err != nil {
		if q.Tries++; q.Tries >= maxTries {
			return v.turn(q, Unavailable, err.Error())
		}
		return v.turn(q, Open, err.Error())
	}
	msg, reason, err := v.convict(ctx, s, reports, current)
	if err != nil {
		return err
	}
	if msg == nil {
		return v.turn(q, NoFraud, "the ledger could not see a fraud in the published leaves")
	}
	q.Fraud = msg.Fraud.String()
	if v.Sender == nil {
		return v.turn(q, Unsent, "there is no account to send a challenge with: "+reason)
	}
	return v.accuse(ctx, q, msg, reason)
}

// accuse sends a challenge that the ledger will find right. That it is sent is
// remembered first, so that no restart sends it without end.
func (v *verifier) accuse(ctx context.Context, q *quarrel, msg *oraclepb.MsgChallenge, reason string) error {
	if q.Sent >= maxSent {
		return v.turn(q, Unsent, q.Reason)
	}
	q.Sent++
	if err := v.turn(q, Open, reason); err != nil {
		return err
	}
	msg.Challenger = v.Sender.Address().String()
	if _, err := v.Sender.Send(ctx, msg); err != nil {
		return errors.Join(fmt.Errorf("challenge epoch %d: %w", q.Epoch, err), v.turn(q, Open, err.Error()))
	}
	have, err := v.ledger.Oracle.Report(ctx, &oraclepb.QueryReportRequest{Vertical: q.Vertical, Epoch: q.Epoch})
	switch {
	case err != nil && !errors.Is(err, client.ErrNotFound):
		return v.turn(q, Over, fmt.Sprintf("%s; sent, and what came of it cannot be read: %v", reason, err))
	case err == nil && have.Report != nil:
		return v.turn(q, Rejected, reason)
	}
	return v.turn(q, Proven, reason)
}

// suspect finds the published file that makes the accepted root: our own, when
// only what was said about the tree is wrong, or another verifier's.
func (v *verifier) suspect(ctx context.Context, r oraclepb.Report) (suspect, error) {
	p, err := shelfOf(v.Home, r.Vertical).get(r.Epoch)
	if err != nil {
		return suspect{}, err
	}
	if s, err := newSuspect(r, p); err == nil {
		return s, nil
	}
	err = errors.New("no other verifiers are configured that may have published it")
	if len(v.Others) > 0 {
		err = nil
	}
	for _, from := range v.Others {
		p, e := elsewhere(ctx, from, r.Vertical, r.Epoch)
		if e == nil {
			var s suspect
			if s, e = newSuspect(r, p); e == nil {
				return s, nil
			}
		}
		err = errors.Join(err, e)
	}
	return suspect{}, err
}

// convict examines the charges as the ledger will, and returns the first that
// shows a fraud; nil for none.
func (v *verifier) convict(ctx context.Context, s suspect, reports []oraclepb.Report, current uint64) (*oraclepb.MsgChallenge, string, error) {
	before, err := v.before(s.report, reports, current)
	if err != nil {
		return nil, "", err
	}
	var asked error // what kept us from asking the ledger
	paid := func(device [32]byte) (uint64, error) {
		for _, o := range reports {
			if o.Epoch > s.report.Epoch && o.PayableEpoch <= current {
				return 0, fmt.Errorf("the report of epoch %d is payable already", o.Epoch)
			}
		}
		amount, err := v.paidFor(ctx, s.report.Vertical, device)
		asked = errors.Join(asked, err)
		return amount, err
	}
	for _, msg := range s.charges(before) {
		if reason, err := oracle.Examine(s.report, msg, paid); err == nil {
			return msg, reason, nil
		}
		if asked != nil {
			return nil, "", asked
		}
	}
	return nil, "", nil
}

// before are leaves that no device was paid more than: those of the newest
// payable report, or ours of the epoch when we have others there.
func (v *verifier) before(r oraclepb.Report, reports []oraclepb.Report, current uint64) ([]merkle.SumLeaf, error) {
	shelf := shelfOf(v.Home, r.Vertical)
	for _, o := range reports {
		if o.PayableEpoch > current {
			continue
		}
		p, err := shelf.get(o.Epoch)
		if err == nil && p.RewardRoot == hex.EncodeToString(o.Content.RewardRoot) {
			tree, err := treeOf(p)
			if err != nil {
				return nil, err
			}
			return tree.Leaves(), nil
		}
		break
	}
	p, err := shelf.get(r.Epoch)
	if err != nil {
		return nil, err
	}
	tree, err := treeOf(p)
	if err != nil {
		return nil, err
	}
	return tree.Leaves(), nil
}

// paidFor is what the ledger paid a device for a vertical.
func (v *verifier) paidFor(ctx context.Context, vertical string, device [32]byte) (uint64, error) {
	c, err := v.ledger.Oracle.Claimed(ctx, &oraclepb.QueryClaimedRequest{Device: hex.EncodeToString(device[:])})
	if errors.Is(err, client.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read claims of device %x: %w", device, err)
	}
	for _, x := range c.Claimed {
		if x.Vertical == vertical {
			return x.Paid, nil
		}
	}
	return 0, nil
}

// lacks says what evidence behind our own result may be missing, "" for none. It
// looks at every epoch since the last one on which the ledger agrees.
func (v *verifier) lacks(ctx context.Context, r oraclepb.Report) (string, error) {
	if !hasEvidence(v.known(r.Vertical)) {
		return "", nil // usage alone, which is the ledger's own
	}
	if v.Archive == nil {
		return "no store of evidence is configured", nil
	}
	shelf := shelfOf(v.Home, r.Vertical)
	for epoch, n := r.Epoch, 0; epoch != 0; n++ {
		if epoch != r.Epoch {
			agreed, err := v.agreed(ctx, r.Vertical, shelf, epoch)
			if agreed || err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
		}
		p, err := shelf.get(epoch)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Sprintf("epoch %d is not kept here", epoch), nil
		case err != nil:
			return "", err
		case n == patience:
			return fmt.Sprintf("the ledger agreed with none of %d epochs before", n), nil
		}
		if lack, err := v.lacksIn(ctx, p); lack != "" || err != nil {
			return lack, err
		}
		epoch = p.Previous
	}
	return "", nil
}

// lacksIn compares what an epoch was scored from with what is published by now.
func (v *verifier) lacksIn(ctx context.Context, p Published) (string, error) {
	if p.Evidence == nil || p.Evidence.Abandoned {
		return fmt.Sprintf("epoch %d was scored without its evidence", p.Epoch), nil
	}
	ids, err := v.Archive.Published(ctx, p.Vertical, p.Epoch)
	if err != nil {
		return "", err
	}
	var now []string
	for _, id := range ids {
		now = append(now, id.Root.String())
	}
	if !slices.Equal(now, p.Evidence.Manifests) {
		return fmt.Sprintf("epoch %d was scored from %d manifests, %d are published now", p.Epoch, len(p.Evidence.Manifests), len(now)), nil
	}
	return "", nil
}
