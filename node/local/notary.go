package local

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/internal/peerlimit"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/ledgerport"
	"github.com/grange-network/grange/prepaid"
	"github.com/grange-network/grange/tunnel"
	"github.com/grange-network/grange/vertical/notary"
)

// NotaryDoorName is the role that sells stamps.
const NotaryDoorName = "notary-door"

// Of a local network's notaries: how many there are, the price of a stamp in
// ucredit, and what one lane may spend in ucredit.
const (
	notaries   = 3
	stampPrice = 10_000
	stampLane  = 100 * 1_000_000
)

// NotaryPlan is the notary vertical of a network that has it.
type NotaryPlan struct {
	Buyer      Account        `json:"buyer"`
	SessionKey string         `json:"session_key"` // file, relative to home
	Providers  []ProviderPlan `json:"providers"`
	Port       int            `json:"port"` // of the door
}

// createNotaries makes the keys of the notary vertical.
func (p *Plan) createNotaries(home string, m *accountMaker) (err error) {
	n := &NotaryPlan{SessionKey: filepath.Join("devices", "notary-session.pem")}
	if n.Buyer, err = m.account("notary-buyer"); err != nil {
		return err
	}
	if _, err = createDeviceKey(filepath.Join(home, n.SessionKey)); err != nil {
		return err
	}
	for i := range notaries {
		pr, err := m.provider(fmt.Sprintf("notary-%02d", i+1))
		if err != nil {
			return err
		}
		pr.Capacity = 1000 // leases
		n.Providers = append(n.Providers, pr)
	}
	p.Notary = n
	return nil
}

// notaryLedger is the ledger as a notary sees it.
type notaryLedger struct {
	*ledgerport.Port
}

func (l notaryLedger) Notaries(ctx context.Context) (out []tunnel.Target, err error) {
	sales, err := l.Sales(ctx, notary.Name)
	for _, s := range sales {
		out = append(out, s.Target)
	}
	return out, err
}

func (l notaryLedger) Settle(ctx context.Context, receipts []receipt.Receipt) error {
	return l.SettleReceipts(ctx, receipts)
}

// notary is one notary.
func (e *env) notary(pr ProviderPlan) node.Role {
	return node.NewFunc(pr.Name, func(ctx context.Context, r *node.Func) error {
		base, err := net.Listen("tcp", e.plan.listenAddr(pr.Port))
		if err != nil {
			return err
		}
		defer base.Close()
		p, err := e.openNotary(ctx, pr)
		if err != nil {
			return err
		}
		defer p.Dialer.Close()
		l, err := tunnel.Listen(base, p.Key, tunnel.Options{MaxBackoff: routerBackoff, Log: p.Log})
		if err != nil {
			return err
		}
		defer l.Close()
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() { p.Run(ctx) })
		r.MarkReady()
		return serveUntil(ctx, &http.Server{Handler: p.Handler(), ConnContext: tunnel.ConnContext}, l, p.Log)
	})
}

func (e *env) openNotary(ctx context.Context, pr ProviderPlan) (*notary.Provider, error) {
	c, err := e.ledger(ctx)
	if err != nil {
		return nil, err
	}
	port, supply, err := e.onboard(ctx, c, pr, ledgerport.Supply{
		Kind: notary.Name, Use: marketpb.Price{Credits: stampPrice, Per: 1}, Hold: marketpb.Price{Per: 1}, Capacity: pr.Capacity, Bond: providerBond,
	})
	if err != nil {
		return nil, err
	}
	archive, err := e.archive()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(e.home, pr.Data)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	dialer, err := tunnel.NewDialer(supply.Key, tunnel.Options{MaxBackoff: routerBackoff, Log: e.log})
	if err != nil {
		return nil, err
	}
	key := receipt.Key(supply.Key.Public().(ed25519.PublicKey))
	id, err := device.NewPublicKey(device.Ed25519, key[:])
	if err != nil {
		return nil, err
	}
	terms := func(ctx context.Context, lease [32]byte) (receipt.Terms, error) {
		return port.Terms(ctx, lease, key, id.ID())
	}
	return &notary.Provider{
		Key: supply.Key, Payee: &prepaid.Payee{Dir: dir, Key: supply.Key, Terms: terms}, Ledger: notaryLedger{port}, Archive: archive,
		Cutter: evidence.Cutter[notary.Sight]{Dir: dir, Kind: notary.Sights}, Dialer: dialer, Log: e.log.With("role", pr.Name),
	}, nil
}

// notaryDoor sells stamps over HTTP.
func (e *env) notaryDoor() node.Role {
	return node.NewFunc(NotaryDoorName, func(ctx context.Context, r *node.Func) error {
		l, err := net.Listen("tcp", e.plan.listenAddr(e.plan.Notary.Port))
		if err != nil {
			return err
		}
		defer l.Close()
		g, err := e.openNotaryDoor(ctx)
		if err != nil {
			return err
		}
		defer g.Dialer.Close()
		r.MarkReady()
		return serveUntil(ctx, &http.Server{Handler: g}, l, e.log.With("role", NotaryDoorName))
	})
}

func (e *env) openNotaryDoor(ctx context.Context) (*notary.Gateway, error) {
	c, err := e.ledger(ctx)
	if err != nil {
		return nil, err
	}
	plan := e.plan.Notary
	account, err := plan.Buyer.load(e.home)
	if err != nil {
		return nil, err
	}
	session, err := loadDeviceKey(filepath.Join(e.home, plan.SessionKey))
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(e.home, "data", NotaryDoorName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	port := ledgerport.New(c, account, nil)
	sales, err := port.Sales(ctx, notary.Name)
	if err != nil {
		return nil, err
	}
	g := &notary.Gateway{Epoch: port.Epoch}
	for _, s := range sales {
		l, err := port.Lease(ctx, notary.Name, s, receipt.Key(session.Public().(ed25519.PublicKey)), stampLane)
		if err != nil {
			return nil, err
		}
		terms, err := ledgerport.LaneTerms(e.plan.ChainID, l, receipt.Key(s.Target.Peer), s.Device)
		if err != nil {
			return nil, err
		}
		g.Lanes = append(g.Lanes, notary.Lane{Payer: prepaid.Payer{Terms: terms, Dir: dir, Key: session}, Notary: s.Target})
	}
	g.Dialer, err = tunnel.NewDialer(session, tunnel.Options{MaxBackoff: routerBackoff, Log: e.log})
	return g, err
}

// archive is where evidence is published and fetched.
func (e *env) archive() (*evidence.Archive, error) {
	dir, err := evidence.NewDir(EvidencePath(e.home))
	if err != nil {
		return nil, err
	}
	return evidence.New(dir), nil
}

// webRate is what one address may ask of a role's pages and small interfaces.
var webRate = peerlimit.Rate{PerSecond: 50, Burst: 200}

// serveUntil serves until ctx ends, then lets requests finish.
func serveUntil(ctx context.Context, srv *http.Server, l net.Listener, log *slog.Logger) error {
	srv.ReadHeaderTimeout = 10 * time.Second
	srv.Handler = peerlimit.New(webRate).Handler(srv.Handler)
	srv.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	last, done := context.WithTimeout(context.WithoutCancel(ctx), drainWithin)
	defer done()
	if srv.Shutdown(last) != nil {
		srv.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) && ctx.Err() == nil {
		return err
	}
	return nil
}
