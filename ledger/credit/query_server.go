package credit

import (
	"context"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/grange-network/grange/core/emission"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/price"
	"github.com/grange-network/grange/ledger/api/creditpb"
)

type queryServer struct{ k *Keeper }

// NewQueryServer answers the module's queries.
func NewQueryServer(k *Keeper) creditpb.QueryServer { return queryServer{k} }

// Params returns the parameters.
func (s queryServer) Params(ctx context.Context, _ *creditpb.QueryParamsRequest) (*creditpb.QueryParamsResponse, error) {
	p, err := s.k.Params.Get(ctx)
	return &creditpb.QueryParamsResponse{Params: p}, err
}

// Price returns the price now and the votes of the round under way.
func (s queryServer) Price(ctx context.Context, _ *creditpb.QueryPriceRequest) (*creditpb.QueryPriceResponse, error) {
	p, err := s.k.Params.Get(ctx)
	if err != nil {
		return nil, err
	}
	q, stale, err := s.k.quote(ctx, p)
	if err != nil {
		return nil, err
	}
	stored, err := load(ctx, s.k.Price)
	if err != nil {
		return nil, err
	}
	votes, err := all(ctx, s.k.Votes)
	if err != nil {
		return nil, err
	}
	r := &creditpb.QueryPriceResponse{Price: stored, Quote: quotePB(q), Stale: stale, Votes: votes}
	if age := now(ctx) - stored.Updated; stored.Updated != 0 && age > 0 {
		r.AgeSeconds = uint64(age)
	}
	return r, nil
}

// Collateral returns both supplies, what covers the credits, and the totals.
// The ratio is given at the last price even when that is stale.
func (s queryServer) Collateral(ctx context.Context, _ *creditpb.QueryCollateralRequest) (*creditpb.QueryCollateralResponse, error) {
	p, err := s.k.Params.Get(ctx)
	if err != nil {
		return nil, err
	}
	q, stale, err := s.k.quote(ctx, p)
	if err != nil {
		return nil, err
	}
	room := uint64(0)
	if !stale {
		if room, err = s.k.room(ctx, p); err != nil {
			return nil, err
		}
	}
	r := &creditpb.QueryCollateralResponse{
		Outstanding: s.k.bank.GetSupply(ctx, money.CreditDenom).Amount.Uint64(),
		GrainSupply: s.k.bank.GetSupply(ctx, money.GrainDenom).Amount.Uint64(),
		GrainCap:    uint64(emission.SupplyCap),
		Room:        room,
		Waiting:     s.k.bank.GetBalance(ctx, s.k.holders[0].address, money.CreditDenom).Amount.Uint64(),
	}
	if r.Totals, err = load(ctx, s.k.Totals); err != nil {
		return nil, err
	}
	r.Pool = r.Totals.Pool
	if r.Open, err = load(ctx, s.k.Open); err != nil {
		return nil, err
	}
	r.RatioBps, r.Status = collateral(r.Totals, r.Open, q), status(r.Totals, r.Open, q)
	r.Emission, err = load(ctx, s.k.Emission)
	return r, err
}

// Redemptions lists the queue in the order it is paid.
func (s queryServer) Redemptions(ctx context.Context, m *creditpb.QueryRedemptionsRequest) (*creditpb.QueryRedemptionsResponse, error) {
	if m.Holder != "" {
		addr, err := account("holder", m.Holder)
		if err != nil {
			return nil, err
		}
		m.Holder = addr.String()
	}
	list, page, err := query.CollectionFilteredPaginate(ctx, s.k.Redemptions, m.Pagination,
		func(_ uint64, r creditpb.Redemption) (bool, error) {
			return m.Holder == "" || r.Holder == m.Holder, nil
		},
		func(_ uint64, r creditpb.Redemption) (creditpb.Redemption, error) { return r, nil })
	if err != nil {
		return nil, err
	}
	return &creditpb.QueryRedemptionsResponse{Redemptions: list, Pagination: page}, nil
}

// Purchases lists the queue in the order it is priced.
func (s queryServer) Purchases(ctx context.Context, m *creditpb.QueryPurchasesRequest) (*creditpb.QueryPurchasesResponse, error) {
	if m.Buyer != "" {
		addr, err := account("buyer", m.Buyer)
		if err != nil {
			return nil, err
		}
		m.Buyer = addr.String()
	}
	list, page, err := query.CollectionFilteredPaginate(ctx, s.k.Purchases, m.Pagination,
		func(_ uint64, b creditpb.Purchase) (bool, error) { return m.Buyer == "" || b.Buyer == m.Buyer, nil },
		func(_ uint64, b creditpb.Purchase) (creditpb.Purchase, error) { return b, nil })
	if err != nil {
		return nil, err
	}
	return &creditpb.QueryPurchasesResponse{Purchases: list, Pagination: page}, nil
}

// status names what a redeemed credit gets.
func status(t creditpb.Totals, o creditpb.Open, q price.Quote) creditpb.CollateralStatus {
	full, err := q.Grains(debt(t, o))
	if debt(t, o) == 0 || err == nil && uint64(full) <= t.Pool {
		return creditpb.COLLATERAL_STATUS_COVERED
	}
	return creditpb.COLLATERAL_STATUS_PARTIAL
}

// EpochPrice returns the record of an ended epoch, or of the newest.
func (s queryServer) EpochPrice(ctx context.Context, m *creditpb.QueryEpochPriceRequest) (*creditpb.QueryEpochPriceResponse, error) {
	epoch := m.Epoch
	if epoch == 0 {
		e, err := load(ctx, s.k.Emission)
		if err != nil {
			return nil, err
		}
		epoch = e.LastEpoch
	}
	r, err := s.k.record(ctx, epoch)
	if err != nil {
		return nil, err
	}
	return &creditpb.QueryEpochPriceResponse{Record: r}, nil
}
