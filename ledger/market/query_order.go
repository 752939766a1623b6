package market

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	"github.com/cosmos/cosmos-sdk/types/query"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

func (q queryServer) Demand(ctx context.Context, r *marketpb.QueryDemandRequest) (*marketpb.QueryDemandResponse, error) {
	d, err := q.Keeper.Demands.Get(ctx, r.Id)
	if errors.Is(err, collections.ErrNotFound) {
		return nil, status.Errorf(codes.NotFound, "no demand %d: list the demands to find its id", r.Id)
	}
	return &marketpb.QueryDemandResponse{Demand: d}, err
}

func (q queryServer) Demands(ctx context.Context, r *marketpb.QueryDemandsRequest) (*marketpb.QueryDemandsResponse, error) {
	demands, page, err := query.CollectionFilteredPaginate(ctx, q.Keeper.Demands, bounded(r.Pagination),
		func(_ uint64, d marketpb.Demand) (bool, error) {
			return (r.Kind == "" || d.Kind == r.Kind) && (r.Ended || d.Reason == ""), nil
		},
		func(_ uint64, d marketpb.Demand) (marketpb.Demand, error) { return d, nil })
	return &marketpb.QueryDemandsResponse{Demands: demands, Pagination: page}, err
}

func (q queryServer) Standing(ctx context.Context, r *marketpb.QueryStandingRequest) (*marketpb.QueryStandingResponse, error) {
	p, err := q.Keeper.Standings.Get(ctx, r.Id)
	if errors.Is(err, collections.ErrNotFound) {
		return nil, status.Errorf(codes.NotFound, "no standing lease %x: list the standing leases to find its id", r.Id)
	}
	if err != nil {
		return nil, err
	}
	s, err := StandingOf(p)
	if err != nil {
		return nil, err
	}
	params, err := q.Keeper.Params.Get(ctx)
	return &marketpb.QueryStandingResponse{
		Standing: p, Held: uint64(s.Held()), Free: uint64(s.Free()), MinBond: uint64(s.MinBond(q.rules(params))),
	}, err
}

func (q queryServer) Standings(ctx context.Context, r *marketpb.QueryStandingsRequest) (*marketpb.QueryStandingsResponse, error) {
	var out []marketpb.Standing
	var page *query.PageResponse
	var err error
	if r.Payer != "" {
		out, page, err = query.CollectionFilteredPaginate(ctx, q.StandingsBy, bounded(r.Pagination),
			func(key collections.Pair[string, []byte], _ collections.NoValue) (bool, error) {
				s, err := q.Keeper.Standings.Get(ctx, key.K2())
				return err == nil && (r.Kind == "" || s.Kind == r.Kind), err
			},
			func(key collections.Pair[string, []byte], _ collections.NoValue) (marketpb.Standing, error) {
				return q.Keeper.Standings.Get(ctx, key.K2())
			}, query.WithCollectionPaginationPairPrefix[string, []byte](r.Payer))
	} else {
		out, page, err = query.CollectionFilteredPaginate(ctx, q.Keeper.Standings, bounded(r.Pagination),
			func(_ []byte, s marketpb.Standing) (bool, error) { return r.Kind == "" || s.Kind == r.Kind, nil },
			func(_ []byte, s marketpb.Standing) (marketpb.Standing, error) { return s, nil })
	}
	return &marketpb.QueryStandingsResponse{Standings: out, Pagination: page}, err
}

func (q queryServer) Account(ctx context.Context, r *marketpb.QueryAccountRequest) (*marketpb.QueryAccountResponse, error) {
	id, err := bytes32("standing lease id", r.Standing)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	device, err := bytes32("device id", r.Device)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	a, err := q.account(ctx, id, device)
	if err != nil {
		return nil, err
	}
	receipts := lease.AccountID(id, device)
	out := &marketpb.QueryAccountResponse{Account: accountPB(id, a), ReceiptLease: receipts[:]}
	d, err := q.dispute(ctx, id, device)
	if d != nil {
		p := disputePB(*d)
		out.Dispute = &p
	}
	return out, err
}
