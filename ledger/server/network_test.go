package server_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"

	rpchttp "github.com/cometbft/cometbft/rpc/client/http"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/ledger/server"
)

// cluster is a chain of several validators in this process.
type cluster struct {
	*testing.T
	homes, p2p, peers []string
	nodes             []*server.Node
	keys              []server.NodeKeys
}

func newCluster(t *testing.T, size int) *cluster {
	t.Helper()
	cl := &cluster{T: t, nodes: make([]*server.Node, size)}
	g := server.Genesis{}
	for range size {
		home := t.TempDir()
		k, err := server.InitNode(home)
		if err != nil {
			t.Fatal(err)
		}
		gentx, err := k.Gentx(t.Context(), chain.LocalID, "v", 1_000_000_000)
		if err != nil {
			t.Fatal(err)
		}
		g.Gentxs = append(g.Gentxs, gentx)
		g.Balances = append(g.Balances, server.Balance{Address: k.Operator.Address(), Coins: grain(2_000_000_000)})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		cl.homes = append(cl.homes, home)
		cl.keys = append(cl.keys, k)
		cl.p2p = append(cl.p2p, l.Addr().String())
		cl.peers = append(cl.peers, k.NodeID+"@"+l.Addr().String())
	}
	document, err := g.DocumentJSON()
	if err != nil {
		t.Fatal(err)
	}
	for i := range size {
		if err := server.WriteGenesis(cl.homes[i], document); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for i := range cl.nodes {
			cl.stop(i)
		}
	})
	return cl
}

func (cl *cluster) start(i int) {
	cl.Helper()
	peers := slices.Delete(slices.Clone(cl.peers), i, i+1)
	n, err := server.Start(context.Background(), server.Config{
		Home: cl.homes[i], P2PAddr: cl.p2p[i], PersistentPeers: peers, CommitTimeout: 100 * time.Millisecond,
		Logger: slog.New(slog.DiscardHandler), // peers that go are errors to the others
	})
	if err != nil {
		cl.Fatal(err)
	}
	cl.nodes[i] = n
}

func (cl *cluster) stop(i int) {
	cl.Helper()
	if cl.nodes[i] == nil {
		return
	}
	began := time.Now()
	defer func() { cl.Logf("node %d took %s to stop", i, time.Since(began)) }()
	if err := cl.nodes[i].Stop(); err != nil {
		cl.Error("stop:", err)
	}
	cl.nodes[i] = nil
}

func (cl *cluster) appHash(i int, height int64) string {
	cl.Helper()
	rpc, err := rpchttp.New("tcp://"+cl.nodes[i].Endpoints().RPC, "/websocket")
	if err != nil {
		cl.Fatal(err)
	}
	b, err := rpc.Block(cl.Context(), &height)
	if err != nil {
		cl.Fatal(err)
	}
	return b.Block.AppHash.String()
}

func TestFourValidators(t *testing.T) {
	if testing.Short() {
		t.Skip("starts four nodes")
	}
	cl := newCluster(t, 4)
	for i := range 4 {
		cl.start(i)
	}
	c := dial(t, cl.nodes[0])
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, to := c.Signer(cl.keys[0].Operator, nil), key.New().Address()
	pay := func(ctx context.Context) error {
		_, err := s.Send(ctx, banktypes.NewMsgSend(s.Address(), to, grain(1)))
		return err
	}
	if err := pay(ctx); err != nil {
		t.Fatal("four of four:", err)
	}
	cl.stop(3)
	if err := pay(ctx); err != nil {
		t.Fatal("three of four:", err)
	}
	cl.stop(2)
	short, done := context.WithTimeout(ctx, 5*time.Second)
	defer done()
	if err := pay(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal("two of four must not go on:", err)
	}
	cl.start(2)
	if err := pay(ctx); err != nil {
		t.Fatal("three of four again:", err)
	}
	cl.start(3)
	height, _ := c.Head()
	behind := dial(t, cl.nodes[3])
	if err := behind.WaitHeight(ctx, height+1); err != nil {
		t.Fatal("the one that was away does not catch up:", err)
	}
	if err := c.WaitHeight(ctx, height+1); err != nil {
		t.Fatal(err)
	}
	if a, b := cl.appHash(0, height+1), cl.appHash(3, height+1); a != b {
		t.Fatalf("state at %d is %s and %s", height, a, b)
	}
}
