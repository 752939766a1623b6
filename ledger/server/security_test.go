package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmtlog "github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/p2p/conn"
	"github.com/cometbft/cometbft/privval"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/grange-network/grange/internal/peerlimit"
	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/server"
)

// startWith initialises a chain of one validator and starts it.
func startWith(t *testing.T, cfg server.Config) *server.Node {
	t.Helper()
	n, err := server.Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Error("stop:", err)
		}
	})
	select {
	case <-n.Ready():
	case <-n.Done():
		t.Fatal("node stopped:", n.Wait())
	case <-time.After(60 * time.Second):
		t.Fatal("no block within 60 s")
	}
	return n
}

func initHome(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	if _, err := server.InitHome(t.Context(), home, server.LocalGenesis{}); err != nil {
		t.Fatal(err)
	}
	return home
}

// TestRemoteSigner moves the consensus key out of the node's home, into CometBFT's
// own signer.
func TestRemoteSigner(t *testing.T) {
	home, vault := initHome(t), t.TempDir()
	keyFile, stateFile := filepath.Join(vault, "key.json"), filepath.Join(vault, "state.json")
	for from, to := range map[string]string{"config/priv_validator_key.json": keyFile, "data/priv_validator_state.json": stateFile} {
		if err := os.Rename(filepath.Join(home, from), to); err != nil {
			t.Fatal(err)
		}
	}
	addr := freeAddr(t)
	line := new(line)
	endpoint := privval.NewSignerDialerEndpoint(cmtlog.NewNopLogger(), line.dialer(addr),
		privval.SignerDialerEndpointConnRetries(600), privval.SignerDialerEndpointRetryWaitInterval(50*time.Millisecond))
	signer := privval.NewSignerServer(endpoint, chain.LocalID, privval.LoadFilePV(keyFile, stateFile))
	if err := signer.Start(); err != nil {
		t.Fatal(err)
	}
	n := startWith(t, server.Config{Home: home, SignerAddr: addr, CommitTimeout: 100 * time.Millisecond})
	t.Cleanup(func() { // before the node: without one it would dial on
		_ = signer.Stop()
		line.cut()
	})
	t.Log("height", latestHeight(t, n))
	if raw, err := os.ReadFile(stateFile); err != nil || !strings.Contains(string(raw), "signature") {
		t.Fatalf("the signer's record says nothing was signed: %s %v", raw, err)
	}
	if _, err := os.Stat(filepath.Join(home, "config/priv_validator_key.json")); err == nil {
		t.Fatal("the node made a consensus key of its own")
	}
}

// line is what a signer has to its node. CometBFT's signer does not wait for a
// handshake that is under way when it is stopped: cut ends it.
type line struct {
	mu   sync.Mutex
	conn net.Conn
	over bool
}

func (l *line) dialer(addr string) privval.SocketDialer {
	key := cmted25519.GenPrivKey()
	return func() (net.Conn, error) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		l.conn = c
		over := l.over
		l.mu.Unlock()
		if over {
			return nil, errors.Join(net.ErrClosed, c.Close())
		}
		return conn.MakeSecretConnection(c, key)
	}
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

// TestBusyAndBrokenPeers: who asks too much is told so, who sends what is no
// message is dropped, and the node goes on.
func TestBusyAndBrokenPeers(t *testing.T) {
	n := startWith(t, server.Config{
		Home: initHome(t), CommitTimeout: 100 * time.Millisecond,
		Limit: peerlimit.Rate{PerSecond: 2, Burst: 20, Loopback: true},
	})
	e := n.Endpoints()
	_, p2p, _ := strings.Cut(e.P2P, "@")
	for name, addr := range map[string]string{"RPC": e.RPC, "gRPC": e.GRPC, "REST": e.REST, "p2p": p2p} {
		t.Run("garbage at "+name, func(t *testing.T) { sendGarbage(t, addr) })
	}
	t.Run("an oversized request", func(t *testing.T) {
		resp, err := http.Post("http://"+e.RPC, "application/json", bytes.NewReader(make([]byte, 8<<20)))
		if err == nil { // the server may close before it was sent
			resp.Body.Close()
			if resp.StatusCode < 400 {
				t.Fatalf("answered %s", resp.Status)
			}
		}
	})
	t.Run("RPC answers 429", func(t *testing.T) {
		for range 200 {
			resp, err := http.Get("http://" + e.RPC + "/health")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode == http.StatusTooManyRequests {
				return
			}
		}
		t.Fatal("200 requests and no refusal")
	})
	t.Run("gRPC refuses", func(t *testing.T) {
		conn, err := grpc.NewClient(e.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for range 200 {
			_, err := banktypes.NewQueryClient(conn).Params(t.Context(), &banktypes.QueryParamsRequest{})
			if status.Code(err) == codes.ResourceExhausted {
				return
			}
		}
		t.Fatal("200 calls and no refusal")
	})
	was := n.Height()
	for deadline := time.Now().Add(30 * time.Second); n.Height() < was+3; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("height %d after the garbage, %d 30 s later", was, n.Height())
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// sendGarbage sends a port what none of its protocols has, several times.
func sendGarbage(t *testing.T, addr string) {
	t.Helper()
	random := make([]byte, 64<<10)
	_, _ = rand.Read(random)
	for i, message := range [][]byte{
		random, make([]byte, 1<<10), bytes.Repeat([]byte{0xff}, 4<<10), []byte("GET /"), nil,
		[]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + string(random)),
		[]byte(fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n{", 1<<62)),
		[]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n[[[[[[[["),
	} {
		c, err := net.DialTimeout("tcp", addr, 5*time.Second)
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		_ = c.SetDeadline(time.Now().Add(time.Second))
		_, _ = c.Write(message) // the other side may close at once
		c.Close()
	}
}

func TestContradictionsAreRefused(t *testing.T) {
	home := initHome(t)
	for _, c := range []struct {
		name string
		cfg  server.Config
		says string
	}{
		{"no home", server.Config{}, "home folder is not set"},
		{"address", server.Config{Home: home, RPCAddr: "here"}, `"here" is not host:port`},
		{"signer", server.Config{Home: home, SignerAddr: "7"}, `signer address "7"`},
		{"state sync without servers", server.Config{Home: home, StateSync: &server.StateSync{Height: 1, Hash: strings.Repeat("0", 64)}}, "RPC URL"},
		{"state sync with half a hash", server.Config{Home: home, StateSync: &server.StateSync{Servers: []string{"http://192.0.2.1:1"}, Height: 1, Hash: "00"}}, "64 hex digits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, err := server.Start(t.Context(), c.cfg)
			if err == nil {
				_ = n.Stop()
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v, want %q", err, c.says)
			}
		})
	}
}
