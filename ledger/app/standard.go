package app

import (
	"maps"
	"slices"

	"cosmossdk.io/log/v2"
	"github.com/cosmos/cosmos-sdk/runtime"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/x/auth"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/cosmos-sdk/x/bank"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/cosmos/cosmos-sdk/x/consensus"
	consensuskeeper "github.com/cosmos/cosmos-sdk/x/consensus/keeper"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	distr "github.com/cosmos/cosmos-sdk/x/distribution"
	distrkeeper "github.com/cosmos/cosmos-sdk/x/distribution/keeper"
	distrtypes "github.com/cosmos/cosmos-sdk/x/distribution/types"
	"github.com/cosmos/cosmos-sdk/x/evidence"
	evidencekeeper "github.com/cosmos/cosmos-sdk/x/evidence/keeper"
	evidencetypes "github.com/cosmos/cosmos-sdk/x/evidence/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	feegrantkeeper "github.com/cosmos/cosmos-sdk/x/feegrant/keeper"
	feegrantmodule "github.com/cosmos/cosmos-sdk/x/feegrant/module"
	"github.com/cosmos/cosmos-sdk/x/genutil"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	"github.com/cosmos/cosmos-sdk/x/gov"
	govclient "github.com/cosmos/cosmos-sdk/x/gov/client"
	govkeeper "github.com/cosmos/cosmos-sdk/x/gov/keeper"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	"github.com/cosmos/cosmos-sdk/x/slashing"
	slashingkeeper "github.com/cosmos/cosmos-sdk/x/slashing/keeper"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	"github.com/cosmos/cosmos-sdk/x/staking"
	stakingkeeper "github.com/cosmos/cosmos-sdk/x/staking/keeper"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/encoding"
)

// Standard are the keepers of the SDK's modules.
type Standard struct {
	Account      authkeeper.AccountKeeper
	Bank         bankkeeper.BaseKeeper
	Staking      *stakingkeeper.Keeper
	Slashing     slashingkeeper.Keeper
	Distribution distrkeeper.Keeper
	Gov          *govkeeper.Keeper
	FeeGrant     feegrantkeeper.Keeper
	Evidence     *evidencekeeper.Keeper
	Consensus    consensuskeeper.Keeper
}

var standardStores = []string{
	authtypes.StoreKey, banktypes.StoreKey, stakingtypes.StoreKey, slashingtypes.StoreKey,
	distrtypes.StoreKey, govtypes.StoreKey, feegrant.StoreKey, evidencetypes.StoreKey,
	consensustypes.StoreKey,
}

// standardAccounts are the module accounts and what each may do with supply.
var standardAccounts = map[string][]string{
	authtypes.FeeCollectorName:          nil,
	distrtypes.ModuleName:               nil,
	stakingtypes.BondedPoolName:         {authtypes.Burner, authtypes.Staking},
	stakingtypes.NotBondedPoolName:      {authtypes.Burner, authtypes.Staking},
	stakingtypes.KeyRotationFeePoolName: {authtypes.Burner},
	govtypes.ModuleName:                 {authtypes.Burner},
}

// Authority is the address that may change parameters: the gov module's.
func Authority() string {
	return authtypes.NewModuleAddress(govtypes.ModuleName).String()
}

func storeNames() []string {
	return slices.Concat(standardStores, ourStores)
}

func moduleAccounts() map[string][]string {
	accounts := maps.Clone(standardAccounts)
	maps.Copy(accounts, ourAccounts)
	return accounts
}

// blockedAddresses may not be sent to by users: every module account but gov's,
// which receives the deposits of cancelled proposals.
func blockedAddresses() map[string]bool {
	blocked := map[string]bool{}
	for name := range moduleAccounts() {
		if name != govtypes.ModuleName {
			blocked[authtypes.NewModuleAddress(name).String()] = true
		}
	}
	return blocked
}

