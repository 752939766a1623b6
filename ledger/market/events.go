package market

import (
	"context"
	"encoding/hex"
	"strconv"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
)

// Event types of the market and the attributes they carry.
const (
	EventLease  = "grange.market.lease"  // lease, device, payer, state, reason
	EventSettle = "grange.market.settle" // lease, device, lane (of a standing lease none), units, paid, net
	EventAccrue = "grange.market.accrue" // lease, device, epoch, outcome, units, paid, net, slashed
	EventOffer  = "grange.market.offer"  // offer, device, owner, status
	EventDemand = "grange.market.demand" // demand, buyer, kind, reason, lease
	EventBid    = "grange.market.bid"    // demand, offer, owner, reason

	EventStanding  = "grange.market.standing"  // lease, payer, kind, state, reason
	EventStatement = "grange.market.statement" // lease, epoch, root, size, total
	EventDispute   = "grange.market.dispute"   // lease, device, state, until, short, paid, penalty, net
)

func number[T ~uint64 | ~uint32](n T) string { return strconv.FormatUint(uint64(n), 10) }

func emit(ctx context.Context, kind string, pairs ...string) {
	e := sdk.NewEvent(kind)
	for i := 0; i+1 < len(pairs); i += 2 {
		e = e.AppendAttributes(sdk.NewAttribute(pairs[i], pairs[i+1]))
	}
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(e)
}

func emitState(ctx context.Context, l lease.Lease) {
	emit(ctx, EventLease, "lease", hex.EncodeToString(l.ID[:]), "device", hex.EncodeToString(l.Device[:]),
		"payer", l.Payer, "state", l.State.String(), "reason", string(l.Reason))
}

func emitAccrual(ctx context.Context, l lease.Lease, a lease.Accrual, net money.Credit, slashed money.Grain) {
	emit(ctx, EventAccrue, "lease", hex.EncodeToString(l.ID[:]), "device", hex.EncodeToString(l.Device[:]),
		"epoch", number(a.Epoch), "outcome", a.Outcome.String(), "units", number(a.Units),
		"paid", number(a.Pay), "net", number(net), "slashed", number(slashed))
}

func emitDemand(ctx context.Context, d lease.Demand) {
	pairs := []string{"demand", number(d.ID), "buyer", d.Buyer, "kind", d.Kind, "reason", string(d.Reason)}
	if d.Lease != ([32]byte{}) {
		pairs = append(pairs, "lease", hex.EncodeToString(d.Lease[:]))
	}
	emit(ctx, EventDemand, pairs...)
}

// emitBid tells of a bid; reason is empty when it is placed.
func emitBid(ctx context.Context, d lease.Demand, b lease.Bid, reason lease.Reason) {
	emit(ctx, EventBid, "demand", number(d.ID), "offer", number(b.Offer), "owner", b.Owner, "reason", string(reason))
}

func emitStanding(ctx context.Context, s lease.Standing) {
	emit(ctx, EventStanding, "lease", hex.EncodeToString(s.ID[:]), "payer", s.Payer, "kind", s.Kind,
		"state", s.State.String(), "reason", string(s.Reason))
}

func emitDispute(ctx context.Context, d lease.Dispute, state string, v lease.Verdict, net money.Credit) {
	emit(ctx, EventDispute, "lease", hex.EncodeToString(d.Standing[:]), "device", hex.EncodeToString(d.Device[:]),
		"state", state, "until", number(d.Until), "short", number(v.Short), "paid", number(v.Paid()), "penalty", number(v.Penalty), "net", number(net))
}
