package market

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"
	errorsmod "cosmossdk.io/errors"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

func (k *Keeper) standing(ctx context.Context, id []byte) (lease.Standing, error) {
	stored, err := k.Standings.Get(ctx, id)
	if errors.Is(err, collections.ErrNotFound) {
		return lease.Standing{}, errorsmod.Wrapf(ErrNotFound, "standing lease %X: list the standing leases to find its id", id)
	}
	if err != nil {
		return lease.Standing{}, err
	}
	return StandingOf(stored)
}

func (k *Keeper) storeStanding(ctx context.Context, s lease.Standing) error {
	return k.Standings.Set(ctx, s.ID[:], standingPB(s))
}

// account is what a device has been paid; nothing when there is no record.
func (k *Keeper) account(ctx context.Context, standing, device [32]byte) (lease.Account, error) {
	stored, err := k.Accounts.Get(ctx, collections.Join(standing[:], device[:]))
	if errors.Is(err, collections.ErrNotFound) {
		return lease.Account{Device: device}, nil
	}
	if err != nil {
		return lease.Account{}, err
	}
	return accountOf(stored)
}

func (k *Keeper) storeAccount(ctx context.Context, standing [32]byte, a lease.Account) error {
	return k.Accounts.Set(ctx, collections.Join(standing[:], a.Device[:]), accountPB(standing, a))
}

