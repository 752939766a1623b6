package app

import (
	"cosmossdk.io/log/v2"
	"github.com/cosmos/cosmos-sdk/types/module"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
)

// This file is the one place where our modules enter the ledger. To add one:
// its store and account here, its keeper in newOurs, its module in modules, its
// name in the orders, and its Msg service in ledger/encoding.

// ourStores are the store keys of our modules, one each.
var ourStores = []string{}

// ourAccounts are our module accounts and what each may do with supply.
var ourAccounts = map[string][]string{}

// Names in the order they run.
var (
	ourBeginBlockers = []string{}
	ourEndBlockers   = []string{}
	ourGenesis       = []string{}
)

// Ours are the keepers of our modules.
type Ours struct{}

// newOurs builds our keepers. a.Standard is set, a.keys holds the stores.
func newOurs(a *App, logger log.Logger) Ours {
	return Ours{}
}

func (k Ours) modules(a *App) []module.AppModule {
	return nil
}

// stakingHooks are told of bonding, unbonding and slashing.
func (k Ours) stakingHooks() []stakingtypes.StakingHooks {
	return nil
}
