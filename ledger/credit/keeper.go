package credit

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"
	corestore "cosmossdk.io/core/store"
	"cosmossdk.io/log/v2"
	sdkmath "cosmossdk.io/math"
	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	distrtypes "github.com/cosmos/cosmos-sdk/x/distribution/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/price"
	"github.com/grange-network/grange/ledger/api/creditpb"
	_ "github.com/grange-network/grange/ledger/chain" // sets the address prefixes
)

// Bank is what the module needs of x/bank.
type Bank interface {
	MintCoins(ctx context.Context, module string, amt sdk.Coins) error
	BurnCoins(ctx context.Context, module string, amt sdk.Coins) error
	SendCoinsFromAccountToModule(ctx context.Context, from sdk.AccAddress, module string, amt sdk.Coins) error
	SendCoinsFromModuleToAccount(ctx context.Context, module string, to sdk.AccAddress, amt sdk.Coins) error
	SendCoinsFromModuleToModule(ctx context.Context, from, to string, amt sdk.Coins) error
	GetBalance(ctx context.Context, addr sdk.AccAddress, denom string) sdk.Coin
	SpendableCoin(ctx context.Context, addr sdk.AccAddress, denom string) sdk.Coin
	GetSupply(ctx context.Context, denom string) sdk.Coin
	BlockedAddr(addr sdk.AccAddress) bool
	AppendSendRestriction(banktypes.SendRestrictionFn)
}

// CommunityPool receives the treasury's share.
type CommunityPool interface {
	FundCommunityPool(ctx context.Context, amount sdk.Coins, sender sdk.AccAddress) error
}

// Staking says who may vote on the price, and with what power.
type Staking interface {
	GetValidator(ctx context.Context, addr sdk.ValAddress) (stakingtypes.Validator, error)
	TotalBondedTokens(ctx context.Context) (sdkmath.Int, error)
}

// Keeper stores prices, counts what exists, and mints and burns.
type Keeper struct {
	cdc       codec.BinaryCodec
	logger    log.Logger
	authority string
	bank      Bank
	pool      CommunityPool
	staking   Staking
	holders   []holder

	Schema         collections.Schema
	Params         collections.Item[creditpb.Params]
	Price          collections.Item[creditpb.Price]
	Votes          collections.Map[string, creditpb.Vote] // by validator
	Totals         collections.Item[creditpb.Totals]
	Window         collections.Item[creditpb.Window]
	Open           collections.Item[creditpb.Open]
	Emission       collections.Item[creditpb.Emission]
	Redemptions    collections.Map[uint64, creditpb.Redemption]
	NextRedemption collections.Sequence
	Epochs         collections.Map[uint64, creditpb.EpochRecord]
	Purchases      collections.Map[uint64, creditpb.Purchase]
	NextPurchase   collections.Sequence
	Cancelled      collections.KeySet[uint64] // redemptions to give back when the round closes
}

// holder is a module account through which credits may pass.
type holder struct {
	name    string
	address sdk.AccAddress
}

// Config is what the keeper is built from. Escrows are the module accounts that
// hold users' credits, like "market"; this module's own, the fee collector and
// distribution are always among those that credits may pass through.
type Config struct {
	Codec     codec.BinaryCodec
	Store     corestore.KVStoreService
	Logger    log.Logger
	Authority string
	Bank      Bank
	Community CommunityPool
	Staking   Staking
	Escrows   []string
}

