package notary

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/ledgerport"
	"github.com/grange-network/grange/prepaid"
	"github.com/grange-network/grange/tunnel"
	"github.com/grange-network/grange/vertical/notary"
)

// laneCap is what a lease's lane may spend, in ucredit.
const laneCap = 100 * 1_000_000

// Door sells stamps over HTTP. It leases from every notary that has an open offer
// when it starts; the buyer needs GRAIN for that.
type Door struct {
	Dir     string // of what it paid; made if needed
	Ledger  *client.Client
	Buyer   key.Key
	Session ed25519.PrivateKey // signs receipts
	Listen  net.Listener
	Log     *slog.Logger
}

// Run sells until ctx ends. It calls ready when it answers, and closes the
// listener.
func (d Door) Run(ctx context.Context, ready func()) error {
	defer d.Listen.Close()
	g, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer g.Dialer.Close()
	ready()
	return node.ServeHTTP(ctx, d.Listen, &http.Server{Handler: g, ErrorLog: slog.NewLogLogger(d.Log.Handler(), slog.LevelDebug)}, rate)
}

func (d Door) open(ctx context.Context) (*notary.Gateway, error) {
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return nil, err
	}
	port := ledgerport.New(d.Ledger, d.Buyer, nil)
	sales, err := port.Sales(ctx, notary.Name)
	if err != nil {
		return nil, err
	}
	g := &notary.Gateway{Epoch: port.Epoch}
	for _, s := range sales {
		l, err := port.Lease(ctx, notary.Name, s, receipt.Key(d.Session.Public().(ed25519.PublicKey)), laneCap)
		if err != nil {
			return nil, err
		}
		terms, err := ledgerport.LaneTerms(d.Ledger.ChainID(), l, receipt.Key(s.Target.Peer), s.Device)
		if err != nil {
			return nil, err
		}
		g.Pool.Payers = append(g.Pool.Payers, prepaid.Payer{Terms: terms, Dir: d.Dir, Key: d.Session})
		g.Notaries = append(g.Notaries, s.Target)
	}
	g.Dialer, err = tunnel.NewDialer(d.Session, tunnel.Options{MaxBackoff: maxBackoff, Log: d.Log})
	return g, err
}
