package client_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	"go.uber.org/goleak"

	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/ledger/server"
)

func grain(n int64) sdk.Coins { return sdk.NewCoins(sdk.NewInt64Coin(chain.Grain, n)) }

// network starts a chain of one validator and a client, with rich an account
// that owns 1,000 GRAIN.
func network(t *testing.T) (c *client.Client, rich key.Key, n *server.Node) {
	t.Helper()
	return networkAt(t, t.TempDir())
}

func networkAt(t *testing.T, home string) (c *client.Client, rich key.Key, n *server.Node) {
	t.Helper()
	rich = key.New()
	_, err := server.InitHome(t.Context(), home, server.LocalGenesis{
		Balances: []server.Balance{{Address: rich.Address(), Coins: grain(1_000_000_000)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	n, err = server.Start(context.Background(), server.Config{Home: home, CommitTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Error("stop:", err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err = client.Dial(ctx, client.Endpoints{GRPC: n.Endpoints().GRPC, RPC: n.Endpoints().RPC})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return c, rich, n
}

func balance(t *testing.T, c *client.Client, a sdk.AccAddress) int64 {
	t.Helper()
	r, err := c.Bank.Balance(t.Context(), &banktypes.QueryBalanceRequest{Address: a.String(), Denom: chain.Grain})
	if err != nil {
		t.Fatal(err)
	}
	return r.Balance.Amount.Int64()
}

func TestSend(t *testing.T) {
	c, rich, _ := network(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := c.Signer(rich, nil)
	to := key.New()

	t.Run("parallel sends of one account all pass", func(t *testing.T) {
		var wg sync.WaitGroup
		errs := make([]error, 20)
		for i := range errs {
			wg.Add(1)
			go func() {
				defer wg.Done()
				_, errs[i] = s.Send(ctx, banktypes.NewMsgSend(rich.Address(), to.Address(), grain(10)))
			}()
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if got := balance(t, c, to.Address()); got != 200 {
			t.Fatalf("balance %d, want 200", got)
		}
	})

	t.Run("refusal is a typed error", func(t *testing.T) {
		_, err := s.Send(ctx, banktypes.NewMsgSend(rich.Address(), to.Address(), grain(1_000_000_000_000)))
		var refused *client.TxError
		if !errors.As(err, &refused) {
			t.Fatalf("error is %v", err)
		}
		if !errors.Is(err, sdkerrors.ErrInsufficientFunds) {
			t.Fatalf("error is %v, want insufficient funds", err)
		}
	})

	t.Run("unknown account is not found", func(t *testing.T) {
		nobody := key.New()
		_, err := c.Signer(nobody, nil).Send(ctx, banktypes.NewMsgSend(nobody.Address(), to.Address(), grain(1)))
		if !errors.Is(err, client.ErrNotFound) {
			t.Fatalf("error is %v", err)
		}
	})

	t.Run("sponsor pays the fee of an account without money", func(t *testing.T) {
		poor := key.New()
		grant, err := feegrant.NewMsgGrantAllowance(&feegrant.BasicAllowance{SpendLimit: grain(1_000_000)}, rich.Address(), poor.Address())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Send(ctx, grant); err != nil {
			t.Fatal(err)
		}
		// It owns nothing, so it can only do what costs nothing but the fee.
		another, err := feegrant.NewMsgGrantAllowance(&feegrant.BasicAllowance{}, poor.Address(), to.Address())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Signer(poor, rich.Address()).Send(ctx, another); err != nil {
			t.Fatal(err)
		}
		if got := balance(t, c, poor.Address()); got != 0 {
			t.Fatalf("balance %d, want 0", got)
		}
	})
}

func TestBlocksHaveNoGaps(t *testing.T) {
	c, _, _ := network(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	want := int64(1)
	for b := range c.BlocksFrom(ctx, 1) {
		if b.Height != want {
			t.Fatalf("block %d, want %d", b.Height, want)
		}
		if want++; want > 10 {
			break
		}
	}
}

func TestSurvivesARestartOfTheNode(t *testing.T) {
	home := t.TempDir()
	c, rich, n := networkAt(t, home)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, to := c.Signer(rich, nil), key.New().Address()
	blocks := c.BlocksFrom(ctx, 1)
	want := int64(1)
	read := func(until int64) {
		t.Helper()
		for want <= until {
			b, ok := <-blocks
			if !ok {
				t.Fatal("stream ended")
			}
			if b.Height != want {
				t.Fatalf("block %d, want %d", b.Height, want)
			}
			want++
		}
	}
	read(3)
	at := n.Endpoints()
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Send(ctx, banktypes.NewMsgSend(rich.Address(), to, grain(1))); !errors.Is(err, client.ErrUnavailable) {
		t.Fatalf("while the node is down: %v", err)
	}
	again, err := server.Start(ctx, server.Config{
		Home: home, RPCAddr: at.RPC, GRPCAddr: at.GRPC, RESTAddr: at.REST, CommitTimeout: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Stop() })
	// At once: the node knows no block's time before it makes one.
	for err = client.ErrUnavailable; errors.Is(err, client.ErrUnavailable); {
		_, err = s.Send(ctx, banktypes.NewMsgSend(rich.Address(), to, grain(1)))
	}
	if err != nil {
		t.Fatal(err)
	}
	height, _ := c.Head()
	if err := c.WaitHeight(ctx, height+3); err != nil {
		t.Fatal(err)
	}
	read(height + 3)
}

func TestDialGivesUpWithTheContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := client.Dial(ctx, client.Endpoints{GRPC: "127.0.0.1:1", RPC: "127.0.0.1:1"})
	if !errors.Is(err, client.ErrUnavailable) {
		t.Fatalf("error is %v", err)
	}
}

// A refusal that only the block shows: both transactions pass simulation, one of
// them finds the money gone.
func TestFailureInABlockIsTyped(t *testing.T) {
	c, rich, _ := network(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	payer, to := key.New(), key.New().Address()
	if _, err := c.Signer(rich, nil).Send(ctx, banktypes.NewMsgSend(rich.Address(), payer.Address(), grain(1000))); err != nil {
		t.Fatal(err)
	}
	grant, err := feegrant.NewMsgGrantAllowance(&feegrant.BasicAllowance{}, rich.Address(), payer.Address())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Signer(rich, nil).Send(ctx, grant); err != nil {
		t.Fatal(err)
	}
	s := c.Signer(payer, rich.Address())
	errs := make(chan error)
	for range 4 {
		go func() {
			_, err := s.Send(ctx, banktypes.NewMsgSend(payer.Address(), to, grain(900)))
			errs <- err
		}()
	}
	passed := 0
	for range 4 {
		switch err := <-errs; {
		case err == nil:
			passed++
		case !errors.Is(err, sdkerrors.ErrInsufficientFunds):
			t.Errorf("error is %v", err)
		default:
			t.Log(err)
		}
	}
	if passed != 1 {
		t.Fatalf("%d passed, want 1", passed)
	}
	if got := balance(t, c, to); got != 900 {
		t.Fatalf("balance %d, want 900", got)
	}
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Started by a package, for the life of the process.
		goleak.IgnoreAnyFunction("github.com/desertbit/timer.timerRoutine"),
		// Ends some seconds after its database is closed.
		goleak.IgnoreAnyFunction("github.com/syndtr/goleveldb/leveldb.(*DB).mpoolDrain"),
		// CometBFT leaves these behind when a node stops.
		goleak.IgnoreAnyFunction("github.com/cometbft/cometbft/libs/autofile.OpenAutoFile.func1"),
		goleak.IgnoreAnyFunction("github.com/cometbft/cometbft/libs/autofile.(*AutoFile).closeFileRoutine"),
		goleak.IgnoreAnyFunction("github.com/cometbft/cometbft/proxy.(*multiAppConn).killTMOnClientError"),
	)
}
