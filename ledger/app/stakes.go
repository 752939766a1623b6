package app

import (
	"context"
	"errors"
	"time"

	"cosmossdk.io/math"
	sdk "github.com/cosmos/cosmos-sdk/types"
	slashingkeeper "github.com/cosmos/cosmos-sdk/x/slashing/keeper"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	stakingkeeper "github.com/cosmos/cosmos-sdk/x/staking/keeper"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/oracle"
)

// oracleStakes is staking and slashing as the oracle sees them.
type oracleStakes struct {
	staking  *stakingkeeper.Keeper
	slashing slashingkeeper.Keeper
}

var _ oracle.Stakes = oracleStakes{}

// Fine burns from the validator's bonded and unbonding stake what it had at the
// height; an unbonded one has nothing left that the ledger could reach.
func (a oracleStakes) Fine(ctx context.Context, operator sdk.ValAddress, height int64, power uint64, share money.BPS) (money.Grain, error) {
	v, err := a.staking.GetValidator(ctx, operator)
	if errors.Is(err, stakingtypes.ErrNoValidatorFound) || err == nil && v.IsUnbonded() {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	cons, err := v.GetConsAddr()
	if err != nil {
		return 0, err
	}
	height = min(height, sdk.UnwrapSDKContext(ctx).BlockHeight()) // a chain that begins anew keeps its votes
	burned, err := a.staking.Slash(ctx, cons, height, int64(power), math.LegacyNewDecWithPrec(int64(share), 4))
	if err != nil {
		return 0, err
	}
	return money.Grain(burned.Uint64()), nil
}

// Jail takes a bonded validator out, unless it is the last: a ledger without
// validators cannot let anybody back in.
func (a oracleStakes) Jail(ctx context.Context, operator sdk.ValAddress, until time.Time) (bool, error) {
	v, err := a.staking.GetValidator(ctx, operator)
	if errors.Is(err, stakingtypes.ErrNoValidatorFound) || err == nil && (v.Jailed || !v.IsBonded()) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	bonded, err := a.staking.GetBondedValidatorsByPower(ctx) // without the jailed
	if err != nil || len(bonded) < 2 {
		return false, err
	}
	cons, err := v.GetConsAddr()
	if err != nil {
		return false, err
	}
	if err := a.slashing.Jail(ctx, cons); err != nil {
		return false, err
	}
	// An equivocator in consensus is out for longer, or for good.
	info, err := a.slashing.GetValidatorSigningInfo(ctx, cons)
	if errors.Is(err, slashingtypes.ErrNoSigningInfoFound) || err == nil && info.JailedUntil.After(until) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return true, a.slashing.JailUntil(ctx, cons, until)
}
