package sensing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/node/ledgerport"
	"github.com/grange-network/grange/vertical/sensing/gnss"
	"github.com/grange-network/grange/vertical/sensing/ntrip"
	"github.com/grange-network/grange/vertical/sensing/sidecar"
)

// StreamKind is the kind of offers and leases of base streams.
var StreamKind = gnss.Kind{}.Info().Kind()

// StreamPrice is that of a second of a base's stream: 0.18 USD an hour.
var StreamPrice = money.Price{Credits: 50, Per: 1}

// Rover is an account whose standing lease pays for the streams of one rover. The
// rover signs in with its name and the token in DIR/till/NAME.token.
type Rover struct {
	Name    string // letters, digits and '-'
	Account Account
	Escrow  money.Credit // that a new lease begins with
}

// Caster is an NTRIP caster paid by leases: a base signs in with its device's token
// or key, a rover with the token of an account whose standing lease pays the base's
// owner by the second.
type Caster struct {
	Dir    string // of mount points, of what was sold and of what was witnessed
	Listen net.Listener
	Ledger *client.Client
	Secret []byte // of device tokens, at least 32 bytes; see Secret
	Rovers []Rover
	// Witness signs what bases sent that do not sign themselves, and hands it to
	// the gateway at URL Gateway; the zero Key: nobody does.
	Witness Key
	Gateway string
	// All says that NEAR serves bases without an open offer of the kind too.
	All    bool
	Logger *slog.Logger
	Ready  func() // called when it serves; may be nil
}

// Secret reads the secret that device tokens are made from, which a gateway keeps
// in its directory, or makes it. ingest.Token makes tokens.
func Secret(dir string) ([]byte, error) { return secretIn(dir) }

// RoverAccount is an account on the ledger that pays for a rover.
func RoverAccount(name string, c *client.Client, k key.Key, escrow money.Credit) Rover {
	return Rover{Name: name, Account: ledgerport.New(c, k, nil), Escrow: escrow}
}

// RoverToken reads the token of a rover from a caster's directory; it is there once
// the caster has run.
func RoverToken(dir, name string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "till", name+".token"))
	return strings.TrimSpace(string(raw)), err
}

// Run serves until ctx ends. It closes the listener.
func (c Caster) Run(ctx context.Context) (err error) {
	defer func() { _ = c.Listen.Close() }()
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("create caster's home: %w", err)
	}
	var buyers []Buyer
	for _, r := range c.Rovers {
		buyers = append(buyers, Buyer{Name: r.Name, Account: r.Account, Escrow: r.Escrow, Kind: StreamKind, Use: StreamPrice})
	}
	till, err := OpenTill(ctx, filepath.Join(c.Dir, "till"), buyers, c.Logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, till.Close()) }()
	market := offers{c.Ledger}
	g, err := newGate(c.Dir, gateConfig{
		till: till, secret: c.Secret, registry: NewRegistry(c.Ledger), chainID: c.Ledger.ChainID(), now: time.Now, log: c.Logger,
	})
	if err != nil {
		return err
	}
	cfg := ntrip.Config{Gate: g, Logger: c.Logger}
	if !c.All {
		cfg.Sells = g.sells
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	jobs := []func(context.Context) error{
		func(ctx context.Context) error { return c.settle(ctx, till) },
		func(ctx context.Context) error { return g.follow(ctx, market) },
	}
	if c.Witness.private != nil {
		s, err := sidecar.Open(sidecar.Config{Dir: filepath.Join(c.Dir, "witnessed"), ChainID: c.Ledger.ChainID(), Signer: c.Witness, Gateway: c.Gateway, Logger: c.Logger})
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		w := newWitness(s, c.Logger)
		cfg.Watch = func(mount string) ntrip.Watcher { return w.watch(g.witnessed(mount)) }
		jobs = append(jobs, s.Run, w.run)
	}
	jobs = append(jobs, func(ctx context.Context) error { return ntrip.New(cfg).Serve(ctx, c.Listen) })
	if c.Ready != nil {
		c.Ready()
	}
	return errors.Join(together(ctx, jobs), c.last(till))
}

// together runs all until one ends, then waits for the others.
func together(ctx context.Context, jobs []func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error)
	for _, job := range jobs {
		go func() { done <- job(ctx) }()
	}
	var failed error
	for range jobs {
		failed = errors.Join(failed, <-done)
		cancel()
	}
	if errors.Is(failed, context.Canceled) {
		return nil
	}
	return failed
}

// settle states what rovers owe once an epoch, until ctx ends. What fails is tried
// again with the next epoch.
func (c Caster) settle(ctx context.Context, till *Till) error {
	port := ledgerport.New(c.Ledger, key.Key{}, nil)
	for last := uint64(0); ; {
		epoch, err := port.WaitEpoch(ctx, last)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = till.Settle(ctx)
			last = epoch
		}
		if err != nil && ctx.Err() == nil {
			c.Logger.Error("streams are not settled", "epoch", last, "err", err)
			wait(ctx, time.Second)
		}
	}
}

// last states what was sold since the last epoch. A ledger that is away loses
// nothing: it is in the book.
func (c Caster) last(till *Till) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := till.Settle(ctx); err != nil {
		c.Logger.Warn("what was sold last is stated when the caster runs again", "err", err)
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
