package index

import (
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cosmos/gogoproto/proto"

	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/chain"
	"github.com/grange-network/grange/ledger/client"
)

// prefix of the events that the index keeps.
const prefix = "grange."

// Event is something the ledger did, with its place: the index counts the kept
// events of a block, those of transactions first.
type Event struct {
	Height     int64             `json:"height"`
	Index      int               `json:"index"`
	Type       string            `json:"type"`
	Tx         *string           `json:"tx"` // hash
	Time       Time              `json:"time"`
	Attributes map[string]string `json:"attributes"`

	tx int // its index in the block; -1: the block itself
}

// stored is an event in the body of its block.
type stored struct {
	Type string            `json:"t"`
	Tx   int               `json:"x"` // index of the transaction; -1 for the block's own
	Att  map[string]string `json:"a"`
}

// happening is an event while it is folded.
type happening struct {
	client.Event
	position int64
	tx       int // -1: the block's own
	message  proto.Message
}

func (h happening) number(key string) int64 {
	n, err := strconv.ParseInt(h.Get(key), 10, 64)
	if err != nil {
		return 0 // ours are numbers; what is not one counts as none
	}
	return n
}

// block folds one block.
func (b *batch) block(in client.Block) error {
	b.height, b.time = in.Height, in.Time.UnixNano()
	var kept []stored
	for i, tx := range in.Txs {
		s, err := decode(tx.Raw)
		if err != nil {
			s = signed{} // the ledger refused it too
		}
		b.txs = append(b.txs, newTxRow(position(in.Height, i), b.time, tx, s))
		for _, e := range tx.Events {
			if tx.Code != 0 || !strings.HasPrefix(e.Type, prefix) {
				continue
			}
			h := happening{Event: e, position: position(in.Height, len(kept)), tx: i, message: messageOf(s, e)}
			kept = append(kept, keep(e, i))
			if err := b.event(h); err != nil {
				return err
			}
		}
		if tx.Code == 0 {
			if err := errors.Join(b.sends(s), b.funded(s)); err != nil {
				return err
			}
		}
	}
	for _, e := range in.Events {
		if !strings.HasPrefix(e.Type, prefix) {
			continue
		}
		h := happening{Event: e, position: position(in.Height, len(kept)), tx: -1}
		kept = append(kept, keep(e, -1))
		if err := b.event(h); err != nil {
			return err
		}
	}
	if len(kept) >= 1<<positionBits || len(in.Txs) >= 1<<positionBits {
		return fmt.Errorf("index block %d: %d events and %d transactions, at most %d", in.Height, len(kept), len(in.Txs), 1<<positionBits)
	}
	return b.close(in, kept)
}

func keep(e client.Event, tx int) stored {
	s := stored{Type: e.Type, Tx: tx, Att: make(map[string]string, len(e.Attributes))}
	for _, a := range e.Attributes {
		if a.Key != "msg_index" && a.Key != "mode" {
			s.Att[a.Key] = a.Value
		}
	}
	return s
}

// messageOf is the message that an event comes from, if the index needs it.
func messageOf(s signed, e client.Event) proto.Message {
	i, err := strconv.Atoi(e.Get("msg_index"))
	if err != nil {
		i = 0 // a transaction of one message
	}
	if i < 0 || i >= len(s.messages) {
		return nil
	}
	return s.messages[i]
}

// close adds the block's own row.
func (b *batch) close(in client.Block, kept []stored) error {
	if kept == nil {
		kept = []stored{}
	}
	body, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	b.blocks = append(b.blocks, blockRow{
		height: in.Height, time: b.time, hash: in.Hash, appHash: in.AppHash, proposer: in.Proposer,
		txs: len(in.Txs), events: len(kept), epoch: b.epoch, body: body,
	})
	b.events += len(kept)
	return nil
}

// sends remembers who funds whom: related payers are found by it.
func (b *batch) sends(s signed) error {
	for _, m := range s.messages {
		send, ok := m.(*banktypes.MsgSend)
		if !ok {
			continue
		}
		r, err := b.funds.change(fundKey{send.ToAddress, send.FromAddress}, b.loadFund, func() *fundRow { return &fundRow{} })
		if err != nil {
			return err
		}
		for _, c := range send.Amount {
			switch {
			case !c.Amount.IsInt64():
			case c.Denom == chain.Grain:
				r.ugrain += c.Amount.Int64()
			case c.Denom == chain.Credit:
				r.ucredit += c.Amount.Int64()
			}
		}
	}
	return nil
}

