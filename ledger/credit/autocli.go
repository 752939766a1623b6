package credit

import (
	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
)

// AutoCLIOptions describes the module's commands.
func (Module) AutoCLIOptions() *autocliv1.ModuleOptions {
	arg := func(names ...string) (args []*autocliv1.PositionalArgDescriptor) {
		for _, name := range names {
			args = append(args, &autocliv1.PositionalArgDescriptor{ProtoField: name})
		}
		return args
	}
	return &autocliv1.ModuleOptions{
		Query: &autocliv1.ServiceCommandDescriptor{
			Service: "grange.credit.v1.Query",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Params", Use: "params", Short: "Show the parameters"},
				{RpcMethod: "Price", Use: "price", Short: "Show the price of GRAIN and the votes of this round"},
				{RpcMethod: "Collateral", Use: "collateral", Short: "Show the supply of both amounts and what covers the credits"},
				{RpcMethod: "Redemptions", Use: "redemptions", Short: "List redemptions that wait, of one holder or all"},
				{RpcMethod: "Purchases", Use: "purchases", Short: "List purchases that wait for a round, of one buyer or all"},
				{RpcMethod: "EpochPrice", Use: "epoch [number]", Short: "Show what an epoch ended with; 0 is the newest", PositionalArgs: arg("epoch")},
			},
		},
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service: "grange.credit.v1.Msg",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Price", Use: "price [micro-usd-per-grain]", Short: "Vote on the price of GRAIN as a validator", PositionalArgs: arg("micro_usd_per_grain")},
				{RpcMethod: "Buy", Use: "buy [ugrain]", Short: "Burn GRAIN and make credits at the price of a round to come", PositionalArgs: arg("ugrain")},
				{RpcMethod: "Redeem", Use: "redeem [ucredit]", Short: "Queue credits to be turned into GRAIN", PositionalArgs: arg("ucredit")},
				{RpcMethod: "CancelRedeem", Use: "cancel-redeem [id]", Short: "Take a waiting redemption back", PositionalArgs: arg("id")},
				{RpcMethod: "UpdateParams", Use: "update-params [params]", Short: "Propose new parameters; all must be given", PositionalArgs: arg("params"), GovProposal: true},
			},
		},
	}
}
