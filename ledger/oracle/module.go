package oracle

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

	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// Module plugs the oracle into the application. Its BeginBlock must run before
// those of modules that read the epoch.
type Module struct{ keeper *Keeper }

// NewModule wraps a keeper.
func NewModule(k *Keeper) Module { return Module{keeper: k} }

var (
	_ module.AppModuleBasic     = Module{}
	_ module.HasGenesis         = Module{}
	_ module.HasServices        = Module{}
	_ appmodule.AppModule       = Module{}
	_ appmodule.HasBeginBlocker = Module{}
)

// IsAppModule and IsOnePerModuleType tag the module for the SDK.
func (Module) IsAppModule()        {}
func (Module) IsOnePerModuleType() {}

// Name is the module's name on the ledger.
func (Module) Name() string { return ModuleName }

// ConsensusVersion counts changes of the state's layout.
func (Module) ConsensusVersion() uint64 { return 1 }

// RegisterLegacyAminoCodec registers nothing: the oracle has no amino form.
func (Module) RegisterLegacyAminoCodec(*codec.LegacyAmino) {}

// RegisterInterfaces makes the oracle's messages decodable.
func (Module) RegisterInterfaces(r codectypes.InterfaceRegistry) {
	msgservice.RegisterMsgServiceDesc(r, &oraclepb.Msg_serviceDesc)
}

// RegisterGRPCGatewayRoutes serves the queries as REST.
func (Module) RegisterGRPCGatewayRoutes(c client.Context, mux *runtime.ServeMux) {
	if err := oraclepb.RegisterQueryHandlerClient(context.Background(), mux, oraclepb.NewQueryClient(c)); err != nil {
		panic(fmt.Sprintf("register oracle routes: %v", err)) // a programming error: a route registered twice
	}
}

// RegisterServices serves the messages and queries.
func (m Module) RegisterServices(c module.Configurator) {
	oraclepb.RegisterMsgServer(c.MsgServer(), NewMsgServer(m.keeper))
	oraclepb.RegisterQueryServer(c.QueryServer(), NewQueryServer(m.keeper))
}

// DefaultGenesis is an oracle before its first epoch.
func (Module) DefaultGenesis(cdc codec.JSONCodec) json.RawMessage {
	return cdc.MustMarshalJSON(DefaultGenesis())
}

// ValidateGenesis reports why a genesis cannot be loaded.
func (Module) ValidateGenesis(cdc codec.JSONCodec, _ client.TxEncodingConfig, raw json.RawMessage) error {
	var g oraclepb.GenesisState
	if err := cdc.UnmarshalJSON(raw, &g); err != nil {
		return fmt.Errorf("decode oracle genesis: %w", err)
	}
	return CheckGenesis(g)
}

// InitGenesis loads the oracle; a genesis that does not load cannot start a chain.
func (m Module) InitGenesis(ctx sdk.Context, cdc codec.JSONCodec, raw json.RawMessage) {
	var g oraclepb.GenesisState
	cdc.MustUnmarshalJSON(raw, &g)
	if err := m.keeper.InitGenesis(ctx, g); err != nil {
		panic(fmt.Sprintf("load oracle genesis: %v", err))
	}
}

// ExportGenesis writes the oracle.
func (m Module) ExportGenesis(ctx sdk.Context, cdc codec.JSONCodec) json.RawMessage {
	g, err := m.keeper.ExportGenesis(ctx)
	if err != nil {
		panic(fmt.Sprintf("export oracle genesis: %v", err))
	}
	return cdc.MustMarshalJSON(g)
}

// BeginBlock moves the epoch clock.
func (m Module) BeginBlock(ctx context.Context) error { return m.keeper.BeginBlock(ctx) }
