package sensing

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"net"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/vertical/sensing/sidecar"
)

// Key is a device's ed25519 key.
type Key struct {
	private ed25519.PrivateKey
	public  device.PublicKey
}

// PublicKey implements sensing.Signer.
func (k Key) PublicKey() device.PublicKey { return k.public }

// Private is the key for a registration.
func (k Key) Private() ed25519.PrivateKey { return k.private }

// Sign implements sensing.Signer.
func (k Key) Sign(message []byte) ([]byte, error) { return ed25519.Sign(k.private, message), nil }

// NewKey makes a signer of a device's private key.
func NewKey(private ed25519.PrivateKey) (Key, error) {
	public, err := device.NewPublicKey(device.Ed25519, private.Public().(ed25519.PublicKey))
	return Key{private, public}, err
}

// Station answers weather stations and signs for them until its context ends.
type Station struct {
	Dir     string // of its log
	Key     Key
	ChainID string
	Gateway string // URL
	Listen  net.Listener
	Logger  *slog.Logger
}

// Run serves stations and hands their reports on. It closes the listener.
func (s Station) Run(ctx context.Context) error {
	c, err := sidecar.Open(sidecar.Config{Dir: s.Dir, ChainID: s.ChainID, Signer: s.Key, Gateway: s.Gateway, Logger: s.Logger})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	handed := make(chan error, 1)
	go func() {
		handed <- c.Run(ctx)
		cancel()
	}()
	err = serve(ctx, s.Listen, c.Handler())
	cancel()
	return errors.Join(err, <-handed)
}
