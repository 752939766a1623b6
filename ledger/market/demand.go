package market

import (
	"context"
	"errors"
	"slices"

	"cosmossdk.io/collections"
	errorsmod "cosmossdk.io/errors"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

// demand loads a demand in both its forms.
func (k *Keeper) demand(ctx context.Context, id uint64) (lease.Demand, marketpb.Demand, error) {
	stored, err := k.Demands.Get(ctx, id)
	if errors.Is(err, collections.ErrNotFound) {
		return lease.Demand{}, stored, errorsmod.Wrapf(ErrNotFound, "demand %d: list the demands to find its id", id)
	}
	if err != nil {
		return lease.Demand{}, stored, err
	}
	d, err := DemandOf(stored)
	return d, stored, err
}

// postDemand asks for bids, or cancels what was asked.
func (m msgServer) postDemand(ctx context.Context, buyer sdk.AccAddress, msg *marketpb.MsgPost) (*marketpb.MsgPostResponse, error) {
	if msg.OfferId != 0 {
		return m.cancelDemand(ctx, msg)
	}
	if len(msg.Device) > 0 || msg.Bond > 0 || msg.PayerBond > 0 || msg.Status > marketpb.OFFER_STATUS_OPEN {
		return nil, errorsmod.Wrap(ErrInvalid, "device, bond and status are a provider's, payer_bond a standing lease's: a demand has none")
	}
	if err := checkTerms(msg.Kind, msg.Attributes, msg.Use, msg.Hold); err != nil {
		return nil, err
	}
	lanes, err := lanesOf(msg.Lanes)
	if err != nil {
		return nil, errorsmod.Wrap(ErrInvalid, err.Error())
	}
	epoch, err := m.epochs.CurrentEpoch(ctx)
	if err != nil {
		return nil, err
	}
	last, err := m.NextOffer.Next(ctx)
	if err != nil {
		return nil, err
	}
	d, err := lease.Ask(last+1, lease.Terms{
		Payer: msg.Owner, Kind: msg.Kind, Use: priceOf(msg.Use), Hold: priceOf(msg.Hold), Capacity: msg.Capacity,
		HoldBudget: money.Credit(msg.HoldBudget), Lanes: lanes,
	}, msg.TermEpochs, msg.OpenEpochs, epoch)
	if err != nil {
		return nil, errorsmod.Wrap(ErrInvalid, err.Error())
	}
	if err := m.deposit(ctx, buyer, d.Deposit); err != nil {
		return nil, err
	}
	if err := m.DemandsDue.Set(ctx, collections.Join(d.Expires+1, d.ID)); err != nil {
		return nil, err
	}
	emitDemand(ctx, d)
	return &marketpb.MsgPostResponse{OfferId: d.ID}, m.Demands.Set(ctx, d.ID, demandPB(marketpb.Demand{Attributes: msg.Attributes}, d))
}

func (m msgServer) cancelDemand(ctx context.Context, msg *marketpb.MsgPost) (*marketpb.MsgPostResponse, error) {
	d, stored, err := m.demand(ctx, msg.OfferId)
	if err != nil {
		return nil, err
	}
	if d.Buyer != msg.Owner {
		return nil, errorsmod.Wrapf(ErrNotYours, "demand %d belongs to %s, not %s", d.ID, d.Buyer, msg.Owner)
	}
	if msg.Status != marketpb.OFFER_STATUS_WITHDRAWN {
		return nil, errorsmod.Wrapf(ErrInvalid, "demand %d stays as it is: withdraw it and post another", d.ID)
	}
	epoch, params, err := m.now(ctx)
	if err != nil {
		return nil, err
	}
	if d.Reason != "" {
		return nil, errorsmod.Wrapf(ErrState, "demand %d has already ended (%s)", d.ID, d.Reason)
	}
	if err := m.DemandsDue.Remove(ctx, collections.Join(d.Expires+1, d.ID)); err != nil {
		return nil, err
	}
	return &marketpb.MsgPostResponse{OfferId: d.ID}, m.endDemand(ctx, d, stored, lease.ReasonCancelled, epoch+params.HistoryEpochs)
}

// endDemand ends a demand without a lease and returns all that it holds. It is
// due once more when it may be forgotten.
func (k *Keeper) endDemand(ctx context.Context, d lease.Demand, stored marketpb.Demand, reason lease.Reason, prune uint64) error {
	d, losers, refund, err := d.End(reason)
	if err != nil {
		return err
	}
	if err := k.payOut(ctx, d.Buyer, credits(refund)); err != nil {
		return err
	}
	for _, b := range losers {
		if err := k.endBid(ctx, d, b, lease.ReasonLost); err != nil {
			return err
		}
	}
	emitDemand(ctx, d)
	return k.keepDemand(ctx, d, stored, prune)
}

// keepDemand stores an ended demand until it is forgotten.
func (k *Keeper) keepDemand(ctx context.Context, d lease.Demand, stored marketpb.Demand, prune uint64) error {
	stored.Prune = prune
	if err := k.DemandsDue.Set(ctx, collections.Join(prune, d.ID)); err != nil {
		return err
	}
	return k.Demands.Set(ctx, d.ID, demandPB(stored, d))
}

// turnDemand ends a demand that has expired, or forgets one that ended long ago.
func (k *Keeper) turnDemand(ctx context.Context, id, epoch, history uint64) (uint64, error) {
	d, stored, err := k.demand(ctx, id)
	if err != nil {
		return 0, err
	}
	if d.Reason != "" {
		return 0, k.Demands.Remove(ctx, id)
	}
	return 0, k.endDemand(ctx, d, stored, lease.ReasonExpired, epoch+history)
}

// endBid gives a bid's deposit and the capacity it reserved back.
func (k *Keeper) endBid(ctx context.Context, d lease.Demand, b lease.Bid, reason lease.Reason) error {
	if err := k.payOut(ctx, b.Owner, grains(b.Deposit)); err != nil {
		return err
	}
	offer, err := k.Offers.Get(ctx, b.Offer)
	if err != nil {
		return err
	}
	offer.Sold -= min(offer.Sold, d.Capacity)
	offer.Bids -= min(offer.Bids, 1)
	if err := k.Offers.Set(ctx, offer.Id, offer); err != nil {
		return err
	}
	emitBid(ctx, d, b, reason)
	return k.releaseBond(ctx, offer)
}

// acceptDemand takes a bid when the signer is the buyer; otherwise it bids.
func (m msgServer) acceptDemand(ctx context.Context, signer sdk.AccAddress, msg *marketpb.MsgAccept) (*marketpb.MsgAcceptResponse, error) {
	if len(msg.Lanes) > 0 || msg.HoldBudget|msg.TermEpochs != 0 || len(msg.Migrate) > 0 {
		return nil, errorsmod.Wrap(ErrInvalid, "lanes, hold_budget and term_epochs are the demand's: leave them out")
	}
	d, stored, err := m.demand(ctx, msg.OfferId)
	if err != nil {
		return nil, err
	}
	if msg.Capacity != 0 && msg.Capacity != d.Capacity {
		return nil, errorsmod.Wrapf(ErrInvalid, "demand %d is for %d units, not %d", d.ID, d.Capacity, msg.Capacity)
	}
	if d.Buyer == msg.Payer {
		return m.award(ctx, signer, msg, d, stored)
	}
	return &marketpb.MsgAcceptResponse{}, m.bid(ctx, signer, msg, d, stored)
}

// bid puts one's own offer forward for a demand and reserves its capacity.
func (m msgServer) bid(ctx context.Context, bidder sdk.AccAddress, msg *marketpb.MsgAccept, d lease.Demand, stored marketpb.Demand) error {
	offer, err := m.offer(ctx, msg.Bid)
	if err != nil {
		return err
	}
	epoch, params, err := m.now(ctx)
	if err != nil {
		return err
	}
	if err := m.mayBid(ctx, offer, d, stored, msg); err != nil {
		return err
	}
	b := lease.Bid{Offer: offer.Id, Owner: msg.Payer, Use: priceOf(msg.Use), Hold: priceOf(msg.Hold), Deposit: money.Grain(params.BidDeposit)}
	d, out, err := d.Place(b, epoch)
	if err != nil {
		return errorsmod.Wrap(ErrState, err.Error())
	}
	if out != nil {
		if err := m.endBid(ctx, d, out.Bid, out.Reason); err != nil {
			return err
		}
		if offer, err = m.offer(ctx, msg.Bid); err != nil { // it may be the offer that made room
			return err
		}
	}
	if n := offer.Leases + offer.Bids; n >= params.MaxLeasesPerDevice {
		return errorsmod.Wrapf(ErrTooMany, "offer %d serves or bids for %d leases, at most %d are allowed", offer.Id, n, params.MaxLeasesPerDevice)
	}
	if offer.Sold > offer.Capacity || d.Capacity > offer.Capacity-offer.Sold {
		return errorsmod.Wrapf(ErrSoldOut, "offer %d has %d of %d units left, demand %d asks for %d", offer.Id, offer.Capacity-min(offer.Sold, offer.Capacity), offer.Capacity, d.ID, d.Capacity)
	}
	if b.Deposit > 0 {
		if err := m.bank.SendCoinsFromAccountToModule(ctx, bidder, ModuleName, grains(b.Deposit)); err != nil {
			return errorsmod.Wrapf(ErrBond, "deposit %d ugrain: %v", b.Deposit, err)
		}
	}
	offer.Sold += d.Capacity
	offer.Bids++
	if err := m.Offers.Set(ctx, offer.Id, offer); err != nil {
		return err
	}
	emitBid(ctx, d, b, "")
	return m.Demands.Set(ctx, d.ID, demandPB(stored, d))
}

func (m msgServer) mayBid(ctx context.Context, o marketpb.Offer, d lease.Demand, stored marketpb.Demand, msg *marketpb.MsgAccept) error {
	switch {
	case o.Owner != msg.Payer:
		return errorsmod.Wrapf(ErrNotYours, "offer %d belongs to %s, not %s", o.Id, o.Owner, msg.Payer)
	case o.Status != marketpb.OFFER_STATUS_OPEN:
		return errorsmod.Wrapf(ErrState, "offer %d is not open: post it again", o.Id)
	case o.Kind != d.Kind:
		return errorsmod.Wrapf(ErrInvalid, "offer %d is of kind %s, demand %d asks for %s", o.Id, o.Kind, d.ID, d.Kind)
	}
	for _, a := range stored.Attributes {
		if !slices.Contains(o.Attributes, a) {
			return errorsmod.Wrapf(ErrInvalid, "demand %d asks for %s %q, which offer %d has not", d.ID, a.Key, a.Value, o.Id)
		}
	}
	info, err := m.devices.Info(ctx, [32]byte(o.Device))
	switch {
	case err != nil:
		return err
	case info.Owner != o.Owner || !info.Active:
		return errorsmod.Wrapf(ErrDevice, "device %x of offer %d is not active or has another owner", o.Device[:8], o.Id)
	}
	return nil
}

// award turns a bid into a lease. The demand's deposit is its escrow.
func (m msgServer) award(ctx context.Context, buyer sdk.AccAddress, msg *marketpb.MsgAccept, d lease.Demand, stored marketpb.Demand) (*marketpb.MsgAcceptResponse, error) {
	offer, err := m.offer(ctx, msg.Bid)
	if err != nil {
		return nil, err
	}
	epoch, params, err := m.now(ctx)
	if err != nil {
		return nil, err
	}
	id, err := m.newLeaseID(ctx, offer.Id, buyer)
	if err != nil {
		return nil, err
	}
	d, won, losers, terms, err := d.Award(offer.Id, id, epoch)
	if err != nil {
		return nil, errorsmod.Wrap(ErrState, err.Error())
	}
	switch {
	case msg.Use != pricePB(won.Use) || msg.Hold != pricePB(won.Hold):
		return nil, errorsmod.Wrapf(ErrPrice, "bid of offer %d asks %v to use and %v to hold: read it again", offer.Id, won.Use, won.Hold)
	case offer.Status != marketpb.OFFER_STATUS_OPEN:
		return nil, errorsmod.Wrapf(ErrState, "offer %d is not open any more: accept another bid", offer.Id)
	}
	terms.Device = [32]byte(offer.Device)
	l, err := lease.Begin(terms, epoch)
	if err != nil {
		return nil, errorsmod.Wrap(ErrState, err.Error())
	}
	if err := m.payOut(ctx, won.Owner, grains(won.Deposit)); err != nil {
		return nil, err
	}
	emitBid(ctx, d, won, lease.ReasonAwarded)
	offer.Bids -= min(offer.Bids, 1) // what it reserved is sold now
	if err := m.open(ctx, offer, l, epoch); err != nil {
		return nil, err
	}
	for _, b := range losers {
		if err := m.endBid(ctx, d, b, lease.ReasonLost); err != nil {
			return nil, err
		}
	}
	if err := m.DemandsDue.Remove(ctx, collections.Join(d.Expires+1, d.ID)); err != nil {
		return nil, err
	}
	emitDemand(ctx, d)
	return &marketpb.MsgAcceptResponse{LeaseId: id[:]}, m.keepDemand(ctx, d, stored, epoch+params.HistoryEpochs)
}

// withdrawBid takes one's own bid back.
func (m msgServer) withdrawBid(ctx context.Context, msg *marketpb.MsgClose) (*marketpb.MsgCloseResponse, error) {
	d, stored, err := m.demand(ctx, msg.OfferId)
	if err != nil {
		return nil, err
	}
	d, b, err := d.Withdraw(msg.Bid)
	if err != nil {
		return nil, errorsmod.Wrap(ErrState, err.Error())
	}
	if b.Owner != msg.Signer {
		return nil, errorsmod.Wrapf(ErrNotYours, "the bid of offer %d is %s's, not %s's", b.Offer, b.Owner, msg.Signer)
	}
	if err := m.endBid(ctx, d, b, lease.ReasonWithdrawn); err != nil {
		return nil, err
	}
	return &marketpb.MsgCloseResponse{}, m.Demands.Set(ctx, d.ID, demandPB(stored, d))
}

// now is the epoch and the parameters.
func (k *Keeper) now(ctx context.Context) (uint64, marketpb.Params, error) {
	epoch, err := k.epochs.CurrentEpoch(ctx)
	if err != nil {
		return 0, marketpb.Params{}, err
	}
	params, err := k.Params.Get(ctx)
	return epoch, params, err
}
