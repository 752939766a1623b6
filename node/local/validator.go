package local

import (
	"context"

	"github.com/grange-network/grange/ledger/server"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/ledgerport"
)

// validator runs the ledger: consensus, state, gRPC and REST.
func (e *env) validator() node.Role {
	return node.NewFunc(ValidatorName, func(ctx context.Context, r *node.Func) error {
		p := e.plan
		n, err := server.Start(ctx, server.Config{
			Home:     chainHome(e.home),
			Moniker:  ValidatorName,
			RPCAddr:  p.listenAddr(p.Ports.RPC),
			P2PAddr:  p.listenAddr(p.Ports.P2P),
			GRPCAddr: p.listenAddr(p.Ports.GRPC),
			RESTAddr: p.listenAddr(p.Ports.REST),
			Prover:   ledgerport.Prover{},
			Metrics:  true,
			Logger:   e.log.With("role", ValidatorName),
		})
		if err != nil {
			return err
		}
		r.SetStatus(func() any { return map[string]any{"rpc": n.Endpoints().RPC, "grpc": n.Endpoints().GRPC} })
		select {
		case <-n.Ready():
			r.MarkReady()
		case <-n.Done():
		}
		return n.Wait()
	})
}
