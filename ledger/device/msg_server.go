package device

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	errorsmod "cosmossdk.io/errors"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/ledger/api/devicepb"
)

type msgServer struct{ *Keeper }

// NewMsgServer serves the registry's messages.
func NewMsgServer(k *Keeper) devicepb.MsgServer { return msgServer{k} }

var _ devicepb.MsgServer = msgServer{}

// Register stores a new device.
func (s msgServer) Register(ctx context.Context, m *devicepb.MsgRegister) (*devicepb.MsgRegisterResponse, error) {
	owner, err := s.address("owner", m.Owner)
	if err != nil {
		return nil, err
	}
	key, err := publicKey(m.KeyType, m.PublicKey)
	if err != nil {
		return nil, err
	}
	id := key.ID()
	if d, err := s.Get(ctx, id); err == nil {
		return nil, ErrExists.Wrapf("%s belongs to %s: its owner can transfer it with the device's signature", id, d.Owner)
	} else if !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	if err := device.VerifyRegister(key, sdkCtx.ChainID(), owner, m.Nonce, m.Signature); err != nil {
		return nil, refuseSignature(err)
	}
	if m.Profile.Status == devicepb.STATUS_UNSPECIFIED {
		m.Profile.Status = devicepb.STATUS_ACTIVE
	}
	if err := checkProfile(m.Profile); err != nil {
		return nil, err
	}
	d := devicepb.Device{
		Id: id.String(), Did: key.DID(), KeyType: m.KeyType, PublicKey: m.PublicKey,
		Owner: m.Owner, Nonce: m.Nonce, Profile: m.Profile, RegisteredHeight: sdkCtx.BlockHeight(),
	}
	if d.Profile.Cell != 0 {
		d.CellChangedAt = sdkCtx.BlockTime().Unix()
	}
	if err := s.bind(ctx, owner, id); err != nil {
		return nil, err
	}
	if err := s.Devices.Set(ctx, id[:], d); err != nil {
		return nil, err
	}
	emit(ctx, EventRegister, "device", d.Id, "did", d.Did, "owner", d.Owner)
	return &devicepb.MsgRegisterResponse{Id: d.Id}, nil
}

// Update changes what the message sets, in the order profile, payouts, transfer or
// announce.
func (s msgServer) Update(ctx context.Context, m *devicepb.MsgUpdate) (*devicepb.MsgUpdateResponse, error) {
	id, d, err := s.find(ctx, m.Device)
	if err != nil {
		return nil, err
	}
	if d.Owner != m.Owner {
		return nil, ErrNotYours.Wrapf("device %s belongs to %s, not to %s: sign with the owner's key", id, d.Owner, m.Owner)
	}
	owner, err := s.address("owner", m.Owner)
	if err != nil {
		return nil, err
	}
	if m.Profile == nil && m.Payouts == nil && m.Transfer == nil && m.Announce == nil {
		return nil, ErrInvalid.Wrap("nothing to change: set profile, payouts, transfer or announce")
	}
	if m.Transfer != nil && m.Announce != nil {
		return nil, ErrInvalid.Wrap("both transfer and announce are set: transfer with the device's signature, or announce without it")
	}
	if m.Profile != nil || m.Transfer != nil {
		if err := s.remember(ctx, &d); err != nil {
			return nil, err
		}
	}
	if m.Profile != nil {
		if err := s.changeProfile(ctx, owner, &d, *m.Profile); err != nil {
			return nil, err
		}
	}
	if m.Payouts != nil {
		if err := s.changePayouts(&d, m.Payouts.Splits); err != nil {
			return nil, err
		}
	}
	if m.Transfer != nil {
		if err := s.transfer(ctx, owner, id, &d, *m.Transfer); err != nil {
			return nil, err
		}
	}
	if m.Announce != nil {
		if err := s.announce(ctx, owner, &d, *m.Announce); err != nil {
			return nil, err
		}
	}
	if err := s.Devices.Set(ctx, id[:], d); err != nil {
		return nil, err
	}
	emitUpdate(ctx, d)
	return &devicepb.MsgUpdateResponse{}, nil
}

// remember keeps what the device was when the epoch began.
func (s msgServer) remember(ctx context.Context, d *devicepb.Device) error {
	epoch, err := s.epochs.CurrentEpoch(ctx)
	if err != nil {
		return err
	}
	if d.Before == nil || d.Before.Epoch < epoch {
		d.Before = &devicepb.Before{
			Epoch: epoch, Owner: d.Owner, Class: d.Profile.Class, Cell: d.Profile.Cell, CellChangedAt: d.CellChangedAt, Moves: d.Moves,
		}
	}
	return nil
}

