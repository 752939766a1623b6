package device

import (
	"context"
	"fmt"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/chain"
)

// DefaultParams are those of a real network: moving a device costs 1 GRAIN and
// may happen once a day, an announced change of owner waits a week, and
// attestations raise a cap up to three times.
func DefaultParams() devicepb.Params {
	return devicepb.Params{
		LocationFee:        sdk.NewInt64Coin(chain.Grain, 1_000_000),
		LocationCooldown:   24 * 3600,
		MaxDevicesPerOwner: 10_000,
		TransferEpochs:     7,
		LevelCaps:          []uint32{15_000, 20_000, 30_000},
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
		if p := d.Pending; p != nil {
			if _, err := sdk.AccAddressFromBech32(p.NewOwner); err != nil {
				return fmt.Errorf("device %s: announced owner %q: %w", d.Id, p.NewOwner, err)
			}
			if p.NewOwner == d.Owner {
				return fmt.Errorf("device %s: announced for its owner %s", d.Id, d.Owner)
			}
		}
	}
	return validateAttestations(g)
}

func validateAttestations(g *devicepb.GenesisState) error {
	if len(g.Issuers) > MaxIssuers {
		return fmt.Errorf("%d issuers, at most %d are allowed", len(g.Issuers), MaxIssuers)
	}
	issuers := make(map[string]bool, len(g.Issuers))
	for i, issuer := range g.Issuers {
		if _, err := sdk.AccAddressFromBech32(issuer.Address); err != nil {
			return fmt.Errorf("issuer %d: address %q: %w", i, issuer.Address, err)
		}
		if issuers[issuer.Address] {
			return fmt.Errorf("issuer %d: %s appears twice", i, issuer.Address)
		}
		issuers[issuer.Address] = true
		if err := checkIssuer(issuer); err != nil {
			return fmt.Errorf("issuer %d: %w", i, err)
		}
	}
	seen := make(map[[2]string]bool, len(g.Attestations))
	for i, a := range g.Attestations {
		pair := [2]string{a.Issuer, a.Subject}
		switch {
		case seen[pair]:
			return fmt.Errorf("attestation %d: %s of %s appears twice", i, a.Subject, a.Issuer)
		case a.Serial == 0:
			return fmt.Errorf("attestation %d: serial is 0, want at least 1", i)
		case !a.Revoked && (a.Level == 0 || a.Level > device.MaxLevel || len(a.Claim) != 32):
			return fmt.Errorf("attestation %d: level %d and claim of %d bytes, want 1 to %d and 32", i, a.Level, len(a.Claim), device.MaxLevel)
		}
		seen[pair] = true
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
	return k.initAttestations(ctx, g)
}

func (k *Keeper) initAttestations(ctx context.Context, g *devicepb.GenesisState) error {
	for _, i := range g.Issuers {
		address, err := k.address("issuer", i.Address)
		if err != nil {
			return err
		}
		if err := k.Issuers.Set(ctx, address, i); err != nil {
			return err
		}
	}
	for i, a := range g.Attestations {
		kind, raw, err := k.subject(a.Subject)
		if err != nil {
			return fmt.Errorf("attestation %d: %w", i, err)
		}
		issuer, err := k.address("issuer", a.Issuer)
		if err != nil {
			return fmt.Errorf("attestation %d: %w", i, err)
		}
		if err := k.Attestations.Set(ctx, collections.Join(subjectKey(kind, raw), issuer), a); err != nil {
			return err
		}
	}
	return nil
}

// ExportGenesis returns the state, each list in the order of its keys.
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
	if err != nil {
		return nil, err
	}
	if g.Issuers, err = k.issuers(ctx); err != nil {
		return nil, err
	}
	err = k.Attestations.Walk(ctx, nil, func(_ collections.Pair[[]byte, []byte], a devicepb.Attestation) (bool, error) {
		g.Attestations = append(g.Attestations, a)
		return false, nil
	})
	return g, err
}
