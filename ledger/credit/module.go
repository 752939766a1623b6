package credit

import (
	"context"
	"encoding/json"
	"fmt"

	"cosmossdk.io/core/appmodule"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/types/msgservice"
	"github.com/grpc-ecosystem/grpc-gateway/runtime"

	"github.com/grange-network/grange/ledger/api/creditpb"
)

var (
	_ module.AppModule           = Module{}
	_ module.HasGenesis          = Module{}
	_ module.HasServices         = Module{}
	_ module.HasConsensusVersion = Module{}
	_ appmodule.HasEndBlocker    = Module{}
)

// Module plugs the keeper into the SDK's module manager.
type Module struct{ k *Keeper }

// NewModule wraps a keeper. With a nil keeper it still serves what needs no
// state: codecs, routes, default genesis.
func NewModule(k *Keeper) Module { return Module{k} }

// Name returns the module's name.
func (Module) Name() string { return ModuleName }

// IsAppModule marks the module for the manager.
func (Module) IsAppModule() {}

// IsOnePerModuleType marks the module for the manager.
func (Module) IsOnePerModuleType() {}

// ConsensusVersion is raised with every change that breaks stored state.
func (Module) ConsensusVersion() uint64 { return 1 }

// RegisterLegacyAminoCodec does nothing: the messages are signed as protobuf.
func (Module) RegisterLegacyAminoCodec(*codec.LegacyAmino) {}

// RegisterInterfaces makes the module's messages known.
func (Module) RegisterInterfaces(r codectypes.InterfaceRegistry) {
	msgservice.RegisterMsgServiceDesc(r, &creditpb.Msg_serviceDesc)
}

// RegisterGRPCGatewayRoutes adds the REST routes of the queries.
func (Module) RegisterGRPCGatewayRoutes(c client.Context, mux *runtime.ServeMux) {
	if err := creditpb.RegisterQueryHandlerClient(context.Background(), mux, creditpb.NewQueryClient(c)); err != nil {
		panic(fmt.Sprintf("register credit routes: %v", err)) // a programming error: two routes collide
	}
}

// RegisterServices adds the message and query servers.
func (m Module) RegisterServices(c module.Configurator) {
	creditpb.RegisterMsgServer(c.MsgServer(), NewMsgServer(m.k))
	creditpb.RegisterQueryServer(c.QueryServer(), NewQueryServer(m.k))
}

// DefaultGenesis returns a new network's state.
func (Module) DefaultGenesis(cdc codec.JSONCodec) json.RawMessage {
	return cdc.MustMarshalJSON(DefaultGenesis())
}

// ValidateGenesis checks a state before the ledger starts.
func (Module) ValidateGenesis(cdc codec.JSONCodec, _ client.TxEncodingConfig, raw json.RawMessage) error {
	var g creditpb.GenesisState
	if err := cdc.UnmarshalJSON(raw, &g); err != nil {
		return fmt.Errorf("decode credit genesis: %w", err)
	}
	return ValidateGenesis(&g)
}

// InitGenesis stores the state of a genesis file; it panics when that does not
// add up, since there is no ledger to start.
func (m Module) InitGenesis(ctx sdk.Context, cdc codec.JSONCodec, raw json.RawMessage) {
	var g creditpb.GenesisState
	cdc.MustUnmarshalJSON(raw, &g)
	if err := m.k.InitGenesis(ctx, &g); err != nil {
		panic(fmt.Sprintf("credit genesis: %v", err))
	}
}

// ExportGenesis returns the state.
func (m Module) ExportGenesis(ctx sdk.Context, cdc codec.JSONCodec) json.RawMessage {
	g, err := m.k.ExportGenesis(ctx)
	if err != nil {
		panic(err.Error())
	}
	return cdc.MustMarshalJSON(g)
}

// EndBlock closes price rounds and pays redemptions.
func (m Module) EndBlock(ctx context.Context) error { return m.k.EndBlock(ctx) }
