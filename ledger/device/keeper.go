package device

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"
	"cosmossdk.io/core/address"
	corestore "cosmossdk.io/core/store"
	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/ledger/api/devicepb"
	_ "github.com/grange-network/grange/ledger/chain" // sets the address prefixes
)

// Bank moves what a module pays out.
type Bank interface {
	BlockedAddr(addr sdk.AccAddress) bool
	InputOutputCoins(ctx context.Context, input banktypes.Input, outputs []banktypes.Output) error
}

// CommunityPool receives the fee for moving a device.
type CommunityPool interface {
	FundCommunityPool(ctx context.Context, amount sdk.Coins, sender sdk.AccAddress) error
}

// Keeper stores the registry.
type Keeper struct {
	accounts  address.Codec
	bank      Bank
	pool      CommunityPool
	authority string
	epochs    Epochs

	Schema       collections.Schema
	Params       collections.Item[devicepb.Params]
	Devices      collections.Map[[]byte, devicepb.Device]
	ByOwner      collections.KeySet[collections.Pair[[]byte, []byte]]                    // owner, id
	Counts       collections.Map[[]byte, uint64]                                         // devices of an owner
	Issuers      collections.Map[[]byte, devicepb.Issuer]                                // by address
	Attestations collections.Map[collections.Pair[[]byte, []byte], devicepb.Attestation] // subject, issuer
}

// Config is what the keeper is built from.
type Config struct {
	Codec     codec.BinaryCodec
	Store     corestore.KVStoreService
	Authority string        // may change parameters
	Accounts  address.Codec // of account addresses
	Bank      Bank
	Community CommunityPool
}

// NewKeeper builds the keeper. Its clock is set afterwards with SetEpochs.
func NewKeeper(c Config) *Keeper {
	sb := collections.NewSchemaBuilder(c.Store)
	k := &Keeper{
		accounts: c.Accounts, bank: c.Bank, pool: c.Community, authority: c.Authority,

		Params:  collections.NewItem(sb, collections.NewPrefix(0), "params", codec.CollValue[devicepb.Params](c.Codec)),
		Devices: collections.NewMap(sb, collections.NewPrefix(1), "devices", collections.BytesKey, storedDevice{codec.CollValue[devicepb.Device](c.Codec)}),
		ByOwner: collections.NewKeySet(sb, collections.NewPrefix(2), "by_owner", collections.PairKeyCodec(collections.BytesKey, collections.BytesKey)),
		Counts:  collections.NewMap(sb, collections.NewPrefix(3), "counts", collections.BytesKey, collections.Uint64Value),
		Issuers: collections.NewMap(sb, collections.NewPrefix(4), "issuers", collections.BytesKey, codec.CollValue[devicepb.Issuer](c.Codec)),
		Attestations: collections.NewMap(sb, collections.NewPrefix(5), "attestations", collections.PairKeyCodec(collections.BytesKey, collections.BytesKey),
			codec.CollValue[devicepb.Attestation](c.Codec)),
	}
	schema, err := sb.Build()
	if err != nil {
		panic(fmt.Sprintf("build device schema: %v", err)) // a programming error: two prefixes or names collide
	}
	k.Schema = schema
	return k
}

// Authority is the account that may change the parameters.
func (k *Keeper) Authority() string { return k.authority }

// Get returns a device, or ErrNotFound.
func (k *Keeper) Get(ctx context.Context, id device.ID) (devicepb.Device, error) {
	d, err := k.Devices.Get(ctx, id[:])
	if errors.Is(err, collections.ErrNotFound) {
		return d, ErrNotFound.Wrapf("%s: register it first, or check the id", id)
	}
	return d, err
}

// Owner returns the account that owns a device, or ErrNotFound.
func (k *Keeper) Owner(ctx context.Context, id device.ID) (sdk.AccAddress, error) {
	d, err := k.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	return k.accounts.StringToBytes(d.Owner)
}

// PayoutSplits returns how a device's earnings are divided now, liens first; the
// owner gets what they leave.
func (k *Keeper) PayoutSplits(ctx context.Context, id device.ID) ([]device.Split, error) {
	d, err := k.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	return splitsFrom(d.Payouts), nil
}

// bind makes owner the owner of a device: the index and the count.
func (k *Keeper) bind(ctx context.Context, owner []byte, id device.ID) error {
	params, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	n, err := k.count(ctx, owner)
	if err != nil {
		return err
	}
	if n >= params.MaxDevicesPerOwner {
		return ErrTooMany.Wrapf("%s has %d devices, at most %d are allowed: use another account", sdk.AccAddress(owner), n, params.MaxDevicesPerOwner)
	}
	if err := k.Counts.Set(ctx, owner, n+1); err != nil {
		return err
	}
	return k.ByOwner.Set(ctx, collections.Join(owner, id[:]))
}

// unbind undoes bind.
func (k *Keeper) unbind(ctx context.Context, owner []byte, id device.ID) error {
	n, err := k.count(ctx, owner)
	if err != nil {
		return err
	}
	if n <= 1 {
		err = k.Counts.Remove(ctx, owner)
	} else {
		err = k.Counts.Set(ctx, owner, n-1)
	}
	if err != nil {
		return err
	}
	return k.ByOwner.Remove(ctx, collections.Join(owner, id[:]))
}

func (k *Keeper) count(ctx context.Context, owner []byte) (uint64, error) {
	n, err := k.Counts.Get(ctx, owner)
	if errors.Is(err, collections.ErrNotFound) {
		return 0, nil
	}
	return n, err
}
