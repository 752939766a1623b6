package index

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

	"github.com/grange-network/grange/explorer/cell"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/client"
)

// memoryChain is a small chain in memory: it makes blocks as the ledger's modules do,
// from a seed.
type memoryChain struct {
	name string

	mu       sync.Mutex
	blocks   []client.Block // of heights 1, 2, ...
	earliest int64
	failing  bool
	moved    chan struct{}
}

func newChain(name string, blocks []client.Block) *memoryChain {
	return &memoryChain{name: name, blocks: blocks, earliest: 1, moved: make(chan struct{})}
}

func (c *memoryChain) ChainID() string { return c.name }

func (c *memoryChain) Head() (int64, time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int64(len(c.blocks)), time.Time{}
}

func (c *memoryChain) WaitHeight(ctx context.Context, height int64) error {
	for {
		c.mu.Lock()
		head, moved := int64(len(c.blocks)), c.moved
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

func (c *memoryChain) BlockAt(_ context.Context, height int64) (client.Block, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failing || height < c.earliest || height > int64(len(c.blocks)) {
		return client.Block{}, fmt.Errorf("block %d cannot be read", height)
	}
	return c.blocks[height-1], nil
}

func (c *memoryChain) Earliest(context.Context) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failing {
		return 0, errors.New("no answer")
	}
	return c.earliest, nil
}

// change changes the chain and wakes who waits.
func (c *memoryChain) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	close(c.moved)
	c.moved = make(chan struct{})
}

func event(kind string, pairs ...string) client.Event {
	e := client.Event{Type: kind}
	for i := 0; i+1 < len(pairs); i += 2 {
		e.Attributes = append(e.Attributes, client.Attribute{Key: pairs[i], Value: pairs[i+1]})
	}
	return e
}

