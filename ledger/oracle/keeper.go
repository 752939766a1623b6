package oracle

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"
	"cosmossdk.io/core/address"
	corestore "cosmossdk.io/core/store"
	"cosmossdk.io/log/v2"
	"github.com/cosmos/cosmos-sdk/codec"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/ledger/api/oraclepb"
)

// Keeper stores the oracle's state.
type Keeper struct {
	cdc        codec.BinaryCodec
	logger     log.Logger
	authority  string
	accounts   address.Codec
	operators  address.Codec
	validators Validators
	heads      Heads
	prover     Prover
	budget     Budget
	payouts    Payouts
	stakes     Stakes
	bank       Bank
	community  Community
	hooks      []Hooks

	Schema        collections.Schema
	Params        collections.Item[oraclepb.Params]
	Epochs        collections.Map[uint64, oraclepb.Epoch]
	Decided       collections.KeySet[uint64] // epochs with a decided seed
	Keys          collections.Map[[]byte, oraclepb.Key]
	KeyOwners     collections.Map[[]byte, []byte]                           // public key → operator
	Reveals       collections.Map[collections.Pair[uint64, []byte], []byte] // epoch, operator → signature
	Proofs        collections.Map[uint64, oraclepb.Proof]
	ProofOf       collections.Map[collections.Pair[[]byte, uint64], uint64] // device, epoch → sequence
	LastProof     collections.Item[uint64]
	Votes         collections.Map[collections.Triple[uint64, string, []byte], oraclepb.Vote] // epoch, vertical, operator
	Reports       collections.Map[collections.Pair[string, uint64], oraclepb.Report]         // vertical, epoch
	Equivocations collections.Map[collections.Triple[uint64, string, []byte], oraclepb.Equivocation]
	Conducts      collections.Map[[]byte, oraclepb.Conduct]
	Claimed       collections.Map[collections.Pair[[]byte, string], uint64] // device, vertical → ugrain
	Breaker       collections.Item[oraclepb.Breaker]
	Budgets       collections.Map[collections.Pair[string, uint64], uint64] // vertical, epoch → sum of budgets
	Refutations   collections.Map[collections.Pair[string, uint64], oraclepb.Refutation]
	Paid          collections.Map[string, uint64] // vertical → sum of what its devices claimed
}

// Config is what the keeper is built from.
type Config struct {
	Codec      codec.BinaryCodec
	Store      corestore.KVStoreService
	Logger     log.Logger
	Authority  string        // may change parameters
	Accounts   address.Codec // of account addresses
	Operators  address.Codec // of validator operator addresses
	Validators Validators
	Heads      Heads
	Prover     Prover
	Budget     Budget
	Payouts    Payouts
	Stakes     Stakes
	Bank       Bank
	Community  Community
}

// NewKeeper builds the keeper.
func NewKeeper(c Config) (*Keeper, error) {
	sb := collections.NewSchemaBuilder(c.Store)
	epochOperator := collections.PairKeyCodec(collections.Uint64Key, collections.BytesKey)
	epochVerticalOperator := collections.TripleKeyCodec(collections.Uint64Key, collections.StringKey, collections.BytesKey)
	k := &Keeper{
		cdc: c.Codec, logger: c.Logger.With("module", ModuleName), authority: c.Authority,
		accounts: c.Accounts, operators: c.Operators, validators: c.Validators,
		heads: c.Heads, prover: c.Prover, budget: c.Budget, payouts: c.Payouts,
		stakes: c.Stakes, bank: c.Bank, community: c.Community,

		Params:        collections.NewItem(sb, collections.NewPrefix(0), "params", codec.CollValue[oraclepb.Params](c.Codec)),
		Epochs:        collections.NewMap(sb, collections.NewPrefix(1), "epochs", collections.Uint64Key, codec.CollValue[oraclepb.Epoch](c.Codec)),
		Decided:       collections.NewKeySet(sb, collections.NewPrefix(2), "decided", collections.Uint64Key),
		Keys:          collections.NewMap(sb, collections.NewPrefix(3), "keys", collections.BytesKey, codec.CollValue[oraclepb.Key](c.Codec)),
		KeyOwners:     collections.NewMap(sb, collections.NewPrefix(4), "key_owners", collections.BytesKey, collections.BytesValue),
		Reveals:       collections.NewMap(sb, collections.NewPrefix(5), "reveals", epochOperator, collections.BytesValue),
		Proofs:        collections.NewMap(sb, collections.NewPrefix(6), "proofs", collections.Uint64Key, codec.CollValue[oraclepb.Proof](c.Codec)),
		ProofOf:       collections.NewMap(sb, collections.NewPrefix(7), "proof_of", collections.PairKeyCodec(collections.BytesKey, collections.Uint64Key), collections.Uint64Value),
		LastProof:     collections.NewItem(sb, collections.NewPrefix(8), "last_proof", collections.Uint64Value),
		Votes:         collections.NewMap(sb, collections.NewPrefix(9), "votes", epochVerticalOperator, codec.CollValue[oraclepb.Vote](c.Codec)),
		Reports:       collections.NewMap(sb, collections.NewPrefix(10), "reports", collections.PairKeyCodec(collections.StringKey, collections.Uint64Key), codec.CollValue[oraclepb.Report](c.Codec)),
		Equivocations: collections.NewMap(sb, collections.NewPrefix(11), "equivocations", epochVerticalOperator, codec.CollValue[oraclepb.Equivocation](c.Codec)),
		Conducts:      collections.NewMap(sb, collections.NewPrefix(12), "conducts", collections.BytesKey, codec.CollValue[oraclepb.Conduct](c.Codec)),
		Claimed:       collections.NewMap(sb, collections.NewPrefix(13), "claimed", collections.PairKeyCodec(collections.BytesKey, collections.StringKey), collections.Uint64Value),
		Breaker:       collections.NewItem(sb, collections.NewPrefix(14), "breaker", codec.CollValue[oraclepb.Breaker](c.Codec)),
		Budgets:       collections.NewMap(sb, collections.NewPrefix(15), "budgets", collections.PairKeyCodec(collections.StringKey, collections.Uint64Key), collections.Uint64Value),
		Refutations:   collections.NewMap(sb, collections.NewPrefix(16), "refutations", collections.PairKeyCodec(collections.StringKey, collections.Uint64Key), codec.CollValue[oraclepb.Refutation](c.Codec)),
		Paid:          collections.NewMap(sb, collections.NewPrefix(17), "paid", collections.StringKey, collections.Uint64Value),
	}
	var err error
	if k.Schema, err = sb.Build(); err != nil {
		return nil, fmt.Errorf("build oracle schema: %w", err)
	}
	return k, nil
}

