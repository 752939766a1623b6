package notary

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/internal/peerlimit"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/ledgerport"
	"github.com/grange-network/grange/prepaid"
	"github.com/grange-network/grange/tunnel"
	"github.com/grange-network/grange/vertical/notary"
)

const (
	stampPrice = 10_000 // ucredit
	capacity   = 1000   // leases of one notary
	// maxBackoff is how long a lost notary or router is given before the next try.
	maxBackoff = time.Second
)

// rate is what one address may ask of a notary or a door.
var rate = peerlimit.Rate{PerSecond: 50, Burst: 200}

// Provider is one notary: it registers its device, posts its offer, gives stamps
// and publishes what it saw.
type Provider struct {
	Dir      string // of what it was paid; made if needed
	Ledger   *client.Client
	Owner    key.Key
	Sponsor  sdk.AccAddress // pays the fees under an allowance; nil: the owner does
	Device   ed25519.PrivateKey
	Bond     uint64       // ugrain behind the offer
	Listen   net.Listener // of the tunnel
	Endpoint string       // where others reach it, see tunnel.ParseEndpoint
	Archive  *evidence.Archive
	Log      *slog.Logger
}

// Run is a notary until ctx ends. It calls ready when it answers, and closes the
// listener.
func (p Provider) Run(ctx context.Context, ready func()) error {
	defer p.Listen.Close()
	n, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer n.Dialer.Close()
	l, err := tunnel.Listen(p.Listen, p.Device, tunnel.Options{MaxBackoff: maxBackoff, Log: p.Log})
	if err != nil {
		return err
	}
	defer l.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() { n.Run(ctx) })
	ready()
	return node.ServeHTTP(ctx, l, &http.Server{
		Handler: n.Handler(), ConnContext: tunnel.ConnContext, ErrorLog: slog.NewLogLogger(p.Log.Handler(), slog.LevelDebug),
	}, rate)
}

func (p Provider) open(ctx context.Context) (*notary.Provider, error) {
	port := ledgerport.New(p.Ledger, p.Owner, p.Sponsor)
	supply := ledgerport.Supply{
		Kind: notary.Name, Key: p.Device, Endpoint: p.Endpoint, Use: marketpb.Price{Credits: stampPrice, Per: 1}, Hold: marketpb.Price{Per: 1},
		Capacity: capacity, Bond: p.Bond,
	}
	if _, err := port.Onboard(ctx, supply); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return nil, err
	}
	dialer, err := tunnel.NewDialer(p.Device, tunnel.Options{MaxBackoff: maxBackoff, Log: p.Log})
	if err != nil {
		return nil, err
	}
	terms := func(ctx context.Context, lease [32]byte) (receipt.Terms, error) {
		return port.Terms(ctx, lease, receipt.Key(p.Device.Public().(ed25519.PublicKey)), supply.Device())
	}
	return &notary.Provider{
		Key: p.Device, Payee: &prepaid.Payee{Dir: p.Dir, Key: p.Device, Terms: terms}, Ledger: ledger{port}, Archive: p.Archive,
		Cutter: evidence.Cutter[notary.Sight]{Dir: p.Dir, Kind: notary.Sights}, Dialer: dialer, Log: p.Log,
	}, nil
}

// ledger is the ledger as a notary sees it.
type ledger struct{ *ledgerport.Port }

// Notaries implements notary.Ledger.
func (l ledger) Notaries(ctx context.Context) (out []tunnel.Target, err error) {
	sales, err := l.Sales(ctx, notary.Name)
	for _, s := range sales {
		out = append(out, s.Target)
	}
	return out, err
}

// Settle implements notary.Ledger.
func (l ledger) Settle(ctx context.Context, receipts []receipt.Receipt) error {
	return l.SettleReceipts(ctx, receipts)
}