// event folds one event into the rows it changes.
func (b *batch) event(h happening) error {
	switch h.Type {
	case "grange.device.register", "grange.device.update", "grange.device.transfer":
		return b.device(h)
	case "grange.market.offer":
		return b.offer(h)
	case "grange.market.lease":
		return b.lease(h)
	case "grange.market.demand":
		return b.demand(h)
	case "grange.market.dispute":
		return b.dispute(h)
	case "grange.market.standing":
		return b.standing(h)
	case "grange.market.settle":
		return b.settle(h)
	case "grange.market.accrue":
		return b.accrue(h)
	case "grange.oracle.proof":
		return b.proof(h)
	case "grange.oracle.epoch", "grange.credit.epoch", "grange.oracle.reveal":
		return b.tick(h)
	case "grange.oracle.report", "grange.oracle.vote":
		return b.report(h)
	case "grange.oracle.claim":
		return b.claim(h)
	}
	return nil
}

func (b *batch) device(h happening) error {
	id, ok := id32(h.Get("device"))
	if !ok {
		return nil
	}
	d, err := b.devices.change(id, b.loadDevice, func() *deviceRow { return b.newDevice(id) })
	if err != nil {
		return err
	}
	if h.Type == "grange.device.register" {
		d.did, d.status, d.height, d.time = h.Get("did"), "active", b.height, b.time
	}
	if owner := h.Get("owner"); owner != "" {
		d.owner = owner
	}
	if to := h.Get("new_owner"); to != "" {
		d.owner = to
	}
	if status := h.Get("status"); status != "" {
		d.status = lastWord(status)
	}
	switch m := h.message.(type) {
	case *devicepb.MsgRegister:
		d.keyType = word(keyNames[m.KeyType])
		return d.profile(m.Profile)
	case *devicepb.MsgUpdate:
		if m.Profile != nil {
			return d.profile(*m.Profile)
		}
	}
	return nil
}

var keyNames = map[devicepb.KeyType]string{devicepb.KEY_TYPE_ED25519: "ed25519", devicepb.KEY_TYPE_P256: "p256", devicepb.KEY_TYPE_SECP256K1: "secp256k1"}

func (d *deviceRow) profile(p devicepb.Profile) error {
	capabilities := make([]string, len(p.Capabilities))
	for i, c := range p.Capabilities {
		capabilities[i] = printable(c)
	}
	list, err := json.Marshal(capabilities)
	if err != nil {
		return err
	}
	d.class, d.status = word(lastWord(p.Class.String())), lastWord(p.Status.String())
	d.endpoint, d.metadata, d.capabilities = word(p.Endpoint), word(p.Metadata), string(list)
	d.cell = int64(p.Cell)
	d.place, d.latitude, d.longitude = sql.NullInt64{}, sql.NullFloat64{}, sql.NullFloat64{}
	if at, ok := h3.Cell(p.Cell).Published(); ok {
		lat, lng := at.Centre()
		d.place, d.latitude, d.longitude = some(at.Place()), sql.NullFloat64{Float64: lat, Valid: true}, sql.NullFloat64{Float64: lng, Valid: true}
	}
	return nil
}

func (b *batch) offer(h happening) error {
	o, err := b.offers.change(h.number("offer"), b.loadOffer, func() *offerRow {
		return &offerRow{id: h.number("offer"), attributes: "{}", height: b.height, time: b.time}
	})
	if err != nil {
		return err
	}
	o.owner, o.status = h.Get("owner"), lastWord(h.Get("status"))
	if id, ok := id32(h.Get("device")); ok {
		if o.device, err = b.number(id); err != nil {
			return err
		}
	}
	m, ok := h.message.(*marketpb.MsgPost)
	if !ok {
		return nil
	}
	attributes := map[string]string{}
	for _, a := range m.Attributes {
		attributes[a.Key] = a.Value
	}
	text, err := json.Marshal(attributes)
	if err != nil {
		return err
	}
	o.kind, o.use, o.hold, o.capacity, o.attributes = m.Kind, priceOf(m.Use), priceOf(m.Hold), whole(m.Capacity), string(text)
	o.bond = sum(o.bond, whole(m.Bond))
	return nil
}

func priceOf(p marketpb.Price) priceRow {
	if p.Per == 0 {
		return priceRow{}
	}
	return priceRow{some(whole(p.Credits)), some(whole(p.Per))}
}

func newTxRow(id, time int64, in client.Tx, s signed) txRow {
	hash, err := hex.DecodeString(in.Hash)
	if err != nil {
		hash = []byte(in.Hash)
	}
	r := txRow{id: id, hash: hash, time: time, types: strings.Join(s.types, ","), code: in.Code, codespace: in.Codespace, log: in.Log, wanted: in.GasWanted, used: in.GasUsed}
	if len(s.types) > 0 {
		r.kind = s.types[0]
	}
	if in.Code == 0 {
		r.log = "" // success explains nothing
	}
	for _, e := range in.Events {
		if sender := e.Get("sender"); e.Type == "message" && sender != "" {
			r.signer = word(sender)
			break
		}
	}
	if s.fee != nil {
		r.fee = some(*s.fee)
	}
	return r
}
