package market

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"

	"cosmossdk.io/collections"
	errorsmod "cosmossdk.io/errors"
	sdk "github.com/cosmos/cosmos-sdk/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

// Limits of an offer's free text.
const (
	maxAttributes     = 32
	maxAttributeBytes = 256
)

var kindPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{1,31}(/[a-z0-9-]{1,31})?$`)

type msgServer struct{ *Keeper }

// NewMsgServer serves the market's messages.
func NewMsgServer(k *Keeper) marketpb.MsgServer { return msgServer{k} }

var _ marketpb.MsgServer = msgServer{}

// Post creates an offer, or changes the one that offer_id names; or asks for
// bids; or opens a standing lease.
func (m msgServer) Post(ctx context.Context, msg *marketpb.MsgPost) (*marketpb.MsgPostResponse, error) {
	owner, err := sdk.AccAddressFromBech32(msg.Owner)
	if err != nil {
		return nil, errorsmod.Wrapf(ErrInvalid, "owner: %v", err)
	}
	switch {
	case msg.Side == marketpb.SIDE_DEMAND:
		return m.postDemand(ctx, owner, msg)
	case msg.Side == marketpb.SIDE_STANDING:
		return m.postStanding(ctx, owner, msg)
	case msg.Side != marketpb.SIDE_SUPPLY:
		return nil, errorsmod.Wrapf(ErrInvalid, "side %d is unknown", msg.Side)
	case len(msg.Lanes) > 0 || msg.HoldBudget|msg.TermEpochs|msg.OpenEpochs|msg.PayerBond != 0:
		return nil, errorsmod.Wrap(ErrInvalid, "lanes, hold_budget, term_epochs, open_epochs and payer_bond are a buyer's: an offer has none")
	}
	offer, err := m.draft(ctx, msg)
	if err != nil {
		return nil, err
	}
	params, err := m.Params.Get(ctx)
	if err != nil {
		return nil, err
	}
	if offer.Bond, err = money.Add(offer.Bond, msg.Bond); err != nil {
		return nil, errorsmod.Wrapf(ErrInvalid, "bond: %v", err)
	}
	if offer.Status == marketpb.OFFER_STATUS_OPEN && offer.Bond < params.MinBond {
		return nil, errorsmod.Wrapf(ErrBond, "offer bonds %d ugrain, the least is %d: raise bond", offer.Bond, params.MinBond)
	}
	if msg.Bond > 0 {
		if err := m.bank.SendCoinsFromAccountToModule(ctx, owner, ModuleName, grains(money.Grain(msg.Bond))); err != nil {
			return nil, errorsmod.Wrapf(ErrBond, "bond %d ugrain: %v", msg.Bond, err)
		}
	}
	if offer.Id == 0 {
		last, err := m.NextOffer.Next(ctx)
		if err != nil {
			return nil, err
		}
		offer.Id = last + 1
	}
	if err := m.Offers.Set(ctx, offer.Id, offer); err != nil {
		return nil, err
	}
	if err := m.releaseBond(ctx, offer); err != nil {
		return nil, err
	}
	emit(ctx, EventOffer, "offer", number(offer.Id), "device", hex.EncodeToString(offer.Device), "owner", offer.Owner, "status", offer.Status.String())
	return &marketpb.MsgPostResponse{OfferId: offer.Id}, nil
}

// draft checks a Post and returns the offer it asks for.
func (m msgServer) draft(ctx context.Context, msg *marketpb.MsgPost) (marketpb.Offer, error) {
	offer := marketpb.Offer{Owner: msg.Owner, Device: msg.Device, Kind: msg.Kind}
	if msg.OfferId != 0 {
		var err error
		if offer, err = m.offer(ctx, msg.OfferId); err != nil {
			return offer, err
		}
		switch {
		case offer.Owner != msg.Owner:
			return offer, errorsmod.Wrapf(ErrNotYours, "offer %d belongs to %s, not %s", offer.Id, offer.Owner, msg.Owner)
		case string(offer.Device) != string(msg.Device) || offer.Kind != msg.Kind:
			return offer, errorsmod.Wrapf(ErrInvalid, "offer %d is of device %x and kind %s: post a new offer to change them", offer.Id, offer.Device, offer.Kind)
		case offer.Status == marketpb.OFFER_STATUS_WITHDRAWN:
			return offer, errorsmod.Wrapf(ErrState, "offer %d is withdrawn for good: post a new one", offer.Id)
		}
	}
	offer.Use, offer.Hold, offer.Capacity, offer.Attributes, offer.Status = msg.Use, msg.Hold, msg.Capacity, msg.Attributes, msg.Status
	if offer.Status == marketpb.OFFER_STATUS_UNSPECIFIED {
		offer.Status = marketpb.OFFER_STATUS_OPEN
	}
	return offer, m.checkOffer(ctx, offer)
}

func (m msgServer) checkOffer(ctx context.Context, o marketpb.Offer) error {
	id, err := bytes32("device id", o.Device)
	if err != nil {
		return errorsmod.Wrap(ErrInvalid, err.Error())
	}
	info, err := m.devices.Info(ctx, id)
	switch {
	case err != nil:
		return errorsmod.Wrapf(ErrNotFound, "device %x: %v: register it first", id[:8], err)
	case info.Owner != o.Owner:
		return errorsmod.Wrapf(ErrNotYours, "device %x belongs to %s, not %s", id[:8], info.Owner, o.Owner)
	case !info.Ed25519:
		return errorsmod.Wrapf(ErrDevice, "device %x signs no receipts: its key is not ed25519", id[:8])
	case !info.Active && o.Status == marketpb.OFFER_STATUS_OPEN:
		return errorsmod.Wrapf(ErrDevice, "device %x is not active: update its status first", id[:8])
	case o.Capacity == 0:
		return errorsmod.Wrap(ErrInvalid, "capacity is 0: say how many units can be held")
	case o.Capacity < o.Sold:
		return errorsmod.Wrapf(ErrInvalid, "capacity %d is below the %d units already sold", o.Capacity, o.Sold)
	case o.Status < marketpb.OFFER_STATUS_OPEN || o.Status > marketpb.OFFER_STATUS_WITHDRAWN:
		return errorsmod.Wrapf(ErrInvalid, "status %d is unknown", o.Status)
	}
	return checkTerms(o.Kind, o.Attributes, o.Use, o.Hold)
}

// checkTerms checks what offers and demands have in common.
func checkTerms(kind string, attributes []marketpb.Attribute, use, hold marketpb.Price) error {
	if !kindPattern.MatchString(kind) {
		return errorsmod.Wrapf(ErrInvalid, "kind %q: want the name of a vertical, 2 to 32 of a-z, 0-9 and -, starting with a letter, and at most one / with 1 to 31 of them after it", kind)
	}
	if len(attributes) > maxAttributes {
		return errorsmod.Wrapf(ErrInvalid, "%d attributes, at most %d are allowed", len(attributes), maxAttributes)
	}
	for i, a := range attributes {
		if len(a.Key) == 0 || len(a.Key) > maxAttributeBytes || len(a.Value) > maxAttributeBytes {
			return errorsmod.Wrapf(ErrInvalid, "attribute %d: key of 1 to %d bytes and value of at most %d are allowed", i, maxAttributeBytes, maxAttributeBytes)
		}
	}
	for name, p := range [2]marketpb.Price{use, hold} {
		if err := priceOf(p).Valid(); err != nil {
			return errorsmod.Wrapf(ErrInvalid, "%s price: %v", [2]string{"use", "hold"}[name], err)
		}
	}
	return nil
}

func (m msgServer) offer(ctx context.Context, id uint64) (marketpb.Offer, error) {
	offer, err := m.Offers.Get(ctx, id)
	if errors.Is(err, collections.ErrNotFound) {
		return offer, errorsmod.Wrapf(ErrNotFound, "offer %d: list the offers to find its id", id)
	}
	return offer, err
}

// Accept opens a lease and moves its deposit into the escrow. Under a demand it
// bids, or takes a bid.
func (m msgServer) Accept(ctx context.Context, msg *marketpb.MsgAccept) (*marketpb.MsgAcceptResponse, error) {
	payer, err := sdk.AccAddressFromBech32(msg.Payer)
	if err != nil {
		return nil, errorsmod.Wrapf(ErrInvalid, "payer: %v", err)
	}
	if msg.Bid != 0 {
		return m.acceptDemand(ctx, payer, msg)
	}
	lanes, err := lanesOf(msg.Lanes)
	if err != nil {
		return nil, errorsmod.Wrap(ErrInvalid, err.Error())
	}
	offer, err := m.offer(ctx, msg.OfferId)
	if err != nil {
		return nil, err
	}
	if err := m.acceptable(ctx, offer, msg); err != nil {
		return nil, err
	}
	epoch, err := m.epochs.CurrentEpoch(ctx)
	if err != nil {
		return nil, err
	}
	terms := lease.Terms{
		Offer: offer.Id, Payer: msg.Payer, Owner: offer.Owner, Device: [32]byte(offer.Device), Kind: offer.Kind,
		Use: priceOf(offer.Use), Hold: priceOf(offer.Hold), Capacity: msg.Capacity,
		HoldBudget: money.Credit(msg.HoldBudget), Lanes: lanes,
	}
	if msg.TermEpochs > 0 {
		if terms.Expires, err = money.Add(epoch, msg.TermEpochs); err != nil {
			return nil, errorsmod.Wrapf(ErrInvalid, "term: %v", err)
		}
	}
	if terms.ID, err = m.newLeaseID(ctx, offer.Id, payer); err != nil {
		return nil, err
	}
	l, err := lease.Begin(terms, epoch)
	if err != nil {
		return nil, errorsmod.Wrap(ErrInvalid, err.Error())
	}
	due := l.Deposited
	if len(msg.Migrate) > 0 {
		if l, due, err = m.migrate(ctx, msg, l, epoch); err != nil {
			return nil, err
		}
	}
	if err := m.deposit(ctx, payer, due); err != nil {
		return nil, err
	}
	offer.Sold += msg.Capacity
	if err := m.open(ctx, offer, l, epoch); err != nil {
		return nil, err
	}
	return &marketpb.MsgAcceptResponse{LeaseId: l.ID[:]}, nil
}

func (m msgServer) acceptable(ctx context.Context, o marketpb.Offer, msg *marketpb.MsgAccept) error {
	switch {
	case o.Status != marketpb.OFFER_STATUS_OPEN:
		return errorsmod.Wrapf(ErrState, "offer %d is not open: choose another", o.Id)
	case msg.Use != o.Use || msg.Hold != o.Hold:
		return errorsmod.Wrapf(ErrPrice, "offer %d now asks %v to use and %v to hold: read it again", o.Id, priceOf(o.Use), priceOf(o.Hold))
	case msg.Capacity == 0:
		return errorsmod.Wrap(ErrInvalid, "capacity is 0: say how many units to lease")
	case o.Sold > o.Capacity || msg.Capacity > o.Capacity-o.Sold:
		return errorsmod.Wrapf(ErrSoldOut, "offer %d has %d of %d units left, %d asked", o.Id, o.Capacity-min(o.Sold, o.Capacity), o.Capacity, msg.Capacity)
	}
	params, err := m.Params.Get(ctx)
	if err != nil {
		return err
	}
	if n := o.Leases + o.Bids; n >= params.MaxLeasesPerDevice {
		return errorsmod.Wrapf(ErrTooMany, "offer %d serves or bids for %d leases, at most %d are allowed", o.Id, n, params.MaxLeasesPerDevice)
	}
	return nil
}

// leaseID derives an id that no other lease of any payer shares.
func leaseID(offer uint64, payer sdk.AccAddress, seq uint64) [32]byte {
	b := append([]byte("grange/lease/v1"), binary.BigEndian.AppendUint64(nil, offer)...)
	b = append(b, payer...)
	return sha256.Sum256(binary.BigEndian.AppendUint64(b, seq))
}

func (m msgServer) newLeaseID(ctx context.Context, offer uint64, payer sdk.AccAddress) ([32]byte, error) {
	seq, err := m.NextLease.Next(ctx)
	return leaseID(offer, payer, seq), err
}

// open stores a new lease and its offer, in which its capacity is already sold.
func (m msgServer) open(ctx context.Context, offer marketpb.Offer, l lease.Lease, epoch uint64) error {
	offer.Leases++
	if err := m.Offers.Set(ctx, offer.Id, offer); err != nil {
		return err
	}
	emitState(ctx, l)
	if err := m.store(ctx, l); err != nil {
		return err
	}
	if err := m.ByDevice.Set(ctx, collections.Join(l.Device[:], l.ID[:])); err != nil {
		return err
	}
	if err := m.ByPayer.Set(ctx, collections.Join(l.Payer, l.ID[:])); err != nil {
		return err
	}
	return m.Due.Set(ctx, collections.Join(epoch+1, l.ID[:]))
}

// deposit moves credits into the escrow, or says how many are missing.
func (m msgServer) deposit(ctx context.Context, from sdk.AccAddress, amount money.Credit) error {
	if amount == 0 {
		return nil
	}
	if have := m.bank.SpendableCoin(ctx, from, money.CreditDenom).Amount; !have.IsUint64() || have.Uint64() < uint64(amount) {
		return errorsmod.Wrapf(ErrFunds, "%s holds %s ucredit, the deposit is %d: buy credits first", from, have, amount)
	}
	return m.bank.SendCoinsFromAccountToModule(ctx, from, ModuleName, credits(amount))
}

// Fund adds to the escrow of a running lease.
func (m msgServer) Fund(ctx context.Context, msg *marketpb.MsgFund) (*marketpb.MsgFundResponse, error) {
	funder, err := sdk.AccAddressFromBech32(msg.Funder)
	if err != nil {
		return nil, errorsmod.Wrapf(ErrInvalid, "funder: %v", err)
	}
	lanes, err := lanesOf(msg.Lanes)
	if err != nil {
		return nil, errorsmod.Wrap(ErrInvalid, err.Error())
	}
	if standing, err := m.Standings.Has(ctx, msg.LeaseId); err != nil {
		return nil, err
	} else if standing {
		return m.fundStanding(ctx, funder, msg, lanes)
	}
	if msg.Bond > 0 {
		return nil, errorsmod.Wrap(ErrInvalid, "bond is of standing leases: the bond of this lease is its provider's")
	}
	l, err := m.load(ctx, msg.LeaseId)
	if err != nil {
		return nil, err
	}
	if len(lanes) > 0 && l.Payer != msg.Funder {
		return nil, errorsmod.Wrapf(ErrNotYours, "lease %x belongs to %s: others may add to its hold budget only", l.ID[:8], l.Payer)
	}
	epoch, err := m.epochs.CurrentEpoch(ctx)
	if err != nil {
		return nil, err
	}
	before := l.State
	l, total, err := l.Fund(money.Credit(msg.HoldBudget), lanes, epoch)
	if err != nil {
		return nil, errorsmod.Wrap(ErrState, err.Error())
	}
	if err := m.deposit(ctx, funder, total); err != nil {
		return nil, err
	}
	if l.State != before {
		emitState(ctx, l)
	}
	return &marketpb.MsgFundResponse{Deposited: uint64(l.Deposited)}, m.store(ctx, l)
}

// Close ends a lease at once, or takes a bid back.
func (m msgServer) Close(ctx context.Context, msg *marketpb.MsgClose) (*marketpb.MsgCloseResponse, error) {
	if msg.OfferId != 0 {
		return m.withdrawBid(ctx, msg)
	}
	if standing, err := m.Standings.Has(ctx, msg.LeaseId); err != nil {
		return nil, err
	} else if standing {
		return m.closeStanding(ctx, msg)
	}
	l, err := m.load(ctx, msg.LeaseId)
	if err != nil {
		return nil, err
	}
	var reason lease.Reason
	switch msg.Signer {
	case l.Payer:
		reason = lease.ReasonPayer
	case l.Owner:
		reason = lease.ReasonProvider
	default:
		return nil, errorsmod.Wrapf(ErrNotYours, "lease %x is between %s and %s: only they may close it", l.ID[:8], l.Payer, l.Owner)
	}
	epoch, err := m.epochs.CurrentEpoch(ctx)
	if err != nil {
		return nil, err
	}
	params, err := m.Params.Get(ctx)
	if err != nil {
		return nil, err
	}
	if l, err = l.Close(reason, epoch, m.rules(params)); err != nil {
		return nil, errorsmod.Wrap(ErrState, err.Error())
	}
	emitState(ctx, l)
	return &marketpb.MsgCloseResponse{}, m.store(ctx, l)
}

// UpdateParams changes the parameters by decision of governance.
func (m msgServer) UpdateParams(ctx context.Context, msg *marketpb.MsgUpdateParams) (*marketpb.MsgUpdateParamsResponse, error) {
	if msg.Authority != m.authority {
		return nil, errorsmod.Wrapf(govtypes.ErrInvalidSigner, "parameters belong to %s, not %s", m.authority, msg.Authority)
	}
	if err := CheckParams(msg.Params); err != nil {
		return nil, errorsmod.Wrap(ErrParameters, err.Error())
	}
	return &marketpb.MsgUpdateParamsResponse{}, m.Params.Set(ctx, msg.Params)
}

// CheckParams reports the first parameter that contradicts another or the rules.
func CheckParams(p marketpb.Params) error {
	switch {
	case p.WindowEpochs == 0:
		return fmt.Errorf("window_epochs is 0: a provider needs at least one epoch to hand in its last receipt")
	case p.SlashBps > uint32(money.Whole):
		return fmt.Errorf("slash_bps is %d, more than the whole bond (%d)", p.SlashBps, money.Whole)
	case p.BondBps > uint32(money.Whole) || p.PenaltyBps > uint32(money.Whole):
		return fmt.Errorf("bond_bps is %d and penalty_bps %d, want at most %d", p.BondBps, p.PenaltyBps, money.Whole)
	case p.MaxSettleItems == 0 || p.LeasesPerBlock == 0 || p.MaxLeasesPerDevice == 0:
		return fmt.Errorf("max_settle_items, leases_per_block and max_leases_per_device must be above 0")
	case p.HistoryEpochs < p.WindowEpochs+p.GraceEpochs+2:
		return fmt.Errorf("history_epochs is %d, less than grace, window and the two epochs a reward takes (%d)", p.HistoryEpochs, p.WindowEpochs+p.GraceEpochs+2)
	}
	return nil
}
