package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/server"
)

var ours = []string{"device", "market", "oracle", "credit"}

func find(t *testing.T, root *cobra.Command, name string) *cobra.Command {
	t.Helper()
	for _, c := range root.Commands() {
		if c.Name() == name {
			return c
		}
	}
	t.Fatalf("no command %q under %q", name, root.Name())
	return nil
}

// Every description of ours names services, methods and fields that exist:
// building the commands resolves them.
func TestEveryModuleHasCommands(t *testing.T) {
	b, options, err := builder(func(*cobra.Command) (grpc.ClientConnInterface, error) { return nil, errors.New("offline") })
	if err != nil {
		t.Fatal(err)
	}
	query, err := b.BuildQueryCommand(t.Context(), options, nil)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := b.BuildMsgCommand(t.Context(), options, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append([]string{"bank", "staking", "gov"}, ours...) {
		if n := len(find(t, query, name).Commands()); n == 0 {
			t.Errorf("module %s has no queries", name)
		}
	}
	for _, name := range ours {
		if n := len(find(t, tx, name).Commands()); n == 0 {
			t.Errorf("module %s has no transactions", name)
		}
	}
}

func TestQueryANode(t *testing.T) {
	home := t.TempDir()
	if _, err := server.InitHome(t.Context(), home, server.LocalGenesis{}); err != nil {
		t.Fatal(err)
	}
	n, err := server.Start(context.Background(), server.Config{Home: home, CommitTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Stop() })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, client.Endpoints{GRPC: n.Endpoints().GRPC, RPC: n.Endpoints().RPC})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	query, err := Query(ctx, func(*cobra.Command) (grpc.ClientConnInterface, error) { return c.Conn(), nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range ours {
		var out bytes.Buffer
		query.SetOut(&out)
		query.SetArgs([]string{module, "params"})
		if err := query.ExecuteContext(ctx); err != nil {
			t.Fatalf("query %s params: %v", module, err)
		}
		var answer map[string]any
		if err := json.Unmarshal(out.Bytes(), &answer); err != nil || answer["params"] == nil {
			t.Fatalf("query %s params: %v in %s", module, err, out.Bytes())
		}
	}
}
