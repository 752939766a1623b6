package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"cosmossdk.io/log/v2"
	"cosmossdk.io/math"
	cmtjson "github.com/cometbft/cometbft/libs/json"
	cmttypes "github.com/cometbft/cometbft/types"
	dbm "github.com/cosmos/cosmos-db"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/grange-network/grange/ledger/app"
	"github.com/grange-network/grange/ledger/chain"
)

// MaxBlockGas bounds what a block may execute.
const MaxBlockGas = 200_000_000

// maxBlockBytes bounds a block's transactions.
const maxBlockBytes = 4 << 20

// Balance is what an account owns in the first block.
type Balance struct {
	Address sdk.AccAddress
	Coins   sdk.Coins
}

// Genesis is a chain's beginning in Go values.
type Genesis struct {
	// ChainID is chain.LocalID if empty.
	ChainID string
	// Time is now if zero. A time in the future makes nodes wait for it.
	Time time.Time
	// Balances lists every account once. Validators' operators must own what
	// they stake.
	Balances []Balance
	// Gentxs are the signed transactions that create the first validators, from
	// NodeKeys.Gentx, one for each.
	Gentxs []json.RawMessage
	// Modules overrides parts of modules' default states: module name to a JSON
	// object that is merged into the default, object by object; other values
	// replace what was there. Example: {"oracle": {"params": {"epoch_duration": "15s"}}}.
	Modules map[string]json.RawMessage
}

// DocumentJSON builds and validates the genesis file's content. The same Genesis
// gives the same bytes.
func (g Genesis) DocumentJSON() ([]byte, error) {
	if g.ChainID == "" {
		g.ChainID = chain.LocalID
	}
	if g.Time.IsZero() {
		g.Time = time.Now()
	}
	if len(g.Gentxs) == 0 {
		return nil, errors.New("build genesis: no validator: add at least one gentx")
	}
	a, err := app.New(log.NewNopLogger(), dbm.NewMemDB(), g.ChainID, app.Options{})
	if err != nil {
		return nil, err
	}
	defer a.Close()
	state := a.DefaultGenesis()
	if err := g.fill(a, state); err != nil {
		return nil, fmt.Errorf("build genesis of %s: %w", g.ChainID, err)
	}
	if err := a.Basic.ValidateGenesis(a.Codec, a.Tx, state); err != nil {
		return nil, fmt.Errorf("check genesis of %s: %w", g.ChainID, err)
	}
	raw, err := json.Marshal(state)
	if err != nil {
		return nil, err
	}
	doc := genutiltypes.AppGenesis{
		AppName:       app.Name,
		GenesisTime:   g.Time.UTC().Round(0),
		ChainID:       g.ChainID,
		InitialHeight: 1,
		AppState:      raw,
		Consensus:     &genutiltypes.ConsensusGenesis{Params: consensusParams()},
	}
	return json.MarshalIndent(&doc, "", "  ")
}

func consensusParams() *cmttypes.ConsensusParams {
	p := cmttypes.DefaultConsensusParams()
	p.Block.MaxGas = MaxBlockGas
	p.Block.MaxBytes = maxBlockBytes
	return p
}

func (g Genesis) fill(a *app.App, state map[string]json.RawMessage) error {
	if err := setDenominations(a, state); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(g.Modules)) {
		if _, ok := state[name]; !ok {
			return fmt.Errorf("module %q is not part of the ledger", name)
		}
		merged, err := mergeJSON(state[name], g.Modules[name])
		if err != nil {
			return fmt.Errorf("merge state of module %s: %w", name, err)
		}
		state[name] = merged
	}
	if err := g.setAccounts(a, state); err != nil {
		return err
	}
	state[genutiltypes.ModuleName] = a.Codec.MustMarshalJSON(&genutiltypes.GenesisState{GenTxs: g.Gentxs})
	return nil
}

// setDenominations replaces the SDK's default coin by ours wherever it is named.
func setDenominations(a *app.App, state map[string]json.RawMessage) error {
	var staking stakingtypes.GenesisState
	if err := a.Codec.UnmarshalJSON(state[stakingtypes.ModuleName], &staking); err != nil {
		return err
	}
	staking.Params.BondDenom = chain.Grain
	staking.Params.KeyRotationFee.Denom = chain.Grain
	state[stakingtypes.ModuleName] = a.Codec.MustMarshalJSON(&staking)

	var gov govv1.GenesisState
	if err := a.Codec.UnmarshalJSON(state[govtypes.ModuleName], &gov); err != nil {
		return err
	}
	for _, coins := range [][]sdk.Coin{gov.Params.MinDeposit, gov.Params.ExpeditedMinDeposit} {
		for i := range coins {
			coins[i].Denom = chain.Grain
		}
	}
	state[govtypes.ModuleName] = a.Codec.MustMarshalJSON(&gov)
	return nil
}

