package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/cometbft/cometbft/rpc/client/local"
	rpcserver "github.com/cometbft/cometbft/rpc/jsonrpc/server"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	serverconfig "github.com/cosmos/cosmos-sdk/server/config"
	"github.com/cosmos/cosmos-sdk/server/grpc/gogoreflection"
	gateway "github.com/cosmos/gogogateway"
	"github.com/grpc-ecosystem/grpc-gateway/runtime"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/grange-network/grange/ledger/encoding"
)

// maxMessage bounds a gRPC message in bytes, both ways.
const maxMessage = 10 << 20

// stopGrace is how long running requests may finish after a stop.
const stopGrace = 3 * time.Second

func (n *Node) openServers() error {
	var err error
	if n.rpc, err = listen(n.cfg.RPCAddr); err != nil {
		return fmt.Errorf("open RPC: %w", err)
	}
	if n.grpcListener, err = listen(n.cfg.GRPCAddr); err != nil {
		return fmt.Errorf("open gRPC: %w", err)
	}
	if n.restListener, err = listen(n.cfg.RESTAddr); err != nil {
		return fmt.Errorf("open REST: %w", err)
	}
	n.endpoints = Endpoints{
		RPC:  n.rpc.Addr().String(),
		GRPC: n.grpcListener.Addr().String(),
		REST: n.restListener.Addr().String(),
	}
	c := client.Context{
		ChainID:           n.chainID,
		HomeDir:           n.cfg.Home,
		Codec:             n.app.Codec,
		InterfaceRegistry: n.app.Registry,
		TxConfig:          n.app.Tx,
		LegacyAmino:       n.app.Amino,
		Client:            local.New(n.comet),
	}
	if err := n.openGRPC(c); err != nil {
		return err
	}
	return n.openREST(c)
}

func (n *Node) openGRPC(c client.Context) error {
	cfg := serverconfig.DefaultConfig()
	cfg.MinGasPrices = n.cfg.MinGasPrices
	n.app.RegisterTxService(c)
	n.app.RegisterTendermintService(c)
	n.app.RegisterNodeService(c, *cfg)
	n.grpc = grpc.NewServer(
		grpc.ForceServerCodec(codec.NewProtoCodec(n.app.Registry).GRPCCodec()),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(maxMessage),
		grpc.StatsHandler(otelgrpc.NewServerHandler()),
		grpc.InTapHandle(n.admit),
	)
	n.app.RegisterGRPCServerWithSkipCheckHeader(n.grpc, true)
	gogoreflection.Register(n.grpc)
	return nil
}

// admit refuses a call beyond its address's limit before it is read.
func (n *Node) admit(ctx context.Context, _ *tap.Info) (context.Context, error) {
	if p, ok := peer.FromContext(ctx); ok && !n.limit.Allow(p.Addr.String()) {
		return nil, status.Errorf(codes.ResourceExhausted, "too many calls from your address: at most %d a second, wait and call again", n.cfg.Limit.PerSecond)
	}
	return ctx, nil
}

// openREST serves the JSON form of the gRPC queries over a connection to our
// own gRPC server.
func (n *Node) openREST(c client.Context) error {
	var err error
	n.conn, err = grpc.NewClient(n.endpoints.GRPC,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodec(codec.NewProtoCodec(n.app.Registry).GRPCCodec()),
			grpc.MaxCallRecvMsgSize(maxMessage),
			grpc.MaxCallSendMsgSize(maxMessage),
		))
	if err != nil {
		return fmt.Errorf("connect REST to gRPC at %s: %w", n.endpoints.GRPC, err)
	}
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &gateway.JSONPb{
			EmitDefaults: true,
			OrigName:     true,
			AnyResolver:  c.InterfaceRegistry,
		}),
		runtime.WithProtoErrorHandler(runtime.DefaultHTTPProtoErrorHandler),
	)
	n.app.RegisterREST(c.WithGRPCClient(n.conn), mux)
	n.rest = &http.Server{
		Handler:           n.limit.Handler(mux),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		MaxHeaderBytes:    1 << 20,
	}
	return nil
}

