package market

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"
	corestore "cosmossdk.io/core/store"
	errorsmod "cosmossdk.io/errors"
	"cosmossdk.io/log/v2"
	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/marketpb"
)

// Bank moves coins between accounts and the escrow.
type Bank interface {
	SendCoinsFromAccountToModule(ctx context.Context, from sdk.AccAddress, module string, amt sdk.Coins) error
	SendCoinsFromModuleToAccount(ctx context.Context, module string, to sdk.AccAddress, amt sdk.Coins) error
	BurnCoins(ctx context.Context, module string, amt sdk.Coins) error
	SpendableCoin(ctx context.Context, addr sdk.AccAddress, denom string) sdk.Coin
}

// DeviceInfo is what the market must know of a device.
type DeviceInfo struct {
	Owner   string
	Key     [32]byte // ed25519 public key
	Ed25519 bool     // false when the device's key is of another type
	Active  bool
}

// Payout is a part of a device's earnings and the account it goes to.
type Payout struct {
	To     sdk.AccAddress
	Amount uint64
}

// Devices is the registry. Split shares a payment by the device's payout
// splits, liens first, records what the liens took, and conserves the amount.
type Devices interface {
	Info(ctx context.Context, id [32]byte) (DeviceInfo, error)
	Split(ctx context.Context, id [32]byte, denom string, amount uint64) ([]Payout, error)
}

// Epochs is the oracle's clock and its judgement of devices.
type Epochs interface {
	CurrentEpoch(ctx context.Context) (uint64, error)
	LeaseOutcome(ctx context.Context, device [32]byte, epoch uint64) (lease.Outcome, error)
}

// Credits takes the network's share out of a payment that lies in a module
// account and returns what is left for the payee.
type Credits interface {
	Take(ctx context.Context, module string, amount money.Credit) (net, burned money.Credit, err error)
}

// Keeper stores the market and moves its coins.
type Keeper struct {
	cdc       codec.BinaryCodec
	logger    log.Logger
	authority string
	bank      Bank
	devices   Devices
	credits   Credits
	epochs    Epochs
	proven    map[string]bool // kinds whose hold is paid only when proven

	Schema      collections.Schema
	Params      collections.Item[marketpb.Params]
	Offers      collections.Map[uint64, marketpb.Offer]
	Leases      collections.Map[[]byte, marketpb.Lease]
	NextOffer   collections.Sequence
	NextLease   collections.Sequence
	Due         collections.KeySet[collections.Pair[uint64, []byte]] // epoch from which a lease wants to be advanced
	ByDevice    collections.KeySet[collections.Pair[[]byte, []byte]] // leases not yet closed
	ByPayer     collections.KeySet[collections.Pair[string, []byte]]
	LeaseEpochs collections.Map[collections.Triple[uint64, []byte, []byte], marketpb.LeaseEpoch] // epoch, device, lease
	Usage       collections.Map[collections.Triple[uint64, []byte, string], marketpb.Usage]      // epoch, device, kind
	Burns       collections.Map[collections.Pair[uint64, string], uint64]                        // ucredit by epoch and vertical, "" for all; sums of Usage
	Slashes     collections.Map[collections.Pair[uint64, []byte], marketpb.Slash]                // epoch, device

	Demands      collections.Map[uint64, marketpb.Demand] // ids are shared with Offers
	DemandsDue   collections.KeySet[collections.Pair[uint64, uint64]]
	Standings    collections.Map[[]byte, marketpb.Standing]
	StandingsDue collections.KeySet[collections.Pair[uint64, []byte]]
	StandingsBy  collections.KeySet[collections.Pair[string, []byte]]                // payer
	Accounts     collections.Map[collections.Pair[[]byte, []byte], marketpb.Account] // standing, device
	Disputes     collections.Map[collections.Pair[[]byte, []byte], marketpb.Dispute] // standing, device
	DisputesDue  collections.KeySet[collections.Pair[uint64, []byte]]                // standing ‖ device
	Swept        collections.KeySet[[]byte]                                          // closed standing leases whose accounts are being removed
}