func newStandard(a *App, logger log.Logger) Standard {
	var k Standard
	cdc, authority := a.Codec, Authority()

	k.Consensus = consensuskeeper.NewKeeper(cdc, runtime.NewKVStoreService(a.keys[consensustypes.StoreKey]),
		authority, runtime.EventService{})
	a.SetParamStore(k.Consensus.ParamsStore)

	k.Account = authkeeper.NewAccountKeeper(cdc, runtime.NewKVStoreService(a.keys[authtypes.StoreKey]),
		authtypes.ProtoBaseAccount, moduleAccounts(), encoding.AccountAddresses(), chain.Prefix, authority,
		authkeeper.WithUnorderedTransactions(true))
	k.Bank = bankkeeper.NewBaseKeeper(cdc, bankStore{runtime.NewKVStoreService(a.keys[banktypes.StoreKey])},
		k.Account, blockedAddresses(), authority, logger)
	k.Staking = stakingkeeper.NewKeeper(cdc, runtime.NewKVStoreService(a.keys[stakingtypes.StoreKey]),
		k.Account, k.Bank, authority, encoding.ValidatorAddresses(), encoding.ConsensusAddresses())
	k.Distribution = distrkeeper.NewKeeper(cdc, runtime.NewKVStoreService(a.keys[distrtypes.StoreKey]),
		k.Account, k.Bank, k.Staking, authtypes.FeeCollectorName, authority)
	k.Slashing = slashingkeeper.NewKeeper(cdc, a.Amino, runtime.NewKVStoreService(a.keys[slashingtypes.StoreKey]),
		k.Staking, authority)
	k.FeeGrant = feegrantkeeper.NewKeeper(cdc, runtime.NewKVStoreService(a.keys[feegrant.StoreKey]), k.Account)
	k.FeeGrant = k.FeeGrant.SetBankKeeper(k.Bank)
	k.Gov = govkeeper.NewKeeper(cdc, runtime.NewKVStoreService(a.keys[govtypes.StoreKey]),
		k.Account, k.Bank, k.Distribution, a.MsgServiceRouter(), govtypes.DefaultConfig(), authority,
		govkeeper.NewDefaultCalculateVoteResultsAndVotingPower(k.Staking))
	k.Evidence = evidencekeeper.NewKeeper(cdc, runtime.NewKVStoreService(a.keys[evidencetypes.StoreKey]),
		k.Staking, k.Slashing, encoding.AccountAddresses(), runtime.ProvideCometInfoService())
	return k
}

func (a *App) setHooks() {
	hooks := []stakingtypes.StakingHooks{a.Standard.Distribution.Hooks(), a.Standard.Slashing.Hooks()}
	a.Standard.Staking.SetHooks(stakingtypes.NewMultiStakingHooks(append(hooks, a.Ours.stakingHooks()...)...))
}

func (k Standard) modules(a *App) []module.AppModule {
	return []module.AppModule{
		genutil.NewAppModule(k.Account, k.Staking, a, a.Tx),
		auth.NewAppModule(a.Codec, k.Account, nil),
		bank.NewAppModule(a.Codec, k.Bank, k.Account),
		staking.NewAppModule(a.Codec, k.Staking, k.Account, k.Bank),
		slashing.NewAppModule(a.Codec, k.Slashing, k.Account, k.Bank, k.Staking, a.Registry),
		distr.NewAppModule(a.Codec, k.Distribution, k.Account, k.Bank, k.Staking),
		gov.NewAppModule(a.Codec, k.Gov, k.Account, k.Bank),
		feegrantmodule.NewAppModule(a.Codec, k.Account, k.Bank, k.FeeGrant, a.Registry),
		evidence.NewAppModule(*k.Evidence),
		consensus.NewAppModule(a.Codec, k.Consensus),
	}
}

// basics are the modules whose stateless side needs an argument.
func (k Standard) basics() map[string]module.AppModuleBasic {
	return map[string]module.AppModuleBasic{
		genutiltypes.ModuleName: genutil.NewAppModuleBasic(genutiltypes.DefaultMessageValidator),
		govtypes.ModuleName:     gov.NewAppModuleBasic([]govclient.ProposalHandler{}),
	}
}

// Orders. Ours run after the SDK's at the beginning of a block, so that they see
// the rewards and jailings of the last one, and before them at its end, so that
// what they slash or mint counts in the block's validator updates.
var (
	preBlockers   = []string{authtypes.ModuleName}
	beginBlockers = slices.Concat([]string{
		distrtypes.ModuleName, slashingtypes.ModuleName, evidencetypes.ModuleName, stakingtypes.ModuleName,
	}, ourBeginBlockers)
	endBlockers = slices.Concat(ourEndBlockers, []string{
		banktypes.ModuleName, govtypes.ModuleName, stakingtypes.ModuleName, feegrant.ModuleName,
	})
	// genesisOrder: genutil delivers the first validators, so everything its
	// hooks touch is set before it.
	genesisOrder = slices.Concat([]string{
		authtypes.ModuleName, banktypes.ModuleName, distrtypes.ModuleName, stakingtypes.ModuleName,
		slashingtypes.ModuleName, govtypes.ModuleName,
	}, ourGenesis, []string{
		genutiltypes.ModuleName, evidencetypes.ModuleName, feegrant.ModuleName, consensustypes.ModuleName,
	})
)
