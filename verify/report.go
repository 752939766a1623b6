package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/grange-network/grange/core/money"
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
}

// report computes every ended epoch in order and votes on the newest.
func (v *verifier) report(ctx context.Context, t tick) error {
	verticals, err := v.verticals(ctx)
	if err != nil {
		return err
	}
	for _, vertical := range verticals {
		if err := v.reportOn(ctx, vertical, t.epoch.Epoch.Number); err != nil {
			return fmt.Errorf("report on %s: %w", vertical, err)
		}
	}
	return nil
}

func (v *verifier) reportOn(ctx context.Context, vertical string, current uint64) error {
	book, err := v.book(ctx, vertical)
	if err != nil {
		return err
	}
	for book.state.Epoch+1 < current {
		if err := v.compute(ctx, vertical, book, book.state.Epoch+1); err != nil {
			if errors.Is(err, client.ErrNotFound) {
				delete(v.scores, vertical) // look at the files again: somebody may put one there
			}
			return err
		}
	}
	if book.report.Epoch == 0 || book.voted >= book.report.Epoch {
		return nil
	}
	return v.vote(ctx, book)
}

// book opens a vertical's files. The newest one on the shelf, be it our own or
// copied from another verifier, is where scoring goes on: its leaves must make
// its root, and the ledger must not have accepted another one.
func (v *verifier) book(ctx context.Context, vertical string) (*ledgerbook, error) {
	if b := v.scores[vertical]; b != nil {
		return b, nil
	}
	b := &ledgerbook{shelf: shelfOf(v.Home, vertical)}
	newest, err := b.shelf.newest()
	if err != nil {
		return nil, err
	}
	if newest > 0 {
		p, err := b.shelf.get(newest)
		if err != nil {
			return nil, err
		}
		if p.Chain != v.ledger.ChainID || p.Vertical != vertical {
			return nil, fmt.Errorf("published epoch %d in %s is of %s on %s, want %s on %s", newest, b.shelf.dir, p.Vertical, p.Chain, vertical, v.ledger.ChainID)
		}
		if b.state, err = p.State(); err != nil {
			return nil, err
		}
		if b.report, err = reportOf(p, b.state); err != nil {
			return nil, err
		}
		have, err := v.ledger.Oracle.Report(ctx, &oraclepb.QueryReportRequest{Vertical: vertical, Epoch: newest})
		if err != nil && !errors.Is(err, client.ErrNotFound) {
			return nil, fmt.Errorf("read report of epoch %d: %w", newest, err)
		}
		if err == nil && have.Report != nil && !same(have.Report.Content, contentOf(b.report)) {
			return nil, fmt.Errorf("%s: the ledger accepted reward root %x, not %s: remove the file to score the epoch again, or copy the one of another verifier",
				b.shelf.path(newest), have.Report.Content.RewardRoot, p.RewardRoot)
		}
	}
	v.scores[vertical] = b
	return b, nil
}

// compute scores one ended epoch and publishes it.
func (v *verifier) compute(ctx context.Context, vertical string, book *ledgerbook, epoch uint64) error {
	terms, err := v.terms(ctx, vertical, epoch)
	if err != nil {
		return err
	}
	used, err := v.ledger.Market.Usage(ctx, &marketpb.QueryUsageRequest{Epoch: epoch})
	if err != nil {
		return fmt.Errorf("read usage of epoch %d: %w", epoch, err)
	}
	var usage []score.Usage
	for _, u := range used.Usage {
		if len(u.Device) != 32 {
			return fmt.Errorf("usage of epoch %d: device %x has %d bytes", epoch, u.Device, len(u.Device))
		}
		usage = append(usage, score.Usage{Device: [32]byte(u.Device), Epoch: u.Epoch, Burned: money.Credit(u.Burned)})
	}
	next, report, bonuses, err := book.state.Next(terms, usage)
	if err != nil {
		return err
	}
	p := publish(v.ledger.ChainID, book.state.Epoch, terms, next, report, bonuses)
	if err := book.shelf.put(p); err != nil {
		return fmt.Errorf("publish epoch %d: %w", epoch, err)
	}
	book.state, book.report = next, report
	v.log.Debug("scored", "vertical", vertical, "epoch", epoch, "devices", len(bonuses), "bonus", score.Sum(bonuses), "total", report.Rewards.Total)
	return nil
}

// terms reads what the ledger recorded when the epoch ended. Without a price
// nobody gets a bonus.
func (v *verifier) terms(ctx context.Context, vertical string, epoch uint64) (score.Terms, error) {
	r, err := v.ledger.Credit.EpochPrice(ctx, &creditpb.QueryEpochPriceRequest{Epoch: epoch})
	if errors.Is(err, client.ErrNotFound) {
		return score.Terms{}, fmt.Errorf("the ledger no longer has the record of epoch %d: copy a published epoch of another verifier, %d or later, into this one's home: %w", epoch, epoch, err)
	}
	if err != nil {
		return score.Terms{}, fmt.Errorf("read record of epoch %d: %w", epoch, err)
	}
	t := score.Terms{Vertical: vertical, Epoch: epoch, Rebate: money.BPS(r.Record.RebateBps), Price: r.Record.Quote.High}
	for _, s := range r.Record.Verticals {
		if s.Vertical == vertical {
			t.Pool = money.Share(money.Grain(r.Record.DemandPool), money.BPS(s.ShareBps))
		}
	}
	return t, nil
}

// vote sends the newest report, unless the ledger has this validator's vote.
func (v *verifier) vote(ctx context.Context, book *ledgerbook) error {
	r := book.report
	content := contentOf(r)
	done, err := v.hasVoted(ctx, r, content)
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

// hasVoted asks the ledger, and says loudly when others came to another result.
func (v *verifier) hasVoted(ctx context.Context, r score.Report, content oraclepb.Content) (bool, error) {
	have, err := v.ledger.Oracle.Report(ctx, &oraclepb.QueryReportRequest{Vertical: r.Vertical, Epoch: r.Epoch})
	if errors.Is(err, client.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read votes on epoch %d: %w", r.Epoch, err)
	}
	if have.Report != nil && !same(have.Report.Content, content) {
		v.log.Error("the ledger accepted another result than ours: compare the published epochs",
			"vertical", r.Vertical, "epoch", r.Epoch, "ours", r.Rewards.Hash.String(), "accepted", fmt.Sprintf("%x", have.Report.Content.RewardRoot))
	}
	for _, vote := range have.Votes {
		if vote.Validator == v.operator {
			return true, nil
		}
	}
	return false, nil
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