// watchFirstBlock closes ready at the first block. A node with state behind it
// can answer at once.
func (n *Node) watchFirstBlock() error {
	if n.app.LastBlockHeight() > 0 {
		close(n.ready)
		return nil
	}
	bus := n.comet.EventBus()
	blocks, err := bus.Subscribe(context.Background(), "grange/ready", cmttypes.EventQueryNewBlockHeader, 1)
	if err != nil {
		return fmt.Errorf("subscribe to the first block: %w", err)
	}
	n.wg.Add(1)
	go func() {
		defer n.wg.Done()
		select {
		case <-blocks.Out():
			close(n.ready)
		case <-blocks.Canceled():
			return
		}
		_ = bus.Unsubscribe(context.Background(), "grange/ready", cmttypes.EventQueryNewBlockHeader)
	}()
	return nil
}

// serve runs the servers until ctx ends or one of them fails, then closes
// everything.
func (n *Node) serve(ctx context.Context) {
	failed := make(chan error, 4)
	run := func(name string, f func() error) {
		n.wg.Add(1)
		go func() {
			defer n.wg.Done()
			err := f()
			if err == nil || errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) || errors.Is(err, grpc.ErrServerStopped) {
				return
			}
			failed <- fmt.Errorf("serve %s: %w", name, err)
		}()
	}
	run("RPC", n.serveRPC)
	run("gRPC", func() error { return n.grpc.Serve(n.grpcListener) })
	run("REST", func() error { return n.rest.Serve(n.restListener) })
	go func() {
		var err error
		select {
		case <-ctx.Done():
		case err = <-failed:
		case <-n.comet.Quit():
			err = errors.New("consensus node stopped by itself: see its log")
		}
		n.stopping.Store(true)
		n.cancel()
		n.err = errors.Join(err, n.close())
		n.wg.Wait()
		close(n.done)
	}()
}

// serveRPC serves CometBFT's JSON-RPC and websocket on our listener.
func (n *Node) serveRPC() error {
	env, err := n.comet.ConfigureRPC()
	if err != nil {
		return err
	}
	_, logger := n.loggers()
	logger = logger.With("module", "rpc-server")
	routes := env.GetRoutes()
	bus := n.comet.EventBus()
	websockets := rpcserver.NewWebsocketManager(routes,
		rpcserver.OnDisconnect(func(remote string) {
			// Fails when the peer had no subscriptions, which is fine.
			_ = bus.UnsubscribeAll(context.Background(), remote)
		}),
		rpcserver.ReadLimit(env.Config.MaxBodyBytes),
		rpcserver.WriteChanCapacity(env.Config.WebSocketWriteBufferSize),
	)
	websockets.SetLogger(n.quiet().With("module", "rpc-server"))
	mux := http.NewServeMux()
	mux.HandleFunc("/websocket", websockets.WebsocketHandler)
	rpcserver.RegisterRPCFuncs(mux, routes, logger)
	cfg := rpcserver.DefaultConfig()
	cfg.MaxBodyBytes = env.Config.MaxBodyBytes
	cfg.WriteTimeout = env.Config.TimeoutBroadcastTxCommit + time.Second
	return rpcserver.Serve(n.rpc, n.limit.Handler(mux), logger, cfg)
}

// close stops what open made, newest first. It is safe on a half-open node.
func (n *Node) close() error {
	var errs []error
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	if n.rest != nil {
		if err := n.rest.Shutdown(ctx); err != nil {
			errs = append(errs, n.rest.Close())
		}
	}
	if n.grpc != nil {
		force := time.AfterFunc(stopGrace, n.grpc.Stop)
		n.grpc.GracefulStop()
		force.Stop()
	}
	if n.conn != nil {
		errs = append(errs, n.conn.Close())
	}
	for _, l := range []*trackedListener{n.rpc, n.grpcListener, n.restListener} {
		if l != nil {
			if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	if n.comet != nil && n.comet.IsRunning() {
		if err := n.comet.Stop(); err != nil {
			errs = append(errs, fmt.Errorf("stop consensus node: %w", err))
		}
		n.comet.Wait()
	}
	for _, db := range n.dbs {
		if err := db.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close database: %w", err))
		}
	}
	if n.app != nil {
		if err := n.app.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close state: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Encoding returns the codecs of the running application.
func (n *Node) Encoding() encoding.Config { return n.app.Config }
