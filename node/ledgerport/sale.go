package ledgerport

import (
	"context"
	"fmt"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/tunnel"
)

// Sale is an open offer of an active device, and where the device is reached.
type Sale struct {
	Offer  uint64
	Device [32]byte
	Target tunnel.Target
}

// Sales returns what can be bought of one kind.
func (p *Port) Sales(ctx context.Context, kind string) ([]Sale, error) {
	peers, err := p.peers(ctx)
	if err != nil {
		return nil, err
	}
	var out []Sale
	err = pages(func(page *query.PageRequest) (*query.PageResponse, error) {
		r, err := p.market.Offers(ctx, &marketpb.QueryOffersRequest{Kind: kind, Pagination: page})
		if err != nil {
			return nil, fmt.Errorf("list offers of %s: %w", kind, err)
		}
		for _, o := range r.Offers {
			if o.Status != marketpb.OFFER_STATUS_OPEN || len(o.Device) != 32 {
				continue
			}
			d, known := peers[[32]byte(o.Device)]
			if !known || !d.active {
				continue
			}
			if at, err := tunnel.ParseEndpoint(d.endpoint); err == nil {
				out = append(out, Sale{o.Id, d.id, tunnel.Target{Endpoint: at, Peer: d.key}})
			}
		}
		return r.Pagination, nil
	})
	return out, err
}

// Lease returns this account's open lease with a device, or opens one on the
// offer: one unit of capacity and one lane with the cap, for a session key. What
// it takes for that and is not there is bought.
func (p *Port) Lease(ctx context.Context, kind string, s Sale, session receipt.Key, limit money.Credit) (lease.Lease, error) {
	all, err := p.leases(ctx, marketpb.QueryLeasesRequest{Payer: p.Address()})
	if err != nil {
		return lease.Lease{}, err
	}
	for _, l := range all {
		if l.Device == s.Device && l.Kind == kind && l.State == lease.Open && len(l.Lanes) == 1 && receipt.Key(l.Lanes[0].Key) == session {
			return l, nil
		}
	}
	if err := p.Buy(ctx, uint64(limit)); err != nil {
		return lease.Lease{}, err
	}
	o, err := p.market.Offer(ctx, &marketpb.QueryOfferRequest{Id: s.Offer})
	if err != nil {
		return lease.Lease{}, fmt.Errorf("read offer %d: %w", s.Offer, err)
	}
	r, err := p.send(ctx, &marketpb.MsgAccept{
		Payer: p.Address(), OfferId: s.Offer, Capacity: 1, Use: o.Offer.Use, Hold: o.Offer.Hold,
		Lanes: []marketpb.Lane{lanePB(lease.Lane{ID: 1, Key: session, Cap: limit})},
	})
	if err != nil {
		return lease.Lease{}, fmt.Errorf("accept offer %d: %w", s.Offer, err)
	}
	var answer marketpb.MsgAcceptResponse
	if err := r.Response(0, &answer); err != nil {
		return lease.Lease{}, err
	}
	if len(answer.LeaseId) != 32 {
		return lease.Lease{}, fmt.Errorf("accept offer %d: ledger answered a lease id of %d bytes", s.Offer, len(answer.LeaseId))
	}
	return p.lease(ctx, [32]byte(answer.LeaseId))
}

// Terms are those of the one lane of a lease with the device that has a key. They
// are refused for a lease with another device, and for one that is not open.
func (p *Port) Terms(ctx context.Context, id [32]byte, key receipt.Key, device [32]byte) (receipt.Terms, error) {
	l, err := p.lease(ctx, id)
	if err != nil {
		return receipt.Terms{}, err
	}
	return LaneTerms(p.ChainID(), l, key, device)
}

// LaneTerms are what the two sides of a lease's only lane work with.
func LaneTerms(chain string, l lease.Lease, key receipt.Key, device [32]byte) (receipt.Terms, error) {
	if l.Device != device || l.State != lease.Open || len(l.Lanes) != 1 {
		return receipt.Terms{}, fmt.Errorf("lease %x is with device %x, in state %d, with %d lanes: want %x, open, one lane", l.ID, l.Device, l.State, len(l.Lanes), device)
	}
	lane := l.Lanes[0]
	t := receipt.Terms{
		Chain: receipt.ChainOf(chain), Lease: l.ID, Lane: lane.ID, Payer: lane.Key, Provider: key,
		Cap: l.Use.Units(lane.Cap), Expires: lane.Expires,
	}
	if t.Expires == 0 {
		t.Expires = ^uint64(0)
	}
	return t, nil
}

// SettleReceipts hands in receipts that both sides signed.
func (p *Port) SettleReceipts(ctx context.Context, receipts []receipt.Receipt) error {
	raw := make([][]byte, len(receipts))
	for i, r := range receipts {
		raw[i] = r.Encode()
	}
	return p.settle(ctx, raw, nil)
}