// setAccounts adds the accounts and balances to what Modules may have set.
func (g Genesis) setAccounts(a *app.App, state map[string]json.RawMessage) error {
	var auth authtypes.GenesisState
	if err := a.Codec.UnmarshalJSON(state[authtypes.ModuleName], &auth); err != nil {
		return err
	}
	var bank banktypes.GenesisState
	if err := a.Codec.UnmarshalJSON(state[banktypes.ModuleName], &bank); err != nil {
		return err
	}
	accounts := make(authtypes.GenesisAccounts, 0, len(g.Balances))
	for _, b := range g.Balances {
		accounts = append(accounts, authtypes.NewBaseAccount(b.Address, nil, 0, 0))
		bank.Balances = append(bank.Balances, banktypes.Balance{Address: b.Address.String(), Coins: b.Coins.Sort()})
		bank.Supply = bank.Supply.Add(b.Coins...)
	}
	accounts = authtypes.SanitizeGenesisAccounts(accounts)
	packed, err := authtypes.PackAccounts(accounts)
	if err != nil {
		return err
	}
	auth.Accounts = append(auth.Accounts, packed...)
	bank.Balances = banktypes.SanitizeGenesisBalances(bank.Balances)
	state[authtypes.ModuleName] = a.Codec.MustMarshalJSON(&auth)
	state[banktypes.ModuleName] = a.Codec.MustMarshalJSON(&bank)
	return nil
}

// mergeJSON returns base with the members of over put in, recursively where both
// are objects.
func mergeJSON(base, over json.RawMessage) (json.RawMessage, error) {
	var b, o map[string]json.RawMessage
	if json.Unmarshal(over, &o) != nil || o == nil {
		if !json.Valid(over) {
			return nil, fmt.Errorf("override %q is not JSON", over)
		}
		return over, nil
	}
	if json.Unmarshal(base, &b) != nil || b == nil {
		return over, nil
	}
	for name, value := range o {
		merged, err := mergeJSON(b[name], value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		b[name] = merged
	}
	return json.Marshal(b)
}

// CanonicalGenesis returns a genesis file's content, in any form that nodes tell
// it in, as DocumentJSON wrote it, and the chain's id.
func CanonicalGenesis(raw []byte) (document []byte, chainID string, err error) {
	var doc genutiltypes.AppGenesis
	if err = json.Unmarshal(raw, &doc); err != nil || doc.Consensus == nil { // CometBFT's own form
		var plain cmttypes.GenesisDoc
		if err = cmtjson.Unmarshal(raw, &plain); err != nil {
			return nil, "", fmt.Errorf("read genesis: %w", err)
		}
		doc = genutiltypes.AppGenesis{
			GenesisTime: plain.GenesisTime, ChainID: plain.ChainID, InitialHeight: plain.InitialHeight, AppState: plain.AppState,
			Consensus: &genutiltypes.ConsensusGenesis{Params: plain.ConsensusParams},
		}
	}
	doc.AppName = app.Name
	if err := doc.ValidateAndComplete(); err != nil {
		return nil, "", fmt.Errorf("check genesis: %w", err)
	}
	document, err = json.MarshalIndent(&doc, "", "  ")
	return document, doc.ChainID, err
}

// WriteGenesis stores a genesis file, the same for every node of the chain, in
// an initialised home folder. fs.ErrExist if there is one.
func WriteGenesis(home string, document []byte) error {
	path := baseConfig(home).GenesisFile()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("write genesis: %w", err)
	}
	_, err = f.Write(append(document, '\n'))
	return errors.Join(err, f.Close())
}

// LocalGenesis is a chain of one validator.
type LocalGenesis struct {
	// ChainID is chain.LocalID if empty.
	ChainID string
	// Balances of everybody but the operator.
	Balances []Balance
	// OperatorBalance is what the validator's operator owns besides its stake;
	// 1,000,000 GRAIN if nil.
	OperatorBalance sdk.Coins
	// Stake is the validator's self-delegation in ugrain; 1,000,000 GRAIN if zero.
	Stake uint64
	// Modules as in Genesis.
	Modules map[string]json.RawMessage
}

const million = 1_000_000_000_000 // a million GRAIN in ugrain

// InitHome makes the home folder of a chain of one validator: consensus and
// node keys, the operator's account key (kept if there is one), genesis. It does
// nothing and returns false if the folder already holds a chain.
func InitHome(ctx context.Context, home string, g LocalGenesis) (created bool, err error) {
	_, err = os.Stat(baseConfig(home).GenesisFile())
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if g.ChainID == "" {
		g.ChainID = chain.LocalID
	}
	if g.Stake == 0 {
		g.Stake = million
	}
	if g.OperatorBalance == nil {
		g.OperatorBalance = sdk.NewCoins(sdk.NewInt64Coin(chain.Grain, million))
	}
	keys, err := InitNode(home)
	if err != nil {
		return false, err
	}
	gentx, err := keys.Gentx(ctx, g.ChainID, "local", g.Stake)
	if err != nil {
		return false, err
	}
	staked := sdk.NewCoin(chain.Grain, math.NewIntFromUint64(g.Stake))
	operator := Balance{Address: keys.Operator.Address(), Coins: g.OperatorBalance.Add(staked)}
	document, err := Genesis{
		ChainID:  g.ChainID,
		Balances: append([]Balance{operator}, g.Balances...),
		Gentxs:   []json.RawMessage{gentx},
		Modules:  g.Modules,
	}.DocumentJSON()
	if err != nil {
		return false, err
	}
	return true, WriteGenesis(home, document)
}
