package verify

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/grange-network/grange/core/score"
	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/oracle"
)

// ledgerbook is where the scoring of one vertical stands.
type ledgerbook struct {
	shelf  shelf
	state  score.State
	report score.Report
	voted  uint64 // newest epoch voted on
	// revised is the newest epoch in which what the ledger did not accept was scored
	// again.
	revised uint64
}

// report computes every ended epoch in order and votes on the newest. A vertical
// that must wait does not hold up the others.
func (v *verifier) report(ctx context.Context, t tick) error {
	verticals, err := v.verticals(ctx)
	if err != nil {
		return err
	}
	for _, name := range verticals {
		if e := v.reportOn(ctx, name, t.epoch.Epoch.Number); e != nil {
			err = errors.Join(err, fmt.Errorf("report on %s: %w", name, e))
		}
	}
	return err
}

func (v *verifier) reportOn(ctx context.Context, name string, current uint64) error {
	book, err := v.book(ctx, name)
	if err != nil {
		return err
	}
	if hasEvidence(v.known(name)) {
		current -= min(current, publishLag)
		if err := v.revise(ctx, name, book, current); err != nil {
			return err
		}
	}
	for err == nil && book.state.Epoch+1 < current {
		err = v.compute(ctx, name, book, book.state.Epoch+1, current)
	}
	if errors.Is(err, errSilence) {
		err = nil
	}
	if errors.Is(err, client.ErrNotFound) {
		delete(v.scores, name) // look at the files again: somebody may put one there
	}
	if book.report.Epoch == 0 || book.voted >= book.report.Epoch {
		return err
	}
	return errors.Join(err, v.vote(ctx, book))
}

// revise goes back to the newest epoch on which the ledger agrees, before later
// ones are added to results that it did not accept: evidence may have been seen
// by some verifiers and not by others, and meanwhile all may see it.
func (v *verifier) revise(ctx context.Context, name string, book *ledgerbook, current uint64) error {
	newest := book.state.Epoch
	if newest == 0 || newest+1 >= current || book.revised == current {
		return nil
	}
	if agreed, err := v.agreed(ctx, name, book.shelf, newest); err != nil || agreed {
		return err
	}
	epochs, err := book.shelf.epochs()
	if err != nil {
		return err
	}
	base := uint64(0)
	for _, e := range slices.Backward(epochs) {
		agreed, err := v.agreed(ctx, name, book.shelf, e)
		if err != nil {
			return err
		}
		if agreed || e == epochs[0] && e > 1 {
			base = e
			break
		}
	}
	if base == newest {
		return nil
	}
	book.revised = current
	v.log.Warn("scoring again what the ledger did not accept", "vertical", name, "from", base+1, "to", newest)
	if err := book.shelf.remove(base+1, newest); err != nil {
		return err
	}
	book.state, book.report = score.State{}, score.Report{}
	if base == 0 {
		return nil
	}
	return book.load(base)
}

// agreed says whether the ledger accepted what is on the shelf for an epoch.
func (v *verifier) agreed(ctx context.Context, name string, s shelf, epoch uint64) (bool, error) {
	have, err := v.ledger.Oracle.Report(ctx, &oraclepb.QueryReportRequest{Vertical: name, Epoch: epoch})
	if errors.Is(err, client.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read report of epoch %d: %w", epoch, err)
	}
	if have.Report == nil {
		return false, nil
	}
	p, err := s.get(epoch)
	return err == nil && p.RewardRoot == hex.EncodeToString(have.Report.Content.RewardRoot), err
}

// load continues from a published epoch.
func (b *ledgerbook) load(epoch uint64) error {
	p, err := b.shelf.get(epoch)
	if err != nil {
		return err
	}
	if b.state, err = p.State(); err != nil {
		return err
	}
	b.report, err = reportOf(p, b.state)
	return err
}

