package device

import (
	"bytes"
	"context"
	"slices"
	"strconv"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/ledger/api/devicepb"
)

// Epochs is the clock that announced changes of owner wait by.
type Epochs interface {
	CurrentEpoch(ctx context.Context) (uint64, error)
}

// SetEpochs gives the keeper its clock. It must be called once, while wiring.
func (k *Keeper) SetEpochs(e Epochs) { k.epochs = e }

// transfer gives the device to another owner with the device's consent.
func (s msgServer) transfer(ctx context.Context, owner []byte, id device.ID, d *devicepb.Device, t devicepb.Transfer) error {
	newOwner, err := s.successor(d, owner, t.NewOwner)
	if err != nil {
		return err
	}
	key, err := publicKey(d.KeyType, d.PublicKey)
	if err != nil {
		return err
	}
	chainID := sdk.UnwrapSDKContext(ctx).ChainID()
	if err := device.VerifyTransfer(key, chainID, newOwner, d.Nonce, t.Nonce, t.Signature); err != nil {
		return refuseSignature(err)
	}
	d.Nonce = t.Nonce
	return s.hand(ctx, id, d, owner, newOwner)
}

// successor reads the account that a device is to belong to.
func (s msgServer) successor(d *devicepb.Device, owner []byte, text string) ([]byte, error) {
	to, err := s.address("new_owner", text)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(to, owner) {
		return nil, ErrInvalid.Wrapf("device %s already belongs to %s", d.Id, text)
	}
	if s.bank.BlockedAddr(to) {
		return nil, ErrInvalid.Wrapf("new owner %s is a module account and cannot be paid", text)
	}
	return to, nil
}

// hand changes the owner. The liens still owed go with the device; what the old
// owner promised to others ends.
func (s msgServer) hand(ctx context.Context, id device.ID, d *devicepb.Device, owner, newOwner []byte) error {
	splits, err := device.Replace(splitsFrom(d.Payouts), nil)
	if err != nil {
		return ErrSplits.Wrap(err.Error())
	}
	if err := s.unbind(ctx, owner, id); err != nil {
		return err
	}
	if err := s.bind(ctx, newOwner, id); err != nil {
		return err
	}
	to, err := s.accounts.BytesToString(newOwner)
	if err != nil {
		return err
	}
	emit(ctx, EventTransfer, "device", d.Id, "owner", d.Owner, "new_owner", to)
	d.Owner, d.Payouts, d.Pending = to, splitsTo(splits), nil
	return nil
}

// announce starts the wait for a new owner, or ends it where a names none.
func (s msgServer) announce(ctx context.Context, owner []byte, d *devicepb.Device, a devicepb.Announce) error {
	if a.NewOwner == "" {
		if d.Pending == nil {
			return ErrInvalid.Wrapf("device %s has no announced owner to withdraw", d.Id)
		}
		emit(ctx, EventAnnounce, "device", d.Id, "owner", d.Owner, "new_owner", "", "from_epoch", "0")
		d.Pending = nil
		return nil
	}
	if _, err := s.successor(d, owner, a.NewOwner); err != nil {
		return err
	}
	params, err := s.Params.Get(ctx)
	if err != nil {
		return err
	}
	epoch, err := s.epochs.CurrentEpoch(ctx)
	if err != nil {
		return err
	}
	// The running epoch may be almost over: it does not count.
	d.Pending = &devicepb.PendingTransfer{NewOwner: a.NewOwner, FromEpoch: epoch + 1 + params.TransferEpochs}
	emit(ctx, EventAnnounce, "device", d.Id, "owner", d.Owner, "new_owner", a.NewOwner, "from_epoch", strconv.FormatUint(d.Pending.FromEpoch, 10))
	return nil
}

// TakeOver makes the announced account the owner once the wait is over.
func (s msgServer) TakeOver(ctx context.Context, m *devicepb.MsgTakeOver) (*devicepb.MsgTakeOverResponse, error) {
	id, d, err := s.find(ctx, m.Device)
	if err != nil {
		return nil, err
	}
	if d.Pending == nil {
		return nil, ErrNotYours.Wrapf("device %s is not being handed over: its owner %s must announce it", id, d.Owner)
	}
	if d.Pending.NewOwner != m.NewOwner {
		return nil, ErrNotYours.Wrapf("device %s is announced for %s, not for %s", id, d.Pending.NewOwner, m.NewOwner)
	}
	epoch, err := s.epochs.CurrentEpoch(ctx)
	if err != nil {
		return nil, err
	}
	if epoch < d.Pending.FromEpoch {
		return nil, ErrTooEarly.Wrapf("device %s can be taken over from epoch %d, this is %d", id, d.Pending.FromEpoch, epoch)
	}
	newOwner, err := s.address("new_owner", m.NewOwner)
	if err != nil {
		return nil, err
	}
	owner, err := s.address("owner", d.Owner)
	if err != nil {
		return nil, err
	}
	if err := s.remember(ctx, &d); err != nil {
		return nil, err
	}
	if err := s.hand(ctx, id, &d, owner, newOwner); err != nil {
		return nil, err
	}
	return &devicepb.MsgTakeOverResponse{}, s.Devices.Set(ctx, id[:], d)
}

// Object ends an announced change of owner: a lien's beneficiary by sending the
// message, the device by its signature, whoever sends it.
func (s msgServer) Object(ctx context.Context, m *devicepb.MsgObject) (*devicepb.MsgObjectResponse, error) {
	id, d, err := s.find(ctx, m.Device)
	if err != nil {
		return nil, err
	}
	if d.Pending == nil {
		return nil, ErrInvalid.Wrapf("device %s is not being handed over: there is nothing to object to", id)
	}
	by := m.Signer
	if len(m.Signature) > 0 {
		by = d.Did
		err = s.deviceObjects(ctx, &d, m)
	} else if !holdsLien(d.Payouts, m.Signer) {
		err = ErrNotYours.Wrapf("%s has no lien on device %s: only its lenders and the device itself may object", m.Signer, id)
	}
	if err != nil {
		return nil, err
	}
	emit(ctx, EventObject, "device", d.Id, "by", by, "new_owner", d.Pending.NewOwner)
	d.Pending = nil
	return &devicepb.MsgObjectResponse{}, s.Devices.Set(ctx, id[:], d)
}

func (s msgServer) deviceObjects(ctx context.Context, d *devicepb.Device, m *devicepb.MsgObject) error {
	announced, err := s.address("new_owner", d.Pending.NewOwner)
	if err != nil {
		return err
	}
	key, err := publicKey(d.KeyType, d.PublicKey)
	if err != nil {
		return err
	}
	if err := device.VerifyObject(key, sdk.UnwrapSDKContext(ctx).ChainID(), announced, d.Nonce, m.Nonce, m.Signature); err != nil {
		return refuseSignature(err)
	}
	d.Nonce = m.Nonce
	return nil
}

// holdsLien says whether the account is still owed by a lien.
func holdsLien(splits []devicepb.PayoutSplit, account string) bool {
	return slices.ContainsFunc(splitsFrom(splits), func(s device.Split) bool {
		return s.Lien && s.To == account && s.Owed() > 0
	})
}
