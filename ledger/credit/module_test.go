package credit

import (
	"slices"
	"testing"

	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/x/tx/signing"
	"github.com/cosmos/gogoproto/proto"
	"google.golang.org/grpc"

	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/chain"
)

// Every message must name who signs it, and a vote is signed by the account
// behind the validator's operator address.
func TestSigners(t *testing.T) {
	registry, err := codectypes.NewInterfaceRegistryWithOptions(codectypes.InterfaceRegistryOptions{
		ProtoFiles: proto.HybridResolver,
		SigningOptions: signing.Options{
			AddressCodec:          address.NewBech32Codec(chain.Prefix),
			ValidatorAddressCodec: address.NewBech32Codec(chain.Prefix + "valoper"),
		},
	})
	must(t, err)
	Module{}.RegisterInterfaces(registry)
	must(t, registry.SigningContext().Validate())
	cdc := codec.NewProtoCodec(registry)
	for _, c := range []struct {
		msg  sdk.Msg
		want sdk.AccAddress
	}{
		{&creditpb.MsgPrice{Validator: validator("alice")}, alice},
		{&creditpb.MsgBuy{Buyer: alice.String()}, alice},
		{&creditpb.MsgRedeem{Holder: bob.String()}, bob},
		{&creditpb.MsgCancelRedeem{Holder: bob.String()}, bob},
		{&creditpb.MsgUpdateParams{Authority: bob.String()}, bob},
	} {
		signers, _, err := cdc.GetMsgV1Signers(c.msg)
		if err != nil || len(signers) != 1 || !c.want.Equals(sdk.AccAddress(signers[0])) {
			t.Errorf("%T is signed by %X (%v), want %X", c.msg, signers, err, c.want)
		}
	}
}

// Each method has a command and each command a method.
func TestCommandsMatchTheServices(t *testing.T) {
	options := Module{}.AutoCLIOptions()
	for _, c := range []struct {
		service  *grpc.ServiceDesc
		commands *autocliv1.ServiceCommandDescriptor
	}{{&creditpb.Msg_serviceDesc, options.Tx}, {&creditpb.Query_serviceDesc, options.Query}} {
		if c.service.ServiceName != c.commands.Service {
			t.Errorf("commands of %s are for %s", c.service.ServiceName, c.commands.Service)
		}
		var methods, commands []string
		for _, m := range c.service.Methods {
			methods = append(methods, m.MethodName)
		}
		for _, m := range c.commands.RpcCommandOptions {
			commands = append(commands, m.RpcMethod)
		}
		slices.Sort(methods)
		slices.Sort(commands)
		if !slices.Equal(methods, commands) {
			t.Errorf("%s has methods %v and commands %v", c.service.ServiceName, methods, commands)
		}
	}
}

func TestDefaultGenesisIsValid(t *testing.T) {
	w := emptyWorld(t)
	m := NewModule(w.Keeper)
	must(t, m.ValidateGenesis(w.cdc, nil, m.DefaultGenesis(w.cdc)))
	m.InitGenesis(w.ctx, w.cdc, m.DefaultGenesis(w.cdc))
	must(t, m.EndBlock(w.ctx))
	w.sound()
}
