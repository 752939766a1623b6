// Package chaintest makes small ledgers in memory for the explorer's tests: blocks
// with the transactions and events that the modules would have made, from a seed.
package chaintest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/cosmos/gogoproto/proto"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/client"
)

// State is what a test may change.
type State struct {
	Blocks   []client.Block // of heights 1, 2, ...
	Earliest int64          // that is not pruned
	Failing  bool
}

// Chain serves blocks from memory as a node does, and fails when told to.
type Chain struct {
	name string

	mu sync.Mutex
	State
	moved chan struct{}
}

// New is a chain that has blocks of heights 1, 2, ...
func New(name string, blocks []client.Block) *Chain {
	return &Chain{name: name, State: State{Blocks: blocks, Earliest: 1}, moved: make(chan struct{})}
}

// ChainID is its name.
func (c *Chain) ChainID() string { return c.name }

// Head is the newest block.
func (c *Chain) Head() (int64, time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int64(len(c.Blocks)), time.Time{}
}

// WaitHeight returns when there is a block at height.
func (c *Chain) WaitHeight(ctx context.Context, height int64) error {
	for {
		c.mu.Lock()
		head, moved := int64(len(c.Blocks)), c.moved
		c.mu.Unlock()
		if head >= height {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// BlockAt returns a block that is neither pruned nor made unreadable.
func (c *Chain) BlockAt(_ context.Context, height int64) (client.Block, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Failing || height < c.State.Earliest || height > int64(len(c.Blocks)) {
		return client.Block{}, fmt.Errorf("block %d cannot be read", height)
	}
	return c.Blocks[height-1], nil
}

// Earliest is the oldest block that can be read.
func (c *Chain) Earliest(context.Context) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Failing {
		return 0, errors.New("no answer")
	}
	return c.State.Earliest, nil
}

// Change changes the chain and wakes who waits.
func (c *Chain) Change(f func(*State)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.State)
	close(c.moved)
	c.moved = make(chan struct{})
}

// Event makes an event of pairs of keys and values.
func Event(kind string, pairs ...string) client.Event {
	e := client.Event{Type: kind}
	for i := 0; i+1 < len(pairs); i += 2 {
		e.Attributes = append(e.Attributes, client.Attribute{Key: pairs[i], Value: pairs[i+1]})
	}
	return e
}

// ID is the id of what is called s.
func ID(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// Transaction wraps messages as a signed transaction does.
func Transaction(t testing.TB, signer string, events []client.Event, messages ...proto.Message) client.Tx {
	t.Helper()
	var body tx.TxBody
	for _, m := range messages {
		any, err := types.NewAnyWithValue(m)
		if err != nil {
			t.Fatal(err)
		}
		body.Messages = append(body.Messages, any)
	}
	encode := func(m proto.Message) []byte {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	raw := encode(&tx.TxRaw{BodyBytes: encode(&body), AuthInfoBytes: encode(&tx.AuthInfo{Fee: &tx.Fee{GasLimit: 1}})})
	h := sha256.Sum256(raw)
	events = append([]client.Event{Event("message", "sender", signer), Event("transfer", "amount", "1ugrain")}, events...)
	return client.Tx{Hash: fmt.Sprintf("%X", h), GasWanted: 100, GasUsed: 80, Events: events, Raw: raw}
}

// History makes n blocks: devices register and offer, leases open, receipts
// settle, epochs turn every ten blocks, devices prove or fault, leases close.
func History(t testing.TB, seed uint64, n, devices int) []client.Block {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	var out []client.Block
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	number := func(n int) string { return strconv.Itoa(n) }
	device := func(i int) string { return ID(fmt.Sprint("device", i)) }
	lease := func(i int) string { return ID(fmt.Sprint("lease", i)) }
	units := map[int]int{}
	leases, epoch, sequence := 0, 0, 0
	for h := 1; h <= n; h++ {
		b := client.Block{Height: int64(h), Time: start.Add(time.Duration(h) * time.Second), Proposer: []byte{byte(h % 3)}}
		binary.BigEndian.PutUint64(binarySlot(&b.Hash), uint64(h)^seed<<32)
		b.AppHash = append([]byte{1}, b.Hash...)
		if h%10 == 1 {
			if epoch > 0 {
				b.Events = append(b.Events, Event("grange.credit.epoch", "epoch", number(epoch), "mid", "250000", "revenue", "1000", "burned", "30", "released", "50", "pool", "24"))
				for i := range leases {
					outcome, pay := "proven", 100+i
					if (i+epoch)%7 == 0 {
						outcome, pay = "faulted", 0
					}
					b.Events = append(b.Events, Event("grange.market.accrue", "lease", lease(i), "device", device(i%devices), "epoch", number(epoch), "outcome", outcome,
						"units", number(1000*(i+1)), "paid", number(pay), "net", number(pay*95/100), "slashed", number((i+epoch)%7/6)))
				}
			}
			epoch++
			b.Events = append(b.Events, Event("grange.oracle.epoch", "epoch", number(epoch), "status", "EPOCH_STATUS_REVEALING", "seed", ""))
		}
		if h%10 == 3 {
			b.Events = append(b.Events, Event("grange.oracle.epoch", "epoch", number(epoch), "status", "EPOCH_STATUS_DECIDED", "seed", ID(fmt.Sprint("seed", epoch))))
		}
		owner := fmt.Sprintf("grange1owner%d", h%4)
		if h <= devices {
			i := h - 1
			place := h3.At(52.5+float64(i)/50, 13.4+float64(i%5)/20, 10)
			m := &devicepb.MsgRegister{Owner: owner, KeyType: devicepb.KEY_TYPE_ED25519, Profile: devicepb.Profile{
				Class: devicepb.CLASS_PRN, Cell: uint64(place) * uint64(min(1, i%6)), Endpoint: "tcp://127.0.0.1:1", Capabilities: []string{"storage-node"},
				Metadata: `=cmd()<script>alert(1)</script>`, Status: devicepb.STATUS_ACTIVE}}
			b.Txs = append(b.Txs, Transaction(t, owner, []client.Event{Event("grange.device.register", "device", device(i), "did", "did:key:z"+number(i), "owner", owner, "msg_index", "0")}, m))
			post := &marketpb.MsgPost{Owner: owner, Device: []byte{1}, Kind: "storage", Use: marketpb.Price{Credits: 10, Per: 1 << 30}, Hold: marketpb.Price{Credits: uint64(i + 1), Per: 1 << 30}, Capacity: 1 << 30, Bond: 5000 + uint64(i)}
			b.Txs = append(b.Txs, Transaction(t, owner, []client.Event{Event("grange.market.offer", "offer", number(i+1), "device", device(i), "owner", owner, "status", "OFFER_STATUS_OPEN", "msg_index", "0")}, post))
		}
		if h > devices && leases < 3*devices && h%2 == 0 {
			i := leases
			leases++
			m := &marketpb.MsgAccept{Payer: "grange1payer", OfferId: uint64(i%devices + 1), Capacity: 1000, HoldBudget: 50_000, Lanes: []marketpb.Lane{{Id: 1, Cap: 10_000}}}
			b.Txs = append(b.Txs, Transaction(t, "grange1payer", []client.Event{Event("grange.market.lease", "lease", lease(i), "device", device(i%devices), "payer", "grange1payer", "state", "open", "reason", "", "msg_index", "0")}, m))
		}
		if leases > 0 {
			var events []client.Event
			for range 1 + r.IntN(4) {
				i := r.IntN(leases)
				units[i] += 1 + r.IntN(1000)
				events = append(events, Event("grange.market.settle", "lease", lease(i), "device", device(i%devices), "lane", "1", "units", number(units[i]), "paid", "20", "net", "19", "msg_index", "0"))
			}
			b.Txs = append(b.Txs, Transaction(t, owner, events, &marketpb.MsgSettle{Signer: owner, Receipts: [][]byte{binary.BigEndian.AppendUint64(nil, uint64(h))}}))
		}
		if h%10 == 5 && leases > 0 {
			for i := range min(devices, leases) {
				if (i+epoch)%7 == 0 {
					continue
				}
				sequence++
				b.Txs = append(b.Txs, Transaction(t, owner, []client.Event{Event("grange.oracle.proof", "device", device(i), "epoch", number(epoch), "sequence", number(sequence), "units", number(1000*(i+1)), "size", "4096", "challenges", "4")},
					&marketpb.MsgClose{Signer: owner, OfferId: uint64(sequence)}))
			}
		}
		if h%37 == 0 && leases > 2 {
			b.Events = append(b.Events, Event("grange.market.lease", "lease", lease(h%leases), "device", device(h%leases%devices), "payer", "grange1payer", "state", "closed", "reason", "faulted"))
		}
		out = append(out, b)
	}
	return out
}

func binarySlot(b *[]byte) []byte {
	*b = make([]byte, 8, 9)
	return *b
}
