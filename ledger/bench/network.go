package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	"github.com/grange-network/grange/internal/ports"
	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/server"
)

// process is one node; it is this program started again.
type process struct {
	Home, RPC, GRPC, P2P string
	Peers                []string
	// KVStore runs CometBFT's example application instead of ours.
	KVStore bool
}

// serve is the whole of a node's process.
func serve(ctx context.Context, raw string) error {
	var p process
	if err := json.Unmarshal([]byte(raw), &p); err != nil {
		return err
	}
	if p.KVStore {
		return serveKVStore(ctx, p)
	}
	return server.Run(ctx, server.Config{
		Home: p.Home, RPCAddr: p.RPC, GRPCAddr: p.GRPC, P2PAddr: p.P2P, PersistentPeers: p.Peers,
		Logger: slog.New(slog.DiscardHandler),
	})
}

// network is some validators and accounts with money.
type network struct {
	nodes    []process
	procs    []*exec.Cmd
	accounts []*account
	client   *client.Client
}

// found writes the homes of a chain of size validators and n accounts under dir
// and starts it. Close it when done.
func found(ctx context.Context, dir string, size, n int, modules map[string]json.RawMessage) (*network, error) {
	w := &network{accounts: newAccounts(n)}
	g := server.Genesis{Balances: balances(w.accounts), Modules: modules}
	var peers []string
	for i := range size {
		p := process{Home: filepath.Join(dir, fmt.Sprint("node-", i))}
		keys, err := server.InitNode(p.Home)
		if err != nil {
			return nil, err
		}
		for _, addr := range []*string{&p.RPC, &p.GRPC, &p.P2P} {
			if *addr, err = ports.FreeAddr("127.0.0.1"); err != nil {
				return nil, err
			}
		}
		gentx, err := keys.Gentx(ctx, chain.LocalID, "bench", 1_000_000_000)
		if err != nil {
			return nil, err
		}
		g.Gentxs = append(g.Gentxs, gentx)
		g.Balances = append(g.Balances, server.Balance{Address: keys.Operator.Address(), Coins: sdk.NewCoins(sdk.NewInt64Coin(chain.Grain, 2_000_000_000))})
		w.nodes = append(w.nodes, p)
		peers = append(peers, keys.NodeID+"@"+p.P2P)
	}
	document, err := g.DocumentJSON()
	if err != nil {
		return nil, err
	}
	for i := range w.nodes {
		w.nodes[i].Peers = slices.Delete(slices.Clone(peers), i, i+1)
		if err := server.WriteGenesis(w.nodes[i].Home, document); err != nil {
			return nil, err
		}
	}
	if err := w.start(ctx); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// start runs the nodes, waits for the first block and learns the accounts'
// numbers.
func (w *network) start(ctx context.Context) error {
	for _, p := range w.nodes {
		cmd, err := p.start(ctx)
		if err != nil {
			return err
		}
		w.procs = append(w.procs, cmd)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var err error
	if w.client, err = client.Dial(ctx, client.Endpoints{GRPC: w.nodes[0].GRPC, RPC: w.nodes[0].RPC, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		return err
	}
	return w.number(ctx)
}

// start runs the node as a process.
func (p process) start(ctx context.Context) (*exec.Cmd, error) {
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-serve", string(raw))
	cmd.Stderr = os.Stderr
	return cmd, cmd.Start()
}

func (w *network) number(ctx context.Context) error {
	by := map[string]*account{}
	for _, a := range w.accounts {
		by[a.address.String()] = a
	}
	page := &query.PageRequest{Limit: 1000}
	for {
		r, err := w.client.Auth.Accounts(ctx, &authtypes.QueryAccountsRequest{Pagination: page})
		if err != nil {
			return err
		}
		for _, packed := range r.Accounts {
			var known sdk.AccountI
			if err := w.client.Encoding().Registry.UnpackAny(packed, &known); err != nil {
				return err
			}
			if a := by[known.GetAddress().String()]; a != nil {
				a.number = known.GetAccountNumber()
			}
		}
		if len(r.Pagination.NextKey) == 0 {
			return nil
		}
		page = &query.PageRequest{Limit: 1000, Key: r.Pagination.NextKey}
	}
}

// Close stops the nodes.
func (w *network) Close() error {
	var errs []error
	if w.client != nil {
		errs = append(errs, w.client.Close())
	}
	for _, p := range w.procs {
		stop(p)
	}
	return errors.Join(errs...)
}

// stop ends a process that has nothing to say any more.
func stop(p *exec.Cmd) {
	_ = p.Process.Kill() // fails when it has ended already
	_ = p.Wait()
}
