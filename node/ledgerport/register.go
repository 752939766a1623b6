package ledgerport

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/client"
)

// Register enters a device that offers nothing, as a sensor, with its profile. A
// device that is registered already stays as it is; registered says that it was.
func (p *Port) Register(ctx context.Context, k ed25519.PrivateKey, profile devicepb.Profile) (registered bool, err error) {
	pub, err := device.NewPublicKey(device.Ed25519, k.Public().(ed25519.PublicKey))
	if err != nil {
		return false, err
	}
	_, err = p.device.Device(ctx, &devicepb.QueryDeviceRequest{Id: pub.ID().String()})
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, client.ErrNotFound) {
		return false, fmt.Errorf("read device %s: %w", pub.ID(), err)
	}
	m, err := p.entry(k, pub, profile)
	if err != nil {
		return false, err
	}
	if _, err := p.send(ctx, m); err != nil {
		return false, fmt.Errorf("register device %s: %w", pub.ID(), err)
	}
	return false, nil
}

// entry is the message that registers a device, signed by it.
func (p *Port) entry(k ed25519.PrivateKey, pub device.PublicKey, profile devicepb.Profile) (*devicepb.MsgRegister, error) {
	const nonce = 1
	message, err := device.RegisterBytes(p.ChainID(), p.signer.Address(), nonce)
	if err != nil {
		return nil, err
	}
	return &devicepb.MsgRegister{
		Owner: p.Address(), KeyType: devicepb.KEY_TYPE_ED25519, PublicKey: pub.Bytes(), Nonce: nonce,
		Signature: ed25519.Sign(k, message), Profile: profile,
	}, nil
}
