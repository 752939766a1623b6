package ledgerport

import (
	"context"
	"fmt"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

// Post offers what a registered device of this account has, or returns the offer of
// the kind that there is. Of s the kind, prices, capacity and bond count.
func (p *Port) Post(ctx context.Context, id device.ID, s Supply) (offer uint64, err error) {
	have, err := p.offerOf(ctx, s.Kind, id)
	if err != nil || have.Id != 0 {
		return have.Id, err
	}
	r, err := p.send(ctx, &marketpb.MsgPost{
		Owner: p.Address(), Device: id[:], Kind: s.Kind, Use: s.Use, Hold: s.Hold, Capacity: s.Capacity, Bond: s.Bond, Status: marketpb.OFFER_STATUS_OPEN,
	})
	if err != nil {
		return 0, fmt.Errorf("offer %s of device %s: %w", s.Kind, id, err)
	}
	var answer marketpb.MsgPostResponse
	if err := r.Response(0, &answer); err != nil {
		return 0, err
	}
	return answer.OfferId, nil
}
