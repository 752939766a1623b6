package sensing

import (
	"context"
	"fmt"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/client"
)

// offers are the open offers of base streams on the ledger.
type offers struct{ c *client.Client }

// Offered implements market.
func (o offers) Offered(ctx context.Context) (map[device.ID]bool, error) {
	out := map[device.ID]bool{}
	q := marketpb.NewQueryClient(o.c.Conn())
	page := &query.PageRequest{Limit: 1000}
	for {
		r, err := q.Offers(ctx, &marketpb.QueryOffersRequest{Kind: StreamKind, Pagination: page})
		if err != nil {
			return nil, fmt.Errorf("list offers of %s: %w", StreamKind, err)
		}
		for _, x := range r.Offers {
			if x.Status == marketpb.OFFER_STATUS_OPEN && len(x.Device) == 32 {
				out[device.ID(x.Device)] = true
			}
		}
		if r.Pagination == nil || len(r.Pagination.NextKey) == 0 {
			return out, nil
		}
		page = &query.PageRequest{Key: r.Pagination.NextKey, Limit: 1000}
	}
}
