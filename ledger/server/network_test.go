package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	rpchttp "github.com/cometbft/cometbft/rpc/client/http"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/grange-network/grange/internal/ports"
	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/ledger/server"
)

// A validator of a cluster is this test's program started again: only a process
// of its own can be killed. Its configuration is in the environment.
const childConfig = "GRANGE_TEST_NODE"

type child struct {
	Home, RPC, GRPC, P2P string
	Peers                []string
}

// runChild is the whole of such a program.
func runChild(raw string) {
	var c child
	if err := json.Unmarshal([]byte(raw), &c); err != nil {
		log.Fatal(err)
	}
	err := server.Run(context.Background(), server.Config{
		Home: c.Home, RPCAddr: c.RPC, GRPCAddr: c.GRPC, P2PAddr: c.P2P, PersistentPeers: c.Peers,
		CommitTimeout: 100 * time.Millisecond,
		Logger:        slog.New(slog.DiscardHandler), // peers that go are errors to the others
	})
	log.Fatal(err)
}

// cluster is a chain of several validators, each a process.
type cluster struct {
	*testing.T
	nodes []child
	keys  []server.NodeKeys
	procs []*process
}

// process is a running node. ended is closed when it is gone, with how in err.
type process struct {
	*exec.Cmd
	ended chan struct{}
	err   error
}

func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := ports.FreeAddr("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func newCluster(t *testing.T, size int) *cluster {
	t.Helper()
	cl := &cluster{T: t, procs: make([]*process, size)}
	g := server.Genesis{}
	var peers []string
	for range size {
		c := child{Home: t.TempDir(), RPC: freeAddr(t), GRPC: freeAddr(t), P2P: freeAddr(t)}
		k, err := server.InitNode(c.Home)
		if err != nil {
			t.Fatal(err)
		}
		gentx, err := k.Gentx(t.Context(), chain.LocalID, "v", 1_000_000_000)
		if err != nil {
			t.Fatal(err)
		}
		g.Gentxs = append(g.Gentxs, gentx)
		g.Balances = append(g.Balances, server.Balance{Address: k.Operator.Address(), Coins: grain(2_000_000_000)})
		cl.nodes, cl.keys = append(cl.nodes, c), append(cl.keys, k)
		peers = append(peers, k.NodeID+"@"+c.P2P)
	}
	document, err := g.DocumentJSON()
	if err != nil {
		t.Fatal(err)
	}
	for i := range size {
		cl.nodes[i].Peers = slices.Delete(slices.Clone(peers), i, i+1)
		if err := server.WriteGenesis(cl.nodes[i].Home, document); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for i := range cl.procs {
			cl.kill(i)
		}
	})
	return cl
}

func (cl *cluster) start(i int) {
	cl.Helper()
	raw, err := json.Marshal(cl.nodes[i])
	if err != nil {
		cl.Fatal(err)
	}
	p := &process{Cmd: exec.Command(os.Args[0]), ended: make(chan struct{})}
	p.Env = append(os.Environ(), childConfig+"="+string(raw))
	p.Stderr = os.Stderr
	if err := p.Start(); err != nil {
		cl.Fatal(err)
	}
	cl.procs[i] = p
	go func() {
		p.err = p.Wait()
		close(p.ended)
	}()
}

// kill gives the node no chance to put anything in order.
func (cl *cluster) kill(i int) {
	cl.Helper()
	if cl.procs[i] == nil {
		return
	}
	p := cl.procs[i]
	cl.procs[i] = nil
	select {
	case <-p.ended:
		cl.Errorf("node %d ended by itself: %v", i, p.err)
		return
	default:
	}
	if err := p.Process.Kill(); err != nil {
		cl.Error("kill:", err)
	}
	<-p.ended
}

func (cl *cluster) dial(i int) *client.Client {
	cl.Helper()
	return dialAt(cl.T, cl.nodes[i].GRPC, cl.nodes[i].RPC)
}

func (cl *cluster) appHash(i int, height int64) string {
	cl.Helper()
	rpc, err := rpchttp.New("tcp://"+cl.nodes[i].RPC, "/websocket")
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
	c := cl.dial(0)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s, to := c.Signer(cl.keys[0].Operator, nil), key.New().Address()
	pay := func(ctx context.Context) error {
		_, err := s.Send(ctx, banktypes.NewMsgSend(s.Address(), to, grain(1)))
		return err
	}
	if err := pay(ctx); err != nil {
		t.Fatal("four of four:", err)
	}
	cl.kill(3)
	if err := pay(ctx); err != nil {
		t.Fatal("three of four:", err)
	}
	cl.kill(2)
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
	behind := cl.dial(3)
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
