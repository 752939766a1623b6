package prepaid

import (
	"context"
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/grange-network/grange/core/receipt"
)

func keys() (payer, device ed25519.PrivateKey, terms receipt.Terms) {
	payer, device = ed25519.NewKeyFromSeed(make([]byte, 32)), ed25519.NewKeyFromSeed(append(make([]byte, 31), 1))
	return payer, device, receipt.Terms{
		Chain: receipt.ChainOf("test"), Lease: [32]byte{5}, Lane: 1, Cap: 5, Expires: 100,
		Payer: receipt.Key(payer.Public().(ed25519.PublicKey)), Provider: receipt.Key(device.Public().(ed25519.PublicKey)),
	}
}

// Both sides are killed after every step: the payer never signs for less and the
// provider never gives twice for one payment.
func TestEveryUnitIsPaidOnceOverRestarts(t *testing.T) {
	payerKey, device, terms := keys()
	payDir, takeDir := t.TempDir(), t.TempDir()
	payer := func() *Payer { return &Payer{Terms: terms, Dir: payDir, Key: payerKey} }
	payee := func() *Payee {
		return &Payee{Dir: takeDir, Key: device, Terms: func(context.Context, [32]byte) (receipt.Terms, error) { return terms, nil }}
	}
	for n := uint64(1); n <= terms.Cap; n++ {
		r, err := payer().Pay(7, 1, [32]byte{byte(n)})
		if err != nil || r.Units != n {
			t.Fatalf("pay %d: units %d, %v", n, r.Units, err)
		}
		to := payee()
		if _, err := to.Take(t.Context(), r, 7, 2); !errors.Is(err, ErrUnpaid) {
			t.Fatalf("two for one: %v", err)
		}
		signed, err := to.Take(t.Context(), r, 7, 1)
		if err != nil || signed.Verify(terms.Chain, terms.Payer, terms.Provider) != nil {
			t.Fatalf("take %d: %v", n, err)
		}
		if all := to.Newest(); len(all) != 1 || all[0] != signed {
			t.Fatalf("newest: %+v", all)
		}
		for _, again := range []*Payee{to, payee()} {
			if _, err := again.Take(t.Context(), r, 7, 1); !errors.Is(err, ErrUnpaid) {
				t.Fatalf("the same receipt again: %v", err)
			}
		}
	}
	if _, err := payer().Pay(7, 1, [32]byte{}); !errors.Is(err, receipt.ErrCap) {
		t.Fatalf("beyond the cap: %v", err)
	}
}

func TestTakeRefuses(t *testing.T) {
	payerKey, device, terms := keys()
	down := errors.New("ledger is away")
	p := &Payee{Dir: t.TempDir(), Key: device, Terms: func(context.Context, [32]byte) (receipt.Terms, error) { return terms, down }}
	r, err := (&Payer{Terms: terms, Dir: t.TempDir(), Key: payerKey}).Pay(7, 1, [32]byte{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Take(t.Context(), r, 7, 1); !errors.Is(err, down) {
		t.Fatalf("without the ledger: %v", err)
	}
	down = nil
	for name, change := range map[string]func(*receipt.Receipt){
		"more units than signed": func(r *receipt.Receipt) { r.Units++ },
		"another lane":           func(r *receipt.Receipt) { r.Lane++ },
		"a later epoch":          func(r *receipt.Receipt) { r.Epoch = 90 },
	} {
		bad := r
		change(&bad)
		if _, err := p.Take(t.Context(), bad, 7, 1); err == nil {
			t.Errorf("took a receipt with %s", name)
		}
	}
	if len(p.Newest()) != 0 {
		t.Error("something refused was kept")
	}
}
