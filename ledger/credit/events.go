package credit

import (
	"context"
	"strconv"

	sdkmath "cosmossdk.io/math"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/money"
)

// Event types of the credit module and the attributes they carry.
const (
	EventPrice    = "grange.credit.price"    // median, last, low, mid, high, votes
	EventBuy      = "grange.credit.buy"      // id, buyer, ugrain: a request
	EventBought   = "grange.credit.bought"   // id, buyer, ugrain, ucredit, price
	EventReturned = "grange.credit.returned" // id, buyer, ugrain, reason: a purchase, or id, holder, ucredit, reason: a redemption
	EventRedeem   = "grange.credit.redeem"   // id, holder, ucredit: a request, or cancelled
	EventRedeemed = "grange.credit.redeemed" // id, holder, ucredit, ugrain, price, remaining
	EventEpoch    = "grange.credit.epoch"    // epoch, mid, revenue, burned, released, pool, granted
	EventReward   = "grange.credit.reward"   // to, ugrain
)

func number[T ~uint64 | ~uint32](n T) string { return strconv.FormatUint(uint64(n), 10) }

func emit(ctx context.Context, kind string, pairs ...string) {
	e := sdk.NewEvent(kind)
	for i := 0; i+1 < len(pairs); i += 2 {
		e = e.AppendAttributes(sdk.NewAttribute(pairs[i], pairs[i+1]))
	}
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(e)
}

func credits(amount money.Credit) sdk.Coins {
	return sdk.NewCoins(sdk.NewCoin(money.CreditDenom, sdkmath.NewIntFromUint64(uint64(amount))))
}

func grains(amount money.Grain) sdk.Coins {
	return sdk.NewCoins(sdk.NewCoin(money.GrainDenom, sdkmath.NewIntFromUint64(uint64(amount))))
}
