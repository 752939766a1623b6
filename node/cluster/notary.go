package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"

	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/ledger/server"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/local"
	"github.com/grange-network/grange/node/notary"
	"github.com/grange-network/grange/tunnel"
	vertical "github.com/grange-network/grange/vertical/notary"
)

// doorName is the role that sells stamps.
const doorName = "notary-door"

// notaries are the roles of a network that was founded with notaries: those that
// give stamps, then the door.
func (p *Plan) notaries() []string {
	if !slices.Contains(p.With, vertical.Name) {
		return nil
	}
	return []string{"notary-1", "notary-2", "notary-3", doorName}
}

// notaryAddr is where the i-th of the notaries' roles listens.
func (p *Plan) notaryAddr(i int) string {
	return address(p.Port + p.ports() - len(p.notaries()) + i)
}

func accountPath(home, name string) string { return filepath.Join(dataDir(home, name), "account.json") }
func devicePath(home, name string) string  { return filepath.Join(dataDir(home, name), "device.pem") }

// EvidencePath is where the evidence of a cluster's verticals is published.
func EvidencePath(home string) string { return local.EvidencePath(home) }

// createNotaries makes the notaries' keys and gives each what it bonds or buys
// with, and as much again.
func (p *Plan) createNotaries(home string, g *server.Genesis) error {
	for _, name := range p.notaries() {
		k, _, err := key.LoadOrCreate(accountPath(home, name))
		if err != nil {
			return err
		}
		if _, err := local.DeviceKey(devicePath(home, name)); err != nil {
			return err
		}
		g.Balances = append(g.Balances, balance(k.Address(), 2*minBond))
	}
	return nil
}

// notary is the role called name, the i-th of the notaries'. It talks to one of
// the validators.
func (p *Plan) notary(home, name string, i int, log *slog.Logger) node.Role {
	return node.NewFunc(name, func(ctx context.Context, r *node.Func) error {
		l, err := net.Listen("tcp", p.notaryAddr(i))
		if err != nil {
			return err
		}
		defer l.Close()
		log := log.With("role", name)
		at := i % len(p.Validators)
		c, err := client.Dial(ctx, client.Endpoints{GRPC: p.addr(at, grpcPort), RPC: p.addr(at, rpcPort), Logger: log})
		if err != nil {
			return err
		}
		defer c.Close()
		account, err := key.Load(accountPath(home, name))
		if err != nil {
			return err
		}
		device, err := local.DeviceKey(devicePath(home, name))
		if err != nil {
			return err
		}
		if name == doorName {
			return notary.Door{Dir: dataDir(home, name), Ledger: c, Buyer: account, Session: device, Listen: l, Log: log}.Run(ctx, r.MarkReady)
		}
		store, err := evidence.NewDir(EvidencePath(home))
		if err != nil {
			return err
		}
		return notary.Provider{
			Dir: dataDir(home, name), Ledger: c, Owner: account, Device: device, Bond: minBond, Listen: l,
			Endpoint: tunnel.Endpoint{Scheme: tunnel.SchemeTCP, Addr: l.Addr().String()}.String(), Archive: evidence.New(store), Log: log,
		}.Run(ctx, r.MarkReady)
	})
}

// archive is what a validator's verifier fetches from.
func (p *Plan) archive(home string, i int) (*evidence.Archive, error) {
	where := p.Validators[i].Evidence
	if where == "" {
		where = EvidencePath(home)
	}
	store, err := evidence.Open(where)
	if err != nil {
		return nil, &PlanError{fmt.Sprintf("serve %s: %v", p.Validators[i].Name, err)}
	}
	return evidence.New(store), nil
}

// ours says whether a folder of data is one that create makes.
func ours(name string) bool {
	return name == "user.json" || name == "evidence" || strings.HasPrefix(name, "validator-") || strings.HasPrefix(name, "notary-")
}
