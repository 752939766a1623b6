package encoding

import (
	"sync"

	coreaddress "cosmossdk.io/core/address"
	"github.com/cosmos/cosmos-sdk/codec/address"

	"github.com/grange-network/grange/ledger/chain"
)

// accounts serves the whole process: an address is converted a dozen times in
// the life of one transfer, at 2 to 3 µs each.
var accounts = &remembered{codec: address.Bech32Codec{Bech32Prefix: chain.Prefix}}

// AccountAddresses converts account addresses between text and bytes. It
// remembers those used last and is safe for concurrent use.
func AccountAddresses() coreaddress.Codec { return accounts }

// rememberedSize is how many conversions of each direction a generation holds.
const rememberedSize = 20_000

// remembered keeps the results of a codec, those that were good. They depend on
// nothing but the argument, so that who remembers and who does not agree.
type remembered struct {
	codec address.Bech32Codec
	mu    sync.Mutex
	bytes generations // by text
	text  generations // by bytes
}

// StringToBytes decodes an address.
func (r *remembered) StringToBytes(text string) ([]byte, error) {
	r.mu.Lock()
	known, ok := r.bytes.get(text)
	r.mu.Unlock()
	if ok {
		return []byte(known), nil
	}
	b, err := r.codec.StringToBytes(text)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes.put(text, string(b))
	return b, nil
}

// BytesToString encodes an address.
func (r *remembered) BytesToString(b []byte) (string, error) {
	r.mu.Lock()
	known, ok := r.text.get(string(b))
	r.mu.Unlock()
	if ok {
		return known, nil
	}
	text, err := r.codec.BytesToString(b)
	if err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text.put(string(b), text)
	return text, nil
}

// generations holds the last rememberedSize entries at least and twice as many
// at most. The zero value is empty.
type generations struct{ new, old map[string]string }

func (g *generations) get(key string) (string, bool) {
	if value, ok := g.new[key]; ok {
		return value, true
	}
	value, ok := g.old[key]
	if ok {
		g.put(key, value)
	}
	return value, ok
}

func (g *generations) put(key, value string) {
	if g.new == nil || len(g.new) >= rememberedSize {
		g.new, g.old = make(map[string]string), g.new
	}
	g.new[key] = value
}
