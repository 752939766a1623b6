package gateway

import (
	"context"
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/grange-network/grange/core/receipt"
)

// A receipt that could not be stored never leaves the gateway: after a restart
// its number would be signed a second time with other units.
func TestNothingIsSentThatWasNotStored(t *testing.T) {
	_, key, _ := ed25519.GenerateKey(nil)
	_, device, _ := ed25519.GenerateKey(nil)
	full := errors.New("disk full")
	var disk error
	terms := receipt.Terms{
		Chain: receipt.ChainOf("test-1"), Lane: 1, Cap: 1 << 40, Expires: 10,
		Payer: receipt.Key(key.Public().(ed25519.PublicKey)), Provider: receipt.Key(device.Public().(ed25519.PublicKey)),
	}
	m, err := newMeter(terms, 0, nil, key, func() uint64 { return 1 }, func([]byte) error { return disk }, func() bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	g, err := m.begin(context.Background(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.end(g, g.units, []byte("leaf")); err != nil {
		t.Fatal(err)
	}
	disk = full
	if _, _, err := m.due(true); !errors.Is(err, full) {
		t.Fatalf("signing with a full disk: %v", err)
	}
	disk = nil
	if r, send, err := m.due(false); send || err == nil {
		t.Errorf("receipt %d is sent although it was not stored (%v)", r.Seq, err)
	}
	if g, err := m.begin(context.Background(), 1); err == nil {
		t.Errorf("receipt %d goes along with a request although it was not stored", g.receipt.Seq)
	}
}
