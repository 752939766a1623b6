package app

import (
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	nodeservice "github.com/cosmos/cosmos-sdk/client/grpc/node"
	"github.com/cosmos/cosmos-sdk/server"
	"github.com/cosmos/cosmos-sdk/server/api"
	"github.com/cosmos/cosmos-sdk/server/config"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"
	"github.com/grpc-ecosystem/grpc-gateway/runtime"
)

var _ servertypes.Application = (*App)(nil)

// RegisterAPIRoutes adds the REST routes of all modules to the SDK's API server.
func (a *App) RegisterAPIRoutes(s *api.Server, _ config.APIConfig) {
	a.RegisterREST(s.ClientCtx, s.GRPCGatewayRouter)
}

// RegisterREST adds the REST routes of all modules and of the transaction,
// block and node services to mux; requests go through c's gRPC connection.
func (a *App) RegisterREST(c client.Context, mux *runtime.ServeMux) {
	authtx.RegisterGRPCGatewayRoutes(c, mux)
	cmtservice.RegisterGRPCGatewayRoutes(c, mux)
	nodeservice.RegisterGRPCGatewayRoutes(c, mux)
	a.Basic.RegisterGRPCGatewayRoutes(c, mux)
}

// RegisterTxService adds simulation, broadcast and look-up of transactions.
func (a *App) RegisterTxService(c client.Context) {
	authtx.RegisterTxService(a.GRPCQueryRouter(), c, a.Simulate, a.Registry)
}

// RegisterTendermintService adds queries of blocks and validator sets.
func (a *App) RegisterTendermintService(c client.Context) {
	wrapped := server.NewCometABCIWrapper(a)
	cmtservice.RegisterTendermintService(c, a.GRPCQueryRouter(), a.Registry, wrapped.Query)
}

// RegisterNodeService adds the query of the node's own settings.
func (a *App) RegisterNodeService(c client.Context, cfg config.Config) {
	nodeservice.RegisterNodeService(c, a.GRPCQueryRouter(), cfg, func() int64 {
		return a.CommitMultiStore().EarliestVersion()
	})
}
