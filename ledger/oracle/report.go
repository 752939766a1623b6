package oracle

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"slices"

	"cosmossdk.io/collections"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// Report takes a validator's vote. The content that more than two thirds of the
// power voted for is accepted, once for each epoch and vertical and only in the
// order of the epochs; as contents are cumulative, an epoch that was skipped is
// in the next one.
//
// A second, different vote changes nothing but is put on record, so it is no
// error: an error would undo the record.
func (m msgServer) Report(ctx context.Context, msg *oraclepb.MsgReport) (*oraclepb.MsgReportResponse, error) {
	operator, err := m.bonded(ctx, msg.Validator)
	if err != nil {
		return nil, err
	}
	if err := m.checkReport(ctx, msg); err != nil {
		return nil, err
	}
	key := collections.Join3(msg.Epoch, msg.Vertical, operator)
	if before, err := m.Votes.Get(ctx, key); err == nil {
		if same(before.Content, msg.Content) {
			return nil, ErrDone.Wrapf("%s has voted for this content of %s, epoch %d", msg.Validator, msg.Vertical, msg.Epoch)
		}
		return m.equivocate(ctx, operator, before, msg.Content)
	} else if !errors.Is(err, collections.ErrNotFound) {
		return nil, err
	}
	_, height := now(ctx)
	power, err := m.power(ctx, operator)
	if err != nil {
		return nil, err
	}
	vote := oraclepb.Vote{Epoch: msg.Epoch, Vertical: msg.Vertical, Validator: msg.Validator, Content: msg.Content, Height: height, Power: power}
	accepted, found, err := m.report(ctx, msg.Vertical, msg.Epoch)
	if err != nil {
		return nil, err
	}
	if !found {
		// A vote for what was accepted already needs no budget any more.
		if err := m.checkTotal(ctx, msg); err != nil {
			return nil, err
		}
	}
	if err := m.Votes.Set(ctx, key, vote); err != nil {
		return nil, err
	}
	emit(ctx, EventVote, "validator", msg.Validator, "vertical", msg.Vertical, "epoch", number(msg.Epoch), "root", hex.EncodeToString(msg.Content.RewardRoot))
	if found {
		agrees := same(accepted.Content, msg.Content)
		return &oraclepb.MsgReportResponse{Accepted: agrees}, m.judge(unmetered(ctx), operator, vote, agrees)
	}
	done, err := m.tally(unmetered(ctx), vote)
	return &oraclepb.MsgReportResponse{Accepted: done}, err
}

func (k *Keeper) checkReport(ctx context.Context, msg *oraclepb.MsgReport) error {
	if _, err := bytes32("reward root", msg.Content.RewardRoot); err != nil {
		return err
	}
	if _, err := bytes32("inputs root", msg.Content.InputsRoot); err != nil {
		return err
	}
	params, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(params.Verticals, msg.Vertical) {
		return ErrUnsupported.Wrapf("%q", msg.Vertical)
	}
	epoch, err := k.CurrentEpoch(ctx)
	if err != nil {
		return err
	}
	switch {
	case msg.Epoch == 0:
		return ErrInvalid.Wrap("epoch is 0")
	case msg.Epoch >= epoch:
		return ErrTooEarly.Wrapf("report of epoch %d in epoch %d, which is not over", msg.Epoch, epoch)
	case msg.Epoch+params.HistoryEpochs < epoch:
		return ErrTooLate.Wrapf("report of epoch %d in epoch %d, after %d epochs of history", msg.Epoch, epoch, params.HistoryEpochs)
	}
	refuted, err := k.Refutations.Has(ctx, collections.Join(msg.Vertical, msg.Epoch))
	if refuted {
		return ErrDone.Wrapf("the report of %s, epoch %d, was refuted: report a later epoch, which covers it", msg.Vertical, msg.Epoch)
	}
	return err
}