// book opens a vertical's files. The newest one on the shelf, be it our own or
// copied from another verifier, is where scoring goes on: its leaves must make
// its root, and the ledger must not have accepted another one.
func (v *verifier) book(ctx context.Context, name string) (*ledgerbook, error) {
	if b := v.scores[name]; b != nil {
		return b, nil
	}
	b := &ledgerbook{shelf: shelfOf(v.Home, name)}
	newest, err := b.shelf.newest()
	if err != nil {
		return nil, err
	}
	if newest > 0 {
		p, err := b.shelf.get(newest)
		if err != nil {
			return nil, err
		}
		if p.Chain != v.ledger.ChainID || p.Vertical != name {
			return nil, fmt.Errorf("published epoch %d in %s is of %s on %s, want %s on %s", newest, b.shelf.dir, p.Vertical, p.Chain, name, v.ledger.ChainID)
		}
		if err := b.load(newest); err != nil {
			return nil, err
		}
		have, err := v.ledger.Oracle.Report(ctx, &oraclepb.QueryReportRequest{Vertical: name, Epoch: newest})
		if err != nil && !errors.Is(err, client.ErrNotFound) {
			return nil, fmt.Errorf("read report of epoch %d: %w", newest, err)
		}
		if err == nil && have.Report != nil && !same(have.Report.Content, contentOf(b.report)) && !hasEvidence(v.known(name)) {
			return nil, fmt.Errorf("%s: the ledger accepted reward root %x, not %s: remove the file to score the epoch again, or copy the one of another verifier",
				b.shelf.path(newest), have.Report.Content.RewardRoot, p.RewardRoot)
		}
	}
	v.scores[name] = b
	return b, nil
}

// compute scores one ended epoch and publishes it.
func (v *verifier) compute(ctx context.Context, name string, book *ledgerbook, epoch, current uint64) error {
	recorded, err := v.recorded(ctx, name, epoch)
	if err != nil {
		return err
	}
	w, err := v.weigh(ctx, name, recorded, current)
	if err != nil {
		return err
	}
	terms := recorded.Terms
	terms.Evidence = w.hash
	next, report, bonuses, err := book.state.Next(terms, recorded.Burns(), w.lines...)
	if err != nil {
		return err
	}
	p := publish(v.ledger.ChainID, book.state.Epoch, terms, next, report, bonuses, w)
	if err := book.shelf.put(p); err != nil {
		return fmt.Errorf("publish epoch %d: %w", epoch, err)
	}
	if keep := v.keep(); epoch > keep {
		if err := book.shelf.remove(0, epoch-keep); err != nil {
			return fmt.Errorf("remove old published epochs: %w", err)
		}
		if v.Retain && v.Archive != nil && hasEvidence(v.known(name)) {
			if _, err := v.Archive.Retain(ctx, name, epoch-keep+1); err != nil {
				v.log.Warn("old evidence is not removed", "vertical", name, "error", err)
			}
		}
	}
	book.state, book.report = next, report
	v.log.Debug("scored", "vertical", name, "epoch", epoch, "devices", len(bonuses), "bonus", score.Sum(bonuses), "total", report.Rewards.Total)
	return nil
}

// recorded reads what the ledger recorded when the epoch ended.
func (v *verifier) recorded(ctx context.Context, name string, epoch uint64) (Recorded, error) {
	r, err := v.ledger.Credit.EpochPrice(ctx, &creditpb.QueryEpochPriceRequest{Epoch: epoch})
	if errors.Is(err, client.ErrNotFound) {
		return Recorded{}, fmt.Errorf("the ledger no longer has the record of epoch %d: copy a published epoch of another verifier, %d or later, into this one's home: %w", epoch, epoch, err)
	}
	if err != nil {
		return Recorded{}, fmt.Errorf("read record of epoch %d: %w", epoch, err)
	}
	used, err := v.ledger.Market.Usage(ctx, &marketpb.QueryUsageRequest{Epoch: epoch})
	if err != nil {
		return Recorded{}, fmt.Errorf("read usage of epoch %d: %w", epoch, err)
	}
	return Record(name, r.Record, used.Usage)
}