func sha(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// transaction wraps messages as a signed transaction does.
func transaction(t testing.TB, signer string, events []client.Event, messages ...proto.Message) client.Tx {
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
	events = append([]client.Event{event("message", "sender", signer), event("transfer", "amount", "1ugrain")}, events...)
	return client.Tx{Hash: fmt.Sprintf("%X", h), GasWanted: 100, GasUsed: 80, Events: events, Raw: raw}
}

// history makes n blocks: devices register and offer, leases open, receipts
// settle, epochs turn every ten blocks, devices prove or fault, leases close.
func history(t testing.TB, seed uint64, n, devices int) []client.Block {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	var out []client.Block
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	number := func(n int) string { return strconv.Itoa(n) }
	device := func(i int) string { return sha(fmt.Sprint("device", i)) }
	lease := func(i int) string { return sha(fmt.Sprint("lease", i)) }
	units := map[int]int{}
	leases, epoch, sequence := 0, 0, 0
	for h := 1; h <= n; h++ {
		b := client.Block{Height: int64(h), Time: start.Add(time.Duration(h) * time.Second), Proposer: []byte{byte(h % 3)}}
		binary.BigEndian.PutUint64(binarySlot(&b.Hash), uint64(h)^seed<<32)
		b.AppHash = append([]byte{1}, b.Hash...)
		if h%10 == 1 {
			if epoch > 0 {
				b.Events = append(b.Events, event("grange.credit.epoch", "epoch", number(epoch), "mid", "250000", "revenue", "1000", "burned", "30", "released", "50", "pool", "24"))
				for i := range leases {
					outcome, pay := "proven", 100+i
					if (i+epoch)%7 == 0 {
						outcome, pay = "faulted", 0
					}
					b.Events = append(b.Events, event("grange.market.accrue", "lease", lease(i), "device", device(i%devices), "epoch", number(epoch), "outcome", outcome,
						"units", number(1000*(i+1)), "paid", number(pay), "net", number(pay*95/100), "slashed", number((i+epoch)%7/6)))
				}
			}
			epoch++
			b.Events = append(b.Events, event("grange.oracle.epoch", "epoch", number(epoch), "status", "EPOCH_STATUS_REVEALING", "seed", ""))
		}
		if h%10 == 3 {
			b.Events = append(b.Events, event("grange.oracle.epoch", "epoch", number(epoch), "status", "EPOCH_STATUS_DECIDED", "seed", sha(fmt.Sprint("seed", epoch))))
		}
		owner := fmt.Sprintf("grange1owner%d", h%4)
		if h <= devices {
			i := h - 1
			place := cell.At(52.5+float64(i)/50, 13.4+float64(i%5)/20, 10)
			m := &devicepb.MsgRegister{Owner: owner, KeyType: devicepb.KEY_TYPE_ED25519, Profile: devicepb.Profile{
				Class: devicepb.CLASS_PRN, Cell: uint64(place) * uint64(min(1, i%6)), Endpoint: "tcp://127.0.0.1:1", Capabilities: []string{"storage-node"},
				Metadata: `=cmd()<script>alert(1)</script>`, Status: devicepb.STATUS_ACTIVE}}
			b.Txs = append(b.Txs, transaction(t, owner, []client.Event{event("grange.device.register", "device", device(i), "did", "did:key:z"+number(i), "owner", owner, "msg_index", "0")}, m))
			post := &marketpb.MsgPost{Owner: owner, Device: []byte{1}, Kind: "storage", Use: marketpb.Price{Credits: 10, Per: 1 << 30}, Hold: marketpb.Price{Credits: uint64(i + 1), Per: 1 << 30}, Capacity: 1 << 30, Bond: 5000 + uint64(i)}
			b.Txs = append(b.Txs, transaction(t, owner, []client.Event{event("grange.market.offer", "offer", number(i+1), "device", device(i), "owner", owner, "status", "OFFER_STATUS_OPEN", "msg_index", "0")}, post))
		}
		if h > devices && leases < 3*devices && h%2 == 0 {
			i := leases
			leases++
			m := &marketpb.MsgAccept{Payer: "grange1payer", OfferId: uint64(i%devices + 1), Capacity: 1000, HoldBudget: 50_000, Lanes: []marketpb.Lane{{Id: 1, Cap: 10_000}}}
			b.Txs = append(b.Txs, transaction(t, "grange1payer", []client.Event{event("grange.market.lease", "lease", lease(i), "device", device(i%devices), "payer", "grange1payer", "state", "open", "reason", "", "msg_index", "0")}, m))
		}
		if leases > 0 {
			var events []client.Event
			for range 1 + r.IntN(4) {
				i := r.IntN(leases)
				units[i] += 1 + r.IntN(1000)
				events = append(events, event("grange.market.settle", "lease", lease(i), "device", device(i%devices), "lane", "1", "units", number(units[i]), "paid", "20", "net", "19", "msg_index", "0"))
			}
			b.Txs = append(b.Txs, transaction(t, owner, events, &marketpb.MsgSettle{Signer: owner, Receipts: [][]byte{binary.BigEndian.AppendUint64(nil, uint64(h))}}))
		}
		if h%10 == 5 && leases > 0 {
			for i := range min(devices, leases) {
				if (i+epoch)%7 == 0 {
					continue
				}
				sequence++
				b.Txs = append(b.Txs, transaction(t, owner, []client.Event{event("grange.oracle.proof", "device", device(i), "epoch", number(epoch), "sequence", number(sequence), "units", number(1000*(i+1)), "size", "4096", "challenges", "4")},
					&marketpb.MsgClose{Signer: owner, OfferId: uint64(sequence)}))
			}
		}
		if h%37 == 0 && leases > 2 {
			b.Events = append(b.Events, event("grange.market.lease", "lease", lease(h%leases), "device", device(h%leases%devices), "payer", "grange1payer", "state", "closed", "reason", "faulted"))
		}
		out = append(out, b)
	}
	return out
}

func binarySlot(b *[]byte) []byte {
	*b = make([]byte, 8, 9)
	return *b
}

func itoa(n int) string { return strconv.Itoa(n) }

func fakePost(i int) *marketpb.MsgPost {
	return &marketpb.MsgPost{Owner: "grange1liar", Kind: "storage", Hold: marketpb.Price{Credits: 1, Per: 1 << 30}, Capacity: 1 << 40, Bond: uint64(i)}
}
