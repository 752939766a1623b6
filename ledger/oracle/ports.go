package oracle

import (
	"context"
	"time"

	sdkmath "cosmossdk.io/math"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/money"
)

// Validators is the consensus power of the last block. The staking keeper is
// one: operators outside the validator set have power 0.
type Validators interface {
	GetLastValidatorPower(ctx context.Context, operator sdk.ValAddress) (int64, error)
	GetLastTotalPower(ctx context.Context) (sdkmath.Int, error)
}

// Head is one set of data that a device is committed to for an epoch.
type Head struct {
	Lease [32]byte
	Root  [32]byte
	Units uint64
}

// Heads knows what a device is committed to. HeadsAt returns the heads in force
// at the start of the epoch, those with units only; an unknown device has none.
type Heads interface {
	HeadsAt(ctx context.Context, device [32]byte, epoch uint64) ([]Head, error)
}

// Challenge names one place of one head that a device must show.
type Challenge struct {
	Head   int // index into the heads the challenges were drawn from
	Offset uint64
}

// Prover draws and checks the challenges of one kind of resource. Both methods
// are pure: the same arguments give the same result on every machine.
//
// Challenges draws c challenges over heads, which are sorted by lease, each
// place with equal chance; none when no head has units. Verify reports why
// proof does not show what ch asks of head, or nil; it reads at most
// MaxProofSize bytes.
type Prover interface {
	Challenges(seed, device [32]byte, heads []Head, c int) []Challenge
	Verify(head Head, ch Challenge, proof []byte) error
}

// Hooks are told of epochs that ended. EpochEnded runs at the start of a block
// while the epoch is still the current one; its error stops the ledger, so it
// is for broken invariants only.
type Hooks interface {
	EpochEnded(ctx context.Context, epoch uint64) error
}

// Budget bounds and makes what reports promise.
//
// BonusBudget is the most ugrain that an ended epoch adds to a vertical's total.
// Mint makes ugrain in a module's account.
type Budget interface {
	BonusBudget(ctx context.Context, vertical string, epoch uint64) (uint64, error)
	Mint(ctx context.Context, module string, amount money.Grain) error
}

// Earning is what a device earned, in the smallest unit of a coin.
type Earning struct {
	Device [32]byte
	Amount uint64
}

// Payouts pays what devices earned: all of it, or it fails. Amounts of denom move
// from a module's account through each device's payout splits, liens first. They
// sum to less than 2^64.
type Payouts interface {
	Payout(ctx context.Context, module, denom string, earned []Earning) error
}

// Stakes is what validators have to lose.
//
// Fine burns a share of what a validator had at stake when it had the given
// power, at the given height, and returns the ugrain burned: 0 when nothing of
// it is left. Jail takes it out of the validator set until a time; it reports
// false when it is not in it, or would leave it empty.
type Stakes interface {
	Fine(ctx context.Context, operator sdk.ValAddress, height int64, power uint64, share money.BPS) (money.Grain, error)
	Jail(ctx context.Context, operator sdk.ValAddress, until time.Time) (bool, error)
}

// Bank holds the deposit of a challenge while it is decided and makes the
// challenger's part of what the fines burned.
type Bank interface {
	SendCoinsFromAccountToModule(ctx context.Context, from sdk.AccAddress, module string, amt sdk.Coins) error
	SendCoinsFromModuleToAccount(ctx context.Context, module string, to sdk.AccAddress, amt sdk.Coins) error
	MintCoins(ctx context.Context, module string, amt sdk.Coins) error
}

// Community gets the deposits of challenges that showed nothing.
type Community interface {
	FundCommunityPool(ctx context.Context, amount sdk.Coins, sender sdk.AccAddress) error
}
