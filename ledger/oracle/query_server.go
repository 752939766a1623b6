package oracle

import (
	"context"
	"encoding/hex"
	"errors"

	"cosmossdk.io/collections"
	"github.com/cosmos/cosmos-sdk/types/query"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// maxPage bounds a page of answers.
const maxPage = 1000

type queryServer struct{ *Keeper }

var _ oraclepb.QueryServer = queryServer{}

// NewQueryServer answers the module's queries.
func NewQueryServer(k *Keeper) oraclepb.QueryServer { return queryServer{k} }

// bounded returns the page asked for, cut to maxPage; reverse turns its order.
func bounded(p *query.PageRequest, reverse bool) *query.PageRequest {
	var page query.PageRequest
	if p != nil {
		page = *p
	}
	if page.Limit == 0 {
		page.Limit = query.DefaultLimit
	}
	page.Limit = min(page.Limit, maxPage)
	page.Reverse = page.Reverse != reverse
	return &page
}

func parseDevice(s string) ([]byte, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 32 {
		return nil, status.Errorf(codes.InvalidArgument, "device %q: want 64 hex digits", s)
	}
	return b, nil
}

func (q queryServer) Params(ctx context.Context, _ *oraclepb.QueryParamsRequest) (*oraclepb.QueryParamsResponse, error) {
	p, err := q.Keeper.Params.Get(ctx)
	return &oraclepb.QueryParamsResponse{Params: p}, err
}

func (q queryServer) Epoch(ctx context.Context, r *oraclepb.QueryEpochRequest) (*oraclepb.QueryEpochResponse, error) {
	e, err := q.epoch(ctx, r.Number)
	if errors.Is(err, collections.ErrNotFound) {
		return nil, status.Errorf(codes.NotFound, "no epoch %d: it has not started, or its record is gone", r.Number)
	}
	if err != nil {
		return nil, err
	}
	params, err := q.Keeper.Params.Get(ctx)
	if err != nil {
		return nil, err
	}
	out := &oraclepb.QueryEpochResponse{Epoch: e}
	out.RevealDeadline = e.SeenTime + nanos(params, params.RevealBps) - e.Elapsed
	out.End = endTime(e, params)
	err = q.Reveals.Walk(ctx, collections.NewPrefixedPairRange[uint64, []byte](e.Number), func(key collections.Pair[uint64, []byte], signature []byte) (bool, error) {
		reveal, err := q.revealPB(key, signature)
		out.Reveals = append(out.Reveals, reveal)
		return false, err
	})
	return out, err
}

// endTime is when an epoch ended, or will end at the earliest.
func endTime(e oraclepb.Epoch, params oraclepb.Params) int64 {
	return e.SeenTime + max(whole(params)-e.Elapsed, 0)
}

// epoch returns one by number, 0 for the current one.
func (k *Keeper) epoch(ctx context.Context, number uint64) (oraclepb.Epoch, error) {
	if number == 0 {
		return k.current(ctx)
	}
	return k.Epochs.Get(ctx, number)
}

func (q queryServer) Keys(ctx context.Context, r *oraclepb.QueryKeysRequest) (*oraclepb.QueryKeysResponse, error) {
	keys, page, err := query.CollectionPaginate(ctx, q.Keeper.Keys, bounded(r.Pagination, false),
		func(_ []byte, k oraclepb.Key) (oraclepb.Key, error) { return k, nil })
	return &oraclepb.QueryKeysResponse{Keys: keys, Pagination: page}, err
}

func (q queryServer) Challenges(ctx context.Context, r *oraclepb.QueryChallengesRequest) (*oraclepb.QueryChallengesResponse, error) {
	device, err := parseDevice(r.Device)
	if err != nil {
		return nil, err
	}
	e, err := q.current(ctx)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	params, err := q.Keeper.Params.Get(ctx)
	if err != nil {
		return nil, err
	}
	out := &oraclepb.QueryChallengesResponse{Epoch: e.Number, Seed: e.Seed, Deadline: endTime(e, params)}
	if out.Proven, err = q.ProofOf.Has(ctx, collections.Join(device, e.Number)); err != nil {
		return nil, err
	}
	if e.Status != oraclepb.EPOCH_STATUS_DECIDED {
		return out, nil
	}
	heads, challenges, err := q.challenges(ctx, [32]byte(device), e)
	for _, h := range heads {
		out.Heads = append(out.Heads, oraclepb.Head{Lease: h.Lease[:], Root: h.Root[:], Units: h.Units})
	}
	for _, c := range challenges {
		out.Challenges = append(out.Challenges, oraclepb.Challenge{Head: uint32(c.Head), Offset: c.Offset})
	}
	return out, err
}

func (q queryServer) Outcome(ctx context.Context, r *oraclepb.QueryOutcomeRequest) (*oraclepb.QueryOutcomeResponse, error) {
	device, err := parseDevice(r.Device)
	if err != nil {
		return nil, err
	}
	outcome, by, err := q.outcome(ctx, [32]byte(device), r.Epoch)
	return &oraclepb.QueryOutcomeResponse{Outcome: oraclepb.Outcome(outcome), DecidedBy: by}, err
}

func (q queryServer) Proofs(ctx context.Context, r *oraclepb.QueryProofsRequest) (*oraclepb.QueryProofsResponse, error) {
	var proofs []oraclepb.Proof
	var page *query.PageResponse
	var err error
	if r.Device == "" {
		proofs, page, err = query.CollectionPaginate(ctx, q.Keeper.Proofs, bounded(r.Pagination, true),
			func(_ uint64, p oraclepb.Proof) (oraclepb.Proof, error) { return p, nil })
		return &oraclepb.QueryProofsResponse{Proofs: proofs, Pagination: page}, err
	}
	device, err := parseDevice(r.Device)
	if err != nil {
		return nil, err
	}
	proofs, page, err = query.CollectionPaginate(ctx, q.ProofOf, bounded(r.Pagination, true),
		func(_ collections.Pair[[]byte, uint64], sequence uint64) (oraclepb.Proof, error) {
			return q.Keeper.Proofs.Get(ctx, sequence)
		}, query.WithCollectionPaginationPairPrefix[[]byte, uint64](device))
	return &oraclepb.QueryProofsResponse{Proofs: proofs, Pagination: page}, err
}

func (q queryServer) Reports(ctx context.Context, r *oraclepb.QueryReportsRequest) (*oraclepb.QueryReportsResponse, error) {
	all := func(_ collections.Pair[string, uint64], v oraclepb.Report) (oraclepb.Report, error) { return v, nil }
	if r.Vertical == "" {
		reports, page, err := query.CollectionPaginate(ctx, q.Keeper.Reports, bounded(r.Pagination, true), all)
		return &oraclepb.QueryReportsResponse{Reports: reports, Pagination: page}, err
	}
	reports, page, err := query.CollectionPaginate(ctx, q.Keeper.Reports, bounded(r.Pagination, true), all,
		query.WithCollectionPaginationPairPrefix[string, uint64](r.Vertical))
	return &oraclepb.QueryReportsResponse{Reports: reports, Pagination: page}, err
}

func (q queryServer) Report(ctx context.Context, r *oraclepb.QueryReportRequest) (*oraclepb.QueryReportResponse, error) {
	out := new(oraclepb.QueryReportResponse)
	report, found, err := q.report(ctx, r.Vertical, r.Epoch)
	if r.Epoch == 0 {
		report, found, err = q.newestReport(ctx, r.Vertical, nil)
	}
	if err != nil {
		return nil, err
	}
	epoch := r.Epoch
	if found {
		out.Report, epoch = &report, report.Epoch
	}
	err = q.walkVotes(ctx, epoch, r.Vertical, func(_ []byte, v oraclepb.Vote) error {
		out.Votes = append(out.Votes, v)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !found && len(out.Votes) == 0 {
		return nil, status.Errorf(codes.NotFound, "no vote on %q, epoch %d", r.Vertical, r.Epoch)
	}
	out.Limit, err = q.limitOf(ctx, r.Vertical, epoch)
	return out, err
}

// limitOf is the largest total a report of an epoch may have, or may have had.
func (q queryServer) limitOf(ctx context.Context, vertical string, epoch uint64) (uint64, error) {
	last, _, err := q.newestReport(ctx, vertical, func(r oraclepb.Report) bool { return r.Epoch < epoch })
	if err != nil {
		return 0, err
	}
	return q.limit(ctx, vertical, epoch, last)
}

func (q queryServer) Claimed(ctx context.Context, r *oraclepb.QueryClaimedRequest) (*oraclepb.QueryClaimedResponse, error) {
	device, err := parseDevice(r.Device)
	if err != nil {
		return nil, err
	}
	out := new(oraclepb.QueryClaimedResponse)
	rng := collections.NewPrefixedPairRange[[]byte, string](device)
	err = q.Keeper.Claimed.Walk(ctx, rng, func(key collections.Pair[[]byte, string], paid uint64) (bool, error) {
		out.Claimed = append(out.Claimed, oraclepb.Claimed{Vertical: key.K2(), Device: key.K1(), Paid: paid})
		sum, err := money.Add(out.Paid, paid)
		out.Paid = sum
		return false, err
	})
	return out, err
}

func (q queryServer) Conducts(ctx context.Context, r *oraclepb.QueryConductsRequest) (*oraclepb.QueryConductsResponse, error) {
	conducts, page, err := query.CollectionPaginate(ctx, q.Keeper.Conducts, bounded(r.Pagination, false),
		func(_ []byte, c oraclepb.Conduct) (oraclepb.Conduct, error) { return c, nil })
	return &oraclepb.QueryConductsResponse{Conducts: conducts, Pagination: page}, err
}

func (q queryServer) Equivocations(ctx context.Context, r *oraclepb.QueryEquivocationsRequest) (*oraclepb.QueryEquivocationsResponse, error) {
	list, page, err := query.CollectionPaginate(ctx, q.Keeper.Equivocations, bounded(r.Pagination, true),
		func(_ collections.Triple[uint64, string, []byte], e oraclepb.Equivocation) (oraclepb.Equivocation, error) {
			return e, nil
		})
	return &oraclepb.QueryEquivocationsResponse{Equivocations: list, Pagination: page}, err
}

func (q queryServer) Refutations(ctx context.Context, r *oraclepb.QueryRefutationsRequest) (*oraclepb.QueryRefutationsResponse, error) {
	list, page, err := query.CollectionPaginate(ctx, q.Keeper.Refutations, bounded(r.Pagination, true),
		func(_ collections.Pair[string, uint64], e oraclepb.Refutation) (oraclepb.Refutation, error) {
			return e, nil
		})
	return &oraclepb.QueryRefutationsResponse{Refutations: list, Pagination: page}, err
}
