package cluster

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/grange-network/grange/ledger/server"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/host"
	"github.com/grange-network/grange/node/ledgerport"
	"github.com/grange-network/grange/verify"
)

// snapshotEvery is often: whoever tries state sync shall not wait long.
const snapshotEvery = 20

// Serve runs one role of a home directory in this process, as the child of the
// process that runs the cluster.
func Serve(ctx context.Context, home, name string, log *slog.Logger) error {
	home, err := filepath.Abs(home)
	if err != nil {
		return err
	}
	p, err := LoadPlan(home)
	if err != nil {
		return err
	}
	r, err := p.role(home, name, log)
	if err != nil {
		return err
	}
	// A predecessor that lost its parent may still be stopping.
	release, err := node.LockWithin(ctx, filepath.Join(dataDir(home, name), "lock"), stopWithin)
	if err != nil {
		return err
	}
	defer release()
	return node.Serve(ctx, r)
}

func (p *Plan) role(home, name string, log *slog.Logger) (node.Role, error) {
	if i := slices.Index(p.notaries(), name); i >= 0 {
		return p.notary(home, name, i, log), nil
	}
	i, err := p.index(name)
	if err != nil {
		return nil, err
	}
	return p.validator(home, i, log)
}

// validator is the ledger's node and the duties off the ledger, together: who
// runs one runs the other. No market for GRAIN reaches a test network: the vote
// is always the price of the first block. The first validator removes evidence
// that is too old.
func (p *Plan) validator(home string, i int, log *slog.Logger) (node.Role, error) {
	archive, err := p.archive(home, i)
	if err != nil {
		return nil, err
	}
	var others []string
	for j, v := range p.Validators {
		if j != i {
			others = append(others, VerifierPath(home, v.Name))
		}
	}
	return host.NewValidator(p.config(home, i, log), host.Duties{
		Home: VerifierPath(home, p.Validators[i].Name), Prices: verify.FixedPrice(firstPrice), Archive: archive, Retain: i == 0, Others: others,
	}), nil
}

// VerifierPath is where a validator's verifier keeps what it published.
func VerifierPath(home, validator string) string {
	return filepath.Join(dataDir(home, validator), "verifier")
}

func (p *Plan) config(home string, i int, log *slog.Logger) server.Config {
	c := server.Config{
		Home: chainHome(home, p.Validators[i].Name), Moniker: p.Validators[i].Name,
		RPCAddr: p.addr(i, rpcPort), P2PAddr: p.addr(i, p2pPort), GRPCAddr: p.addr(i, grpcPort), RESTAddr: p.addr(i, restPort),
		SnapshotEvery: snapshotEvery,
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
