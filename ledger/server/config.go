package server

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"time"

	cmtcfg "github.com/cometbft/cometbft/config"

	"github.com/grange-network/grange/internal/peerlimit"
	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/oracle"
)

// Config is what a node needs besides its home folder. Only Home is required.
type Config struct {
	// Home is the folder made by InitHome or InitNode.
	Home string
	// Moniker is the node's name among its peers; "grange" if empty.
	Moniker string

	// Addresses are host:port; port 0 takes a free one and an empty address
	// means 127.0.0.1:0. Node.Endpoints tells what was taken.
	RPCAddr, P2PAddr, GRPCAddr, RESTAddr string

	// PersistentPeers are id@host:port of the nodes to stay connected to.
	PersistentPeers []string
	// PEX lets the node exchange addresses with its peers. Leave it off where
	// links are cut on purpose: it would dial around them.
	PEX bool

	// CommitTimeout is the pause between blocks; 1 s if zero.
	CommitTimeout time.Duration
	// EmptyBlocksInterval is how long to wait for transactions before making an
	// empty block; 5 s if zero. State that changes in every block (rewards do)
	// makes CometBFT not wait.
	EmptyBlocksInterval time.Duration
	// MinGasPrices is the lowest price relayed; chain.MinGasPrice if empty.
	MinGasPrices string
	// QueryGasLimit bounds a query; the application's default if zero.
	QueryGasLimit uint64

	// SignerAddr is the host:port where a remote signer that holds the consensus
	// key connects, with CometBFT's protocol; the key file of Home signs if empty.
	// The signer must dial within seconds of the start and be the only one who can
	// reach the port: the protocol authenticates the node, not the signer.
	SignerAddr string

	// SnapshotEvery is how many blocks lie between two snapshots of the state for
	// new nodes; none is made if zero.
	SnapshotEvery uint64
	// StateSync has a node without state take a peer's snapshot instead of
	// executing every block.
	StateSync *StateSync

	// Limit is what one address may ask of RPC, gRPC and REST each; DefaultLimit
	// if zero. A negative PerSecond lifts it.
	Limit peerlimit.Rate

	// Prover checks proofs of what devices hold; every node of a chain must have
	// the same. Without one no proof is accepted.
	Prover oracle.Prover

	// Metrics has CometBFT put its metrics into the process's default Prometheus
	// registry; nothing is served. Only the first node of a process counts.
	Metrics bool

	// Logger receives the logs of CometBFT and the modules; slog's default if nil.
	Logger *slog.Logger
	// LogLevel drops what is below it, whatever the logger's own level is.
	// Warn if nil.
	LogLevel *slog.Level
}

// DefaultLimit is what one address other than loopback may ask of each server.
var DefaultLimit = peerlimit.Rate{PerSecond: 100, Burst: 400}

// StateSync says whom a new node believes: the header at Height has the hash Hash.
// Take both from a source you trust; all else is proven from them.
type StateSync struct {
	// Servers are RPC URLs of nodes that tell headers; at least one.
	Servers []string
	Height  int64
	Hash    string        // hex
	Period  time.Duration // how long such trust lasts; a week if zero
}

func (s *StateSync) check() error {
	if s == nil {
		return nil
	}
	if len(s.Servers) == 0 {
		return errors.New("start ledger: state sync needs the RPC URL of a node")
	}
	if raw, err := hex.DecodeString(s.Hash); err != nil || len(raw) != 32 || s.Height < 1 {
		return fmt.Errorf("start ledger: state sync from height %d and hash %q: want a height above 0 and 64 hex digits", s.Height, s.Hash)
	}
	return nil
}

func (s *StateSync) set(cfg *cmtcfg.StateSyncConfig) {
	if s == nil {
		return
	}
	cfg.Enable, cfg.TrustHeight, cfg.TrustHash = true, s.Height, s.Hash
	cfg.RPCServers = s.Servers
	if len(s.Servers) == 1 { // CometBFT asks for a witness besides the primary
		cfg.RPCServers = []string{s.Servers[0], s.Servers[0]}
	}
	cfg.TrustPeriod = 7 * 24 * time.Hour
	if s.Period > 0 {
		cfg.TrustPeriod = s.Period
	}
	cfg.DiscoveryTime = 5 * time.Second
}

func (c Config) withDefaults() (Config, error) {
	if c.Home == "" {
		return c, errors.New("start ledger: home folder is not set")
	}
	for _, a := range []*string{&c.RPCAddr, &c.P2PAddr, &c.GRPCAddr, &c.RESTAddr} {
		if *a == "" {
			*a = "127.0.0.1:0"
		}
		*a = strings.TrimPrefix(*a, "tcp://")
		if _, _, err := net.SplitHostPort(*a); err != nil {
			return c, fmt.Errorf("start ledger: address %q is not host:port: %w", *a, err)
		}
	}
	if c.Moniker == "" {
		c.Moniker = "grange"
	}
	if c.CommitTimeout == 0 {
		c.CommitTimeout = time.Second
	}
	if c.EmptyBlocksInterval == 0 {
		c.EmptyBlocksInterval = 5 * time.Second
	}
	if c.MinGasPrices == "" {
		c.MinGasPrices = chain.MinGasPrice
	}
	if c.SignerAddr != "" {
		if _, _, err := net.SplitHostPort(c.SignerAddr); err != nil {
			return c, fmt.Errorf("start ledger: signer address %q is not host:port: %w", c.SignerAddr, err)
		}
	}
	if err := c.StateSync.check(); err != nil {
		return c, err
	}
	if c.Limit.PerSecond == 0 {
		c.Limit = DefaultLimit
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, nil
}

// comet returns CometBFT's configuration. p2p is the address to listen on for
// peers, with its port decided.
func (c Config) comet(p2p string) *cmtcfg.Config {
	cfg := baseConfig(c.Home)
	cfg.Moniker = c.Moniker
	cfg.RPC.ListenAddress = "" // served by us, on our own listener
	cfg.P2P.ListenAddress = "tcp://" + p2p
	cfg.P2P.PersistentPeers = strings.Join(c.PersistentPeers, ",")
	cfg.P2P.PexReactor = c.PEX
	if host, _, err := net.SplitHostPort(p2p); err == nil && isLoopback(host) {
		cfg.P2P.AddrBookStrict = false
		cfg.P2P.AllowDuplicateIP = true
	}
	if c.SignerAddr != "" {
		cfg.PrivValidatorListenAddr = "tcp://" + c.SignerAddr
	}
	c.StateSync.set(cfg.StateSync)
	cfg.Consensus.TimeoutCommit = c.CommitTimeout
	cfg.Consensus.CreateEmptyBlocks = true
	cfg.Consensus.CreateEmptyBlocksInterval = c.EmptyBlocksInterval
	// Unordered transactions expire by time and the application rejects what is
	// no longer valid: checking the pool again after each block is wasted work.
	cfg.Mempool.Recheck = false
	cfg.Instrumentation.Prometheus = c.Metrics
	cfg.Instrumentation.PrometheusListenAddr = "" // the role's own listener shows them
	return cfg
}

// baseConfig sets the paths.
func baseConfig(home string) *cmtcfg.Config {
	cfg := cmtcfg.DefaultConfig()
	cfg.SetRoot(home)
	cfg.DBBackend = "goleveldb"
	return cfg
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// OperatorKeyPath is where InitHome keeps the operator's account key.
func OperatorKeyPath(home string) string {
	return filepath.Join(home, "keys", "operator.json")
}
