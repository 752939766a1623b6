package market

import (
	sdkmath "cosmossdk.io/math"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/money"
)

func credits(amount money.Credit) sdk.Coins {
	return sdk.NewCoins(sdk.NewCoin(money.CreditDenom, sdkmath.NewIntFromUint64(uint64(amount))))
}

func grains(amount money.Grain) sdk.Coins {
	return sdk.NewCoins(sdk.NewCoin(money.GrainDenom, sdkmath.NewIntFromUint64(uint64(amount))))
}