// checkTotal refuses a total that is below the one accepted before, or above it
// by more than the budgets of the epochs since: what an accepted report left
// unspent stays unminted.
func (k *Keeper) checkTotal(ctx context.Context, msg *oraclepb.MsgReport) error {
	last, _, err := k.newestReport(ctx, msg.Vertical, nil)
	if err != nil {
		return err
	}
	if msg.Epoch <= last.Epoch {
		return ErrTooLate.Wrapf("report of %s, epoch %d: epoch %d is accepted", msg.Vertical, msg.Epoch, last.Epoch)
	}
	limit, err := k.limit(ctx, msg.Vertical, msg.Epoch, last)
	if err != nil {
		return err
	}
	switch total, before := msg.Content.Total, last.Content.Total; {
	case total < before:
		return ErrBudget.Wrapf("%s, epoch %d: total %d is below %d of epoch %d", msg.Vertical, msg.Epoch, total, before, last.Epoch)
	case total > limit:
		return ErrBudget.Wrapf("%s, epoch %d: total %d exceeds %d, which is %d of epoch %d and the budgets since",
			msg.Vertical, msg.Epoch, total, limit, before, last.Epoch)
	}
	return nil
}

// limit is the largest total a report of an epoch may have after the last one.
func (k *Keeper) limit(ctx context.Context, vertical string, epoch uint64, last oraclepb.Report) (uint64, error) {
	budget, err := k.budgetTo(ctx, vertical, epoch)
	if err != nil {
		return 0, err
	}
	if budget < last.Budget {
		return last.Content.Total, nil
	}
	return money.Add(last.Content.Total, budget-last.Budget)
}

// budgetTo is the sum of a vertical's budgets up to an ended epoch.
func (k *Keeper) budgetTo(ctx context.Context, vertical string, epoch uint64) (uint64, error) {
	rng := collections.NewPrefixedPairRange[string, uint64](vertical).EndInclusive(epoch).Descending()
	it, err := k.Budgets.Iterate(ctx, rng)
	if err != nil {
		return 0, err
	}
	defer it.Close()
	if !it.Valid() {
		return 0, nil
	}
	return it.Value()
}

// addBudgets adds an ended epoch's budgets to the sums. A budget that cannot be
// read counts as none: it must not stop the ledger.
func (k *Keeper) addBudgets(ctx context.Context, epoch uint64, params oraclepb.Params) error {
	for _, vertical := range params.Verticals {
		sum, err := k.budgetTo(ctx, vertical, epoch)
		if err != nil {
			return err
		}
		budget, err := k.budget.BonusBudget(ctx, vertical, epoch)
		if err == nil {
			budget, err = money.Add(sum, budget)
		}
		if err != nil {
			k.logger.Error("add budget", "vertical", vertical, "epoch", epoch, "error", err)
			budget = sum
		}
		if err := k.Budgets.Set(ctx, collections.Join(vertical, epoch), budget); err != nil {
			return err
		}
	}
	return nil
}

// tally accepts the vote's content if it has a quorum now.
func (k *Keeper) tally(ctx context.Context, vote oraclepb.Vote) (bool, error) {
	total, err := k.totalPower(ctx)
	if err != nil {
		return false, err
	}
	var power uint64
	err = k.walkVotes(ctx, vote.Epoch, vote.Vertical, func(operator []byte, v oraclepb.Vote) error {
		if !same(v.Content, vote.Content) {
			return nil
		}
		p, err := k.power(ctx, operator)
		power += p
		return err
	})
	if err != nil || !quorum(power, total) {
		return false, err
	}
	return true, k.accept(ctx, vote, power, total)
}

func (k *Keeper) accept(ctx context.Context, vote oraclepb.Vote, power, total uint64) error {
	params, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	epoch, err := k.CurrentEpoch(ctx)
	if err != nil {
		return err
	}
	budget, err := k.budgetTo(ctx, vote.Vertical, vote.Epoch)
	if err != nil {
		return err
	}
	r := oraclepb.Report{
		Budget: budget, Epoch: vote.Epoch, Vertical: vote.Vertical, Content: vote.Content,
		Power: power, TotalPower: total, AcceptedHeight: vote.Height,
		AcceptedEpoch: epoch, PayableEpoch: epoch + params.ChallengeEpochs,
	}
	if err := k.Reports.Set(ctx, collections.Join(r.Vertical, r.Epoch), r); err != nil {
		return err
	}
	emit(ctx, EventReport, "vertical", r.Vertical, "epoch", number(r.Epoch), "root", hex.EncodeToString(r.Content.RewardRoot),
		"total", number(r.Content.Total), "payable_epoch", number(r.PayableEpoch))
	votes, err := k.votes(ctx, r.Epoch, r.Vertical) // read all before writing any
	if err != nil {
		return err
	}
	for _, v := range votes {
		if err := k.judge(ctx, v.operator, v.Vote, same(v.Content, r.Content)); err != nil {
			return err
		}
	}
	return nil
}

