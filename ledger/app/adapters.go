package app

import (
	"context"
	"errors"

	"cosmossdk.io/math"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	stakingkeeper "github.com/cosmos/cosmos-sdk/x/staking/keeper"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	coredevice "github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/credit"
	"github.com/grange-network/grange/ledger/device"
	"github.com/grange-network/grange/ledger/market"
	"github.com/grange-network/grange/ledger/oracle"
)

// Our modules do not import each other: each declares what it needs of the
// others, and the types here translate.

// marketDevices is the registry as the market sees it.
type marketDevices struct{ k *device.Keeper }

var _ market.Devices = marketDevices{}

func (a marketDevices) Info(ctx context.Context, id [32]byte) (market.DeviceInfo, error) {
	d, err := a.k.Get(ctx, id)
	if err != nil {
		return market.DeviceInfo{}, err
	}
	info := market.DeviceInfo{
		Owner:   d.Owner,
		Ed25519: d.KeyType == devicepb.KEY_TYPE_ED25519,
		Active:  d.Profile.Status == devicepb.STATUS_ACTIVE,
	}
	if info.Ed25519 {
		copy(info.Key[:], d.PublicKey)
	}
	return info, nil
}

func (a marketDevices) Split(ctx context.Context, id [32]byte, denom string, amount uint64) ([]market.Payout, error) {
	payments, err := a.k.Split(ctx, id, denom, amount)
	payouts := make([]market.Payout, 0, len(payments))
	for _, p := range payments {
		payouts = append(payouts, market.Payout{To: p.To, Amount: p.Amount})
	}
	return payouts, err
}

// oraclePayouts is the registry as the oracle sees it.
type oraclePayouts struct{ k *device.Keeper }

var _ oracle.Payouts = oraclePayouts{}

func (a oraclePayouts) Payout(ctx context.Context, module, denom string, earned []oracle.Earning) error {
	out := make([]device.Earning, 0, len(earned))
	for _, e := range earned {
		out = append(out, device.Earning{Device: coredevice.ID(e.Device), Amount: e.Amount})
	}
	return a.k.Payout(ctx, module, denom, out)
}

// oracleBudget is credit as the oracle sees it: what a vertical may mint depends
// on what the market saw its usage burn.
type oracleBudget struct {
	credit *credit.Keeper
	market *market.Keeper
}

var _ oracle.Budget = oracleBudget{}

func (a oracleBudget) BonusBudget(ctx context.Context, vertical string, epoch uint64) (uint64, error) {
	own, all, err := a.market.Burned(ctx, epoch, vertical)
	if err != nil {
		return 0, err
	}
	return a.credit.BonusBudget(ctx, vertical, epoch, own, all)
}

func (a oracleBudget) Mint(ctx context.Context, module string, amount money.Grain) error {
	return a.credit.Mint(ctx, module, amount)
}

// oracleHeads is the market as the oracle sees it.
type oracleHeads struct{ k *market.Keeper }

var _ oracle.Heads = oracleHeads{}

func (a oracleHeads) HeadsAt(ctx context.Context, id [32]byte, epoch uint64) ([]oracle.Head, error) {
	in, err := a.k.HeadsAt(ctx, id, epoch)
	heads := make([]oracle.Head, 0, len(in))
	for _, h := range in {
		heads = append(heads, oracle.Head{Lease: h.Lease, Root: h.Root, Units: h.Units})
	}
	return heads, err
}

// noProver is for tools that run no blocks, such as making a genesis.
type noProver struct{}

var errNoProver = errors.New("check proof: this node was started without a prover")

func (noProver) Challenges(_, _ [32]byte, _ []oracle.Head, _ int) []oracle.Challenge { return nil }

func (noProver) Verify(oracle.Head, oracle.Challenge, []byte) error { return errNoProver }

// creditStaking is staking as the credit module sees it.
type creditStaking struct {
	*stakingkeeper.Keeper
	bank bankkeeper.BaseKeeper
}

var _ credit.Staking = creditStaking{}

// TotalBondedTokens is what the pool of bonded stake holds, in ugrain.
func (a creditStaking) TotalBondedTokens(ctx context.Context) (math.Int, error) {
	denom, err := a.BondDenom(ctx)
	if err != nil {
		return math.ZeroInt(), err
	}
	pool := authtypes.NewModuleAddress(stakingtypes.BondedPoolName)
	return a.bank.GetBalance(ctx, pool, denom).Amount, nil
}