// SetHooks names who is told of ended epochs, in the order they are called. It
// is part of wiring: call it once, before the first block.
func (k *Keeper) SetHooks(hooks ...Hooks) { k.hooks = hooks }

// SetHeads names who knows what devices hold, where that module is built after
// this one.
func (k *Keeper) SetHeads(h Heads) { k.heads = h }

// CurrentEpoch is the number of the epoch that runs, 0 before the first block.
func (k *Keeper) CurrentEpoch(ctx context.Context) (uint64, error) {
	e, err := k.current(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		return 0, nil
	}
	return e.Number, err
}

// current is the newest epoch, collections.ErrNotFound before the first block.
func (k *Keeper) current(ctx context.Context) (oraclepb.Epoch, error) {
	it, err := k.Epochs.Iterate(ctx, new(collections.Range[uint64]).Descending())
	if err != nil {
		return oraclepb.Epoch{}, err
	}
	defer it.Close()
	if !it.Valid() {
		return oraclepb.Epoch{}, fmt.Errorf("no epoch has started: %w", collections.ErrNotFound)
	}
	return it.Value()
}

// power returns an operator's power, 0 when it is not bonded.
func (k *Keeper) power(ctx context.Context, operator []byte) (uint64, error) {
	p, err := k.validators.GetLastValidatorPower(ctx, operator)
	if err != nil {
		return 0, fmt.Errorf("read power of validator %x: %w", operator, err)
	}
	return uint64(max(p, 0)), nil
}

func (k *Keeper) totalPower(ctx context.Context) (uint64, error) {
	total, err := k.validators.GetLastTotalPower(ctx)
	if err != nil {
		return 0, fmt.Errorf("read total power: %w", err)
	}
	if !total.IsUint64() {
		return 0, fmt.Errorf("read total power: %s does not fit 64 bits", total)
	}
	return total.Uint64(), nil
}

// bonded parses an operator's address and refuses one without power.
func (k *Keeper) bonded(ctx context.Context, validator string) (operator []byte, err error) {
	operator, err = k.operators.StringToBytes(validator)
	if err != nil {
		return nil, ErrInvalid.Wrapf("validator address: %v", err)
	}
	power, err := k.power(ctx, operator)
	if err != nil {
		return nil, err
	}
	if power == 0 {
		return nil, ErrNotBonded.Wrap(validator)
	}
	return operator, nil
}

// quorum says whether power is more than two thirds of total.
func quorum(power, total uint64) bool {
	// CometBFT bounds total power by 2^63/8, so the products fit.
	return total > 0 && power*3 > total*2
}

// conduct changes the counters of one validator.
func (k *Keeper) conduct(ctx context.Context, operator []byte, change func(*oraclepb.Conduct)) error {
	c, err := k.Conducts.Get(ctx, operator)
	if errors.Is(err, collections.ErrNotFound) {
		c.Validator, err = k.operators.BytesToString(operator)
	}
	if err != nil {
		return err
	}
	change(&c)
	return k.Conducts.Set(ctx, operator, c)
}

func now(ctx context.Context) (nanos, height int64) {
	c := sdk.UnwrapSDKContext(ctx)
	return c.BlockTime().UnixNano(), c.BlockHeight()
}

func bytes32(what string, b []byte) (out [32]byte, err error) {
	if len(b) != len(out) {
		return out, ErrInvalid.Wrapf("%s has %d bytes, want %d", what, len(b), len(out))
	}
	return [32]byte(b), nil
}

// unmetered is for what the vote that completes a quorum does for all. Its cost
// grows with the validators and depends on who came before, so it cannot be
// simulated and no single sender should pay it; the number of validators bounds
// it, and each is heard once an epoch.
func unmetered(ctx context.Context) context.Context {
	return sdk.UnwrapSDKContext(ctx).WithGasMeter(storetypes.NewInfiniteGasMeter())
}
