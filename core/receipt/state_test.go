package receipt

import (
	"bytes"
	"testing"
)

func TestDamagedStateIsRefused(t *testing.T) {
	terms := testTerms(1 << 30)
	payer, provider := newPair(t, terms, 0)
	deliver(t, payer, serve(t, provider, 1000))
	pay(t, payer, provider, 1)
	other := terms
	other.Lane++
	openPayer := func(terms Terms, s []byte) error { _, err := NewPayer(terms, ByteWindow, 0, s); return err }
	openProvider := func(terms Terms, s []byte) error { _, err := NewProvider(terms, ByteWindow, s); return err }
	set := func(s []byte, at int, v byte) []byte { s = bytes.Clone(s); s[at] = v; return s }
	for _, c := range []struct {
		name string
		err  error
	}{
		{"payer, empty", openPayer(terms, []byte{})},
		{"payer, short", openPayer(terms, payer.State()[:100])},
		{"payer, one byte more", openPayer(terms, append(payer.State(), 0))},
		{"payer, of a provider", openPayer(terms, provider.State())},
		{"payer, of another lane", openPayer(other, payer.State())},
		{"payer, received more than the cap", openPayer(terms, set(payer.State(), 1, 1))},
		{"payer, received less than signed", openPayer(terms, set(payer.State(), 7, 0))},
		{"payer, no window", openPayer(terms, bytes.Join([][]byte{payer.State()[:17], make([]byte, 8), payer.State()[25:]}, nil))},
		{"payer, seq lost", openPayer(terms, set(payer.State(), 40, 0))},
		{"payer, signature bent", openPayer(terms, set(payer.State(), 41+100, payer.State()[141]^1))},
		{"provider, empty", openProvider(terms, []byte{})},
		{"provider, short", openProvider(terms, provider.State()[:100])},
		{"provider, one byte more", openProvider(terms, append(provider.State(), 0))},
		{"provider, of a payer", openProvider(terms, payer.State())},
		{"provider, of another lane", openProvider(other, provider.State())},
		{"provider, served less than paid", openProvider(terms, set(provider.State(), 7, 0))},
		{"provider, no window", openProvider(terms, bytes.Join([][]byte{provider.State()[:9], make([]byte, 8), provider.State()[17:]}, nil))},
		{"provider, signature bent", openProvider(terms, set(provider.State(), 25+100, provider.State()[125]^1))},
		{"provider, keys of small order", openProvider(Terms{Cap: 1}, nil)},
		{"payer, keys of small order", openPayer(Terms{Payer: terms.Payer}, nil)},
	} {
		if c.err == nil {
			t.Errorf("%s: accepted", c.name)
		}
	}
}

func FuzzPayerState(f *testing.F) {
	terms := testTerms(1 << 30)
	payer, provider := newPair(f, terms, 0)
	f.Add(payer.State())
	deliver(f, payer, serve(f, provider, 1000))
	pay(f, payer, provider, 1)
	f.Add(payer.State())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := NewPayer(terms, ByteWindow, 0, b)
		if err != nil || b == nil {
			return
		}
		if p.received > terms.Cap || p.last.Units > p.received {
			t.Fatalf("%d received, %d signed", p.received, p.last.Units)
		}
		again, err := NewPayer(terms, ByteWindow, 0, p.State())
		if err != nil || !bytes.Equal(again.State(), p.State()) {
			t.Fatalf("does not read its own state: %v", err)
		}
	})
}

func FuzzProviderState(f *testing.F) {
	terms := testTerms(1 << 30)
	payer, provider := newPair(f, terms, 0)
	f.Add(provider.State())
	deliver(f, payer, serve(f, provider, 1000))
	pay(f, payer, provider, 1)
	f.Add(provider.State())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := NewProvider(terms, ByteWindow, b)
		if err != nil || b == nil {
			return
		}
		if m := p.Meter(); m.Window > p.Bound() || m.Served < m.Paid {
			t.Fatalf("%+v beyond %d", m, p.Bound())
		}
		again, err := NewProvider(terms, ByteWindow, p.State())
		if err != nil || !bytes.Equal(again.State(), p.State()) {
			t.Fatalf("does not read its own state: %v", err)
		}
	})
}
