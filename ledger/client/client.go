package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	rpchttp "github.com/cometbft/cometbft/rpc/client/http"
	"github.com/cosmos/cosmos-sdk/codec"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	distrtypes "github.com/cosmos/cosmos-sdk/x/distribution/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	"google.golang.org/grpc"
	backoffconfig "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/grange-network/grange/ledger/encoding"
)

// maxMessage bounds a gRPC answer in bytes.
const maxMessage = 10 << 20

// requestTimeout bounds one RPC request: a node that accepts and says nothing is
// not waited for longer.
const requestTimeout = 30 * time.Second

// reconnect keeps a node that comes back from being found late: gRPC's own
// backoff grows to two minutes.
var reconnect = grpc.ConnectParams{
	Backoff:           backoffconfig.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
	MinConnectTimeout: 5 * time.Second,
}

// Endpoints are the host:port of a node's gRPC and CometBFT RPC servers.
type Endpoints struct {
	GRPC, RPC string
	// Logger gets reconnections; slog's default if nil.
	Logger *slog.Logger
}

// Client is a connection to one node. Close it when done.
type Client struct {
	// Query clients, one for each module; they return ErrNotFound and
	// ErrUnavailable as well as gRPC statuses.
	Auth         authtypes.QueryClient
	Bank         banktypes.QueryClient
	Staking      stakingtypes.QueryClient
	Slashing     slashingtypes.QueryClient
	Distribution distrtypes.QueryClient
	Gov          govv1.QueryClient
	FeeGrant     feegrant.QueryClient
	Queries

	enc     encoding.Config
	conn    *grpc.ClientConn
	rpc     *rpchttp.HTTP
	chainID string
	log     *slog.Logger
	hub     *hub
	stop    context.CancelFunc
	wg      sync.WaitGroup
}

// Dial connects to a node and waits until it has a block, at most until ctx
// ends: then the error is ErrUnavailable. ctx does not bound the connection's
// life.
func Dial(ctx context.Context, e Endpoints) (*Client, error) {
	enc, err := encoding.New()
	if err != nil {
		return nil, err
	}
	if e.Logger == nil {
		e.Logger = slog.Default()
	}
	conn, err := grpc.NewClient(e.GRPC,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(mapErrors),
		grpc.WithConnectParams(reconnect),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodec(codec.NewProtoCodec(enc.Registry).GRPCCodec()),
			grpc.MaxCallRecvMsgSize(maxMessage)))
	if err != nil {
		return nil, fmt.Errorf("connect to ledger gRPC %s: %w", e.GRPC, err)
	}
	remote := e.RPC
	if !strings.Contains(remote, "://") {
		remote = "tcp://" + remote
	}
	rpc, err := rpchttp.NewWithTimeout(remote, "/websocket", uint(requestTimeout/time.Second))
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to ledger RPC %s: %w", e.RPC, err)
	}
	c := &Client{
		Auth:         authtypes.NewQueryClient(conn),
		Bank:         banktypes.NewQueryClient(conn),
		Staking:      stakingtypes.NewQueryClient(conn),
		Slashing:     slashingtypes.NewQueryClient(conn),
		Distribution: distrtypes.NewQueryClient(conn),
		Gov:          govv1.NewQueryClient(conn),
		FeeGrant:     feegrant.NewQueryClient(conn),
		Queries:      newQueries(conn),
		enc:          enc,
		conn:         conn,
		rpc:          rpc,
		log:          e.Logger,
	}
	if err := c.waitFirstBlock(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	var run context.Context
	run, c.stop = context.WithCancel(context.Background())
	c.hub = newHub(remote, rpc, e.Logger)
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		c.hub.run(run)
	}()
	if err := c.hub.waitHead(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// waitFirstBlock asks until the node has a block. There is no event to wait for
// before the node listens.
func (c *Client) waitFirstBlock(ctx context.Context) error {
	for wait := newBackoff(); ; {
		err := c.ask(ctx)
		if err == nil {
			return nil
		}
		if !wait.sleep(ctx) {
			return fmt.Errorf("connect to ledger RPC %s: %w: %w", c.rpc.Remote(), ErrUnavailable, err)
		}
	}
}

// ask learns the chain id of a node that has a block.
func (c *Client) ask(ctx context.Context) error {
	height, err := committedHeight(ctx, c.rpc)
	if err != nil {
		return err
	}
	if height == 0 {
		return errors.New("node has no block yet")
	}
	s, err := c.rpc.Status(ctx)
	if err != nil {
		return err
	}
	c.chainID = s.NodeInfo.Network
	return nil
}

// Close ends the block stream and the connections, and waits for them.
func (c *Client) Close() error {
	c.stop()
	c.wg.Wait()
	return c.conn.Close()
}

// ChainID is the chain of the node.
func (c *Client) ChainID() string { return c.chainID }

// Encoding returns the codecs, for callers that decode messages themselves.
func (c *Client) Encoding() encoding.Config { return c.enc }

// Conn is the gRPC connection, for query services not named here.
func (c *Client) Conn() grpc.ClientConnInterface { return c.conn }

// backoff grows from 50 ms to 2 s.
type backoff time.Duration

func newBackoff() *backoff {
	b := backoff(50 * time.Millisecond)
	return &b
}

// sleep waits and reports whether ctx is still alive.
func (b *backoff) sleep(ctx context.Context) bool {
	t := time.NewTimer(time.Duration(*b))
	defer t.Stop()
	*b = min(*b*2, backoff(2*time.Second))
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
