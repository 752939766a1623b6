package credit

import (
	"context"
	"errors"

	sdkmath "cosmossdk.io/math"

	"github.com/grange-network/grange/core/emission"
	"github.com/grange-network/grange/core/money"
)

// CheckInvariants reports every way in which the module's accounts do not add
// up, each as ErrInvariant, or nil. It reads both queues and all records:
// for tests, genesis and audits, not for blocks.
func (k *Keeper) CheckInvariants(ctx context.Context) error {
	t, err := load(ctx, k.Totals)
	if err != nil {
		return err
	}
	e, err := load(ctx, k.Emission)
	if err != nil {
		return err
	}
	queue, err := all(ctx, k.Redemptions)
	if err != nil {
		return err
	}
	purchases, err := all(ctx, k.Purchases)
	if err != nil {
		return err
	}
	epochs, err := all(ctx, k.Epochs)
	if err != nil {
		return err
	}
	var errs []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, ErrInvariant.Wrapf(format, args...))
		}
	}
	n := sdkmath.NewIntFromUint64
	credit := k.bank.GetSupply(ctx, money.CreditDenom).Amount
	counted := n(t.CreditsGenesis).Add(n(t.CreditsBought)).Sub(n(t.CreditsRedeemed)).Sub(n(t.CreditsTaken))
	want(credit.Equal(counted), "%s ucredit exist, but %d at genesis and %d bought less %d redeemed and %d taken are %s",
		credit, t.CreditsGenesis, t.CreditsBought, t.CreditsRedeemed, t.CreditsTaken, counted)

	// Slashing and forfeited deposits burn ugrain outside this module.
	grain := k.bank.GetSupply(ctx, money.GrainDenom).Amount
	most := n(t.GrainsGenesis).Sub(n(t.GrainsBurned)).Add(n(t.GrainsReminted)).Add(n(t.RewardsMinted))
	want(grain.LTE(most), "%s ugrain exist, but %d at genesis less %d burned, with %d reminted and %d rewards are %s",
		grain, t.GrainsGenesis, t.GrainsBurned, t.GrainsReminted, t.RewardsMinted, most)
	want(grain.Add(n(t.Pool)).LTE(n(uint64(emission.SupplyCap))), "%s ugrain exist and redemptions may make %d, the cap is %d", grain, t.Pool, emission.SupplyCap)

	var waiting uint64
	for _, r := range queue {
		waiting += r.Remaining
	}
	held := k.bank.GetBalance(ctx, k.holders[0].address, money.CreditDenom).Amount
	want(held.Equal(n(waiting)), "module holds %s ucredit, redemptions wait for %d", held, waiting)

	var bound uint64
	for _, b := range purchases {
		bound += b.Ugrain
	}
	held = k.bank.GetBalance(ctx, k.holders[0].address, money.GrainDenom).Amount
	want(held.Equal(n(bound)), "module holds %s ugrain, purchases wait with %d", held, bound)

	pool := n(t.GrainsBurned).Sub(n(t.GrainsReminted)).Sub(n(t.GrainsRetired))
	want(pool.Equal(n(t.Pool)), "pool is %d ugrain, but %d burned less %d reminted and %d retired are %s",
		t.Pool, t.GrainsBurned, t.GrainsReminted, t.GrainsRetired, pool)
	want(t.RewardsMinted <= t.RewardsBudget+t.GrantsBudget, "%d ugrain minted as rewards, the budget of all epochs is %d and %d granted", t.RewardsMinted, t.RewardsBudget, t.GrantsBudget)
	want(t.GrantsBudget <= uint64(emission.GrantCap), "%d ugrain granted, the cap is %d", t.GrantsBudget, emission.GrantCap)
	want(t.RewardsBudget <= e.Issued, "budget of all epochs is %d ugrain, the schedule released %d", t.RewardsBudget, e.Issued)
	want(t.RewardsBudget <= t.GrainsRetired, "budget of all epochs is %d ugrain, only %d were burned for good", t.RewardsBudget, t.GrainsRetired)
	for _, r := range epochs {
		most := emission.DemandPool(money.Grain(r.Released), money.Grain(r.BurnAverage), money.BPS(r.RebateBps))
		want(r.DemandPool <= uint64(most), "epoch %d may mint %d ugrain for usage, released were %d and %d bps of what was burned are %d",
			r.Epoch, r.DemandPool, r.Released, r.RebateBps, most)
		want(!r.Stale || r.DemandPool == 0, "epoch %d ended with a stale price and may mint %d ugrain for usage", r.Epoch, r.DemandPool)
	}
	return errors.Join(errs...)
}
