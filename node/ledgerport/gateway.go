package ledgerport

import (
	"context"
	"fmt"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/vertical/storage/gateway"
)

// Gateway is the ledger as the storage gateway needs it.
type Gateway struct{ *Port }

var _ gateway.Ledger = Gateway{}

// Offers returns the open storage offers of active devices.
func (g Gateway) Offers(ctx context.Context) ([]gateway.Offer, error) {
	peers, err := g.peers(ctx)
	if err != nil {
		return nil, err
	}
	var out []gateway.Offer
	err = pages(func(page *query.PageRequest) (*query.PageResponse, error) {
		r, err := g.market.Offers(ctx, &marketpb.QueryOffersRequest{Kind: KindStorage, Pagination: page})
		if err != nil {
			return nil, fmt.Errorf("list offers: %w", err)
		}
		for _, o := range r.Offers {
			if v, ok := offerOf(o, peers); ok {
				out = append(out, v)
			}
		}
		return r.Pagination, nil
	})
	return out, err
}

func offerOf(o marketpb.Offer, peers map[[32]byte]peer) (gateway.Offer, bool) {
	if o.Status != marketpb.OFFER_STATUS_OPEN || len(o.Device) != 32 || o.Sold >= o.Capacity {
		return gateway.Offer{}, false
	}
	d, ok := peers[[32]byte(o.Device)]
	if !ok || !d.active {
		return gateway.Offer{}, false
	}
	return gateway.Offer{ID: o.Id, Provider: d.provider(o.Owner), Use: price(o.Use), Hold: price(o.Hold), Free: o.Capacity - o.Sold}, true
}

func (d peer) provider(owner string) gateway.Provider {
	return gateway.Provider{Owner: owner, Device: d.id, Key: d.key, Endpoint: d.endpoint}
}

// Leases returns every lease this account pays for.
func (g Gateway) Leases(ctx context.Context) ([]gateway.Lease, error) {
	all, err := g.leases(ctx, marketpb.QueryLeasesRequest{Payer: g.Address()})
	if err != nil {
		return nil, err
	}
	peers, err := g.peers(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]gateway.Lease, 0, len(all))
	for _, l := range all {
		d, ok := peers[l.Device]
		if !ok {
			return nil, fmt.Errorf("read lease %x: its device %x is not registered", l.ID, l.Device)
		}
		out = append(out, gateway.Lease{Lease: l, Provider: d.provider(l.Owner)})
	}
	return out, nil
}

// Accept opens a lease at the prices the offer has now.
func (g Gateway) Accept(ctx context.Context, t gateway.Terms) (gateway.Lease, error) {
	o, err := g.market.Offer(ctx, &marketpb.QueryOfferRequest{Id: t.Offer})
	if err != nil {
		return gateway.Lease{}, fmt.Errorf("read offer %d: %w", t.Offer, err)
	}
	r, err := g.send(ctx, &marketpb.MsgAccept{
		Payer: g.Address(), OfferId: t.Offer, Capacity: t.Capacity, HoldBudget: uint64(t.HoldBudget),
		Lanes: []marketpb.Lane{lanePB(t.Lane)}, Use: o.Offer.Use, Hold: o.Offer.Hold,
	})
	if err != nil {
		return gateway.Lease{}, fmt.Errorf("accept offer %d: %w", t.Offer, err)
	}
	var answer marketpb.MsgAcceptResponse
	if err := r.Response(0, &answer); err != nil {
		return gateway.Lease{}, err
	}
	if len(answer.LeaseId) != 32 {
		return gateway.Lease{}, fmt.Errorf("accept offer %d: ledger answered a lease id of %d bytes", t.Offer, len(answer.LeaseId))
	}
	l, err := g.lease(ctx, [32]byte(answer.LeaseId))
	if err != nil {
		return gateway.Lease{}, err
	}
	peers, err := g.peers(ctx)
	return gateway.Lease{Lease: l, Provider: peers[l.Device].provider(l.Owner)}, err
}

// Fund adds to a lease's hold budget and lanes.
func (g Gateway) Fund(ctx context.Context, id gateway.LeaseID, hold money.Credit, lanes []lease.Lane) error {
	m := &marketpb.MsgFund{Funder: g.Address(), LeaseId: id[:], HoldBudget: uint64(hold)}
	for _, l := range lanes {
		m.Lanes = append(m.Lanes, lanePB(l))
	}
	if _, err := g.send(ctx, m); err != nil {
		return fmt.Errorf("fund lease %x: %w", id, err)
	}
	return nil
}

// Commit posts commitments that both sides have signed.
func (g Gateway) Commit(ctx context.Context, signed []receipt.Commitment) error {
	raw := make([][]byte, len(signed))
	for i, c := range signed {
		raw[i] = c.Encode()
	}
	return g.settle(ctx, nil, raw)
}