// NewKeeper builds the keeper and adds its restriction on moving credits to the
// bank. The account ModuleName must have the permissions to mint and to burn.
func NewKeeper(c Config) *Keeper {
	sb := collections.NewSchemaBuilder(c.Store)
	k := &Keeper{
		cdc: c.Codec, logger: c.Logger.With("module", ModuleName), authority: c.Authority,
		bank: c.Bank, pool: c.Community, staking: c.Staking,

		Params:         collections.NewItem(sb, collections.NewPrefix(0), "params", codec.CollValue[creditpb.Params](c.Codec)),
		Price:          collections.NewItem(sb, collections.NewPrefix(1), "price", codec.CollValue[creditpb.Price](c.Codec)),
		Votes:          collections.NewMap(sb, collections.NewPrefix(2), "votes", collections.StringKey, codec.CollValue[creditpb.Vote](c.Codec)),
		Totals:         collections.NewItem(sb, collections.NewPrefix(3), "totals", codec.CollValue[creditpb.Totals](c.Codec)),
		Window:         collections.NewItem(sb, collections.NewPrefix(4), "window", codec.CollValue[creditpb.Window](c.Codec)),
		Open:           collections.NewItem(sb, collections.NewPrefix(5), "open", codec.CollValue[creditpb.Open](c.Codec)),
		Emission:       collections.NewItem(sb, collections.NewPrefix(6), "emission", codec.CollValue[creditpb.Emission](c.Codec)),
		Redemptions:    collections.NewMap(sb, collections.NewPrefix(7), "redemptions", collections.Uint64Key, codec.CollValue[creditpb.Redemption](c.Codec)),
		NextRedemption: collections.NewSequence(sb, collections.NewPrefix(8), "next_redemption"),
		Epochs:         collections.NewMap(sb, collections.NewPrefix(9), "epochs", collections.Uint64Key, codec.CollValue[creditpb.EpochRecord](c.Codec)),
		Purchases:      collections.NewMap(sb, collections.NewPrefix(10), "purchases", collections.Uint64Key, codec.CollValue[creditpb.Purchase](c.Codec)),
		NextPurchase:   collections.NewSequence(sb, collections.NewPrefix(11), "next_purchase"),
		Cancelled:      collections.NewKeySet(sb, collections.NewPrefix(12), "cancelled", collections.Uint64Key),
	}
	schema, err := sb.Build()
	if err != nil {
		panic(fmt.Sprintf("build credit schema: %v", err)) // a programming error: two prefixes or names collide
	}
	k.Schema = schema
	for _, name := range append([]string{ModuleName, authtypes.FeeCollectorName, distrtypes.ModuleName}, c.Escrows...) {
		k.holders = append(k.holders, holder{name, authtypes.NewModuleAddress(name)})
	}
	c.Bank.AppendSendRestriction(k.SendRestriction)
	return k
}

// Authority is the account that may change the parameters.
func (k *Keeper) Authority() string { return k.authority }

// SendRestriction lets credits move only from or to the accounts of the network
// itself. It is the bank's hook and applies to every kind of transfer.
func (k *Keeper) SendRestriction(_ context.Context, from, to sdk.AccAddress, amt sdk.Coins) (sdk.AccAddress, error) {
	moved := amt.AmountOf(money.CreditDenom)
	if moved.IsZero() || k.holds(to) || k.holds(from) {
		return to, nil
	}
	return nil, ErrTransfer.Wrapf(
		"refused to move %s%s from %s to %s: credits pay for leases and are not a currency; open a lease to pay a provider, or turn credits into %s with MsgRedeem and send those",
		moved, money.CreditDenom, from, to, money.GrainDenom)
}

func (k *Keeper) holds(addr sdk.AccAddress) bool {
	for _, h := range k.holders {
		if h.address.Equals(addr) {
			return true
		}
	}
	return false
}

// now is the block's time in Unix seconds.
func now(ctx context.Context) int64 { return sdk.UnwrapSDKContext(ctx).BlockTime().Unix() }

// load reads an item, or its zero value when it was never set.
func load[T any](ctx context.Context, item collections.Item[T]) (T, error) {
	v, err := item.Get(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		return v, nil
	}
	return v, err
}

func priceOf(p creditpb.Price) price.State {
	return price.State{Last: p.Last, Average: p.Average, Deviation: p.Deviation, Updated: p.Updated, Opened: p.Opened}
}

func pricePB(s price.State) creditpb.Price {
	return creditpb.Price{Last: s.Last, Average: s.Average, Deviation: s.Deviation, Updated: s.Updated, Opened: s.Opened}
}

func quotePB(q price.Quote) creditpb.Quote {
	return creditpb.Quote{Low: q.Low, Mid: q.Mid, High: q.High}
}

// quote returns the price now and whether it is stale.
func (k *Keeper) quote(ctx context.Context, p creditpb.Params) (q price.Quote, stale bool, err error) {
	stored, err := load(ctx, k.Price)
	if err != nil {
		return price.Quote{}, true, err
	}
	state, rules := priceOf(stored), rulesOf(p)
	return state.Quote(rules), state.Stale(rules, now(ctx)), nil
}

// fresh returns the price to trade on, or ErrStale.
func (k *Keeper) fresh(ctx context.Context, p creditpb.Params, what string) (price.Quote, error) {
	q, stale, err := k.quote(ctx, p)
	if err != nil || !stale {
		return q, err
	}
	stored, err := load(ctx, k.Price)
	if err != nil {
		return q, err
	}
	if !priceOf(stored).Known() {
		return q, ErrStale.Wrapf("%s: there is no price of GRAIN yet; validators with more than %d bps of the power must vote with MsgPrice first, then try again", what, p.QuorumBps)
	}
	return q, ErrStale.Wrapf("%s: the price of GRAIN is %d s old and may be at most %d; try again after the validators' next round, running leases go on meanwhile", what, now(ctx)-stored.Updated, p.StaleSeconds)
}
