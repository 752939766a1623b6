package index

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/cosmos/cosmos-sdk/types/tx"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/cosmos/gogoproto/proto"

	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/chain"
)

// signed is what the index needs of a transaction's own bytes.
type signed struct {
	types    []string
	messages []proto.Message // nil where the index does not need the message
	fee      *int64          // ugrain
}

// wanted makes an empty message of a type whose content events do not repeat.
func wanted(name string) proto.Message {
	switch name {
	case "grange.device.v1.MsgRegister":
		return &devicepb.MsgRegister{}
	case "grange.device.v1.MsgUpdate":
		return &devicepb.MsgUpdate{}
	case "grange.market.v1.MsgPost":
		return &marketpb.MsgPost{}
	case "grange.market.v1.MsgAccept":
		return &marketpb.MsgAccept{}
	case "grange.market.v1.MsgFund":
		return &marketpb.MsgFund{}
	case "cosmos.bank.v1beta1.MsgSend":
		return &banktypes.MsgSend{}
	}
	return nil
}

// decode reads a transaction. Bytes that are none (a block may carry them) give
// an empty one.
func decode(raw []byte) (signed, error) {
	var s signed
	var outer tx.TxRaw
	if err := proto.Unmarshal(raw, &outer); err != nil {
		return s, fmt.Errorf("decode transaction: %w", err)
	}
	var body tx.TxBody
	if err := proto.Unmarshal(outer.BodyBytes, &body); err != nil {
		return s, fmt.Errorf("decode body of transaction: %w", err)
	}
	for _, m := range body.Messages {
		name := strings.TrimPrefix(m.TypeUrl, "/")
		out := wanted(name)
		if out != nil {
			if err := proto.Unmarshal(m.Value, out); err != nil {
				return signed{}, fmt.Errorf("decode %s: %w", name, err)
			}
		}
		s.types, s.messages = append(s.types, name), append(s.messages, out)
	}
	var auth tx.AuthInfo
	if err := proto.Unmarshal(outer.AuthInfoBytes, &auth); err == nil && auth.Fee != nil {
		for _, c := range auth.Fee.Amount {
			if c.Denom == chain.Grain && c.Amount.IsInt64() {
				fee := c.Amount.Int64()
				s.fee = &fee
			}
		}
	}
	return s, nil
}

// lastWord turns OFFER_STATUS_OPEN into open.
func lastWord(enum string) string {
	return strings.ToLower(enum[strings.LastIndexByte(enum, '_')+1:])
}

// id32 reads 64 hex digits; false for anything else.
func id32(text string) (id [32]byte, ok bool) {
	if len(text) != 64 {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(text))
	return id, err == nil
}
