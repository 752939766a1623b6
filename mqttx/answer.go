package mqttx

import (
	"encoding/binary"
	"errors"
	"strings"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// acknowledge encodes the answer of a kind (PUBACK, PUBREC) to a message; an error
// ends the connection.
func acknowledge(cl *mqtt.Client, kind byte, id uint16, why error) ([]byte, error) {
	if cl.Properties.ProtocolVersion < 5 || why == nil {
		if why != nil && !errors.Is(why, ErrRefused) {
			return nil, why
		}
		// A client of version 3.1.1 would send for ever what can never be accepted.
		return []byte{kind << 4, 2, byte(id >> 8), byte(id)}, nil
	}
	// Section 3.4.2: a reason code and properties.
	var properties []byte
	if p := &cl.Properties.Props; !p.RequestProblemInfoFlag || p.RequestProblemInfo != 0 {
		text := inWords(why)
		properties = binary.BigEndian.AppendUint16([]byte{packets.PropReasonString}, uint16(len(text)))
		properties = append(properties, text...)
	}
	ack := encodeAck(kind, id, reason(why).Code, properties)
	if most := cl.Properties.Props.MaximumPacketSize; most > 0 && uint32(len(ack)) > most {
		ack = encodeAck(kind, id, reason(why).Code, nil)
	}
	return ack, nil
}

func encodeAck(kind byte, id uint16, code byte, properties []byte) []byte {
	body := append([]byte{byte(id >> 8), byte(id), code}, length(len(properties))...)
	body = append(body, properties...)
	return append(append([]byte{kind << 4}, length(len(body))...), body...)
}

// length is a variable byte integer (section 1.5.5). It is below 16,384 here.
func length(n int) []byte {
	if n < 128 {
		return []byte{byte(n)}
	}
	return []byte{byte(n) | 128, byte(n >> 7)}
}

// longest is the most bytes of a reason in words.
const longest = 1024

// inWords is what a client is told of an error, as UTF-8 without NUL.
func inWords(why error) string {
	text := why.Error()
	return strings.ToValidUTF8(strings.ReplaceAll(text[:min(len(text), longest)], "\x00", ""), "")
}

// reason is the code of version 5 for what became of a message.
func reason(why error) packets.Code {
	switch {
	case why == nil:
		return packets.CodeSuccess
	case errors.Is(why, ErrRefused):
		return packets.ErrPayloadFormatInvalid
	}
	return packets.ErrImplementationSpecificError
}