// same says whether two validators saw the same.
func same(a, b oraclepb.Content) bool {
	return bytes.Equal(a.RewardRoot, b.RewardRoot) && bytes.Equal(a.InputsRoot, b.InputsRoot) &&
		a.Total == b.Total && a.Leaves == b.Leaves
}

// equivocate records a second, different vote, both signed by the validator, and
// punishes it; the first vote stands.
func (k *Keeper) equivocate(ctx context.Context, operator []byte, first oraclepb.Vote, second oraclepb.Content) (*oraclepb.MsgReportResponse, error) {
	key := collections.Join3(first.Epoch, first.Vertical, operator)
	if known, err := k.Equivocations.Has(ctx, key); err != nil {
		return nil, err
	} else if known {
		return nil, ErrDone.Wrapf("%s equivocated on %s, epoch %d, and it is on record", first.Validator, first.Vertical, first.Epoch)
	}
	_, height := now(ctx)
	err := k.Equivocations.Set(ctx, key, oraclepb.Equivocation{
		Epoch: first.Epoch, Vertical: first.Vertical, Validator: first.Validator,
		First: first.Content, Second: second, Height: height,
	})
	if err != nil {
		return nil, err
	}
	emit(ctx, EventEquivocation, "validator", first.Validator, "vertical", first.Vertical, "epoch", number(first.Epoch))
	return &oraclepb.MsgReportResponse{Equivocation: true}, k.punishEquivocation(ctx, operator, first)
}

// walkVotes visits the votes on one report in the order of the operators.
func (k *Keeper) walkVotes(ctx context.Context, epoch uint64, vertical string, visit func(operator []byte, v oraclepb.Vote) error) error {
	rng := collections.NewSuperPrefixedTripleRange[uint64, string, []byte](epoch, vertical)
	return k.Votes.Walk(ctx, rng, func(key collections.Triple[uint64, string, []byte], v oraclepb.Vote) (bool, error) {
		return false, visit(key.K3(), v)
	})
}

// ballot is a vote and the validator's address.
type ballot struct {
	operator []byte
	oraclepb.Vote
}

// votes are all votes on one report, at most one of each validator.
func (k *Keeper) votes(ctx context.Context, epoch uint64, vertical string) (all []ballot, err error) {
	err = k.walkVotes(ctx, epoch, vertical, func(operator []byte, v oraclepb.Vote) error {
		all = append(all, ballot{operator, v})
		return nil
	})
	return all, err
}

// report returns what was accepted for an epoch.
func (k *Keeper) report(ctx context.Context, vertical string, epoch uint64) (oraclepb.Report, bool, error) {
	r, err := k.Reports.Get(ctx, collections.Join(vertical, epoch))
	if errors.Is(err, collections.ErrNotFound) {
		return r, false, nil
	}
	return r, err == nil, err
}

// newestReport returns the accepted report of the highest epoch that suits, all
// of them when suits is nil.
func (k *Keeper) newestReport(ctx context.Context, vertical string, suits func(oraclepb.Report) bool) (r oraclepb.Report, found bool, err error) {
	rng := collections.NewPrefixedPairRange[string, uint64](vertical).Descending()
	err = k.Reports.Walk(ctx, rng, func(_ collections.Pair[string, uint64], v oraclepb.Report) (bool, error) {
		if suits == nil || suits(v) {
			r, found = v, true
		}
		return found, nil
	})
	return r, found, err
}
