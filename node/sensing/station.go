package sensing

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"net"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/vertical/sensing/hidden"
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
	Height  *float64 // metres above the sea of the barometer; nil: not known
	Hidden  hidden.Places
	Inputs  Inputs
	Logger  *slog.Logger
}

// Inputs are the ways in beside HTTP; each may be absent.
type Inputs struct {
	APRS    net.Listener     // stations that report to CWOP
	Sensors *sidecar.Sensors // which of those that rtl_433 hears are the owner's
	Lines   io.Reader        // its messages, a line each
	Syslog  net.PacketConn   // its messages by UDP
	Broker  string           // URL of the broker that it publishes to
	NMEA    net.PacketConn   // where a station that moves is
}

// Run serves stations and hands their reports on. It closes the listeners.
func (s Station) Run(ctx context.Context) error {
	c, err := sidecar.Open(sidecar.Config{Dir: s.Dir, ChainID: s.ChainID, Signer: s.Key, Gateway: s.Gateway, Height: s.Height, Hidden: s.Hidden, Logger: s.Logger})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	parts := append(s.Inputs.parts(ctx, c),
		func() error { return c.Run(ctx) },
		func() error { return serve(ctx, s.Listen, c.Handler()) })
	ended := make(chan error, len(parts))
	for _, part := range parts {
		go func() {
			ended <- part()
			cancel() // when one ends all do
		}()
	}
	for range parts {
		err = errors.Join(err, <-ended)
	}
	return err
}

// parts are what runs beside HTTP.
func (in Inputs) parts(ctx context.Context, c *sidecar.Sidecar) (out []func() error) {
	if in.APRS != nil {
		out = append(out, func() error { return c.ServeAPRS(ctx, in.APRS) })
	}
	if in.Syslog != nil {
		out = append(out, func() error { return c.ServeSensors(ctx, in.Syslog, in.Sensors) })
	}
	if in.Broker != "" {
		out = append(out, func() error { return c.SubscribeSensors(ctx, in.Broker, in.Sensors) })
	}
	if in.NMEA != nil {
		out = append(out, func() error { return c.ServePlaces(ctx, in.NMEA) })
	}
	if in.Lines != nil {
		out = append(out, func() error { return lines(ctx, c, in) })
	}
	return out
}

// lines reads messages until their end or that of ctx. A read that waits for more
// ends with the process.
func lines(ctx context.Context, c *sidecar.Sidecar, in Inputs) error {
	done := make(chan error, 1)
	go func() { done <- c.ReadSensors(ctx, in.Lines, in.Sensors) }()
	select {
	case err := <-done:
		if err == nil {
			<-ctx.Done() // what was read is still handed on
		}
		return err
	case <-ctx.Done():
		return nil
	}
}
