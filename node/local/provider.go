package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/ledgerport"
	"github.com/grange-network/grange/tunnel"
	"github.com/grange-network/grange/vertical/storage/provider"
)

// Prices of a local network, in ucredit per GiB: 0.05 USD for holding a GiB
// through one epoch, 0.02 USD for reading one. They are far above real ones
// because an epoch here is seconds, and a payment should be seen.
var (
	holdPrice = marketpb.Price{Credits: 50_000, Per: 1 << 30}
	usePrice  = marketpb.Price{Credits: 20_000, Per: 1 << 30}
)

// allowance is what the sponsor pays of one owner's fees at most, in ugrain.
const allowance = 10_000 * 1_000_000

// drainWithin is how long requests may go on after a provider was told to stop.
const drainWithin = 3 * time.Second

// provider is one storage provider: its tunnel, its pieces, its duties.
func (e *env) provider(pr ProviderPlan) node.Role {
	return node.NewFunc(pr.Name, func(ctx context.Context, r *node.Func) error {
		log := e.log.With("role", pr.Name)
		var base net.Listener // none when the provider is routed
		if !pr.Routed {
			l, err := net.Listen("tcp", e.plan.listenAddr(pr.Port))
			if err != nil {
				return err
			}
			defer l.Close()
			base = l
		}
		c, err := e.ledger(ctx)
		if err != nil {
			return err
		}
		port, supply, err := e.onboard(ctx, c, pr, ledgerport.Supply{Use: usePrice, Hold: holdPrice, Capacity: pr.Capacity, Bond: providerBond, Cell: pr.Cell})
		if err != nil {
			return err
		}
		p, err := provider.Open(provider.Config{
			Dir: filepath.Join(e.home, pr.Data), Capacity: int64(pr.Capacity), Chain: e.plan.ChainID, Device: supply.Device(), Key: supply.Key,
			Leases: ledgerport.Provider{Port: port}, Oracle: ledgerport.Provider{Port: port}, Market: ledgerport.Provider{Port: port},
			PeerKey: tunnel.PeerKey, ScrubEvery: e.plan.scrub(), Log: log, Tracer: e.traces.Tracer(pr.Name),
		})
		if err != nil {
			return err
		}
		r.SetStatus(func() any { return p.Status() })
		err = serveProvider(ctx, p, e.listener(base, pr, supply, log), port, log, r.MarkReady)
		return errors.Join(err, p.Close())
	})
}

// onboard has the sponsor pay for the owner's fees and the device on the
// ledger, as any new device gets there.
func (e *env) onboard(ctx context.Context, c *client.Client, pr ProviderPlan, supply ledgerport.Supply) (*ledgerport.Port, ledgerport.Supply, error) {
	var err error
	if supply.Key, err = loadDeviceKey(filepath.Join(e.home, pr.DeviceKey)); err != nil {
		return nil, supply, err
	}
	supply.Endpoint = e.plan.endpoint(pr, tunnel.KeyOf(supply.Key)).String()
	owner, sponsor, err := e.sponsored(ctx, c, pr.Owner)
	if err != nil {
		return nil, supply, err
	}
	port := ledgerport.New(c, owner, sponsor)
	_, err = port.Onboard(ctx, supply)
	return port, supply, err
}

// sponsored loads an owner's key and has the sponsor pay for the owner's fees.
func (e *env) sponsored(ctx context.Context, c *client.Client, owner Account) (k key.Key, sponsor sdk.AccAddress, err error) {
	if k, err = owner.load(e.home); err != nil {
		return k, nil, err
	}
	s, err := e.plan.Sponsor.load(e.home)
	if err != nil {
		return k, nil, err
	}
	return k, s.Address(), ledgerport.New(c, s, nil).Sponsor(ctx, owner.Address, allowance)
}

// endpoint is where the gateway finds a provider.
func (p *Plan) endpoint(pr ProviderPlan, key tunnel.PublicKey) tunnel.Endpoint {
	if pr.Routed {
		return tunnel.Endpoint{Scheme: tunnel.SchemeRouter, Addr: p.addr(p.Ports.Router), Key: key}
	}
	return tunnel.Endpoint{Scheme: tunnel.SchemeTCP, Addr: p.addr(pr.Port)}
}

// scrubEvery and maxScrub bound how slowly a provider reads all its pieces.
const (
	scrubEvery = 24 * time.Hour
	maxScrub   = 366 * 24 * time.Hour
)

func (p *Plan) scrub() time.Duration {
	if p.ScrubSeconds == 0 {
		return scrubEvery
	}
	return time.Duration(p.ScrubSeconds) * time.Second
}

// routerBackoff bounds how long a routed provider is away after its router came
// back: a local network lives fast.
const routerBackoff = time.Second

// listener opens the provider's tunnel: on its port, or through the router.
func (e *env) listener(base net.Listener, pr ProviderPlan, s ledgerport.Supply, log *slog.Logger) func() (*tunnel.Listener, error) {
	return func() (*tunnel.Listener, error) {
		l, err := tunnel.Listen(base, s.Key, tunnel.Options{MaxBackoff: routerBackoff, Log: log})
		if err != nil || !pr.Routed {
			return l, err
		}
		return l, l.Register(e.plan.addr(e.plan.Ports.Router))
	}
}

// serveProvider serves requests and does the duties until ctx ends.
func serveProvider(ctx context.Context, p *provider.Provider, listen func() (*tunnel.Listener, error), port *ledgerport.Port, log *slog.Logger, ready func()) error {
	l, err := listen()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	srv := &http.Server{Handler: p.Handler(), ConnContext: tunnel.ConnContext, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	var wg sync.WaitGroup
	errs := make([]error, 2)
	wg.Go(func() {
		defer cancel()
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) && ctx.Err() == nil {
			errs[0] = fmt.Errorf("serve pieces: %w", err)
		}
	})
	wg.Go(func() {
		defer cancel()
		if err := p.Run(ctx, port.Blocks(ctx)); err != nil {
			errs[1] = fmt.Errorf("do the provider's duties: %w", err)
		}
	})
	ready()
	<-ctx.Done()
	last, done := context.WithTimeout(context.WithoutCancel(ctx), drainWithin)
	defer done()
	if srv.Shutdown(last) != nil {
		srv.Close()
	}
	errs = append(errs, l.Close())
	wg.Wait()
	return errors.Join(errs...)
}
