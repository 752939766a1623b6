package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	cmtdb "github.com/cometbft/cometbft-db"
	cmtcfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/proxy"
	cmttypes "github.com/cometbft/cometbft/types"
	sdkserver "github.com/cosmos/cosmos-sdk/server"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	"google.golang.org/grpc"

	"github.com/grange-network/grange/internal/peerlimit"
	"github.com/grange-network/grange/ledger/app"
)

// Endpoints are the host:port a running node listens on, and its p2p address in
// the form peers dial: id@host:port.
type Endpoints struct {
	RPC, GRPC, REST, P2P string
}

// Node is a running node. Stop it or cancel the context of Start.
type Node struct {
	cfg       Config
	endpoints Endpoints
	chainID   string

	app   *app.App
	comet *node.Node
	dbs   []cmtdb.DB // CometBFT's

	limit                           *peerlimit.Limiter
	rpc, grpcListener, restListener *trackedListener
	grpc                            *grpc.Server
	conn                            *grpc.ClientConn // REST to gRPC
	rest                            *http.Server

	cancel   context.CancelFunc
	wg       sync.WaitGroup
	stopping atomic.Bool
	ready    chan struct{} // closed at the first block this process sees
	done     chan struct{} // closed when everything has stopped
	err      error         // valid after done
}

// Run starts a node and returns when ctx is cancelled and everything has
// stopped, or when something failed.
func Run(ctx context.Context, cfg Config) error {
	n, err := Start(ctx, cfg)
	if err != nil {
		return err
	}
	return n.Wait()
}

// Start starts a node and returns when it listens. Use Ready to wait for its
// first block; before that queries have no state to answer from.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p2pAddr, err := freePort(cfg.P2PAddr)
	if err != nil {
		return nil, err
	}
	cmt := cfg.comet(p2pAddr)
	genesis, err := loadGenesis(cmt.GenesisFile())
	if err != nil {
		return nil, err
	}
	keys := []string{cmt.NodeKeyFile()}
	if cfg.SignerAddr == "" {
		keys = append(keys, cmt.PrivValidatorKeyFile(), cmt.PrivValidatorStateFile())
	}
	if err := checkKeys(keys...); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, chainID: genesis.ChainID, limit: peerlimit.New(cfg.Limit), ready: make(chan struct{}), done: make(chan struct{})}
	if err := n.open(ctx, cmt, genesis); err != nil {
		n.close()
		return nil, err
	}
	n.endpoints.P2P = string(n.comet.NodeInfo().ID()) + "@" + p2pAddr
	ctx, n.cancel = context.WithCancel(ctx)
	n.serve(ctx)
	return n, nil
}

func loadGenesis(path string) (*cmttypes.GenesisDoc, error) {
	genesis, err := genutiltypes.AppGenesisFromFile(path)
	if err != nil {
		if _, statErr := os.Stat(path); errors.Is(statErr, os.ErrNotExist) {
			return nil, fmt.Errorf("start ledger: no chain at %s: initialise the home folder first", path)
		}
		return nil, fmt.Errorf("start ledger: read genesis %s: %w", path, err)
	}
	return genesis.ToGenesisDoc()
}

// open builds everything that serve then runs. On an error close undoes it.
func (n *Node) open(ctx context.Context, cmt *cmtcfg.Config, genesis *cmttypes.GenesisDoc) error {
	sdkLog, cmtLog := n.loggers()
	db, err := app.OpenDB(cmt.DBDir())
	if err != nil {
		return err
	}
	n.app, err = app.New(sdkLog, db, genesis.ChainID, app.Options{
		MinGasPrices:  n.cfg.MinGasPrices,
		QueryGasLimit: n.cfg.QueryGasLimit,
		Prover:        n.cfg.Prover,
		SnapshotDir:   filepath.Join(cmt.DBDir(), "snapshots"),
		SnapshotEvery: n.cfg.SnapshotEvery,
	})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	nodeKey, err := p2p.LoadNodeKey(cmt.NodeKeyFile())
	if err != nil {
		return fmt.Errorf("load node key: %w", err)
	}
	var signer cmttypes.PrivValidator // CometBFT makes that of a remote one
	if n.cfg.SignerAddr == "" {
		signer = privval.LoadFilePV(cmt.PrivValidatorKeyFile(), cmt.PrivValidatorStateFile())
	}
	n.comet, err = node.NewNodeWithContext(ctx, cmt,
		signer,
		nodeKey,
		proxy.NewLocalClientCreator(sdkserver.NewCometABCIWrapper(n.app)),
		func() (*cmttypes.GenesisDoc, error) { return genesis, nil },
		n.openDB,
		metricsProvider(cmt.Instrumentation),
		cmtLog,
	)
	if err != nil {
		return fmt.Errorf("build consensus node: %w", err)
	}
	if err := n.openServers(); err != nil {
		return err
	}
	if err := n.watchFirstBlock(); err != nil {
		return err
	}
	if err := n.comet.Start(); err != nil {
		return fmt.Errorf("start consensus node: %w", err)
	}
	return nil
}

// openDB opens one of CometBFT's databases and remembers it: CometBFT does not
// close all of them when it stops, and a database left open keeps its lock, so
// that the node could not be started again in this process.
func (n *Node) openDB(c *cmtcfg.DBContext) (cmtdb.DB, error) {
	db, err := cmtcfg.DefaultDBProvider(c)
	if err != nil {
		return nil, err
	}
	calm := &calmDB{DB: db}
	n.dbs = append(n.dbs, calm)
	return calm, nil
}

// Endpoints says where the node listens.
func (n *Node) Endpoints() Endpoints { return n.endpoints }

// ChainID is the chain the node runs.
func (n *Node) ChainID() string { return n.chainID }

// Height is that of the newest block the node has executed.
func (n *Node) Height() int64 { return n.app.LastBlockHeight() }

// Ready is closed when the node has seen a block since it started, or had one.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// Done is closed when the node has stopped.
func (n *Node) Done() <-chan struct{} { return n.done }

// Stop stops the node and waits until it has. Where the process goes on, peers
// may hold on to a dead connection until their next ping, up to two minutes:
// CometBFT leaves accepted sockets to the end of the process.
func (n *Node) Stop() error {
	n.cancel()
	return n.Wait()
}

// Wait returns when the node has stopped, with what made it stop if that was
// not a request.
func (n *Node) Wait() error {
	<-n.done
	return n.err
}
