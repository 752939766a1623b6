package receipt

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

// keyOf makes the test-only key of a name.
func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(k ed25519.PrivateKey) Key { return Key(k.Public().(ed25519.PublicKey)) }

var (
	testChain   = ChainOf("grange-local-1")
	payerKey    = keyOf("test payer")
	providerKey = keyOf("test provider")
)

func testTerms(laneCap uint64) Terms {
	return Terms{
		Chain: testChain, Lease: sha256.Sum256([]byte("lease 1")), Lane: 7,
		Payer: public(payerKey), Provider: public(providerKey),
		Cap: laneCap, Expires: 100,
	}
}

// signed returns a receipt of the terms with both signatures.
func signed(t testing.TB, terms Terms, seq, units, epoch uint64) Receipt {
	t.Helper()
	r := Receipt{Lease: terms.Lease, Lane: terms.Lane, Seq: seq, Units: units, Epoch: epoch}
	if err := r.SignPayer(terms.Chain, payerKey); err != nil {
		t.Fatal(err)
	}
	if err := r.CountersignProvider(terms.Chain, providerKey); err != nil {
		t.Fatal(err)
	}
	return r
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
