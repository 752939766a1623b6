package prepaid

import (
	"context"
	"crypto/ed25519"
	"errors"
	"slices"
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

func TestSellGivesOncePerPayment(t *testing.T) {
	payerKey, device, terms := keys()
	payee := &Payee{Dir: t.TempDir(), Key: device, Terms: func(context.Context, [32]byte) (receipt.Terms, error) { return terms, nil }}
	paid, err := (&Payer{Terms: terms, Dir: t.TempDir(), Key: payerKey}).Pay(7, 1, [32]byte{})
	if err != nil {
		t.Fatal(err)
	}
	given := 0
	give := func(asked []byte) []byte { given++; return append(asked, '!') }
	answer, err := payee.Sell(t.Context(), append(paid.Encode(), "yes"...), 3, 7, 1, give)
	if err != nil || string(answer[receipt.Size:]) != "yes!" {
		t.Fatalf("answer %q, %v", answer, err)
	}
	if r, err := receipt.Decode(answer[:receipt.Size]); err != nil || r.Verify(terms.Chain, terms.Payer, terms.Provider) != nil {
		t.Errorf("the receipt is not countersigned (%v)", err)
	}
	if _, err := payee.Sell(t.Context(), append(paid.Encode(), "yes"...), 3, 7, 1, give); !errors.Is(err, ErrUnpaid) {
		t.Errorf("the same receipt again: %v", err)
	}
	if _, err := payee.Sell(t.Context(), paid.Encode(), 3, 7, 1, give); err == nil || given != 1 {
		t.Errorf("a request that is cut: %v; given %d times", err, given)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add(make([]byte, receipt.Size+32), uint8(32))
	f.Add([]byte{}, uint8(0))
	f.Fuzz(func(t *testing.T, raw []byte, size uint8) {
		r, asked, err := Split(raw, int(size))
		if err == nil && string(append(r.Encode(), asked...)) != string(raw) {
			t.Errorf("%x became %x and %x", raw, r.Encode(), asked)
		}
	})
}

func TestPoolGoesOnWithTheNext(t *testing.T) {
	payerKey, _, terms := keys()
	down := errors.New("does not answer")
	var p Pool
	ask := func(int, receipt.Receipt) error { return nil }
	if err := p.Buy(7, 1, [32]byte{}, ask); !errors.Is(err, ErrNobody) {
		t.Fatalf("without payers: %v", err)
	}
	for i := range 3 {
		own := terms
		own.Lease[0] = byte(i)
		p.Payers = append(p.Payers, Payer{Terms: own, Dir: t.TempDir(), Key: payerKey})
	}
	p.Payers[1].Terms.Cap = 0 // its lane is used up
	var asked []int
	ask = func(i int, r receipt.Receipt) error {
		if asked = append(asked, i); r.Lease != p.Payers[i].Terms.Lease {
			t.Errorf("payer %d paid on lease %x", i, r.Lease)
		}
		if i == 2 {
			return down
		}
		return nil
	}
	for range 2 {
		if err := p.Buy(7, 1, [32]byte{}, ask); err != nil {
			t.Fatal(err)
		}
	}
	if want := []int{2, 0, 2, 0}; !slices.Equal(asked, want) {
		t.Errorf("asked %v, want %v", asked, want)
	}
	p.Payers = p.Payers[2:]
	if err := p.Buy(7, 1, [32]byte{}, func(int, receipt.Receipt) error { return down }); !errors.Is(err, down) {
		t.Errorf("nobody answers: %v", err)
	}
}
