package device

import (
	"context"
	"errors"
	"strings"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"
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

func (q queryServer) Document(ctx context.Context, r *devicepb.QueryDocumentRequest) (*devicepb.QueryDocumentResponse, error) {
	id, err := identifier(r.Id)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	d, err := q.Get(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	if err != nil {
		return nil, err
	}
	key, err := publicKey(d.KeyType, d.PublicKey)
	if err != nil {
		return nil, err
	}
	document := device.NewDocument(key, device.Record{
		ChainID: sdk.UnwrapSDKContext(ctx).ChainID(), Owner: d.Owner, Endpoint: d.Profile.Endpoint,
		Active: d.Profile.Status != devicepb.STATUS_RETIRED,
	})
	return &devicepb.QueryDocumentResponse{Did: d.Did, Document: string(document.JSON())}, nil
}

// identifier reads a device id or a did:key.
func identifier(text string) (device.ID, error) {
	if !strings.HasPrefix(text, "did:") {
		return device.ParseID(text)
	}
	key, err := device.ParseDID(text)
	if err != nil {
		return device.ID{}, err
	}
	return key.ID(), nil
}

func (q queryServer) Attestations(ctx context.Context, r *devicepb.QueryAttestationsRequest) (*devicepb.QueryAttestationsResponse, error) {
	kind, raw, err := q.subject(r.Subject)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	subject := subjectKey(kind, raw)
	all, err := q.attestations(ctx, subject)
	if err != nil {
		return nil, err
	}
	level, err := q.level(ctx, subject)
	if err != nil {
		return nil, err
	}
	capBPS, err := q.CapOf(ctx, level)
	return &devicepb.QueryAttestationsResponse{Attestations: all, Level: uint32(level), CapBps: uint32(capBPS)}, err
}

func (q queryServer) Issuers(ctx context.Context, _ *devicepb.QueryIssuersRequest) (*devicepb.QueryIssuersResponse, error) {
	all, err := q.issuers(ctx)
	return &devicepb.QueryIssuersResponse{Issuers: all}, err
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
