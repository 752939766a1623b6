package client

import (
	"fmt"
	"strings"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	ctypes "github.com/cometbft/cometbft/rpc/core/types"
	cmttypes "github.com/cometbft/cometbft/types"
)

// Attribute is one key and value of an event.
type Attribute struct{ Key, Value string }

// Event is something a transaction or a block did.
type Event struct {
	Type       string
	Attributes []Attribute
}

// Get returns the first value of key, or "".
func (e Event) Get(key string) string {
	for _, a := range e.Attributes {
		if a.Key == key {
			return a.Value
		}
	}
	return ""
}

// Tx is a transaction in a block and what became of it.
type Tx struct {
	// Hash is upper-case hex.
	Hash string
	// Code is 0 for success; Codespace and Log explain another one.
	Code      uint32
	Codespace string
	Log       string
	GasWanted int64
	GasUsed   int64
	Events    []Event
	// Data is the encoded responses; Result.Response decodes them.
	Data []byte
	// Raw is the transaction as it was signed.
	Raw []byte
}

// Block is a committed block: state queries already see it.
type Block struct {
	Height int64
	Time   time.Time
	// Hash of the block, AppHash of the state before it, and Proposer, the
	// consensus address of who made it.
	Hash, AppHash, Proposer []byte

	Txs []Tx
	// Events of the block itself, such as epochs and settlements; a
	// transaction's are in its Tx.
	Events []Event
}

func newBlock(b *cmttypes.Block, results []*abci.ExecTxResult, events []abci.Event) (Block, error) {
	if len(results) != len(b.Txs) {
		return Block{}, fmt.Errorf("read block %d: %d transactions, %d results", b.Height, len(b.Txs), len(results))
	}
	out := Block{Height: b.Height, Time: b.Time, Hash: b.Hash(), AppHash: b.AppHash, Proposer: b.ProposerAddress, Events: convertEvents(events)}
	for i, r := range results {
		out.Txs = append(out.Txs, Tx{
			Hash:      fmt.Sprintf("%X", b.Txs[i].Hash()),
			Code:      r.Code,
			Codespace: r.Codespace,
			Log:       r.Log,
			GasWanted: r.GasWanted,
			GasUsed:   r.GasUsed,
			Events:    convertEvents(r.Events),
			Data:      r.Data,
			Raw:       b.Txs[i],
		})
	}
	return out, nil
}

func blockFromResults(b *ctypes.ResultBlock, r *ctypes.ResultBlockResults) (Block, error) {
	return newBlock(b.Block, r.TxsResults, r.FinalizeBlockEvents)
}

func convertEvents(in []abci.Event) []Event {
	out := make([]Event, 0, len(in))
	for _, e := range in {
		attributes := make([]Attribute, 0, len(e.Attributes))
		for _, a := range e.Attributes {
			attributes = append(attributes, Attribute{a.Key, strings.Trim(a.Value, `"`)})
		}
		out = append(out, Event{Type: e.Type, Attributes: attributes})
	}
	return out
}
