package server_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/ledger/server"
)

func grain(n int64) sdk.Coins { return sdk.NewCoins(sdk.NewInt64Coin(chain.Grain, n)) }

func dial(t *testing.T, n *server.Node) *client.Client {
	t.Helper()
	return dialAt(t, n.Endpoints().GRPC, n.Endpoints().RPC)
}

func dialAt(t *testing.T, grpc, rpc string) *client.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, client.Endpoints{GRPC: grpc, RPC: rpc, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func balance(t *testing.T, c *client.Client, a sdk.AccAddress) int64 {
	t.Helper()
	r, err := c.Bank.Balance(t.Context(), &banktypes.QueryBalanceRequest{Address: a.String(), Denom: chain.Grain})
	if err != nil {
		t.Fatal(err)
	}
	return r.Balance.Amount.Int64()
}

func TestExportedChainGoesOn(t *testing.T) {
	rich, to := key.New(), key.New()
	old := t.TempDir()
	n := startLocal(t, old, server.LocalGenesis{Balances: []server.Balance{{Address: rich.Address(), Coins: grain(1_000_000)}}})
	c := dial(t, n)
	if _, err := c.Signer(rich, nil).Send(t.Context(), banktypes.NewMsgSend(rich.Address(), to.Address(), grain(123))); err != nil {
		t.Fatal(err)
	}
	height, _ := c.Head()
	if err := c.WaitHeight(t.Context(), height+2); err != nil {
		t.Fatal(err)
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	document, err := server.Export(old, "grange-again-1", time.Now())
	if err != nil {
		t.Fatal(err)
	}

	fresh := t.TempDir()
	for _, name := range []string{"node_key.json", "priv_validator_key.json"} {
		copyFile(t, filepath.Join(old, "config", name), filepath.Join(fresh, "config", name))
	}
	if _, err := server.InitNode(fresh); err != nil {
		t.Fatal(err)
	}
	if err := server.WriteGenesis(fresh, document); err != nil {
		t.Fatal(err)
	}
	m := startLocal(t, fresh, server.LocalGenesis{})
	c = dial(t, m)
	if got := balance(t, c, to.Address()); got != 123 {
		t.Fatalf("balance %d, want 123", got)
	}
	if c.ChainID() != "grange-again-1" {
		t.Fatalf("chain %s", c.ChainID())
	}
	if again, _ := c.Head(); again <= height {
		t.Fatalf("height %d, want more than %d", again, height)
	}
	if _, err := c.Signer(rich, nil).Send(t.Context(), banktypes.NewMsgSend(rich.Address(), to.Address(), grain(1))); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestGenesisIsDeterministic(t *testing.T) {
	keys, err := server.InitNode(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	gentx, err := keys.Gentx(t.Context(), chain.LocalID, "a", 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	g := server.Genesis{
		Time:     time.Unix(1_700_000_000, 0),
		Balances: []server.Balance{{Address: keys.Operator.Address(), Coins: grain(2_000_000)}, {Address: key.New().Address(), Coins: grain(1)}},
		Gentxs:   []json.RawMessage{gentx},
	}
	first, err := g.DocumentJSON()
	if err != nil {
		t.Fatal(err)
	}
	second, err := g.DocumentJSON()
	if err != nil {
		t.Fatal(err)
	}
	if string(first) != string(second) {
		t.Fatal("two documents from the same values differ")
	}
}

func TestInitHomeRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		modules map[string]json.RawMessage
	}{
		{"unknown module", map[string]json.RawMessage{"mint": json.RawMessage(`{}`)}},
		{"not JSON", map[string]json.RawMessage{"device": json.RawMessage(`{`)}},
		{"unknown field", map[string]json.RawMessage{"device": json.RawMessage(`{"params":{"color":"red"}}`)}},
		{"invalid parameter", map[string]json.RawMessage{"device": json.RawMessage(`{"params":{"max_devices_per_owner":"0"}}`)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			home := t.TempDir()
			if _, err := server.InitHome(t.Context(), home, server.LocalGenesis{Modules: c.modules}); err == nil {
				t.Fatal("accepted")
			} else {
				t.Log(err)
			}
			if _, err := os.Stat(filepath.Join(home, "config", "genesis.json")); err == nil {
				t.Fatal("left a genesis behind")
			}
		})
	}
}

func TestStartWithoutAChainSaysSo(t *testing.T) {
	if _, err := server.Start(t.Context(), server.Config{Home: t.TempDir()}); err == nil {
		t.Fatal("started")
	} else {
		t.Log(err)
	}
}
