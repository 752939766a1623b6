package ledgerview

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/verify"
)

// Report is what validators with more than 2/3 of the power found for an epoch
// of a vertical.
type Report struct {
	Vertical   string `json:"vertical"`
	Epoch      uint64 `json:"epoch"`
	RewardRoot string `json:"reward_root"`
	InputsRoot string `json:"inputs_root"`
	Total      uint64 `json:"total_ugrain"` // everything ever earned
	Leaves     uint64 `json:"leaves"`
	Power      uint64 `json:"power"` // that voted for it when it was accepted
	TotalPower uint64 `json:"total_power"`
	Height     int64  `json:"accepted_height"`
}

// Report returns the accepted report of an epoch, the newest one for epoch 0.
// It is ErrNotFound when nobody voted or no content has a quorum.
func (v *View) Report(ctx context.Context, vertical string, epoch uint64) (Report, error) {
	what := fmt.Sprintf("read report on %s in epoch %d", vertical, epoch)
	r, err := v.oracle.Report(ctx, &oraclepb.QueryReportRequest{Vertical: vertical, Epoch: epoch})
	if err != nil {
		return Report{}, v.explain(what, err)
	}
	if r.Report == nil {
		return Report{}, fmt.Errorf("%s: %d votes and no quorum: %w", what, len(r.Votes), ErrNotFound)
	}
	c := r.Report.Content
	return Report{
		Vertical: r.Report.Vertical, Epoch: r.Report.Epoch,
		RewardRoot: hex.EncodeToString(c.RewardRoot), InputsRoot: hex.EncodeToString(c.InputsRoot), Total: c.Total, Leaves: c.Leaves,
		Power: r.Report.Power, TotalPower: r.Report.TotalPower, Height: r.Report.AcceptedHeight,
	}, nil
}

// Inputs returns what the ledger recorded for scoring an ended epoch of a
// vertical. It is ErrNotFound when the epoch has not ended or its record is no
// longer kept.
func (v *View) Inputs(ctx context.Context, vertical string, epoch uint64) (verify.Recorded, error) {
	r, err := v.credit.EpochPrice(ctx, &creditpb.QueryEpochPriceRequest{Epoch: epoch})
	if err != nil {
		return verify.Recorded{}, v.explain(fmt.Sprintf("read record of epoch %d", epoch), err)
	}
	used, err := v.market.Usage(ctx, &marketpb.QueryUsageRequest{Epoch: epoch})
	if err != nil {
		return verify.Recorded{}, v.explain(fmt.Sprintf("read usage of epoch %d", epoch), err)
	}
	return verify.Record(vertical, r.Record, used.Usage)
}
