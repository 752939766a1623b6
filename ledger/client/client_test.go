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
	rich = key.New()
	home := t.TempDir()
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
