package oracle

import autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"

// AutoCLIOptions describe the commands that the SDK builds for the oracle.
func (Module) AutoCLIOptions() *autocliv1.ModuleOptions {
	arg := func(names ...string) (args []*autocliv1.PositionalArgDescriptor) {
		for _, n := range names {
			args = append(args, &autocliv1.PositionalArgDescriptor{ProtoField: n})
		}
		return args
	}
	return &autocliv1.ModuleOptions{
		Query: &autocliv1.ServiceCommandDescriptor{
			Service: "grange.oracle.v1.Query",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Params", Use: "params", Short: "Show the oracle's parameters"},
				{RpcMethod: "Epoch", Use: "epoch NUMBER", Short: "Show an epoch, 0 for the current one", PositionalArgs: arg("number")},
				{RpcMethod: "Keys", Use: "keys", Short: "List the validators' beacon keys"},
				{RpcMethod: "Challenges", Use: "challenges DEVICE", Short: "Show what a device has to prove now", PositionalArgs: arg("device")},
				{RpcMethod: "Outcome", Use: "outcome DEVICE EPOCH", Short: "Show whether a device has proven an epoch", PositionalArgs: arg("device", "epoch")},
				{RpcMethod: "Proofs", Use: "proofs", Short: "List accepted proofs, newest first"},
				{RpcMethod: "Reports", Use: "reports VERTICAL", Short: "List accepted reports, newest first", PositionalArgs: arg("vertical")},
				{RpcMethod: "Report", Use: "report VERTICAL EPOCH", Short: "Show the votes on an epoch and what was accepted", PositionalArgs: arg("vertical", "epoch")},
				{RpcMethod: "Claimed", Use: "claimed DEVICE", Short: "Show what a device has been paid", PositionalArgs: arg("device")},
				{RpcMethod: "Conducts", Use: "conducts", Short: "List what the validators did"},
				{RpcMethod: "Equivocations", Use: "equivocations", Short: "List contradicting votes"},
				{RpcMethod: "Refutations", Use: "refutations", Short: "List reports that were accepted and shown to be wrong"},
			},
		},
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service: "grange.oracle.v1.Msg",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "UpdateParams", Skip: true},
			},
		},
	}
}
