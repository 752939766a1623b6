package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"cosmossdk.io/log/v2"
	"cosmossdk.io/math"
	abci "github.com/cometbft/cometbft/abci/types"
	cryptoenc "github.com/cometbft/cometbft/crypto/encoding"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"

	"github.com/grange-network/grange/ledger/app"
	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/encoding"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/ledger/server"
)

// world is the application over a database on disk, driven as consensus would.
type world struct {
	*app.App
	accounts []*account
	height   int64
	time     time.Time
	proposer []byte
}

// account is a signer with its place in the chain.
type account struct {
	key              key.Key
	address          sdk.AccAddress
	number, sequence uint64
}

func newAccounts(n int) []*account {
	all := make([]*account, n)
	for i := range all {
		k := key.New()
		all[i] = &account{key: k, address: k.Address()}
	}
	return all
}

// rich is what every account has of each coin.
const rich = 10_000_000_000

func balances(accounts []*account) []server.Balance {
	coins := sdk.NewCoins(sdk.NewInt64Coin(chain.Grain, rich), sdk.NewInt64Coin(chain.Credit, rich))
	var out []server.Balance
	for _, a := range accounts {
		out = append(out, server.Balance{Address: a.address, Coins: coins})
	}
	return out
}

// newWorld founds a chain of one validator and n accounts in dir and runs its
// first block.
func newWorld(ctx context.Context, dir string, n int, modules map[string]json.RawMessage) (*world, error) {
	w := &world{accounts: newAccounts(n), time: time.Now()}
	if _, err := server.InitHome(ctx, dir, server.LocalGenesis{Balances: balances(w.accounts), Modules: modules}); err != nil {
		return nil, err
	}
	genesis, err := genutiltypes.AppGenesisFromFile(filepath.Join(dir, "config", "genesis.json"))
	if err != nil {
		return nil, err
	}
	db, err := app.OpenDB(filepath.Join(dir, "data"))
	if err != nil {
		return nil, err
	}
	if w.App, err = app.New(log.NewNopLogger(), db, genesis.ChainID, app.Options{}); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	params := genesis.Consensus.Params.ToProto()
	r, err := w.InitChain(&abci.RequestInitChain{
		ChainId: genesis.ChainID, Time: genesis.GenesisTime, InitialHeight: 1, ConsensusParams: &params, AppStateBytes: genesis.AppState,
	})
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	validator, err := cryptoenc.PubKeyFromProto(r.Validators[0].PubKey)
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	w.proposer = validator.Address()
	if _, err := w.block(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, w.number()
}

// number learns the accounts' numbers.
func (w *world) number() error {
	for _, a := range w.accounts {
		known := w.Standard.Account.GetAccount(w.state(), a.address)
		if known == nil {
			return fmt.Errorf("account %s is not in genesis", a.address)
		}
		a.number = known.GetAccountNumber()
	}
	return nil
}

// state reads and writes straight through, between blocks.
func (w *world) state() sdk.Context {
	//nolint:staticcheck // the only context that writes straight through
	return w.NewUncachedContext(false, cmtproto.Header{ChainID: w.ChainID(), Height: w.height, Time: w.time})
}

// block executes and commits one block; every transaction must succeed.
func (w *world) block(txs ...[]byte) (*abci.ResponseFinalizeBlock, error) {
	w.height++
	w.time = w.time.Add(time.Second)
	r, err := w.FinalizeBlock(&abci.RequestFinalizeBlock{Txs: txs, Height: w.height, Time: w.time, ProposerAddress: w.proposer})
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", w.height, err)
	}
	for i, t := range r.TxResults {
		if t.Code != 0 {
			return nil, fmt.Errorf("block %d, transaction %d: %s %d: %s", w.height, i, t.Codespace, t.Code, t.Log)
		}
	}
	if _, err := w.Commit(); err != nil {
		return nil, fmt.Errorf("commit block %d: %w", w.height, err)
	}
	return r, nil
}

// sign makes the account's next transaction.
func (a *account) sign(ctx context.Context, enc encoding.Config, chainID string, gas uint64, msgs ...sdk.Msg) ([]byte, error) {
	b := enc.Tx.NewTxBuilder()
	if err := b.SetMsgs(msgs...); err != nil {
		return nil, err
	}
	b.SetGasLimit(gas)
	b.SetFeeAmount(sdk.NewCoins(sdk.NewInt64Coin(chain.Grain, int64(gas))))
	err := enc.Sign(ctx, b, encoding.Signer{Key: a.key, ChainID: chainID, AccountNumber: a.number, Sequence: a.sequence})
	if err != nil {
		return nil, err
	}
	a.sequence++
	return enc.Tx.TxEncoder()(b.GetTx())
}

func send(from, to *account) sdk.Msg {
	return banktypes.NewMsgSend(from.address, to.address, sdk.NewCoins(sdk.NewInt64Coin(chain.Grain, 1)))
}

// sendAll sends to many in one message.
func sendAll(from *account, to []*account) sdk.Msg {
	coins := sdk.NewCoins(sdk.NewInt64Coin(chain.Grain, 1))
	m := &banktypes.MsgMultiSend{Inputs: []banktypes.Input{{Address: from.address.String(), Coins: coins.MulInt(math.NewInt(int64(len(to))))}}}
	for _, a := range to {
		m.Outputs = append(m.Outputs, banktypes.Output{Address: a.address.String(), Coins: coins})
	}
	return m
}