func (s msgServer) changeProfile(ctx context.Context, owner []byte, d *devicepb.Device, p devicepb.Profile) error {
	if d.Profile.Status == devicepb.STATUS_RETIRED {
		return ErrRetired.Wrapf("%s: its profile cannot change any more; register a new key", d.Id)
	}
	if err := checkProfile(p); err != nil {
		return err
	}
	if p.Cell != d.Profile.Cell {
		if err := s.payMove(ctx, owner, d); err != nil {
			return err
		}
	}
	d.Profile = p
	return nil
}

// payMove charges for a change of the cell: the first assertion is free, so that
// a device can be set up without money.
func (s msgServer) payMove(ctx context.Context, owner []byte, d *devicepb.Device) error {
	now := sdk.UnwrapSDKContext(ctx).BlockTime().Unix()
	moved := d.CellChangedAt
	d.CellChangedAt = now
	if moved == 0 {
		return nil
	}
	d.Moves++
	params, err := s.Params.Get(ctx)
	if err != nil {
		return err
	}
	if free := moved + int64(params.LocationCooldown); now < free {
		return ErrCooldown.Wrapf("device %s may move again in %d s", d.Id, free-now)
	}
	if params.LocationFee.IsZero() {
		return nil
	}
	if err := s.pool.FundCommunityPool(ctx, sdk.NewCoins(params.LocationFee), owner); err != nil {
		return errorsmod.Wrapf(err, "pay %s to move device %s", params.LocationFee, d.Id)
	}
	return nil
}

func (s msgServer) changePayouts(d *devicepb.Device, wanted []devicepb.PayoutSplit) error {
	after, err := device.Replace(splitsFrom(d.Payouts), splitsFrom(wanted))
	if err != nil {
		return ErrSplits.Wrapf("device %s: %v", d.Id, err)
	}
	if err := s.checkBeneficiaries(after); err != nil {
		return err
	}
	d.Payouts = splitsTo(after)
	return nil
}

// ReleaseLien removes the liens of the account that sends the message.
func (s msgServer) ReleaseLien(ctx context.Context, m *devicepb.MsgReleaseLien) (*devicepb.MsgReleaseLienResponse, error) {
	id, d, err := s.find(ctx, m.Device)
	if err != nil {
		return nil, err
	}
	left, n := device.Release(splitsFrom(d.Payouts), m.Beneficiary)
	if n == 0 {
		return nil, ErrNotYours.Wrapf("%s has no lien on device %s", m.Beneficiary, id)
	}
	d.Payouts = splitsTo(left)
	if err := s.Devices.Set(ctx, id[:], d); err != nil {
		return nil, err
	}
	emit(ctx, EventLien, "device", d.Id, "beneficiary", m.Beneficiary, "released", strconv.Itoa(n))
	return &devicepb.MsgReleaseLienResponse{Released: uint32(n)}, nil
}

// UpdateParams replaces the parameters.
func (s msgServer) UpdateParams(ctx context.Context, m *devicepb.MsgUpdateParams) (*devicepb.MsgUpdateParamsResponse, error) {
	if m.Authority != s.authority {
		return nil, ErrNotYours.Wrapf("parameters are changed by %s, not by %s: make a governance proposal", s.authority, m.Authority)
	}
	if err := checkParams(m.Params); err != nil {
		return nil, ErrInvalid.Wrap(err.Error())
	}
	return &devicepb.MsgUpdateParamsResponse{}, s.Params.Set(ctx, m.Params)
}

func (s msgServer) find(ctx context.Context, text string) (device.ID, devicepb.Device, error) {
	id, err := device.ParseID(text)
	if err != nil {
		return id, devicepb.Device{}, ErrInvalid.Wrap(err.Error())
	}
	d, err := s.Get(ctx, id)
	return id, d, err
}

func (k *Keeper) address(field, text string) ([]byte, error) {
	a, err := k.accounts.StringToBytes(text)
	if err != nil {
		return nil, ErrInvalid.Wrapf("%s %.80q is not an address: %v", field, text, err)
	}
	return a, nil
}

// refuseSignature gives the reason its code.
func refuseSignature(err error) error {
	if errors.Is(err, device.ErrNonce) {
		return ErrNonce.Wrap(fmt.Sprintf("%v: sign again with a larger nonce", err))
	}
	return ErrSignature.Wrap(fmt.Sprintf("%v: the device must sign chain id, owner and nonce of this message", err))
}
