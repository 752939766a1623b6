package device

import (
	"context"
	"fmt"
	"math/bits"

	"cosmossdk.io/math"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/grange-network/grange/core/device"
)

// Payment is a part of a device's earnings and the account it goes to.
type Payment struct {
	To     sdk.AccAddress
	Amount uint64
}

// Split divides amount of denom among the device's splits and its owner, liens
// first, and records what the capped ones have been paid: the caller must pay.
// The parts sum to amount.
func (k *Keeper) Split(ctx context.Context, id device.ID, denom string, amount uint64) ([]Payment, error) {
	d, err := k.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	before := splitsFrom(d.Payouts)
	parts, after := device.Distribute(amount, denom, d.Owner, before)
	payments := make([]Payment, 0, len(parts))
	for _, p := range parts {
		to, err := k.accounts.StringToBytes(p.To)
		if err != nil {
			return nil, fmt.Errorf("read payee %q of device %s: %w", p.To, id, err)
		}
		payments = append(payments, Payment{to, p.Amount})
	}
	for i := range after {
		if after[i] != before[i] {
			d.Payouts = splitsTo(after)
			return payments, k.Devices.Set(ctx, id[:], d)
		}
	}
	return payments, nil
}

// Earning is what a device earned, in the smallest unit of a coin.
type Earning struct {
	Device device.ID
	Amount uint64
}

// Payout sends amounts of denom from a module's account to whom the devices'
// earnings go. An account that several devices pay is paid once.
func (k *Keeper) Payout(ctx context.Context, module, denom string, earned []Earning) error {
	var total uint64
	var to payees
	for _, e := range earned {
		sum, carry := bits.Add64(total, e.Amount, 0)
		if carry != 0 {
			return ErrInvalid.Wrapf("payout of %d and %d%s: the sum exceeds 64 bits", total, e.Amount, denom)
		}
		total = sum
		payments, err := k.Split(ctx, e.Device, denom, e.Amount)
		if err != nil {
			return err
		}
		for _, p := range payments {
			if k.bank.BlockedAddr(p.To) {
				return ErrInvalid.Wrapf("pay %d%s for device %s: %s may not receive coins", p.Amount, denom, e.Device, p.To)
			}
			to.add(p)
		}
	}
	if total == 0 {
		return nil
	}
	outputs := make([]banktypes.Output, 0, len(to.payments))
	for _, p := range to.payments {
		outputs = append(outputs, banktypes.NewOutput(p.To, coins(denom, p.Amount)))
	}
	input := banktypes.NewInput(authtypes.NewModuleAddress(module), coins(denom, total))
	if err := k.bank.InputOutputCoins(ctx, input, outputs); err != nil {
		return fmt.Errorf("pay what %d devices earned to %d accounts: %w", len(earned), len(outputs), err)
	}
	return nil
}

func coins(denom string, amount uint64) sdk.Coins {
	return sdk.NewCoins(sdk.NewCoin(denom, math.NewIntFromUint64(amount)))
}

// payees sums payments to the same account, in the order of the first to each.
// The zero value is empty.
type payees struct {
	payments []Payment
	place    map[string]int
}

// add expects that all payments together do not exceed 64 bits.
func (p *payees) add(one Payment) {
	if p.place == nil {
		p.place = make(map[string]int)
	}
	i, known := p.place[string(one.To)]
	if !known {
		i = len(p.payments)
		p.place[string(one.To)] = i
		p.payments = append(p.payments, Payment{To: one.To})
	}
	p.payments[i].Amount += one.Amount
}
