package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/cometbft/cometbft/abci/example/kvstore"
	cmtcfg "github.com/cometbft/cometbft/config"
	cmtlog "github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/proxy"
	rpchttp "github.com/cometbft/cometbft/rpc/client/http"
	cmttypes "github.com/cometbft/cometbft/types"
	cmttime "github.com/cometbft/cometbft/types/time"

	"time"

	"github.com/grange-network/grange/internal/ports"
)

// sendGas is the limit of a plain transfer, which uses about 80,000.
const sendGas = 100_000

// rpc measures what one node takes through its RPC, beside CometBFT's example
// application under the same load.
func rpc(ctx context.Context, s settings, dir string) ([]row, error) {
	n := s.of(20_000)
	bare, err := kvstoreRate(ctx, filepath.Join(dir, "kvstore"), n)
	if err != nil {
		return nil, fmt.Errorf("kvstore: %w", err)
	}
	ours, err := transferRate(ctx, filepath.Join(dir, "ours"), 1, n)
	return []row{{
		What: "transfers through one node's RPC, blocks of 1 s, load on the same cores", Unit: "/s", Ours: ours.rate, Target: 1_000,
		Bound: bare.rate, BoundIs: kvstoreIs,
	}, {
		What: "the same, per CPU-second of the node", Unit: "/s", Ours: ours.perCPU, Bound: bare.perCPU, BoundIs: kvstoreIs,
	}}, err
}

const kvstoreIs = "bare CometBFT kvstore under the same load, no signatures"

// four measures the same with four validators, each a process.
func four(ctx context.Context, s settings, dir string) ([]row, error) {
	n := s.of(8_000)
	ours, err := transferRate(ctx, filepath.Join(dir, "four"), 4, n)
	if err != nil {
		return nil, err
	}
	alone, err := transferRate(ctx, filepath.Join(dir, "one"), 1, n)
	const oneIs = "one node under the same load; four execute everything four times"
	return []row{{
		What: fmt.Sprintf("transfers through four validators on %d cores", runtime.NumCPU()), Unit: "/s", Ours: ours.rate, Target: 400,
		Bound: alone.rate, BoundIs: oneIs,
	}, {
		What: "the same, per CPU-second of the four", Unit: "/s", Ours: ours.perCPU, Bound: alone.perCPU, BoundIs: oneIs,
	}}, err
}

// transferRate is what a chain of size validators takes.
func transferRate(ctx context.Context, dir string, size, n int) (rate taken, err error) {
	w, err := found(ctx, dir, size, min(n, 5_000), nil)
	if err != nil {
		return taken{}, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	lists := make([][][]byte, senders)
	for i := range n {
		k := i % len(w.accounts)
		from, to := w.accounts[k], w.accounts[(k+1)%len(w.accounts)]
		tx, err := from.sign(ctx, w.client.Encoding(), w.client.ChainID(), sendGas, send(from, to))
		if err != nil {
			return taken{}, err
		}
		lists[k%senders] = append(lists[k%senders], tx)
	}
	// It would read every block and every event beside the load.
	if err := w.client.Close(); err != nil {
		return taken{}, err
	}
	w.client = nil
	var addresses []string
	for _, p := range w.nodes {
		addresses = append(addresses, p.RPC)
	}
	return load(ctx, w.procs, addresses, lists)
}

// kvstoreRate is what CometBFT takes with an application that does nearly nothing.
func kvstoreRate(ctx context.Context, home string, n int) (taken, error) {
	addr, err := ports.FreeAddr("127.0.0.1")
	if err != nil {
		return taken{}, err
	}
	proc, err := process{Home: home, RPC: addr, KVStore: true}.start(ctx)
	if err != nil {
		return taken{}, err
	}
	defer stop(proc)
	if err := awaitBlock(ctx, addr); err != nil {
		return taken{}, err
	}
	lists := make([][][]byte, senders)
	for i := range n {
		// As long as one of our transfers.
		lists[i%senders] = append(lists[i%senders], fmt.Appendf(nil, "key%d=%0300d", i, i))
	}
	return load(ctx, []*exec.Cmd{proc}, []string{addr}, lists)
}

func awaitBlock(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	client, err := rpchttp.New("tcp://"+addr, "/websocket")
	if err != nil {
		return err
	}
	for {
		if h, err := height(ctx, client); err == nil && h > 0 {
			return nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("no block at %s: %w", addr, err)
		}
	}
}

// serveKVStore runs CometBFT with its example application until ctx ends, with
// our nodes' settings.
func serveKVStore(ctx context.Context, p process) error {
	cfg := cmtcfg.DefaultConfig()
	cfg.SetRoot(p.Home)
	cmtcfg.EnsureRoot(p.Home)
	cfg.RPC.ListenAddress = "tcp://" + p.RPC
	cfg.P2P.ListenAddress = "tcp://127.0.0.1:0"
	cfg.Consensus.TimeoutCommit = time.Second
	cfg.Mempool.Recheck = false
	validator := privval.LoadOrGenFilePV(cfg.PrivValidatorKeyFile(), cfg.PrivValidatorStateFile())
	key, err := validator.GetPubKey()
	if err != nil {
		return err
	}
	nodeKey, err := p2p.LoadOrGenNodeKey(cfg.NodeKeyFile())
	if err != nil {
		return err
	}
	genesis := &cmttypes.GenesisDoc{
		ChainID: "kvstore", GenesisTime: cmttime.Now(), ConsensusParams: cmttypes.DefaultConsensusParams(),
		Validators: []cmttypes.GenesisValidator{{Address: key.Address(), PubKey: key, Power: 10}},
	}
	n, err := node.NewNode(cfg, validator, nodeKey, proxy.NewLocalClientCreator(kvstore.NewInMemoryApplication()),
		func() (*cmttypes.GenesisDoc, error) { return genesis, nil }, cmtcfg.DefaultDBProvider,
		node.DefaultMetricsProvider(cfg.Instrumentation), cmtlog.NewNopLogger())
	if err != nil {
		return err
	}
	if err := n.Start(); err != nil {
		return err
	}
	<-ctx.Done()
	return n.Stop()
}