// Config is what the keeper is built from. ProvenKinds are the kinds of offers
// whose held units are paid only for epochs the oracle calls Proven.
type Config struct {
	Codec       codec.BinaryCodec
	Store       corestore.KVStoreService
	Logger      log.Logger
	Authority   string
	Bank        Bank
	Devices     Devices
	Credits     Credits
	ProvenKinds []string
}

// NewKeeper builds the keeper. The oracle, which itself asks the market what
// is held, is set afterwards with SetEpochs.
func NewKeeper(c Config) *Keeper {
	sb := collections.NewSchemaBuilder(c.Store)
	k := &Keeper{
		cdc: c.Codec, logger: c.Logger.With("module", ModuleName), authority: c.Authority,
		bank: c.Bank, devices: c.Devices, credits: c.Credits, proven: map[string]bool{},

		Params:      collections.NewItem(sb, collections.NewPrefix(0), "params", codec.CollValue[marketpb.Params](c.Codec)),
		Offers:      collections.NewMap(sb, collections.NewPrefix(1), "offers", collections.Uint64Key, codec.CollValue[marketpb.Offer](c.Codec)),
		Leases:      collections.NewMap(sb, collections.NewPrefix(2), "leases", collections.BytesKey, codec.CollValue[marketpb.Lease](c.Codec)),
		NextOffer:   collections.NewSequence(sb, collections.NewPrefix(3), "next_offer"),
		NextLease:   collections.NewSequence(sb, collections.NewPrefix(4), "next_lease"),
		Due:         collections.NewKeySet(sb, collections.NewPrefix(5), "due", collections.PairKeyCodec(collections.Uint64Key, collections.BytesKey)),
		ByDevice:    collections.NewKeySet(sb, collections.NewPrefix(6), "by_device", collections.PairKeyCodec(collections.BytesKey, collections.BytesKey)),
		ByPayer:     collections.NewKeySet(sb, collections.NewPrefix(7), "by_payer", collections.PairKeyCodec(collections.StringKey, collections.BytesKey)),
		LeaseEpochs: collections.NewMap(sb, collections.NewPrefix(8), "lease_epochs", collections.TripleKeyCodec(collections.Uint64Key, collections.BytesKey, collections.BytesKey), codec.CollValue[marketpb.LeaseEpoch](c.Codec)),
		Usage:       collections.NewMap(sb, collections.NewPrefix(9), "usage", collections.TripleKeyCodec(collections.Uint64Key, collections.BytesKey, collections.StringKey), codec.CollValue[marketpb.Usage](c.Codec)),
		Burns:       collections.NewMap(sb, collections.NewPrefix(20), "burns", collections.PairKeyCodec(collections.Uint64Key, collections.StringKey), collections.Uint64Value),
		Slashes:     collections.NewMap(sb, collections.NewPrefix(10), "slashes", collections.PairKeyCodec(collections.Uint64Key, collections.BytesKey), codec.CollValue[marketpb.Slash](c.Codec)),

		Demands:      collections.NewMap(sb, collections.NewPrefix(11), "demands", collections.Uint64Key, codec.CollValue[marketpb.Demand](c.Codec)),
		DemandsDue:   collections.NewKeySet(sb, collections.NewPrefix(12), "demands_due", collections.PairKeyCodec(collections.Uint64Key, collections.Uint64Key)),
		Standings:    collections.NewMap(sb, collections.NewPrefix(13), "standings", collections.BytesKey, codec.CollValue[marketpb.Standing](c.Codec)),
		StandingsDue: collections.NewKeySet(sb, collections.NewPrefix(14), "standings_due", collections.PairKeyCodec(collections.Uint64Key, collections.BytesKey)),
		StandingsBy:  collections.NewKeySet(sb, collections.NewPrefix(15), "standings_by_payer", collections.PairKeyCodec(collections.StringKey, collections.BytesKey)),
		Accounts:     collections.NewMap(sb, collections.NewPrefix(16), "accounts", collections.PairKeyCodec(collections.BytesKey, collections.BytesKey), codec.CollValue[marketpb.Account](c.Codec)),
		Disputes:     collections.NewMap(sb, collections.NewPrefix(17), "disputes", collections.PairKeyCodec(collections.BytesKey, collections.BytesKey), codec.CollValue[marketpb.Dispute](c.Codec)),
		DisputesDue:  collections.NewKeySet(sb, collections.NewPrefix(18), "disputes_due", collections.PairKeyCodec(collections.Uint64Key, collections.BytesKey)),
		Swept:        collections.NewKeySet(sb, collections.NewPrefix(19), "swept", collections.BytesKey),
	}
	for _, kind := range c.ProvenKinds {
		k.proven[kind] = true
	}
	schema, err := sb.Build()
	if err != nil {
		panic(fmt.Sprintf("build market schema: %v", err)) // a programming error: two prefixes or names collide
	}
	k.Schema = schema
	return k
}

