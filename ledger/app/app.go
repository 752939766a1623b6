package app

import (
	"encoding/json"
	"fmt"

	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
	reflectionv1 "cosmossdk.io/api/cosmos/reflection/v1"
	"cosmossdk.io/log/v2"
	abci "github.com/cometbft/cometbft/abci/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/baseapp"
	runtimeservices "github.com/cosmos/cosmos-sdk/runtime/services"
	pruningtypes "github.com/cosmos/cosmos-sdk/store/v2/pruning/types"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"

	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/encoding"
	"github.com/grange-network/grange/ledger/oracle"
)

// Name is the application's name in the ABCI handshake.
const Name = "grange"

// DefaultQueryGasLimit bounds the store work of one query. A page of a hundred
// devices costs about a hundredth of it.
const DefaultQueryGasLimit = 50_000_000

// State of the last keepStates blocks can be queried; what is older is removed
// pruneEvery blocks at a time.
const (
	keepStates = 86_400
	pruneEvery = 100
)

// Options are a node's own settings. Only Prover influences state.
type Options struct {
	// Prover checks proofs of what devices hold. It belongs to the rules: every
	// node of a chain must have the same. Without one no proof is accepted.
	Prover oracle.Prover
	// MinGasPrices is the lowest price the node relays; chain.MinGasPrice if empty.
	MinGasPrices string
	// QueryGasLimit bounds one query; DefaultQueryGasLimit if zero.
	QueryGasLimit uint64
	// SnapshotDir is where snapshots of the state for new nodes are kept; there
	// are none if empty. One is made each SnapshotEvery blocks; if 0, others'
	// can be restored but none is made.
	SnapshotDir   string
	SnapshotEvery uint64
}

// App is the state machine. It implements the SDK server's Application and is
// driven by CometBFT through ABCI.
type App struct {
	*baseapp.BaseApp
	encoding.Config

	Standard Standard
	Ours     Ours

	Manager      *module.Manager
	Basic        module.BasicManager
	configurator module.Configurator
	keys         map[string]*storetypes.KVStoreKey
}

// New builds the state machine over db and loads its latest version. chainID
// must be that of the genesis the database was or will be started from.
func New(logger log.Logger, db dbm.DB, chainID string, opts Options) (*App, error) {
	enc, err := encoding.New()
	if err != nil {
		return nil, err
	}
	if opts.MinGasPrices == "" {
		opts.MinGasPrices = chain.MinGasPrice
	}
	if opts.QueryGasLimit == 0 {
		opts.QueryGasLimit = DefaultQueryGasLimit
	}
	snapshot, err := openSnapshots(opts.SnapshotDir, opts.SnapshotEvery)
	if err != nil {
		return nil, err
	}
	base := baseapp.NewBaseApp(Name, logger, db, enc.Tx.TxDecoder(),
		baseapp.SetChainID(chainID),
		baseapp.SetMinGasPrices(opts.MinGasPrices),
		baseapp.SetQueryGasLimit(opts.QueryGasLimit),
		baseapp.SetPruning(pruningtypes.NewCustomPruningOptions(keepStates, pruneEvery)),
		// The other way of pruning runs in goroutines that outlive the database.
		baseapp.SetIAVLSyncPruning(true),
		snapshot,
	)
	base.SetInterfaceRegistry(enc.Registry)
	base.SetTxEncoder(enc.Tx.TxEncoder())

	a := &App{BaseApp: base, Config: enc, keys: storetypes.NewKVStoreKeys(storeNames()...)}
	a.Standard = newStandard(a, logger)
	if a.Ours, err = newOurs(a, logger, opts.Prover); err != nil {
		return nil, err
	}
	a.setHooks()
	if err := a.setModules(); err != nil {
		return nil, err
	}
	a.setHandlers()
	a.MountKVStores(a.keys)
	if err := a.LoadLatestVersion(); err != nil {
		return nil, fmt.Errorf("load application state: %w", err)
	}
	return a, nil
}

func (a *App) setModules() error {
	modules := append(a.Standard.modules(a), a.Ours.modules()...)
	a.Manager = module.NewManager(modules...)
	a.Basic = module.NewBasicManagerFromManager(a.Manager, a.Standard.basics())
	a.Basic.RegisterLegacyAminoCodec(a.Amino)
	a.Basic.RegisterInterfaces(a.Registry)

	a.Manager.SetOrderPreBlockers(preBlockers...)
	a.Manager.SetOrderBeginBlockers(beginBlockers...)
	a.Manager.SetOrderEndBlockers(endBlockers...)
	a.Manager.SetOrderInitGenesis(genesisOrder...)
	a.Manager.SetOrderExportGenesis(genesisOrder...)

	a.configurator = module.NewConfigurator(a.Codec, a.MsgServiceRouter(), a.GRPCQueryRouter())
	if err := a.Manager.RegisterServices(a.configurator); err != nil {
		return fmt.Errorf("register module services: %w", err)
	}
	autocliv1.RegisterQueryServer(a.GRPCQueryRouter(), runtimeservices.NewAutoCLIQueryService(a.modulesByName()))
	reflection, err := runtimeservices.NewReflectionService()
	if err != nil {
		return fmt.Errorf("build reflection service: %w", err)
	}
	reflectionv1.RegisterReflectionServiceServer(a.GRPCQueryRouter(), reflection)
	return nil
}

func (a *App) modulesByName() map[string]any {
	modules := make(map[string]any, len(a.Manager.Modules))
	for name, m := range a.Manager.Modules {
		modules[name] = m
	}
	return modules
}

func (a *App) setHandlers() {
	a.SetInitChainer(a.initChain)
	a.SetPreBlocker(func(ctx sdk.Context, _ *abci.RequestFinalizeBlock) (*sdk.ResponsePreBlock, error) {
		return a.Manager.PreBlock(ctx)
	})
	a.SetBeginBlocker(a.Manager.BeginBlock)
	a.SetEndBlocker(a.Manager.EndBlock)
	a.SetAnteHandler(a.anteHandler())
}

func (a *App) initChain(ctx sdk.Context, req *abci.RequestInitChain) (*abci.ResponseInitChain, error) {
	var state map[string]json.RawMessage
	if err := json.Unmarshal(req.AppStateBytes, &state); err != nil {
		return nil, fmt.Errorf("decode genesis state: %w", err)
	}
	return a.Manager.InitGenesis(ctx, a.Codec, state)
}

// DefaultGenesis returns every module's default state, keyed by module name.
func (a *App) DefaultGenesis() map[string]json.RawMessage {
	return a.Basic.DefaultGenesis(a.Codec)
}
