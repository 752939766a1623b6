package device

import (
	"context"
	"fmt"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/chain"
)

// DefaultParams are those of a real network: moving a device costs 1 GRAIN and
// may happen once a day.
func DefaultParams() devicepb.Params {
	return devicepb.Params{
		LocationFee:        sdk.NewInt64Coin(chain.Grain, 1_000_000),
		LocationCooldown:   24 * 3600,
		MaxDevicesPerOwner: 10_000,
	}
}

// DefaultGenesis is an empty registry.
func DefaultGenesis() *devicepb.GenesisState {
	return &devicepb.GenesisState{Params: DefaultParams()}
}

// ValidateGenesis reports what is wrong with a state, without looking at others.
func ValidateGenesis(g *devicepb.GenesisState) error {
	if err := checkParams(g.Params); err != nil {
		return fmt.Errorf("device params: %w", err)
	}
	seen := make(map[string]bool, len(g.Devices))
	for i, d := range g.Devices {
		key, err := publicKey(d.KeyType, d.PublicKey)
		if err != nil {
			return fmt.Errorf("device %d: %w", i, err)
		}
		if d.Id != key.ID().String() || d.Did != key.DID() {
			return fmt.Errorf("device %d: id %s and did %s, its key makes %s and %s", i, d.Id, d.Did, key.ID(), key.DID())
		}
		if seen[d.Id] {
			return fmt.Errorf("device %d: %s appears twice", i, d.Id)
		}
		seen[d.Id] = true
		if _, err := sdk.AccAddressFromBech32(d.Owner); err != nil {
			return fmt.Errorf("device %s: owner %q: %w", d.Id, d.Owner, err)
		}
		if err := checkProfile(d.Profile); err != nil {
			return fmt.Errorf("device %s: %w", d.Id, err)
		}
		if err := device.CheckSplits(splitsFrom(d.Payouts)); err != nil {
			return fmt.Errorf("device %s: %w", d.Id, err)
		}
	}
	return nil
}

// InitGenesis stores a validated state.
func (k *Keeper) InitGenesis(ctx context.Context, g *devicepb.GenesisState) error {
	if err := k.Params.Set(ctx, g.Params); err != nil {
		return err
	}
	for _, d := range g.Devices {
		id, err := device.ParseID(d.Id)
		if err != nil {
			return err
		}
		owner, err := k.accounts.StringToBytes(d.Owner)
		if err != nil {
			return fmt.Errorf("device %s: owner %q: %w", d.Id, d.Owner, err)
		}
		if err := k.bind(ctx, owner, id); err != nil {
			return err
		}
		if err := k.Devices.Set(ctx, id[:], d); err != nil {
			return err
		}
	}
	return nil
}

// ExportGenesis returns the state, devices in the order of their ids.
func (k *Keeper) ExportGenesis(ctx context.Context) (*devicepb.GenesisState, error) {
	params, err := k.Params.Get(ctx)
	if err != nil {
		return nil, err
	}
	g := &devicepb.GenesisState{Params: params}
	err = k.Devices.Walk(ctx, nil, func(_ []byte, d devicepb.Device) (bool, error) {
		g.Devices = append(g.Devices, d)
		return false, nil
	})
	return g, err
}