// SetEpochs gives the keeper its clock. It must be called once, while wiring.
func (k *Keeper) SetEpochs(e Epochs) { k.epochs = e }

// Authority is the account that may change the parameters.
func (k *Keeper) Authority() string { return k.authority }

func (k *Keeper) rules(p marketpb.Params) lease.Rules {
	return lease.Rules{
		Grace: p.GraceEpochs, Window: p.WindowEpochs, FaultLimit: p.FaultLimit,
		Dispute: p.DisputeEpochs, Bond: money.BPS(p.BondBps), Penalty: money.BPS(p.PenaltyBps),
	}
}

// load returns a lease, or ErrNotFound with a hint.
func (k *Keeper) load(ctx context.Context, id []byte) (lease.Lease, error) {
	stored, err := k.Leases.Get(ctx, id)
	if errors.Is(err, collections.ErrNotFound) {
		return lease.Lease{}, errorsmod.Wrapf(ErrNotFound, "lease %X: list the leases of a payer or a device to find its id", id)
	}
	if err != nil {
		return lease.Lease{}, err
	}
	return LeaseOf(stored)
}

func (k *Keeper) store(ctx context.Context, l lease.Lease) error {
	return k.Leases.Set(ctx, l.ID[:], leasePB(l))
}

// addLeaseEpoch adds to the record of what an epoch did to a device under a lease.
func (k *Keeper) addLeaseEpoch(ctx context.Context, epoch uint64, device, id [32]byte, change func(*marketpb.LeaseEpoch)) error {
	key := collections.Join3(epoch, device[:], id[:])
	r, err := k.LeaseEpochs.Get(ctx, key)
	if errors.Is(err, collections.ErrNotFound) {
		r, err = marketpb.LeaseEpoch{Epoch: epoch, Device: append([]byte(nil), device[:]...), Lease: append([]byte(nil), id[:]...)}, nil
	}
	if err != nil {
		return err
	}
	change(&r)
	return k.LeaseEpochs.Set(ctx, key, r)
}

// pay moves a payment for a device out of the escrow: the take first, the rest
// to the device's payout splits. It returns what the payees got and what was
// burned.
func (k *Keeper) pay(ctx context.Context, device, id [32]byte, gross money.Credit) (net, burned money.Credit, err error) {
	if gross == 0 {
		return 0, 0, nil
	}
	if net, burned, err = k.credits.Take(ctx, ModuleName, gross); err != nil {
		return 0, 0, fmt.Errorf("take from lease %x: %w", id[:8], err)
	}
	return net, burned, k.share(ctx, device, id, net)
}

// share pays the device's payout splits.
func (k *Keeper) share(ctx context.Context, device, id [32]byte, net money.Credit) error {
	payouts, err := k.devices.Split(ctx, device, money.CreditDenom, uint64(net))
	if err != nil {
		return fmt.Errorf("split payment of lease %x: %w", id[:8], err)
	}
	for _, p := range payouts {
		if p.Amount == 0 {
			continue
		}
		if err := k.bank.SendCoinsFromModuleToAccount(ctx, ModuleName, p.To, credits(money.Credit(p.Amount))); err != nil {
			return fmt.Errorf("pay %d ucredit of lease %x to %s: %w", p.Amount, id[:8], p.To, err)
		}
	}
	return nil
}

// payOut returns coins of the escrow to an account.
func (k *Keeper) payOut(ctx context.Context, to string, coins sdk.Coins) error {
	if coins.IsZero() {
		return nil
	}
	account, err := sdk.AccAddressFromBech32(to)
	if err != nil {
		return err
	}
	return k.bank.SendCoinsFromModuleToAccount(ctx, ModuleName, account, coins)
}
