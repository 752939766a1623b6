// Package encoding builds the codecs and the transaction format that the
// application and its clients share. It knows message types, not keepers, so a
// client does not link the state machine.
package encoding

import (
	"fmt"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/std"
	"github.com/cosmos/cosmos-sdk/types/msgservice"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	distrtypes "github.com/cosmos/cosmos-sdk/x/distribution/types"
	evidencetypes "github.com/cosmos/cosmos-sdk/x/evidence/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	govv1beta1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1beta1"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	"github.com/cosmos/cosmos-sdk/x/tx/signing"
	"github.com/cosmos/gogoproto/proto"
	"google.golang.org/grpc"

	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/chain"
)

// messages lists the Msg services of our own modules; a module that is added
// to the ledger adds its line here.
var messages = []*grpc.ServiceDesc{
	&devicepb.Msg_serviceDesc,
	&marketpb.Msg_serviceDesc,
	&oraclepb.Msg_serviceDesc,
	&creditpb.Msg_serviceDesc,
}

// Config is the set of codecs. It is read-only after New and safe to share.
type Config struct {
	Registry codectypes.InterfaceRegistry
	Codec    codec.Codec
	Amino    *codec.LegacyAmino
	Tx       client.TxConfig
}

// New returns codecs that know every message of the standard and our modules.
func New() (Config, error) {
	registry, err := codectypes.NewInterfaceRegistryWithOptions(codectypes.InterfaceRegistryOptions{
		ProtoFiles: proto.HybridResolver,
		SigningOptions: signing.Options{
			AddressCodec:          AccountAddresses(),
			ValidatorAddressCodec: ValidatorAddresses(),
		},
	})
	if err != nil {
		return Config{}, fmt.Errorf("build interface registry: %w", err)
	}
	cdc := codec.NewProtoCodec(registry)
	amino := codec.NewLegacyAmino()
	std.RegisterLegacyAminoCodec(amino)
	std.RegisterInterfaces(registry)
	for _, register := range []func(codectypes.InterfaceRegistry){
		authtypes.RegisterInterfaces,
		banktypes.RegisterInterfaces,
		consensustypes.RegisterInterfaces,
		distrtypes.RegisterInterfaces,
		evidencetypes.RegisterInterfaces,
		feegrant.RegisterInterfaces,
		govv1.RegisterInterfaces,
		govv1beta1.RegisterInterfaces,
		slashingtypes.RegisterInterfaces,
		stakingtypes.RegisterInterfaces,
	} {
		register(registry)
	}
	for _, service := range messages {
		msgservice.RegisterMsgServiceDesc(registry, service)
	}
	if err := registry.SigningContext().Validate(); err != nil {
		return Config{}, fmt.Errorf("check that every message names its signer: %w", err)
	}
	return Config{
		Registry: registry,
		Codec:    cdc,
		Amino:    amino,
		Tx:       authtx.NewTxConfig(cdc, authtx.DefaultSignModes),
	}, nil
}

// ValidatorAddresses converts validator operator addresses.
func ValidatorAddresses() address.Bech32Codec {
	return address.Bech32Codec{Bech32Prefix: chain.Prefix + "valoper"}
}

// ConsensusAddresses converts validator consensus addresses.
func ConsensusAddresses() address.Bech32Codec {
	return address.Bech32Codec{Bech32Prefix: chain.Prefix + "valcons"}
}
