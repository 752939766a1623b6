package oracle

import (
	"bytes"
	"context"
	"errors"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/beacon"
	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// keyAt is the key that signs an epoch, nil for none.
func keyAt(key oraclepb.Key, epoch uint64) []byte {
	if epoch >= key.Since {
		return key.PublicKey
	}
	if len(key.Previous) > 0 {
		return key.Previous
	}
	return nil
}

// RegisterKey sets a validator's beacon key from the next epoch on. It never
// counts in the epoch under way: who could still choose a key after seeing the
// reveals of others would choose the seed.
func (m msgServer) RegisterKey(ctx context.Context, msg *oraclepb.MsgRegisterKey) (*oraclepb.MsgRegisterKeyResponse, error) {
	operator, err := m.bonded(ctx, msg.Validator)
	if err != nil {
		return nil, err
	}
	public, err := beacon.ParsePublicKey(msg.PublicKey)
	if err != nil {
		return nil, ErrInvalid.Wrap(err.Error())
	}
	if err := beacon.VerifyPossession(public[:], msg.Possession, sdk.UnwrapSDKContext(ctx).ChainID(), operator); err != nil {
		return nil, ErrSignature.Wrap(err.Error())
	}
	if owner, err := m.KeyOwners.Get(ctx, public[:]); err == nil {
		return nil, ErrKey.Wrapf("key %x… was registered before, by validator %x", public[:8], owner)
	} else if !errors.Is(err, collections.ErrNotFound) {
		return nil, err
	}
	epoch, err := m.CurrentEpoch(ctx)
	if err != nil {
		return nil, err
	}
	since := epoch + 1
	if err := m.replaceKey(ctx, operator, oraclepb.Key{Validator: msg.Validator, PublicKey: public[:], Since: since}); err != nil {
		return nil, err
	}
	emit(ctx, EventKey, "validator", msg.Validator, "since", number(since))
	return &oraclepb.MsgRegisterKeyResponse{Since: since}, nil
}

// replaceKey stores a key that starts with the next epoch, and keeps the one
// that signs until then.
func (k *Keeper) replaceKey(ctx context.Context, operator []byte, key oraclepb.Key) error {
	old, err := k.Keys.Get(ctx, operator)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return err
	}
	key.Previous = keyAt(old, key.Since-1)
	for _, dropped := range [][]byte{old.PublicKey, old.Previous} {
		if len(dropped) > 0 && !bytes.Equal(dropped, key.Previous) {
			if err := k.KeyOwners.Remove(ctx, dropped); err != nil {
				return err
			}
		}
	}
	if err := k.KeyOwners.Set(ctx, key.PublicKey, operator); err != nil {
		return err
	}
	return k.Keys.Set(ctx, operator, key)
}

// Reveal adds a validator's signature to the seed of the current epoch, and
// decides the seed when nobody is missing.
func (m msgServer) Reveal(ctx context.Context, msg *oraclepb.MsgReveal) (*oraclepb.MsgRevealResponse, error) {
	operator, err := m.bonded(ctx, msg.Validator)
	if err != nil {
		return nil, err
	}
	e, err := m.current(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.checkReveal(ctx, msg, operator, e); err != nil {
		return nil, err
	}
	if err := m.Reveals.Set(ctx, collections.Join(e.Number, operator), msg.Signature); err != nil {
		return nil, err
	}
	if err := m.conduct(ctx, operator, func(c *oraclepb.Conduct) { c.Revealed++ }); err != nil {
		return nil, err
	}
	emit(ctx, EventReveal, "validator", msg.Validator, "epoch", number(e.Number))
	signatures, power, total, err := m.revealed(unmetered(ctx), e.Number)
	if err != nil {
		return nil, err
	}
	if power == total {
		if e, err = m.fix(unmetered(ctx), e, signatures, power, total, true); err != nil {
			return nil, err
		}
	}
	return &oraclepb.MsgRevealResponse{Status: e.Status}, nil
}

func (k *Keeper) checkReveal(ctx context.Context, msg *oraclepb.MsgReveal, operator []byte, e oraclepb.Epoch) error {
	switch {
	case msg.Epoch > e.Number:
		return ErrTooEarly.Wrapf("reveal for epoch %d in epoch %d", msg.Epoch, e.Number)
	case msg.Epoch < e.Number:
		return ErrTooLate.Wrapf("reveal for epoch %d in epoch %d", msg.Epoch, e.Number)
	case e.Status != oraclepb.EPOCH_STATUS_REVEALING:
		return ErrTooLate.Wrapf("the seed of epoch %d is %s", e.Number, e.Status)
	}
	key, err := k.Keys.Get(ctx, operator)
	if errors.Is(err, collections.ErrNotFound) {
		return ErrKey.Wrapf("%s has none: register one first", msg.Validator)
	}
	if err != nil {
		return err
	}
	public := keyAt(key, e.Number)
	if public == nil {
		return ErrTooEarly.Wrapf("key of %s signs from epoch %d on, this is epoch %d", msg.Validator, key.Since, e.Number)
	}
	if done, err := k.Reveals.Has(ctx, collections.Join(e.Number, operator)); err != nil {
		return err
	} else if done {
		return ErrDone.Wrapf("%s has revealed epoch %d", msg.Validator, e.Number)
	}
	if err := beacon.Verify(public, msg.Signature, sdk.UnwrapSDKContext(ctx).ChainID(), e.Number); err != nil {
		return ErrSignature.Wrap(err.Error())
	}
	return nil
}