// dispute is the unresolved dispute of a device, or nil.
func (k *Keeper) dispute(ctx context.Context, standing, device [32]byte) (*lease.Dispute, error) {
	stored, err := k.Disputes.Get(ctx, collections.Join(standing[:], device[:]))
	if errors.Is(err, collections.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d, err := disputeOf(stored)
	return &d, err
}

// postStanding opens a standing lease.
func (m msgServer) postStanding(ctx context.Context, payer sdk.AccAddress, msg *marketpb.MsgPost) (*marketpb.MsgPostResponse, error) {
	if msg.OfferId != 0 {
		return nil, errorsmod.Wrap(ErrInvalid, "a standing lease is a lease at once: fund or close it")
	}
	if len(msg.Device) > 0 || msg.Bond|msg.Capacity|msg.HoldBudget|msg.OpenEpochs|msg.Hold.Credits != 0 || msg.Status > marketpb.OFFER_STATUS_OPEN {
		return nil, errorsmod.Wrap(ErrInvalid, "a standing lease has no device, bond in ugrain, capacity, hold or status: its payer bonds credits in payer_bond")
	}
	if err := checkTerms(msg.Kind, msg.Attributes, msg.Use, msg.Hold); err != nil {
		return nil, err
	}
	lanes, err := lanesOf(msg.Lanes)
	if err != nil {
		return nil, errorsmod.Wrap(ErrInvalid, err.Error())
	}
	epoch, params, err := m.now(ctx)
	if err != nil {
		return nil, err
	}
	o := lease.Order{
		Payer: msg.Owner, Kind: msg.Kind, Attributes: attributesOf(msg.Attributes), Use: priceOf(msg.Use),
		Lanes: lanes, Bond: money.Credit(msg.PayerBond),
	}
	if msg.TermEpochs > 0 {
		if o.Expires, err = money.Add(epoch, msg.TermEpochs); err != nil {
			return nil, errorsmod.Wrapf(ErrInvalid, "term: %v", err)
		}
	}
	if o.ID, err = m.newLeaseID(ctx, 0, payer); err != nil {
		return nil, err
	}
	s, err := lease.Stand(o, epoch, m.rules(params))
	if err != nil {
		return nil, errorsmod.Wrap(ErrInvalid, err.Error())
	}
	if err := m.deposit(ctx, payer, s.Deposited+s.Bond); err != nil {
		return nil, err
	}
	if err := m.StandingsBy.Set(ctx, collections.Join(s.Payer, s.ID[:])); err != nil {
		return nil, err
	}
	if err := m.StandingsDue.Set(ctx, collections.Join(epoch+1, s.ID[:])); err != nil {
		return nil, err
	}
	emitStanding(ctx, s)
	return &marketpb.MsgPostResponse{LeaseId: s.ID[:]}, m.storeStanding(ctx, s)
}

func (m msgServer) fundStanding(ctx context.Context, funder sdk.AccAddress, msg *marketpb.MsgFund, lanes []lease.Lane) (*marketpb.MsgFundResponse, error) {
	if msg.HoldBudget > 0 {
		return nil, errorsmod.Wrap(ErrInvalid, "a standing lease has no hold budget: add to its lanes or its bond")
	}
	s, err := m.standing(ctx, msg.LeaseId)
	if err != nil {
		return nil, err
	}
	if len(lanes) > 0 && s.Payer != msg.Funder {
		return nil, errorsmod.Wrapf(ErrNotYours, "standing lease %x belongs to %s: others may add to its bond only", s.ID[:8], s.Payer)
	}
	epoch, params, err := m.now(ctx)
	if err != nil {
		return nil, err
	}
	before := s.State
	s, total, err := s.Fund(lanes, money.Credit(msg.Bond), epoch, m.rules(params))
	if err != nil {
		return nil, errorsmod.Wrap(ErrState, err.Error())
	}
	if err := m.deposit(ctx, funder, total); err != nil {
		return nil, err
	}
	if s.State != before {
		emitStanding(ctx, s)
	}
	return &marketpb.MsgFundResponse{Deposited: uint64(s.Deposited)}, m.storeStanding(ctx, s)
}

func (m msgServer) closeStanding(ctx context.Context, msg *marketpb.MsgClose) (*marketpb.MsgCloseResponse, error) {
	s, err := m.standing(ctx, msg.LeaseId)
	if err != nil {
		return nil, err
	}
	if s.Payer != msg.Signer {
		return nil, errorsmod.Wrapf(ErrNotYours, "standing lease %x belongs to %s: only its payer may close it", s.ID[:8], s.Payer)
	}
	epoch, params, err := m.now(ctx)
	if err != nil {
		return nil, err
	}
	if s, err = s.Close(lease.ReasonPayer, epoch, m.rules(params)); err != nil {
		return nil, errorsmod.Wrap(ErrState, err.Error())
	}
	emitStanding(ctx, s)
	return &marketpb.MsgCloseResponse{}, m.storeStanding(ctx, s)
}

// turnStanding advances one standing lease and returns the epoch from which it
// is due again, or 0 when it is closed.
func (k *Keeper) turnStanding(ctx context.Context, id []byte, epoch uint64, rules lease.Rules) (uint64, error) {
	s, err := k.standing(ctx, id)
	if err != nil {
		return 0, err
	}
	before := s.State
	s = s.Advance(epoch, rules)
	if s.Ended(epoch) {
		var back money.Credit
		if s, back, err = s.Finish(epoch); err != nil {
			return 0, err
		}
		if err := k.payOut(ctx, s.Payer, credits(back)); err != nil {
			return 0, err
		}
		if err := k.Swept.Set(ctx, s.ID[:]); err != nil {
			return 0, err
		}
	}
	if s.State != before {
		emitStanding(ctx, s)
	}
	if err := k.storeStanding(ctx, s); err != nil || s.State == lease.Closed {
		return 0, err
	}
	return epoch + 1, nil
}

// turnDispute resolves a dispute that nobody may answer any more.
func (k *Keeper) turnDispute(ctx context.Context, key []byte, epoch uint64, rules lease.Rules) (uint64, error) {
	id, device := [32]byte(key[:32]), [32]byte(key[32:])
	d, err := k.dispute(ctx, id, device)
	if err != nil || d == nil {
		return 0, err
	}
	if epoch <= d.Until { // filed again for more; it is due then
		return d.Until + 1, nil
	}
	s, err := k.standing(ctx, id[:])
	if err != nil {
		return 0, err
	}
	cached, write := sdk.UnwrapSDKContext(ctx).CacheContext()
	resolved, err := k.resolve(cached, s, *d, epoch, rules)
	switch {
	case err == nil:
		s = resolved
		write()
	case epoch <= d.Until+rules.Grace+rules.Window:
		return 0, err // tried again in the next epoch
	default:
		k.logger.Error("drop dispute", "lease", fmt.Sprintf("%x", id), "device", fmt.Sprintf("%x", device), "epoch", epoch, "error", err)
		s = s.Drop()
		emitDispute(ctx, *d, "dropped", lease.Verdict{}, 0)
	}
	if err := k.Disputes.Remove(ctx, collections.Join(id[:], device[:])); err != nil {
		return 0, err
	}
	return 0, k.storeStanding(ctx, s)
}

// resolve pays what a dispute finds unpaid.
func (k *Keeper) resolve(ctx context.Context, s lease.Standing, d lease.Dispute, epoch uint64, rules lease.Rules) (lease.Standing, error) {
	a, err := k.account(ctx, s.ID, d.Device)
	if err != nil {
		return s, err
	}
	s, a, v, err := s.Resolve(d, a, epoch, rules)
	if err != nil {
		return s, err
	}
	net, err := k.payUse(ctx, s.ID, d.Device, s.Kind, epoch, v.Paid(), 0)
	if err != nil {
		return s, err
	}
	if err := k.payPenalty(ctx, s.ID, d.Device, epoch, v.Penalty); err != nil {
		return s, err
	}
	emitDispute(ctx, d, "resolved", v, net)
	if v.Paid() == 0 {
		return s, nil
	}
	return s, k.storeAccount(ctx, s.ID, a)
}

// payUse pays a device for units under a standing lease and records it. It
// returns what the payees got.
func (k *Keeper) payUse(ctx context.Context, id, device [32]byte, kind string, epoch uint64, paid money.Credit, units uint64) (money.Credit, error) {
	if paid == 0 {
		return 0, nil
	}
	net, burned, err := k.pay(ctx, device, id, paid)
	if err != nil {
		return 0, err
	}
	err = k.addUsage(ctx, epoch, device, kind, func(u *marketpb.Usage) {
		u.UsePaid += uint64(paid)
		u.Burned += uint64(burned)
		u.Net += uint64(net)
	})
	if err != nil {
		return 0, err
	}
	return net, k.addLeaseEpoch(ctx, epoch, device, id, func(e *marketpb.LeaseEpoch) {
		e.UnitsUsed += units
		e.UsePaid += uint64(paid)
		e.Take += uint64(paid - net)
		e.Net += uint64(net)
	})
}

// payPenalty pays a device for having had to dispute. It is no revenue: nothing
// is taken of it and no reward is computed from it.
func (k *Keeper) payPenalty(ctx context.Context, id, device [32]byte, epoch uint64, penalty money.Credit) error {
	if penalty == 0 {
		return nil
	}
	if err := k.share(ctx, device, id, penalty); err != nil {
		return err
	}
	return k.addLeaseEpoch(ctx, epoch, device, id, func(e *marketpb.LeaseEpoch) { e.Penalty += uint64(penalty) })
}

// sweep removes the accounts of closed standing leases, a bounded number in
// each block.
func (k *Keeper) sweep(ctx context.Context) error {
	it, err := k.Swept.Iterate(ctx, nil)
	if err != nil {
		return err
	}
	if !it.Valid() {
		return it.Close()
	}
	id, err := it.Key()
	if err := errors.Join(err, it.Close()); err != nil {
		return err
	}
	id = bytes.Clone(id)
	accounts, err := k.Accounts.Iterate(ctx, pairPrefix(id))
	if err != nil {
		return err
	}
	var keys []collections.Pair[[]byte, []byte]
	for ; accounts.Valid() && len(keys) < pruneLimit; accounts.Next() {
		key, err := accounts.Key()
		if err != nil {
			return errors.Join(err, accounts.Close())
		}
		keys = append(keys, key)
	}
	if err := accounts.Close(); err != nil {
		return err
	}
	for _, key := range keys {
		if err := k.Accounts.Remove(ctx, key); err != nil {
			return err
		}
	}
	if len(keys) < pruneLimit {
		return k.Swept.Remove(ctx, id)
	}
	return nil
}
