package encoding

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/cosmos/cosmos-sdk/codec/address"

	"github.com/grange-network/grange/ledger/chain"
)

// What is remembered is what the codec says, errors too, and is bounded.
func TestAddressesAreRemembered(t *testing.T) {
	plain := address.Bech32Codec{Bech32Prefix: chain.Prefix}
	codec := &remembered{codec: plain}
	good, err := plain.BytesToString(bytes.Repeat([]byte{7}, 20))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time from memory
		for _, text := range []string{good, strings.ToUpper(good), good + "x", "cosmos1", "", " "} {
			want, wantErr := plain.StringToBytes(text)
			got, gotErr := codec.StringToBytes(text)
			if !bytes.Equal(got, want) || (gotErr == nil) != (wantErr == nil) {
				t.Errorf("bytes of %q: %x, %v, want %x, %v", text, got, gotErr, want, wantErr)
			}
			clear(got) // the caller's to change
		}
		for _, b := range [][]byte{nil, {7}, bytes.Repeat([]byte{7}, 20), bytes.Repeat([]byte{7}, 300)} {
			want, wantErr := plain.BytesToString(b)
			got, gotErr := codec.BytesToString(b)
			if got != want || (gotErr == nil) != (wantErr == nil) {
				t.Errorf("text of %x: %q, %v, want %q, %v", b, got, gotErr, want, wantErr)
			}
		}
	}
	var g generations
	for i := range 3 * rememberedSize {
		key := string(binary.BigEndian.AppendUint32(nil, uint32(i)))
		g.put(key, key)
		if value, ok := g.get(key); !ok || value != key {
			t.Fatalf("entry %d is %q, %t", i, value, ok)
		}
		if n := len(g.new) + len(g.old); n > 2*rememberedSize {
			t.Fatalf("%d entries are kept after %d", n, i+1)
		}
	}
}