// vote sends the newest report, unless the ledger has this validator's vote or
// has accepted another result: a vote against that would change nothing and be
// fined.
func (v *verifier) vote(ctx context.Context, book *ledgerbook) error {
	r := book.report
	content := contentOf(r)
	done, err := v.isDecided(ctx, r, content)
	if err == nil && !done {
		err = v.standsOnAccepted(ctx, book)
	}
	if err != nil {
		return err
	}
	if !done && v.Sender != nil {
		result, err := v.Sender.Send(ctx, &oraclepb.MsgReport{Validator: v.operator, Epoch: r.Epoch, Vertical: r.Vertical, Content: content})
		switch {
		case errors.Is(err, oracle.ErrDone), errors.Is(err, oracle.ErrTooLate):
			v.log.Warn("vote came too late", "vertical", r.Vertical, "epoch", r.Epoch, "error", err)
		case err != nil:
			return fmt.Errorf("vote on epoch %d: %w", r.Epoch, err)
		default:
			v.log.Info("voted", "vertical", r.Vertical, "epoch", r.Epoch, "root", r.Rewards.Hash.String(), "total", r.Rewards.Total, "height", result.Height)
		}
	}
	book.voted = r.Epoch
	return nil
}

// isDecided asks the ledger whether there is nothing to vote on any more.
func (v *verifier) isDecided(ctx context.Context, r score.Report, content oraclepb.Content) (bool, error) {
	have, err := v.ledger.Oracle.Report(ctx, &oraclepb.QueryReportRequest{Vertical: r.Vertical, Epoch: r.Epoch})
	if errors.Is(err, client.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read votes on epoch %d: %w", r.Epoch, err)
	}
	if have.Report != nil && !same(have.Report.Content, content) {
		return true, nil // challenge deals with it
	}
	for _, vote := range have.Votes {
		if vote.Validator == v.operator {
			return true, nil
		}
	}
	return false, nil
}

// standsOnAccepted refuses to vote on a result that adds to one which the ledger
// did not accept: it would be wrong too.
func (v *verifier) standsOnAccepted(ctx context.Context, book *ledgerbook) error {
	r := book.report
	list, err := v.ledger.Oracle.Reports(ctx, &oraclepb.QueryReportsRequest{Vertical: r.Vertical, Pagination: &query.PageRequest{Limit: 1}})
	if err != nil {
		return fmt.Errorf("list reports: %w", err)
	}
	if len(list.Reports) == 0 {
		return nil
	}
	newest := list.Reports[0]
	ours, err := book.shelf.get(newest.Epoch)
	if err != nil {
		return nil // not kept any more, or not computed yet: there is nothing to compare
	}
	if accepted := hex.EncodeToString(newest.Content.RewardRoot); ours.RewardRoot != accepted {
		return fmt.Errorf("no vote on epoch %d: for epoch %d the ledger accepted reward root %s, not our %s: this verifier may not see all evidence", r.Epoch, newest.Epoch, accepted, ours.RewardRoot)
	}
	return nil
}

func contentOf(r score.Report) oraclepb.Content {
	return oraclepb.Content{RewardRoot: r.Rewards.Hash[:], InputsRoot: r.Inputs[:], Total: r.Rewards.Total, Leaves: r.Rewards.Size}
}

func same(a, b oraclepb.Content) bool {
	return bytes.Equal(a.RewardRoot, b.RewardRoot) && bytes.Equal(a.InputsRoot, b.InputsRoot) && a.Total == b.Total && a.Leaves == b.Leaves
}

// reportOf is the report a published epoch stands for.
func reportOf(p Published, state score.State) (score.Report, error) {
	tree, err := state.Tree()
	if err != nil {
		return score.Report{}, err
	}
	inputs, err := deviceOf(p.InputsRoot) // 32 bytes in hex as well
	if err != nil {
		return score.Report{}, fmt.Errorf("inputs root of epoch %d: %w", p.Epoch, err)
	}
	return score.Report{Vertical: p.Vertical, Epoch: p.Epoch, Rewards: tree.Root(), Inputs: inputs}, nil
}
