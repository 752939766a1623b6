package sensing

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

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

// KeyIn reads a key (PKCS #8 PEM) or makes one that only its owner can read.
func KeyIn(path string) (Key, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		raw, err = createKey(path)
	}
	if err != nil {
		return Key{}, fmt.Errorf("device key: %w", err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return Key{}, fmt.Errorf("device key %s is no PEM file", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Key{}, fmt.Errorf("device key %s: %w", path, err)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return Key{}, fmt.Errorf("device key %s is %T, want ed25519", path, parsed)
	}
	public, err := device.NewPublicKey(device.Ed25519, private.Public().(ed25519.PublicKey))
	return Key{private, public}, err
}

func createKey(path string) ([]byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	raw := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return raw, os.WriteFile(path, raw, 0o600)
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
