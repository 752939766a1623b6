package app

import (
	"fmt"

	"cosmossdk.io/log/v2"
	"github.com/cosmos/cosmos-sdk/runtime"
	"github.com/cosmos/cosmos-sdk/types/module"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/grange-network/grange/ledger/credit"
	"github.com/grange-network/grange/ledger/device"
	"github.com/grange-network/grange/ledger/encoding"
	"github.com/grange-network/grange/ledger/market"
	"github.com/grange-network/grange/ledger/oracle"
)

// This file is the one place where our modules enter the ledger. To add one:
// its store and account here, its keeper in newOurs, its module in modules, its
// name in the orders, its Msg service in ledger/encoding and its query client in
// ledger/client.

// ourStores are the store keys of our modules, one each.
var ourStores = []string{device.ModuleName, market.ModuleName, oracle.ModuleName, credit.ModuleName}

// ourAccounts are our module accounts and what each may do with supply: credit
// makes and burns both coins, market burns slashed bonds, oracle passes
// rewards on and makes a challenger's part of what fines have burned.
var ourAccounts = map[string][]string{
	credit.ModuleName: {authtypes.Minter, authtypes.Burner},
	market.ModuleName: {authtypes.Burner},
	oracle.ModuleName: {authtypes.Minter},
}

// Names in the order they run. The oracle turns the epoch before any
// transaction of the block; the market then accrues what the ended epoch
// decided, and credit prices and redeems last.
var (
	ourBeginBlockers = []string{oracle.ModuleName}
	ourEndBlockers   = []string{market.ModuleName, credit.ModuleName}
	ourGenesis       = []string{device.ModuleName, oracle.ModuleName, credit.ModuleName, market.ModuleName}
)

// provenKinds are the kinds of offers whose held units are paid only for epochs
// in which the oracle saw proof. It is part of the rules: all nodes of a chain
// must agree on it, as on the Prover in Options.
var provenKinds = []string{"storage"}

// Ours are the keepers of our modules.
type Ours struct {
	Device *device.Keeper
	Market *market.Keeper
	Oracle *oracle.Keeper
	Credit *credit.Keeper
}

// newOurs builds our keepers. a.Standard is set, a.keys holds the stores.
func newOurs(a *App, logger log.Logger, prover oracle.Prover) (Ours, error) {
	var k Ours
	std := a.Standard
	k.Device = device.NewKeeper(device.Config{
		Codec: a.Codec, Store: runtime.NewKVStoreService(a.keys[device.ModuleName]),
		Authority: Authority(), Accounts: encoding.AccountAddresses(), Bank: std.Bank, Community: std.Distribution,
	})
	k.Credit = credit.NewKeeper(credit.Config{
		Codec: a.Codec, Store: runtime.NewKVStoreService(a.keys[credit.ModuleName]), Logger: logger,
		Authority: Authority(), Bank: std.Bank, Community: std.Distribution, Staking: creditStaking{std.Staking, std.Bank},
		Escrows: []string{market.ModuleName},
	})
	k.Market = market.NewKeeper(market.Config{
		Codec: a.Codec, Store: runtime.NewKVStoreService(a.keys[market.ModuleName]), Logger: logger,
		Authority: Authority(), Bank: std.Bank, Devices: marketDevices{k.Device}, Credits: k.Credit,
		ProvenKinds: provenKinds,
	})
	if prover == nil {
		prover = noProver{}
	}
	var err error
	k.Oracle, err = oracle.NewKeeper(oracle.Config{
		Codec: a.Codec, Store: runtime.NewKVStoreService(a.keys[oracle.ModuleName]), Logger: logger,
		Authority: Authority(), Accounts: encoding.AccountAddresses(), Operators: encoding.ValidatorAddresses(),
		Validators: std.Staking, Heads: oracleHeads{k.Market}, Prover: prover, Budget: oracleBudget{k.Credit, k.Market},
		Payouts: oraclePayouts{k.Device}, Stakes: oracleStakes{std.Staking, std.Slashing}, Bank: std.Bank, Community: std.Distribution,
	})
	if err != nil {
		return k, fmt.Errorf("build oracle: %w", err)
	}
	k.Device.SetEpochs(k.Oracle)
	k.Market.SetEpochs(k.Oracle)
	k.Oracle.SetHooks(k.Credit)
	return k, nil
}

func (k Ours) modules() []module.AppModule {
	return []module.AppModule{
		device.NewModule(k.Device),
		market.NewModule(k.Market),
		oracle.NewModule(k.Oracle),
		credit.NewModule(k.Credit),
	}
}

// stakingHooks are told of bonding, unbonding and slashing.
func (k Ours) stakingHooks() []stakingtypes.StakingHooks {
	return nil
}
