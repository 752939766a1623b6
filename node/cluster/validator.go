package cluster

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/ledger/server"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/ledgerport"
	"github.com/grange-network/grange/verify"
)

// Serve runs one validator of a home directory in this process, as the child of
// the process that runs the cluster.
func Serve(ctx context.Context, home, name string, log *slog.Logger) error {
	home, err := filepath.Abs(home)
	if err != nil {
		return err
	}
	p, err := LoadPlan(home)
	if err != nil {
		return err
	}
	i, err := p.index(name)
	if err != nil {
		return err
	}
	// A predecessor that lost its parent may still be stopping.
	release, err := node.LockWithin(ctx, filepath.Join(dataDir(home, name), "lock"), stopWithin)
	if err != nil {
		return err
	}
	defer release()
	return node.Serve(ctx, p.validator(home, i, log))
}

// validator is the ledger's node and the duties off the ledger, together: who
// runs one runs the other.
func (p *Plan) validator(home string, i int, log *slog.Logger) node.Role {
	name := p.Validators[i].Name
	return node.NewFunc(name, func(ctx context.Context, r *node.Func) error {
		n, err := server.Start(context.WithoutCancel(ctx), p.config(home, i, log))
		if err != nil {
			return err
		}
		r.SetStatus(func() any { return map[string]string{"rpc": n.Endpoints().RPC, "grpc": n.Endpoints().GRPC} })
		duties, cancel := context.WithCancel(ctx)
		defer cancel()
		verified := make(chan error, 1)
		go func() { verified <- p.verify(duties, home, i, n, r.MarkReady, log) }()
		select {
		case err = <-verified: // first the duties, then what they need
			return errors.Join(err, n.Stop())
		case <-n.Done():
			cancel()
			return errors.Join(n.Wait(), <-verified)
		}
	})
}

func (p *Plan) config(home string, i int, log *slog.Logger) server.Config {
	c := server.Config{
		Home: chainHome(home, p.Validators[i].Name), Moniker: p.Validators[i].Name,
		RPCAddr: p.addr(i, rpcPort), P2PAddr: p.addr(i, p2pPort), GRPCAddr: p.addr(i, grpcPort), RESTAddr: p.addr(i, restPort),
		CommitTimeout: time.Duration(p.CommitMillis) * time.Millisecond,
		Prover:        ledgerport.Prover{}, Logger: log,
	}
	for j, v := range p.Validators { // through the links only: PEX stays off
		if j != i {
			c.PersistentPeers = append(c.PersistentPeers, v.NodeID+"@"+p.linkAddr(i, j))
		}
	}
	return c
}

// verify waits for the node's first block and does the duties of its operator:
// reveal, price vote, report, claim. No market for GRAIN reaches a test
// network: the vote is always the price of the first block.
func (p *Plan) verify(ctx context.Context, home string, i int, n *server.Node, ready func(), log *slog.Logger) error {
	select {
	case <-n.Ready():
		ready()
	case <-ctx.Done():
		return nil
	}
	c, err := client.Dial(ctx, client.Endpoints{GRPC: n.Endpoints().GRPC, RPC: n.Endpoints().RPC, Logger: log})
	if err == nil {
		defer c.Close()
		name := p.Validators[i].Name
		var k key.Key
		if k, err = key.Load(server.OperatorKeyPath(chainHome(home, name))); err == nil {
			err = verify.Run(ctx, verify.Config{
				Home: filepath.Join(dataDir(home, name), "verifier"), Ledger: verify.LedgerOf(c), Sender: c.Signer(k, nil),
				Prices: verify.FixedPrice(firstPrice), Logger: log,
			})
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}
