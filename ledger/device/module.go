package device

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

	"github.com/grange-network/grange/ledger/api/devicepb"
)

// Module plugs the registry into the application.
type Module struct{ keeper *Keeper }

// NewModule wraps a keeper.
func NewModule(k *Keeper) Module { return Module{keeper: k} }

var (
	_ module.AppModuleBasic = Module{}
	_ module.HasGenesis     = Module{}
	_ module.HasServices    = Module{}
	_ appmodule.AppModule   = Module{}
)

// IsAppModule tags the module for the SDK.
func (Module) IsAppModule() {}

// IsOnePerModuleType tags the module for the SDK.
func (Module) IsOnePerModuleType() {}

// Name is the module's name on the ledger.
func (Module) Name() string { return ModuleName }

// ConsensusVersion counts changes of the state's layout.
func (Module) ConsensusVersion() uint64 { return 1 }

// RegisterLegacyAminoCodec registers nothing: the registry has no amino form.
func (Module) RegisterLegacyAminoCodec(*codec.LegacyAmino) {}

// RegisterInterfaces makes the registry's messages decodable.
func (Module) RegisterInterfaces(r codectypes.InterfaceRegistry) {
	msgservice.RegisterMsgServiceDesc(r, &devicepb.Msg_serviceDesc)
}

// RegisterGRPCGatewayRoutes serves the queries as REST.
func (Module) RegisterGRPCGatewayRoutes(c client.Context, mux *runtime.ServeMux) {
	queries := devicepb.NewQueryClient(c)
	registerDocuments(mux, queries)
	if err := devicepb.RegisterQueryHandlerClient(context.Background(), mux, queries); err != nil {
		panic(fmt.Sprintf("register device routes: %v", err)) // a programming error: a route registered twice
	}
}

// RegisterServices serves the messages and queries.
func (m Module) RegisterServices(c module.Configurator) {
	devicepb.RegisterMsgServer(c.MsgServer(), NewMsgServer(m.keeper))
	devicepb.RegisterQueryServer(c.QueryServer(), NewQueryServer(m.keeper))
}

// DefaultGenesis is an empty registry.
func (Module) DefaultGenesis(cdc codec.JSONCodec) json.RawMessage {
	return cdc.MustMarshalJSON(DefaultGenesis())
}

// ValidateGenesis checks a state without installing it.
func (Module) ValidateGenesis(cdc codec.JSONCodec, _ client.TxEncodingConfig, raw json.RawMessage) error {
	var g devicepb.GenesisState
	if err := cdc.UnmarshalJSON(raw, &g); err != nil {
		return fmt.Errorf("decode device genesis: %w", err)
	}
	return ValidateGenesis(&g)
}

// InitGenesis installs a state.
func (m Module) InitGenesis(ctx sdk.Context, cdc codec.JSONCodec, raw json.RawMessage) {
	var g devicepb.GenesisState
	cdc.MustUnmarshalJSON(raw, &g)
	if err := m.keeper.InitGenesis(ctx, &g); err != nil {
		panic(fmt.Sprintf("install device genesis: %v", err)) // the chain cannot start from this file
	}
}

// ExportGenesis writes the state.
func (m Module) ExportGenesis(ctx sdk.Context, cdc codec.JSONCodec) json.RawMessage {
	g, err := m.keeper.ExportGenesis(ctx)
	if err != nil {
		panic(fmt.Sprintf("export device genesis: %v", err)) // the store is damaged
	}
	return cdc.MustMarshalJSON(g)
}

// AutoCLIOptions describes the commands of the registry.
func (Module) AutoCLIOptions() *autocliv1.ModuleOptions {
	one := func(field string) []*autocliv1.PositionalArgDescriptor {
		return []*autocliv1.PositionalArgDescriptor{{ProtoField: field}}
	}
	return &autocliv1.ModuleOptions{
		Query: &autocliv1.ServiceCommandDescriptor{
			Service: "grange.device.v1.Query",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Device", Use: "show [id]", Short: "Show a device", PositionalArgs: one("id")},
				{RpcMethod: "Devices", Use: "list", Short: "List devices, with --owner those of one account"},
				{RpcMethod: "Document", Use: "did [id]", Short: "Show the DID document of a device (id or did:key)", PositionalArgs: one("id")},
				{RpcMethod: "Attestations", Use: "attestations [subject]", Short: "List what issuers say of a device or an account", PositionalArgs: one("subject")},
				{RpcMethod: "Issuers", Use: "issuers", Short: "List those who may attest"},
				{RpcMethod: "Params", Use: "params", Short: "Show the parameters"},
			},
		},
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service: "grange.device.v1.Msg",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Register", Use: "register", Short: "Bind a device key to your account"},
				{RpcMethod: "Update", Use: "update [device]", Short: "Change a device's profile, payouts or owner", PositionalArgs: one("device")},
				{RpcMethod: "TakeOver", Use: "take-over [device]", Short: "Become the owner of a device announced for you", PositionalArgs: one("device")},
				{RpcMethod: "Object", Use: "object [device]", Short: "End an announced change of owner", PositionalArgs: one("device")},
				{RpcMethod: "Attest", Use: "attest [issuer] [subject]", Short: "Record what an issuer signed", PositionalArgs: append(one("issuer"), one("subject")...)},
				{RpcMethod: "Revoke", Use: "revoke [subject] [serial]", Short: "Make your attestations of a subject void", PositionalArgs: append(one("subject"), one("serial")...)},
				{RpcMethod: "SetIssuer", Use: "set-issuer [issuer]", Short: "Propose an issuer; level 0 removes it", PositionalArgs: one("issuer"), GovProposal: true},
				{RpcMethod: "ReleaseLien", Use: "release-lien [device]", Short: "Give up your liens on a device", PositionalArgs: one("device")},
				{RpcMethod: "UpdateParams", Use: "update-params [params]", Short: "Propose new parameters; all must be given", PositionalArgs: one("params"), GovProposal: true},
			},
		},
	}
}
