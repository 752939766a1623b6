// Package command makes command-line queries of every ledger module from the
// modules' own descriptions (autocli): `query device show ID`.
//
// It sends no transactions: those go through ledger/client, which knows about
// unordered transactions and sponsors.
package command

import (
	"context"
	"fmt"

	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
	"cosmossdk.io/client/v2/autocli"
	"cosmossdk.io/client/v2/autocli/flag"
	"cosmossdk.io/core/appmodule"
	"cosmossdk.io/log/v2"
	dbm "github.com/cosmos/cosmos-db"
	runtimeservices "github.com/cosmos/cosmos-sdk/runtime/services"
	"github.com/cosmos/gogoproto/proto"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/grange-network/grange/ledger/app"
	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/encoding"
)

// Dial connects a command to a node's gRPC server, such as client.Client.Conn
// does. It is called when a query runs, not when the commands are made.
type Dial func(*cobra.Command) (grpc.ClientConnInterface, error)

// Query returns the command "query" with a subcommand for each module and one
// for each of its queries. Answers are written to standard output as JSON, or
// as YAML with --output text.
func Query(ctx context.Context, dial Dial) (*cobra.Command, error) {
	b, options, err := builder(dial)
	if err != nil {
		return nil, err
	}
	query, err := b.BuildQueryCommand(ctx, options, nil)
	if err != nil {
		return nil, fmt.Errorf("build query commands: %w", err)
	}
	query.Short = "Query a module of the ledger"
	return query, nil
}

func builder(dial Dial) (*autocli.Builder, autocli.AppOptions, error) {
	modules, err := moduleOptions()
	if err != nil {
		return nil, autocli.AppOptions{}, err
	}
	files, err := proto.MergedRegistry()
	if err != nil {
		return nil, autocli.AppOptions{}, fmt.Errorf("merge protocol files: %w", err)
	}
	b := &autocli.Builder{
		Builder: flag.Builder{
			TypeResolver:          protoregistry.GlobalTypes,
			FileResolver:          files,
			AddressCodec:          encoding.AccountAddresses(),
			ValidatorAddressCodec: encoding.ValidatorAddresses(),
			ConsensusAddressCodec: encoding.ConsensusAddresses(),
		},
		GetClientConn:     dial,
		AddQueryConnFlags: func(c *cobra.Command) { c.Flags().StringP("output", "o", "json", "json or text") },
		AddTxConnFlags:    func(*cobra.Command) {},
	}
	if err := b.ValidateAndComplete(); err != nil {
		return nil, autocli.AppOptions{}, fmt.Errorf("check command builder: %w", err)
	}
	return b, autocli.AppOptions{Modules: map[string]appmodule.AppModule{}, ModuleOptions: modules}, nil
}

// moduleOptions asks the modules of an application without state what commands
// they have.
func moduleOptions() (map[string]*autocliv1.ModuleOptions, error) {
	a, err := app.New(log.NewNopLogger(), dbm.NewMemDB(), chain.LocalID, app.Options{})
	if err != nil {
		return nil, err
	}
	defer a.Close()
	modules := make(map[string]any, len(a.Manager.Modules))
	for name, m := range a.Manager.Modules {
		modules[name] = m
	}
	return runtimeservices.ExtractAutoCLIOptions(modules), nil
}
