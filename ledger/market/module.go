package market

import (
	"context"
	"encoding/json"
	"fmt"

	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
	"cosmossdk.io/core/appmodule"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/types/msgservice"
	"github.com/grpc-ecosystem/grpc-gateway/runtime"

	"github.com/grange-network/grange/ledger/api/marketpb"
)

// Module plugs the market into the application.
type Module struct{ keeper *Keeper }

// NewModule wraps a keeper.
func NewModule(k *Keeper) Module { return Module{keeper: k} }

var (
	_ module.AppModuleBasic   = Module{}
	_ module.HasGenesis       = Module{}
	_ module.HasServices      = Module{}
	_ appmodule.AppModule     = Module{}
	_ appmodule.HasEndBlocker = Module{}
)

// IsAppModule and IsOnePerModuleType tag the module for the SDK.
func (Module) IsAppModule()        {}
func (Module) IsOnePerModuleType() {}

// Name is the module's name on the ledger.
func (Module) Name() string { return ModuleName }

// ConsensusVersion counts changes of the state's layout.
func (Module) ConsensusVersion() uint64 { return 1 }

// RegisterLegacyAminoCodec registers nothing: the market has no amino form.
func (Module) RegisterLegacyAminoCodec(*codec.LegacyAmino) {}

// RegisterInterfaces makes the market's messages decodable.
func (Module) RegisterInterfaces(r codectypes.InterfaceRegistry) {
	msgservice.RegisterMsgServiceDesc(r, &marketpb.Msg_serviceDesc)
	r.RegisterImplementations((*sdk.Msg)(nil), &marketpb.MsgPost{}, &marketpb.MsgAccept{}, &marketpb.MsgFund{},
		&marketpb.MsgSettle{}, &marketpb.MsgClose{}, &marketpb.MsgUpdateParams{})
}

// RegisterGRPCGatewayRoutes serves the queries as REST.
func (Module) RegisterGRPCGatewayRoutes(c client.Context, mux *runtime.ServeMux) {
	if err := marketpb.RegisterQueryHandlerClient(context.Background(), mux, marketpb.NewQueryClient(c)); err != nil {
		panic(fmt.Sprintf("register market routes: %v", err)) // a programming error: a route registered twice
	}
}

// RegisterServices serves the messages and queries.
func (m Module) RegisterServices(c module.Configurator) {
	marketpb.RegisterMsgServer(c.MsgServer(), NewMsgServer(m.keeper))
	marketpb.RegisterQueryServer(c.QueryServer(), NewQueryServer(m.keeper))
}

// DefaultGenesis is an empty market.
func (Module) DefaultGenesis(cdc codec.JSONCodec) json.RawMessage {
	return cdc.MustMarshalJSON(DefaultGenesis())
}

// ValidateGenesis reports why a genesis cannot be loaded.
func (Module) ValidateGenesis(cdc codec.JSONCodec, _ client.TxEncodingConfig, raw json.RawMessage) error {
	var g marketpb.GenesisState
	if err := cdc.UnmarshalJSON(raw, &g); err != nil {
		return fmt.Errorf("decode market genesis: %w", err)
	}
	return CheckGenesis(g)
}

// InitGenesis loads the market; a genesis that does not load cannot start a chain.
func (m Module) InitGenesis(ctx sdk.Context, cdc codec.JSONCodec, raw json.RawMessage) {
	var g marketpb.GenesisState
	cdc.MustUnmarshalJSON(raw, &g)
	if err := m.keeper.InitGenesis(ctx, g); err != nil {
		panic(fmt.Sprintf("load market genesis: %v", err))
	}
}

// ExportGenesis writes the market.
func (m Module) ExportGenesis(ctx sdk.Context, cdc codec.JSONCodec) json.RawMessage {
	g, err := m.keeper.ExportGenesis(ctx)
	if err != nil {
		panic(fmt.Sprintf("export market genesis: %v", err))
	}
	return cdc.MustMarshalJSON(g)
}

// EndBlock advances the leases that are due.
func (m Module) EndBlock(ctx context.Context) error { return m.keeper.EndBlock(ctx) }

// AutoCLIOptions describe the commands that the SDK builds for the market.
func (Module) AutoCLIOptions() *autocliv1.ModuleOptions {
	arg := func(names ...string) (args []*autocliv1.PositionalArgDescriptor) {
		for _, n := range names {
			args = append(args, &autocliv1.PositionalArgDescriptor{ProtoField: n})
		}
		return args
	}
	return &autocliv1.ModuleOptions{
		Query: &autocliv1.ServiceCommandDescriptor{
			Service: "grange.market.v1.Query",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Params", Use: "params", Short: "Show the market's parameters"},
				{RpcMethod: "Offer", Use: "offer ID", Short: "Show an offer", PositionalArgs: arg("id")},
				{RpcMethod: "Offers", Use: "offers", Short: "List offers"},
				{RpcMethod: "Lease", Use: "lease ID", Short: "Show a lease", PositionalArgs: arg("id")},
				{RpcMethod: "Leases", Use: "leases", Short: "List leases of a payer, of a device, or all"},
				{RpcMethod: "Usage", Use: "usage EPOCH", Short: "List what devices were paid in an epoch", PositionalArgs: arg("epoch")},
				{RpcMethod: "Explain", Use: "explain EPOCH DEVICE", Short: "List what an epoch did to a device's leases", PositionalArgs: arg("epoch", "device")},
				{RpcMethod: "Demand", Use: "demand ID", Short: "Show a demand and its bids", PositionalArgs: arg("id")},
				{RpcMethod: "Demands", Use: "demands", Short: "List demands that take bids"},
				{RpcMethod: "Standing", Use: "standing ID", Short: "Show a standing lease", PositionalArgs: arg("id")},
				{RpcMethod: "Standings", Use: "standings", Short: "List standing leases"},
				{RpcMethod: "Account", Use: "account STANDING DEVICE", Short: "Show what a device was paid under a standing lease", PositionalArgs: arg("standing", "device")},
			},
		},
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service: "grange.market.v1.Msg",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Fund", Use: "fund LEASE HOLD_BUDGET", Short: "Add to a lease's hold budget", PositionalArgs: arg("lease_id", "hold_budget")},
				{RpcMethod: "Close", Use: "close LEASE", Short: "End a lease", PositionalArgs: arg("lease_id")},
				{RpcMethod: "UpdateParams", Skip: true},
			},
		},
	}
}
