package host

import (
	"context"
	"errors"

	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/ledger/server"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/ledgerport"
	"github.com/grange-network/grange/node/verticals"
	"github.com/grange-network/grange/verify"
)

// Duties are what a validator does besides running the ledger's node: reveal,
// price vote, report, claim.
type Duties struct {
	// Home is the folder of the verifier; no duties if empty.
	Home string
	// Archive has the evidence of verticals; those with some wait without it. Retain
	// is as verify.Config has it.
	Archive *evidence.Archive
	Retain  bool
	// Others are where other verifiers publish, as verify.Config has it.
	Others []string
	// Prices to vote; no votes if nil.
	Prices verify.Prices
	// Tracer gets a span for each transaction; nil records nothing.
	Tracer oteltrace.Tracer
}

// NewValidator makes the role of a ledger's node with, in the same process, its
// operator's duties. It is ready with the first block the node has. c.Logger
// must be set.
func NewValidator(c server.Config, d Duties) node.Role {
	return node.NewFunc(c.Moniker, func(ctx context.Context, r *node.Func) error {
		var operator key.Key
		if d.Home != "" { // first: somebody may have to be asked for a passphrase
			var err error
			if operator, err = key.Load(server.OperatorKeyPath(c.Home)); err != nil {
				return err
			}
		}
		n, err := server.Start(context.WithoutCancel(ctx), c)
		if err != nil {
			return err
		}
		r.SetStatus(func() any { return map[string]string{"rpc": n.Endpoints().RPC, "grpc": n.Endpoints().GRPC} })
		duties, cancel := context.WithCancel(ctx)
		defer cancel()
		verified := make(chan error, 1)
		go func() { verified <- d.do(duties, c, n, operator, r.MarkReady) }()
		select {
		case err = <-verified: // first the duties, then what they need
			return errors.Join(err, n.Stop())
		case <-n.Done():
			cancel()
			return errors.Join(n.Wait(), <-verified)
		}
	})
}

// do waits for the node's first block and does the duties until ctx ends.
func (d Duties) do(ctx context.Context, cfg server.Config, n *server.Node, operator key.Key, ready func()) error {
	select {
	case <-n.Ready():
		ready()
	case <-ctx.Done():
		return nil
	}
	if d.Home == "" {
		<-ctx.Done()
		return nil
	}
	c, err := client.Dial(ctx, client.Endpoints{GRPC: n.Endpoints().GRPC, RPC: n.Endpoints().RPC, Logger: cfg.Logger})
	if err == nil {
		defer c.Close()
		err = verify.Run(ctx, verify.Config{
			Home: d.Home, Ledger: verify.LedgerOf(c), Sender: ledgerport.TraceSender(c.Signer(operator, nil), d.Tracer), Prices: d.Prices, Logger: cfg.Logger,
			Known: verticals.All(), Archive: d.Archive, Retain: d.Retain, Others: d.Others,
		})
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}
