package local

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/grange-network/grange/internal/peerlimit"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/ledgerport"
	"github.com/grange-network/grange/node/verticals"
	"github.com/grange-network/grange/verify"
)

// verifier does the validator's duties off the ledger: the beacon, the price,
// the scores. On one machine there is no market for GRAIN, so it always votes
// the price of the first block.
func (e *env) verifier() node.Role {
	return node.NewFunc(VerifierName, func(ctx context.Context, r *node.Func) error {
		c, err := e.ledger(ctx)
		if err != nil {
			return err
		}
		k, err := e.plan.Validator.load(e.home)
		if err != nil {
			return err
		}
		archive, err := e.archive()
		if err != nil {
			return err
		}
		home := filepath.Join(e.home, "data", "verifier")
		stop, err := e.servePublished(ctx, home)
		if err != nil {
			return err
		}
		defer stop()
		r.MarkReady()
		err = verify.Run(ctx, verify.Config{
			Home: home, Known: verticals.All(), Archive: archive, Retain: true, Ledger: verify.LedgerOf(c), Sender: ledgerport.TraceSender(c.Signer(k, nil), e.traces.Tracer(VerifierName)),
			Prices: verify.FixedPrice(firstPrice), Logger: e.log,
		})
		if errors.Is(err, context.Canceled) && ctx.Err() != nil {
			return nil
		}
		return err
	})
}

// pageRate is what one address may ask of the published epochs.
var pageRate = peerlimit.Rate{PerSecond: 50, Burst: 200}

// servePublished serves the published epochs until stop, in a network whose plan
// has a port for it.
func (e *env) servePublished(ctx context.Context, home string) (stop func(), err error) {
	if e.plan.Ports.Verify == 0 {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", e.plan.listenAddr(e.plan.Ports.Verify))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	log := e.log.With("role", VerifierName)
	wg.Go(func() {
		if err := node.ServeHTTP(ctx, l, &http.Server{Handler: verify.Handler(home), WriteTimeout: time.Minute}, pageRate); err != nil {
			log.Warn("published epochs are no longer served", "err", err)
		}
	})
	return func() { cancel(); wg.Wait() }, nil
}
