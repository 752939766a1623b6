package app

import (
	"encoding/json"
	"fmt"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	"github.com/cosmos/cosmos-sdk/x/staking"
)

// Export writes the state at the last committed height as a genesis. A chain
// started from it continues at the next height.
func (a *App) Export() (servertypes.ExportedApp, error) {
	height := a.LastBlockHeight()
	ctx := a.NewContextLegacy(true, cmtproto.Header{Height: height})
	state, err := a.Manager.ExportGenesis(ctx, a.Codec)
	if err != nil {
		return servertypes.ExportedApp{}, fmt.Errorf("export genesis at height %d: %w", height, err)
	}
	raw, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return servertypes.ExportedApp{}, err
	}
	validators, err := staking.WriteValidators(ctx, a.Standard.Staking)
	if err != nil {
		return servertypes.ExportedApp{}, fmt.Errorf("export validators at height %d: %w", height, err)
	}
	return servertypes.ExportedApp{
		AppState:        raw,
		Validators:      validators,
		Height:          height + 1,
		ConsensusParams: a.GetConsensusParams(ctx),
	}, nil
}
