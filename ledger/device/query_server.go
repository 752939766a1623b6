package device

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	"github.com/cosmos/cosmos-sdk/types/query"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/ledger/api/devicepb"
)

// maxPage bounds a page of answers.
const maxPage = 1000

type queryServer struct{ *Keeper }

// NewQueryServer serves the registry's queries.
func NewQueryServer(k *Keeper) devicepb.QueryServer { return queryServer{k} }

var _ devicepb.QueryServer = queryServer{}

func (q queryServer) Device(ctx context.Context, r *devicepb.QueryDeviceRequest) (*devicepb.QueryDeviceResponse, error) {
	id, err := device.ParseID(r.Id)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	d, err := q.Get(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	return &devicepb.QueryDeviceResponse{Device: d}, err
}

func (q queryServer) Devices(ctx context.Context, r *devicepb.QueryDevicesRequest) (*devicepb.QueryDevicesResponse, error) {
	page := bounded(r.Pagination)
	if r.Owner == "" {
		devices, next, err := query.CollectionPaginate(ctx, q.Keeper.Devices, page,
			func(_ []byte, d devicepb.Device) (devicepb.Device, error) { return d, nil })
		return &devicepb.QueryDevicesResponse{Devices: devices, Pagination: next}, err
	}
	owner, err := q.accounts.StringToBytes(r.Owner)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "owner %.80q is not an address: %v", r.Owner, err)
	}
	devices, next, err := query.CollectionPaginate(ctx, q.ByOwner, page,
		func(key collections.Pair[[]byte, []byte], _ collections.NoValue) (devicepb.Device, error) {
			return q.Keeper.Devices.Get(ctx, key.K2())
		},
		query.WithCollectionPaginationPairPrefix[[]byte, []byte](owner))
	return &devicepb.QueryDevicesResponse{Devices: devices, Pagination: next}, err
}

func (q queryServer) Params(ctx context.Context, _ *devicepb.QueryParamsRequest) (*devicepb.QueryParamsResponse, error) {
	p, err := q.Keeper.Params.Get(ctx)
	return &devicepb.QueryParamsResponse{Params: p}, err
}

// bounded returns the page asked for, cut to maxPage.
func bounded(p *query.PageRequest) *query.PageRequest {
	if p == nil {
		p = &query.PageRequest{}
	}
	if p.Limit == 0 {
		p.Limit = query.DefaultLimit
	}
	p.Limit = min(p.Limit, maxPage)
	return p
}
