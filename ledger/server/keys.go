package server

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"cosmossdk.io/math"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	cryptocodec "github.com/cosmos/cosmos-sdk/crypto/codec"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/encoding"
	"github.com/grange-network/grange/ledger/key"
)

// NodeKeys are the identities in a home folder.
type NodeKeys struct {
	// NodeID is the p2p identity, 40 hex digits.
	NodeID string
	// Consensus is the public key the validator signs blocks with.
	Consensus cryptotypes.PubKey
	// Operator is the account that runs the validator.
	Operator key.Key
}

// InitNode makes the folders and keys of a node, or returns those it has.
func InitNode(home string) (NodeKeys, error) {
	cfg := baseConfig(home)
	for _, dir := range []string{filepath.Dir(cfg.GenesisFile()), filepath.Dir(cfg.PrivValidatorStateFile())} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return NodeKeys{}, fmt.Errorf("initialise node: %w", err)
		}
	}
	nodeKey, err := p2p.LoadOrGenNodeKey(cfg.NodeKeyFile())
	if err != nil {
		return NodeKeys{}, fmt.Errorf("initialise node key: %w", err)
	}
	validator := loadOrMakeValidator(cfg.PrivValidatorKeyFile(), cfg.PrivValidatorStateFile())
	public, err := validator.GetPubKey()
	if err != nil {
		return NodeKeys{}, fmt.Errorf("initialise consensus key: %w", err)
	}
	consensus, err := cryptocodec.FromCmtPubKeyInterface(public)
	if err != nil {
		return NodeKeys{}, fmt.Errorf("initialise consensus key: %w", err)
	}
	operator, _, err := key.LoadOrCreate(OperatorKeyPath(home))
	if err != nil {
		return NodeKeys{}, err
	}
	return NodeKeys{NodeID: string(nodeKey.ID()), Consensus: consensus, Operator: operator}, nil
}

// loadOrMakeValidator keeps what is there. A key that was brought in without a
// record of what it has signed gets an empty one: bring a key only to a chain it
// has not signed for, or bring its record too.
func loadOrMakeValidator(keyFile, stateFile string) *privval.FilePV {
	if _, err := os.Stat(keyFile); err != nil {
		v := privval.GenFilePV(keyFile, stateFile)
		v.Save()
		return v
	}
	if _, err := os.Stat(stateFile); err != nil {
		v := privval.LoadFilePVEmptyState(keyFile, stateFile)
		v.LastSignState.Save()
		return v
	}
	return privval.LoadFilePV(keyFile, stateFile)
}

// checkKeys reports which of a node's keys is missing: CometBFT would end the
// process.
func checkKeys(files ...string) error {
	for _, f := range files {
		if _, err := os.Stat(f); err != nil {
			return fmt.Errorf("start ledger: %w: initialise the home folder, or restore the file", err)
		}
	}
	return nil
}

// CreateValidator is the message that makes the node a validator, staking stake
// ugrain of the operator's own, with a commission of 10 %.
func (k NodeKeys) CreateValidator(moniker string, stake uint64) (*stakingtypes.MsgCreateValidator, error) {
	msg, err := stakingtypes.NewMsgCreateValidator(
		sdk.ValAddress(k.Operator.Address()).String(), k.Consensus,
		sdk.NewCoin(chain.Grain, math.NewIntFromUint64(stake)),
		stakingtypes.Description{Moniker: moniker},
		stakingtypes.NewCommissionRates(math.LegacyNewDecWithPrec(1, 1), math.LegacyNewDecWithPrec(2, 1), math.LegacyNewDecWithPrec(1, 2)),
		math.OneInt(),
	)
	if err != nil {
		return nil, fmt.Errorf("build validator %s: %w", moniker, err)
	}
	return msg, nil
}

// Gentx signs the transaction that makes the node a validator of chainID from
// its first block, staking stake ugrain of the operator's own.
func (k NodeKeys) Gentx(ctx context.Context, chainID, moniker string, stake uint64) (json.RawMessage, error) {
	enc, err := encoding.New()
	if err != nil {
		return nil, err
	}
	msg, err := k.CreateValidator(moniker, stake)
	if err != nil {
		return nil, err
	}
	b := enc.Tx.NewTxBuilder()
	if err := b.SetMsgs(msg); err != nil {
		return nil, fmt.Errorf("build validator %s: %w", moniker, err)
	}
	// The genesis block charges no fee, but a gas limit must be there.
	b.SetGasLimit(1_000_000)
	if err := enc.Sign(ctx, b, encoding.Signer{Key: k.Operator, ChainID: chainID}); err != nil {
		return nil, err
	}
	return enc.Tx.TxJSONEncoder()(b.GetTx())
}
