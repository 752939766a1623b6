package local

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/ledgerport"
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
		r.MarkReady()
		err = verify.Run(ctx, verify.Config{
			Home: filepath.Join(e.home, "data", "verifier"), Ledger: verify.LedgerOf(c), Sender: ledgerport.TraceSender(c.Signer(k, nil), e.traces.Tracer(VerifierName)),
			Prices: verify.FixedPrice(firstPrice), Logger: e.log,
		})
		if errors.Is(err, context.Canceled) && ctx.Err() != nil {
			return nil
		}
		return err
	})
}
