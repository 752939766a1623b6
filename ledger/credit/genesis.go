package credit

import (
	"context"
	"errors"
	"fmt"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/emission"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/price"
	"github.com/grange-network/grange/ledger/api/creditpb"
)

// maxCarry is more than what payments can leave of the take, in ucredit/10000.
const maxCarry = 4 * uint64(money.Whole)

// DefaultGenesis is the state of a new network: no price, nothing burned.
func DefaultGenesis() *creditpb.GenesisState {
	return &creditpb.GenesisState{Params: DefaultParams()}
}

// ValidateGenesis reports what in g contradicts itself, or nil.
func ValidateGenesis(g *creditpb.GenesisState) error {
	if err := ValidateParams(g.Params); err != nil {
		return err
	}
	if g.Price.Last != 0 {
		if err := price.Check(g.Price.Last); err != nil {
			return ErrInvalid.Wrapf("newest price: %v", err)
		}
	}
	if t := g.Totals; t.Pool != t.GrainsBurned-t.GrainsReminted-t.GrainsRetired {
		return ErrInvalid.Wrapf("pool is %d ugrain, but %d burned less %d reminted and %d retired are not that", t.Pool, t.GrainsBurned, t.GrainsReminted, t.GrainsRetired)
	}
	var last string
	for i, v := range g.Votes {
		if addr, err := sdk.ValAddressFromBech32(v.Validator); err != nil || addr.String() != v.Validator {
			return ErrInvalid.Wrapf("vote of %q: not a validator's operator address", v.Validator)
		}
		if err := price.Check(v.MicroUsdPerGrain); err != nil {
			return ErrInvalid.Wrapf("vote of %s: %v", v.Validator, err)
		}
		if i > 0 && v.Validator <= last {
			return ErrInvalid.Wrapf("vote of %s comes after that of %s: sort votes by validator, one each", v.Validator, last)
		}
		last = v.Validator
	}
	var id, epoch uint64
	for _, r := range g.Redemptions {
		if addr, err := sdk.AccAddressFromBech32(r.Holder); err != nil || addr.String() != r.Holder {
			return ErrInvalid.Wrapf("redemption %d of %q: not an account address", r.Id, r.Holder)
		}
		if r.Id <= id || r.Id > g.NextRedemption || r.Remaining == 0 || r.Remaining > r.Requested {
			return ErrInvalid.Wrapf("redemption %d with %d of %d ucredit left, after redemption %d of %d: ids must grow, amounts shrink", r.Id, r.Remaining, r.Requested, id, g.NextRedemption)
		}
		id = r.Id
	}
	id = 0
	for _, b := range g.Purchases {
		if addr, err := sdk.AccAddressFromBech32(b.Buyer); err != nil || addr.String() != b.Buyer {
			return ErrInvalid.Wrapf("purchase %d of %q: not an account address", b.Id, b.Buyer)
		}
		if b.Id <= id || b.Id > g.NextPurchase || b.Ugrain == 0 {
			return ErrInvalid.Wrapf("purchase %d with %d ugrain, after purchase %d of %d: ids must grow", b.Id, b.Ugrain, id, g.NextPurchase)
		}
		id = b.Id
	}
	if o := g.Open; max(o.CarryBurned, o.CarryValidators, o.CarryTreasury) > maxCarry {
		return ErrInvalid.Wrapf("take carries %d, %d and %d, at most %d can be", o.CarryBurned, o.CarryValidators, o.CarryTreasury, maxCarry)
	}
	for _, r := range g.Epochs {
		if r.Epoch <= epoch || r.Epoch > g.Emission.LastEpoch {
			return ErrInvalid.Wrapf("record of epoch %d after that of %d, newest ended epoch %d: records must be in order", r.Epoch, epoch, g.Emission.LastEpoch)
		}
		epoch = r.Epoch
	}
	return nil
}

// InitGenesis stores g. A new network's totals are taken from the bank, whose
// genesis must have been set before; a continued one's must agree with it.
// Credits of a genesis have no GRAIN behind them: whoever redeems gets his part
// of what was burned for others.
func (k *Keeper) InitGenesis(ctx context.Context, g *creditpb.GenesisState) error {
	if err := ValidateGenesis(g); err != nil {
		return err
	}
	totals := g.Totals
	if totals.GrainsGenesis == 0 && totals.CreditsGenesis == 0 {
		grain := k.bank.GetSupply(ctx, money.GrainDenom).Amount
		credit := k.bank.GetSupply(ctx, money.CreditDenom).Amount
		if !grain.IsUint64() || !credit.IsUint64() {
			return ErrCap.Wrapf("genesis has %s ugrain and %s ucredit, more than 64 bits", grain, credit)
		}
		totals.GrainsGenesis, totals.CreditsGenesis = grain.Uint64(), credit.Uint64()
		total := uint64(scheduleOf(g.Params).Total() + grantTotal(g.Params))
		if room := uint64(emission.SupplyCap) - min(uint64(emission.SupplyCap), total); totals.GrainsGenesis > room {
			return ErrCap.Wrapf("genesis has %d ugrain, schedule and grants may mint %d more, the cap is %d: hand out less, or lower simple_grain, baseline_grain or grants", totals.GrainsGenesis, total, emission.SupplyCap)
		}
	}
	errs := []error{
		k.Params.Set(ctx, g.Params), k.Price.Set(ctx, g.Price), k.Totals.Set(ctx, totals),
		k.Window.Set(ctx, g.Window), k.Open.Set(ctx, g.Open), k.Emission.Set(ctx, g.Emission),
		k.NextRedemption.Set(ctx, g.NextRedemption), k.NextPurchase.Set(ctx, g.NextPurchase),
	}
	for _, v := range g.Votes {
		errs = append(errs, k.Votes.Set(ctx, v.Validator, v))
	}
	for _, r := range g.Redemptions {
		errs = append(errs, k.Redemptions.Set(ctx, r.Id, r))
		if r.Cancelled {
			errs = append(errs, k.Cancelled.Set(ctx, r.Id))
		}
	}
	for _, b := range g.Purchases {
		errs = append(errs, k.Purchases.Set(ctx, b.Id, b))
	}
	for _, r := range g.Epochs {
		errs = append(errs, k.Epochs.Set(ctx, r.Epoch, r))
	}
	return errors.Join(errors.Join(errs...), k.CheckInvariants(ctx))
}

// ExportGenesis returns the whole state; importing it gives the same bytes.
func (k *Keeper) ExportGenesis(ctx context.Context) (*creditpb.GenesisState, error) {
	var g creditpb.GenesisState
	var errs [12]error
	g.Params, errs[0] = k.Params.Get(ctx)
	g.Price, errs[1] = load(ctx, k.Price)
	g.Votes, errs[2] = all(ctx, k.Votes)
	g.Totals, errs[3] = load(ctx, k.Totals)
	g.Window, errs[4] = load(ctx, k.Window)
	g.Open, errs[5] = load(ctx, k.Open)
	g.Emission, errs[6] = load(ctx, k.Emission)
	g.Redemptions, errs[7] = all(ctx, k.Redemptions)
	g.NextRedemption, errs[8] = k.NextRedemption.Peek(ctx)
	g.Epochs, errs[9] = all(ctx, k.Epochs)
	g.Purchases, errs[10] = all(ctx, k.Purchases)
	g.NextPurchase, errs[11] = k.NextPurchase.Peek(ctx)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("export credit state: %w", err)
	}
	return &g, nil
}
