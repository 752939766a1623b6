package market

import (
	"bytes"
	"context"
	"errors"

	"cosmossdk.io/collections"
	"github.com/cosmos/cosmos-sdk/types/query"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grange-network/grange/ledger/api/marketpb"
)

// maxPage bounds a page of answers.
const maxPage = 1000

type queryServer struct{ *Keeper }

// NewQueryServer serves the market's queries.
func NewQueryServer(k *Keeper) marketpb.QueryServer { return queryServer{k} }

var _ marketpb.QueryServer = queryServer{}

func pairPrefix(first []byte) *collections.PairRange[[]byte, []byte] {
	return collections.NewPrefixedPairRange[[]byte, []byte](first)
}

// bounded returns the page asked for, cut to maxPage.
func bounded(p *query.PageRequest) *query.PageRequest {
	if p == nil {
		p = &query.PageRequest{}
	}
	if p.Limit == 0 || p.Limit > maxPage {
		p.Limit = min(max(p.Limit, query.DefaultLimit), maxPage)
	}
	return p
}

func (q queryServer) Params(ctx context.Context, _ *marketpb.QueryParamsRequest) (*marketpb.QueryParamsResponse, error) {
	p, err := q.Keeper.Params.Get(ctx)
	return &marketpb.QueryParamsResponse{Params: p}, err
}

func (q queryServer) Offer(ctx context.Context, r *marketpb.QueryOfferRequest) (*marketpb.QueryOfferResponse, error) {
	o, err := q.Keeper.Offers.Get(ctx, r.Id)
	if errors.Is(err, collections.ErrNotFound) {
		return nil, status.Errorf(codes.NotFound, "no offer %d: list the offers to find its id", r.Id)
	}
	return &marketpb.QueryOfferResponse{Offer: o}, err
}

func (q queryServer) Offers(ctx context.Context, r *marketpb.QueryOffersRequest) (*marketpb.QueryOffersResponse, error) {
	offers, page, err := query.CollectionFilteredPaginate(ctx, q.Keeper.Offers, bounded(r.Pagination),
		func(_ uint64, o marketpb.Offer) (bool, error) { return r.Kind == "" || o.Kind == r.Kind, nil },
		func(_ uint64, o marketpb.Offer) (marketpb.Offer, error) { return o, nil })
	return &marketpb.QueryOffersResponse{Offers: offers, Pagination: page}, err
}

func (q queryServer) Lease(ctx context.Context, r *marketpb.QueryLeaseRequest) (*marketpb.QueryLeaseResponse, error) {
	p, err := q.Keeper.Leases.Get(ctx, r.Id)
	if errors.Is(err, collections.ErrNotFound) {
		return nil, status.Errorf(codes.NotFound, "no lease %x: list the leases of a payer or a device to find its id", r.Id)
	}
	if err != nil {
		return nil, err
	}
	l, err := LeaseOf(p)
	return &marketpb.QueryLeaseResponse{Lease: p, Held: uint64(l.Held())}, err
}

func (q queryServer) Leases(ctx context.Context, r *marketpb.QueryLeasesRequest) (*marketpb.QueryLeasesResponse, error) {
	keep := func(l marketpb.Lease) bool {
		return (r.State == marketpb.LEASE_STATE_UNSPECIFIED || l.State == r.State) &&
			(r.Payer == "" || l.Payer == r.Payer) && (len(r.Device) == 0 || bytes.Equal(l.Device, r.Device))
	}
	var leases []marketpb.Lease
	var page *query.PageResponse
	var err error
	switch {
	case r.Payer != "":
		leases, page, err = query.CollectionFilteredPaginate(ctx, q.ByPayer, bounded(r.Pagination),
			func(key collections.Pair[string, []byte], _ collections.NoValue) (bool, error) {
				l, err := q.Keeper.Leases.Get(ctx, key.K2())
				return err == nil && keep(l), err
			},
			func(key collections.Pair[string, []byte], _ collections.NoValue) (marketpb.Lease, error) {
				return q.Keeper.Leases.Get(ctx, key.K2())
			}, query.WithCollectionPaginationPairPrefix[string, []byte](r.Payer))
	case len(r.Device) > 0 && r.State != marketpb.LEASE_STATE_CLOSED && r.State != marketpb.LEASE_STATE_UNSPECIFIED:
		leases, page, err = query.CollectionFilteredPaginate(ctx, q.ByDevice, bounded(r.Pagination),
			func(key collections.Pair[[]byte, []byte], _ collections.NoValue) (bool, error) {
				l, err := q.Keeper.Leases.Get(ctx, key.K2())
				return err == nil && keep(l), err
			},
			func(key collections.Pair[[]byte, []byte], _ collections.NoValue) (marketpb.Lease, error) {
				return q.Keeper.Leases.Get(ctx, key.K2())
			}, query.WithCollectionPaginationPairPrefix[[]byte, []byte](r.Device))
	default:
		leases, page, err = query.CollectionFilteredPaginate(ctx, q.Keeper.Leases, bounded(r.Pagination),
			func(_ []byte, l marketpb.Lease) (bool, error) { return keep(l), nil },
			func(_ []byte, l marketpb.Lease) (marketpb.Lease, error) { return l, nil })
	}
	return &marketpb.QueryLeasesResponse{Leases: leases, Pagination: page}, err
}

func (q queryServer) Usage(ctx context.Context, r *marketpb.QueryUsageRequest) (*marketpb.QueryUsageResponse, error) {
	it, err := q.Keeper.Usage.Iterate(ctx, collections.NewPrefixedTripleRange[uint64, []byte, string](r.Epoch))
	if err != nil {
		return nil, err
	}
	usage, err := it.Values()
	return &marketpb.QueryUsageResponse{Usage: usage}, err
}

func (q queryServer) Explain(ctx context.Context, r *marketpb.QueryExplainRequest) (*marketpb.QueryExplainResponse, error) {
	if len(r.Device) != 32 {
		return nil, status.Errorf(codes.InvalidArgument, "device id has %d bytes, want 32", len(r.Device))
	}
	it, err := q.LeaseEpochs.Iterate(ctx, collections.NewSuperPrefixedTripleRange[uint64, []byte, []byte](r.Epoch, r.Device))
	if err != nil {
		return nil, err
	}
	out := &marketpb.QueryExplainResponse{}
	if out.Leases, err = it.Values(); err != nil {
		return nil, err
	}
	if out.Usage, out.ByKind, err = q.usageOf(ctx, r.Epoch, r.Device); err != nil {
		return nil, err
	}
	slash, err := q.Slashes.Get(ctx, collections.Join(r.Epoch, r.Device))
	switch {
	case err == nil:
		out.Faulted, out.Slashed = true, slash.Amount
	case !errors.Is(err, collections.ErrNotFound):
		return nil, err
	}
	return out, nil
}
