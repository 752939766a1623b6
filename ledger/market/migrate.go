package market

import (
	"context"

	errorsmod "cosmossdk.io/errors"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

// maxFollow bounds how far a refund is passed along leases that follow each other.
const maxFollow = 8

// migrate ends the lease that msg names and moves what its provider can no
// longer earn into next. It returns next and what the payer must still deposit.
func (m msgServer) migrate(ctx context.Context, msg *marketpb.MsgAccept, next lease.Lease, epoch uint64) (lease.Lease, money.Credit, error) {
	old, err := m.load(ctx, msg.Migrate)
	if err != nil {
		return next, 0, err
	}
	switch {
	case old.Payer != msg.Payer:
		return next, 0, errorsmod.Wrapf(ErrNotYours, "lease %x belongs to %s, not %s", old.ID[:8], old.Payer, msg.Payer)
	case old.Kind != next.Kind:
		return next, 0, errorsmod.Wrapf(ErrInvalid, "lease %x is of kind %s, offer %d of %s", old.ID[:8], old.Kind, next.Offer, next.Kind)
	case old.Device == next.Device:
		return next, 0, errorsmod.Wrapf(ErrInvalid, "lease %x is at device %x already: fund it instead", old.ID[:8], old.Device[:8])
	}
	params, err := m.Params.Get(ctx)
	if err != nil {
		return next, 0, err
	}
	old, moved, err := old.Migrate(next.ID, epoch, m.rules(params))
	if err != nil {
		return next, 0, errorsmod.Wrap(ErrState, err.Error())
	}
	emitState(ctx, old)
	due := next.Deposited - min(next.Deposited, moved)
	if extra := moved - min(moved, next.Deposited); extra > 0 {
		if next, _, err = next.Fund(extra, nil, epoch); err != nil {
			return next, 0, errorsmod.Wrap(ErrInvalid, err.Error())
		}
	}
	return next, due, m.store(ctx, old)
}

// follow gives the refund of a finished lease to the one that follows it, or to
// the next after that which still takes money. It reports false when none does.
func (k *Keeper) follow(ctx context.Context, l lease.Lease, refund money.Credit, epoch uint64) (bool, error) {
	if refund == 0 {
		return true, nil
	}
	for range maxFollow {
		if l.Successor == ([32]byte{}) {
			return false, nil
		}
		var err error
		if l, err = k.load(ctx, l.Successor[:]); err != nil {
			return false, err
		}
		before := l.State
		next, _, err := l.Fund(refund, nil, epoch)
		if err != nil { // closing, closed, or full to 64 bits
			continue
		}
		if next.State != before {
			emitState(ctx, next)
		}
		return true, k.store(ctx, next)
	}
	return false, nil
}
