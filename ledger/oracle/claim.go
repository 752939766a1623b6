package oracle

import (
	"context"
	"encoding/hex"
	"errors"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// Gas of checking one leaf, besides what its bytes cost in the transaction.
const gasPerClaim = 3_000

// Claim pays what the leaves of a report say and was not paid yet. It pays all
// devices or, when one proof fails, none. What the breaker holds back stays
// owed: the same claim pays it later.
func (m msgServer) Claim(ctx context.Context, msg *oraclepb.MsgClaim) (*oraclepb.MsgClaimResponse, error) {
	if _, err := m.accounts.StringToBytes(msg.Signer); err != nil {
		return nil, ErrInvalid.Wrapf("signer: %v", err)
	}
	if len(msg.Claims) == 0 || len(msg.Claims) > MaxClaims {
		return nil, ErrInvalid.Wrapf("%d claims, want 1 to %d", len(msg.Claims), MaxClaims)
	}
	current, err := m.CurrentEpoch(ctx)
	if err != nil {
		return nil, err
	}
	r, err := m.payable(ctx, msg.Vertical, msg.Epoch, current)
	if err != nil {
		return nil, err
	}
	room, err := m.breakerRoom(ctx)
	if err != nil {
		return nil, err
	}
	promised, err := m.promised(ctx, msg.Vertical, current)
	if err != nil {
		return nil, err
	}
	out := &oraclepb.MsgClaimResponse{Paid: make([]uint64, len(msg.Claims))}
	var owed, paid uint64
	gas := sdk.UnwrapSDKContext(ctx).GasMeter()
	for i, c := range msg.Claims {
		gas.ConsumeGas(gasPerClaim, "check claim")
		claimed, err := m.proven(ctx, r, c)
		if err != nil {
			return nil, err
		}
		due := c.Lifetime - min(claimed, c.Lifetime)
		out.Paid[i] = min(due, room-paid, promised-paid)
		paid += out.Paid[i]
		if due > 0 {
			owed++
		}
		if err := m.markPaid(ctx, r, c, claimed, out.Paid[i]); err != nil {
			return nil, err
		}
	}
	if paid == 0 && owed > 0 && promised == 0 {
		return nil, ErrBudget.Wrapf("%d devices are owed, but all that reports of %s promise is paid: a report took from some what they had been paid", owed, msg.Vertical)
	}
	if paid == 0 && owed > 0 {
		return nil, ErrBreaker.Wrapf("%d devices are owed and nothing may be paid now: try again later", owed)
	}
	return out, m.pay(ctx, msg, out.Paid, paid)
}

// payable is the accepted report of an epoch whose challenge window is over in
// the current one.
func (k *Keeper) payable(ctx context.Context, vertical string, epoch, current uint64) (oraclepb.Report, error) {
	r, found, err := k.report(ctx, vertical, epoch)
	if err != nil {
		return r, err
	}
	if !found {
		return r, ErrNotFound.Wrapf("no report of %q is accepted for epoch %d", vertical, epoch)
	}
	if current < r.PayableEpoch {
		return r, ErrTooEarly.Wrapf("report of %s, epoch %d is payable from epoch %d, this is %d", vertical, epoch, r.PayableEpoch, current)
	}
	return r, nil
}

// promised is what the payable reports of a vertical may still pay. Honest leaves
// never ask for more: it is for reports that let some leaves fall, so that those
// who raise others gain nothing.
func (k *Keeper) promised(ctx context.Context, vertical string, current uint64) (uint64, error) {
	newest, _, err := k.newestReport(ctx, vertical, func(r oraclepb.Report) bool { return r.PayableEpoch <= current })
	if err != nil {
		return 0, err
	}
	paid, err := k.paid(ctx, vertical)
	return newest.Content.Total - min(paid, newest.Content.Total), err
}

// paid is what the devices of a vertical have claimed.
func (k *Keeper) paid(ctx context.Context, vertical string) (uint64, error) {
	sum, err := k.Paid.Get(ctx, vertical)
	if errors.Is(err, collections.ErrNotFound) {
		return 0, nil
	}
	return sum, err
}

// proven verifies one leaf and returns what its device was paid already.
func (k *Keeper) proven(ctx context.Context, r oraclepb.Report, c oraclepb.DeviceClaim) (uint64, error) {
	device, err := bytes32("device", c.Device)
	if err != nil {
		return 0, err
	}
	proof, err := merkle.DecodeSumProof(c.Proof)
	if err != nil {
		return 0, ErrInvalid.Wrapf("device %x: %v", device, err)
	}
	root := merkle.SumRoot{Hash: merkle.Hash(r.Content.RewardRoot), Size: r.Content.Leaves, Total: r.Content.Total}
	if _, err := proof.Verify(root, merkle.SumLeaf{Key: device, Amount: c.Lifetime}); err != nil {
		return 0, ErrProof.Wrapf("device %x of %s, epoch %d: %v", device, r.Vertical, r.Epoch, err)
	}
	return k.claimed(ctx, c.Device, r.Vertical)
}

func (k *Keeper) claimed(ctx context.Context, device []byte, vertical string) (uint64, error) {
	paid, err := k.Claimed.Get(ctx, collections.Join(device, vertical))
	if errors.Is(err, collections.ErrNotFound) {
		return 0, nil
	}
	return paid, err
}

func (k *Keeper) markPaid(ctx context.Context, r oraclepb.Report, c oraclepb.DeviceClaim, before, amount uint64) error {
	if amount == 0 {
		return nil
	}
	emit(ctx, EventClaim, "device", hex.EncodeToString(c.Device), "vertical", r.Vertical, "epoch", number(r.Epoch),
		"paid", number(amount), "lifetime", number(c.Lifetime))
	// At most the lifetime of the leaf, so it does not overflow.
	return k.Claimed.Set(ctx, collections.Join(c.Device, r.Vertical), before+amount)
}

// pay makes the ugrain once for all claims and pays the devices together.
func (k *Keeper) pay(ctx context.Context, msg *oraclepb.MsgClaim, amounts []uint64, total uint64) error {
	if total == 0 {
		return nil
	}
	if err := k.breakerCount(ctx, total); err != nil {
		return err
	}
	before, err := k.paid(ctx, msg.Vertical)
	if err != nil {
		return err
	}
	if err := k.Paid.Set(ctx, msg.Vertical, before+total); err != nil { // at most what reports promise
		return err
	}
	if err := k.budget.Mint(ctx, ModuleName, money.Grain(total)); err != nil {
		return err
	}
	earned := make([]Earning, 0, len(amounts))
	for i, c := range msg.Claims {
		if amounts[i] > 0 {
			earned = append(earned, Earning{Device: [32]byte(c.Device), Amount: amounts[i]})
		}
	}
	return k.payouts.Payout(ctx, ModuleName, money.GrainDenom, earned)
}

// breaker is the level now: what was paid, less what decayed since.
func (k *Keeper) breaker(ctx context.Context) (oraclepb.Breaker, oraclepb.Params, error) {
	params, err := k.Params.Get(ctx)
	if err != nil {
		return oraclepb.Breaker{}, params, err
	}
	b, err := k.Breaker.Get(ctx)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return b, params, err
	}
	time, _ := now(ctx)
	return decay(b, time, uint64(whole(params))*params.BreakerEpochs), params, nil
}

// decay takes level·min(Δt/window, 1) off the level, rounded so that the level
// is never too low.
func decay(b oraclepb.Breaker, time int64, window uint64) oraclepb.Breaker {
	gone := uint64(max(time-b.Time, 0))
	if gone >= window {
		return oraclepb.Breaker{Time: time}
	}
	off, _, _ := money.MulDiv(b.Level, gone, window) // gone < window, so it fits
	return oraclepb.Breaker{Level: b.Level - off, Time: max(time, b.Time)}
}

// breakerRoom is how much may be paid now.
func (k *Keeper) breakerRoom(ctx context.Context) (uint64, error) {
	b, params, err := k.breaker(ctx)
	if err != nil || b.Level >= params.BreakerLimit {
		return 0, err
	}
	return params.BreakerLimit - b.Level, nil
}

// breakerCount adds a payment that breakerRoom allowed.
func (k *Keeper) breakerCount(ctx context.Context, amount uint64) error {
	b, _, err := k.breaker(ctx)
	if err != nil {
		return err
	}
	b.Level += amount
	return k.Breaker.Set(ctx, b)
}
