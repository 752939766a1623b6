package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"cosmossdk.io/log/v2"
	cmttypes "github.com/cometbft/cometbft/types"
	dbm "github.com/cosmos/cosmos-db"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"

	"github.com/grange-network/grange/ledger/app"
)

// Export returns the genesis file of a chain that goes on where the stopped node
// in home is: same state, next height, time at as its beginning. A chain that
// must not accept the old one's signatures needs another id; empty keeps it.
func Export(home, chainID string, at time.Time) (document []byte, err error) {
	cfg := baseConfig(home)
	genesis, err := loadGenesis(cfg.GenesisFile())
	if err != nil {
		return nil, err
	}
	db, err := dbm.NewDB("application", dbm.GoLevelDBBackend, cfg.DBDir())
	if err != nil {
		return nil, fmt.Errorf("open state in %s (stop the node first): %w", cfg.DBDir(), err)
	}
	a, err := app.New(log.NewNopLogger(), db, genesis.ChainID, app.Options{})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if a.LastBlockHeight() == 0 {
		return nil, fmt.Errorf("export %s: no block yet", home)
	}
	state, err := a.Export()
	if err != nil {
		return nil, err
	}
	if chainID == "" {
		chainID = genesis.ChainID
	}
	params := cmttypes.ConsensusParamsFromProto(state.ConsensusParams)
	return json.MarshalIndent(&genutiltypes.AppGenesis{
		AppName:       app.Name,
		GenesisTime:   at.UTC().Round(0),
		ChainID:       chainID,
		InitialHeight: state.Height,
		AppState:      state.AppState,
		Consensus:     &genutiltypes.ConsensusGenesis{Validators: state.Validators, Params: &params},
	}, "", "  ")
}
