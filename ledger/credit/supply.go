package credit

import (
	"context"
	"fmt"

	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	"github.com/grange-network/grange/core/breaker"
	"github.com/grange-network/grange/core/emission"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/price"
	"github.com/grange-network/grange/ledger/api/creditpb"
)

// outstanding is how many credits exist by the module's own count.
func outstanding(t creditpb.Totals) money.Credit {
	return money.Credit(t.CreditsGenesis + t.CreditsBought - t.CreditsRedeemed - t.CreditsTaken)
}

// debt is what the pool stands behind: the credits that exist, and those that
// the take burned in the epoch under way, whose part is retired at its end.
func debt(t creditpb.Totals, o creditpb.Open) money.Credit {
	return outstanding(t) + money.Credit(o.BurnedCredit)
}

// collateral is the ratio of the pool, at the low price, to the debt, in bps.
func collateral(t creditpb.Totals, o creditpb.Open, q price.Quote) uint64 {
	value, err := q.Credits(money.Grain(t.Pool))
	if err != nil {
		value = ^money.Credit(0)
	}
	return breaker.Ratio(value, debt(t, o))
}

// Take takes the network's share out of amount ucredit that lie in a module's
// account: it burns a part, sends one part to the fee collector for validators
// and one to the community pool. Rounding is carried from payment to payment
// (money.Take). The rest, net, stays in the account for the payee, so net +
// burned + the other two parts are amount exactly; a payment of a few ucredit
// may leave nothing. On an error the caller must undo what it did: it may have
// been moved in part.
func (k *Keeper) Take(ctx context.Context, module string, amount money.Credit) (net, burned money.Credit, err error) {
	p, err := k.Params.Get(ctx)
	if err != nil {
		return 0, 0, err
	}
	o, err := load(ctx, k.Open)
	if err != nil {
		return 0, 0, err
	}
	take, carry := money.Take(amount, sharesOf(p), carryOf(o))
	if take.Burned > 0 {
		if err := k.burnTaken(ctx, module, take.Burned); err != nil {
			return 0, 0, fmt.Errorf("burn %d of %d ucredit taken from %s: %w", take.Burned, amount, module, err)
		}
	}
	if take.Validators > 0 {
		if err := k.bank.SendCoinsFromModuleToModule(ctx, module, authtypes.FeeCollectorName, credits(take.Validators)); err != nil {
			return 0, 0, fmt.Errorf("send %d of %d ucredit taken from %s to validators: %w", take.Validators, amount, module, err)
		}
	}
	if take.Treasury > 0 {
		if err := k.pool.FundCommunityPool(ctx, credits(take.Treasury), authtypes.NewModuleAddress(module)); err != nil {
			return 0, 0, fmt.Errorf("send %d of %d ucredit taken from %s to the community pool: %w", take.Treasury, amount, module, err)
		}
	}
	revenue, err := money.Add(money.Credit(o.Revenue), amount)
	if err != nil {
		return 0, 0, err
	}
	return amount - money.Sum(take), take.Burned, k.Open.Set(ctx, creditpb.Open{
		Revenue: uint64(revenue), BurnedCredit: o.BurnedCredit + uint64(take.Burned), // cannot wrap: a part of revenue
		CarryBurned: carry.Burned, CarryValidators: carry.Validators, CarryTreasury: carry.Treasury,
	})
}

func sharesOf(p creditpb.Params) money.Parts[money.BPS] {
	return money.Parts[money.BPS]{Burned: money.BPS(p.BurnBps), Validators: money.BPS(p.ValidatorsBps), Treasury: money.BPS(p.TreasuryBps)}
}

func carryOf(o creditpb.Open) money.Parts[uint64] {
	return money.Parts[uint64]{Burned: o.CarryBurned, Validators: o.CarryValidators, Treasury: o.CarryTreasury}
}

func (k *Keeper) burnTaken(ctx context.Context, module string, amount money.Credit) error {
	if module != ModuleName {
		if err := k.bank.SendCoinsFromModuleToModule(ctx, module, ModuleName, credits(amount)); err != nil {
			return err
		}
	}
	if err := k.bank.BurnCoins(ctx, ModuleName, credits(amount)); err != nil {
		return err
	}
	t, err := load(ctx, k.Totals)
	if err != nil {
		return err
	}
	t.CreditsTaken += uint64(amount)
	return k.Totals.Set(ctx, t)
}

// makeGrain mints ugrain into the module's account, refusing to pass the supply
// cap. reserved is what must stay mintable besides.
func (k *Keeper) makeGrain(ctx context.Context, amount, reserved money.Grain) error {
	supply := k.bank.GetSupply(ctx, money.GrainDenom).Amount
	free := money.Grain(0)
	if supply.IsUint64() {
		free = emission.SupplyCap - min(emission.SupplyCap, money.Grain(supply.Uint64()))
		free -= min(free, reserved)
	}
	if amount > free {
		return ErrCap.Wrapf("mint %d ugrain: supply is %s, %d are reserved for redemptions, the cap is %d", amount, supply, reserved, emission.SupplyCap)
	}
	return k.bank.MintCoins(ctx, ModuleName, grains(amount))
}

// reward mints ugrain into the module's account within the budget of rewards.
func (k *Keeper) reward(ctx context.Context, to string, amount money.Grain) error {
	t, err := load(ctx, k.Totals)
	if err != nil {
		return err
	}
	budget := t.RewardsBudget + t.GrantsBudget
	if left := budget - t.RewardsMinted; uint64(amount) > left {
		return ErrBudget.Wrapf("mint %d ugrain as a reward to %s: %d of %d are left in the budget of all epochs", amount, to, left, budget)
	}
	if err := k.makeGrain(ctx, amount, money.Grain(t.Pool)); err != nil {
		return err
	}
	t.RewardsMinted += uint64(amount)
	emit(ctx, EventReward, "to", to, "ugrain", number(amount))
	return k.Totals.Set(ctx, t)
}

// MintReward mints ugrain to an account as a reward for ended epochs. All
// rewards together stay within the sum of the epochs' demand pools and grants (ErrBudget),
// and the supply, with what the pool must be able to give back, within the cap
// (ErrCap). Who earned what is for the caller to know.
func (k *Keeper) MintReward(ctx context.Context, to sdk.AccAddress, amount money.Grain) error {
	if amount == 0 {
		return nil
	}
	if err := k.reward(ctx, to.String(), amount); err != nil {
		return err
	}
	return k.bank.SendCoinsFromModuleToAccount(ctx, ModuleName, to, grains(amount))
}

// Mint mints rewards as MintReward does, into a module's account.
func (k *Keeper) Mint(ctx context.Context, module string, amount money.Grain) error {
	if amount == 0 {
		return nil
	}
	if err := k.reward(ctx, module, amount); err != nil {
		return err
	}
	return k.bank.SendCoinsFromModuleToModule(ctx, ModuleName, module, grains(amount))
}
