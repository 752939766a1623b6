package receipt

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"testing"

	"github.com/grange-network/grange/core/money"
	"pgregory.net/rapid"
)

func TestDecodeRefusesOtherLengths(t *testing.T) {
	for _, n := range []int{0, 1, Size - 1, Size + 1, 2 * Size} {
		if _, err := Decode(make([]byte, n)); err == nil {
			t.Errorf("receipt of %d bytes accepted", n)
		}
	}
	for _, n := range []int{0, CommitmentSize - 1, CommitmentSize + 1, Size} {
		if _, err := DecodeCommitment(make([]byte, n)); err == nil {
			t.Errorf("commitment of %d bytes accepted", n)
		}
	}
}

// A receipt is worth something in exactly one place: changing any byte of it,
// the chain, or either key makes it worthless.
func TestReceiptIsBoundToItsPlace(t *testing.T) {
	terms := testTerms(1 << 30)
	good := signed(t, terms, 3, 1000, 5)
	payer, provider := public(payerKey), public(providerKey)
	if err := good.Verify(testChain, payer, provider); err != nil {
		t.Fatal(err)
	}
	for i := range Size {
		wire := good.Encode()
		wire[i] ^= 1
		bent, err := Decode(wire)
		if err != nil {
			t.Fatal(err)
		}
		want := ErrPayerSignature
		if i >= signedPart {
			want = ErrProviderSignature
		}
		if err := bent.Verify(testChain, payer, provider); !errors.Is(err, want) {
			t.Errorf("byte %d changed: %v, want %v", i, err, want)
		}
	}
	for _, c := range []struct {
		name            string
		chain           Chain
		payer, provider Key
		want            error
	}{
		{"another chain", ChainOf("grange-1"), payer, provider, ErrPayerSignature},
		{"another payer", testChain, public(keyOf("thief")), provider, ErrPayerSignature},
		{"another provider", testChain, payer, public(keyOf("thief")), ErrProviderSignature},
		{"keys swapped", testChain, provider, payer, ErrPayerSignature},
	} {
		if err := good.Verify(c.chain, c.payer, c.provider); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// One key that signs as everything still cannot have its signature moved from
// one kind of statement, or one side, to another.
func TestSignaturesDoNotCrossKindsOrSides(t *testing.T) {
	key := public(payerKey)
	r := Receipt{Lane: 1, Seq: 1, Units: 1}
	if err := errors.Join(r.SignPayer(testChain, payerKey), r.CountersignProvider(testChain, payerKey)); err != nil {
		t.Fatal(err)
	}
	swapped := r
	swapped.PayerSig, swapped.ProviderSig = r.ProviderSig, r.PayerSig
	if err := swapped.Verify(testChain, key, key); !errors.Is(err, ErrPayerSignature) {
		t.Errorf("sides swapped: %v", err)
	}
	r.ProviderSig = r.PayerSig
	if err := r.Verify(testChain, key, key); !errors.Is(err, ErrProviderSignature) {
		t.Errorf("payer signature as countersignature: %v", err)
	}
	c := Commitment{Revision: 1}
	if err := errors.Join(c.SignPayer(testChain, payerKey), c.CountersignProvider(testChain, payerKey)); err != nil {
		t.Fatal(err)
	}
	c.PayerSig, c.ProviderSig = c.ProviderSig, c.PayerSig
	if err := c.Verify(testChain, key, key); !errors.Is(err, ErrPayerSignature) {
		t.Errorf("commitment sides swapped: %v", err)
	}
	messages := [][]byte{r.payerMessage(testChain), r.providerMessage(testChain), c.payerMessage(testChain), c.providerMessage(testChain)}
	for i, a := range messages {
		for _, b := range messages[i+1:] {
			if bytes.Equal(a[:domainSize], b[:domainSize]) {
				t.Errorf("domain %q signs two kinds", a[:domainSize])
			}
		}
	}
}

func TestResigningClearsTheCountersignature(t *testing.T) {
	r := signed(t, testTerms(1<<20), 1, 1, 1)
	if err := r.SignPayer(testChain, payerKey); err != nil || r.ProviderSig != (Signature{}) {
		t.Errorf("provider signature %x (%v)", r.ProviderSig, err)
	}
}

func TestOnlyEd25519Signs(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var r Receipt
	if err := r.SignPayer(testChain, p256); err == nil {
		t.Error("P-256 key signed")
	}
	if err := r.SignPayer(testChain, brokenSigner{payerKey}); err == nil {
		t.Error("short signature taken")
	}
}

type brokenSigner struct{ crypto.Signer }

func (brokenSigner) Sign(_ io.Reader, _ []byte, _ crypto.SignerOpts) ([]byte, error) {
	return make([]byte, 10), nil
}

func TestSupersedes(t *testing.T) {
	base := Receipt{Lease: [32]byte{1}, Lane: 2, Seq: 5, Units: 500, Epoch: 9}
	with := func(change func(*Receipt)) Receipt { r := base; change(&r); return r }
	for _, c := range []struct {
		name string
		next Receipt
		prev Receipt
		want error
	}{
		{"first", base, Receipt{}, nil},
		{"first without seq", with(func(r *Receipt) { r.Seq = 0 }), Receipt{}, ErrStale},
		{"first without units", with(func(r *Receipt) { r.Units = 0 }), Receipt{}, ErrStale},
		{"newer", with(func(r *Receipt) { r.Seq++; r.Units++ }), base, nil},
		{"newer in a later epoch", with(func(r *Receipt) { r.Seq += 9; r.Units++; r.Epoch++ }), base, nil},
		{"replay", base, base, ErrStale},
		{"fewer units", with(func(r *Receipt) { r.Seq++; r.Units-- }), base, ErrStale},
		{"same units", with(func(r *Receipt) { r.Seq++ }), base, ErrStale},
		{"lower seq", with(func(r *Receipt) { r.Seq--; r.Units++ }), base, ErrStale},
		{"same seq", with(func(r *Receipt) { r.Units++ }), base, ErrStale},
		{"earlier epoch", with(func(r *Receipt) { r.Seq++; r.Units++; r.Epoch-- }), base, ErrStale},
		{"other lane", with(func(r *Receipt) { r.Seq++; r.Units++; r.Lane++ }), base, ErrWrongLane},
		{"other lease", with(func(r *Receipt) { r.Seq++; r.Units++; r.Lease[31]++ }), base, ErrWrongLane},
	} {
		if err := c.next.Supersedes(c.prev); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestAmount(t *testing.T) {
	for _, c := range []struct {
		name  string
		units uint64
		price money.Price
		limit money.Credit
		want  money.Credit
		fails bool
	}{
		{"rounds down", 999, money.Price{Credits: 1, Per: 1000}, 10, 0, false},
		{"whole", 2000, money.Price{Credits: 3, Per: 1000}, 10, 6, false},
		{"lane cap", 20_000, money.Price{Credits: 3, Per: 1000}, 10, 10, false},
		{"overflow is the cap", ^uint64(0), money.Price{Credits: 1 << 40, Per: 1}, 77, 77, false},
		{"free", 1 << 60, money.Price{}, 77, 0, false},
		{"no price", 1, money.Price{Credits: 1}, 77, 0, true},
	} {
		got, err := Receipt{Units: c.units}.Amount(c.price, c.limit)
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("%s: %d (%v), want %d", c.name, got, err, c.want)
		}
	}
}

func TestKeyValid(t *testing.T) {
	k := public(payerKey)
	if err := k.Valid(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct{ name, key string }{
		{"zero (order 4)", "0000000000000000000000000000000000000000000000000000000000000000"},
		{"identity", "0100000000000000000000000000000000000000000000000000000000000000"},
		{"order 2", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
		{"order 8", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"},
		{"order 8, other", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"},
		{"identity, non-canonical", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
		{"order 4, non-canonical", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
		{"not on the curve", "0200000000000000000000000000000000000000000000000000000000000000"},
	} {
		if err := Key(unhex(t, c.key)).Valid(); err == nil {
			t.Errorf("%s: accepted", c.name)
		}
	}
}

// A signature plus the group order verifies the same equation; only the rule on
// S stops anybody from making a second form of a receipt.
func TestSignatureIsNotMalleable(t *testing.T) {
	r := signed(t, testTerms(1<<20), 1, 1, 1)
	order := unhex(t, "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	carry := 0
	for i := range 32 {
		sum := int(r.PayerSig[32+i]) + int(order[i]) + carry
		r.PayerSig[32+i], carry = byte(sum), sum>>8
	}
	if err := r.VerifyPayer(testChain, public(payerKey)); !errors.Is(err, ErrPayerSignature) {
		t.Errorf("S + order: %v", err)
	}
}

// Whatever is broken in a batch, it names the same faults as single checks, in
// the same words, and always the same ones.
func TestBatchEqualsSingle(t *testing.T) {
	keys := []struct{ payer, provider string }{{"a", "p"}, {"b", "p"}, {"c", "q"}}
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.SampledFrom([]int{1, 2, 5, 46, 48, 60}).Draw(rt, "receipts")
		batch := make([]Signed, n)
		for i := range batch {
			k := keys[i%len(keys)]
			r := Receipt{Lane: uint32(i), Seq: uint64(i + 1), Units: rapid.Uint64().Draw(rt, "units")}
			if err := errors.Join(r.SignPayer(testChain, keyOf(k.payer)), r.CountersignProvider(testChain, keyOf(k.provider))); err != nil {
				rt.Fatal(err)
			}
			batch[i] = Signed{r, public(keyOf(k.payer)), public(keyOf(k.provider))}
		}
		for range rapid.IntRange(0, 3).Draw(rt, "faults") {
			breakOne(rt, &batch[rapid.IntRange(0, n-1).Draw(rt, "victim")])
		}
		got, again := VerifyBatch(testChain, batch), VerifyBatch(testChain, batch)
		clean := true
		for i, s := range batch {
			want := s.Receipt.Verify(testChain, s.Payer, s.Provider)
			clean = clean && want == nil
			if text(errAt(got, i)) != text(want) || text(errAt(again, i)) != text(want) {
				rt.Fatalf("receipt %d: batch %v, again %v, single %v", i, errAt(got, i), errAt(again, i), want)
			}
		}
		if clean != (got == nil) {
			rt.Fatalf("clean %t, batch %v", clean, got)
		}
	})
}

func breakOne(t *rapid.T, s *Signed) {
	switch rapid.IntRange(0, 5).Draw(t, "fault") {
	case 0:
		s.Receipt.Units++
	case 1:
		s.Receipt.PayerSig[rapid.IntRange(0, 63).Draw(t, "byte")] ^= 0x20
	case 2:
		s.Receipt.ProviderSig[rapid.IntRange(0, 63).Draw(t, "byte")] ^= 0x20
	case 3:
		s.Payer, s.Provider = s.Provider, s.Payer
	case 4:
		s.Payer = Key{1} // small order
	case 5:
		s.Receipt.PayerSig, s.Receipt.ProviderSig = s.Receipt.ProviderSig, s.Receipt.PayerSig
	}
}

func errAt(errs []error, i int) error {
	if errs == nil {
		return nil
	}
	return errs[i]
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// The coefficients of a batch depend on every bit of it. Were a signature left
// out, its maker could choose it to cancel another's error.
func TestBatchCoefficientsCoverEverything(t *testing.T) {
	seen := map[string]string{}
	for _, c := range []struct {
		name         string
		chain        Chain
		key, message byte
		sig          byte
	}{{"base", testChain, 1, 1, 1}, {"chain", Chain{}, 1, 1, 1}, {"key", testChain, 2, 1, 1}, {"message", testChain, 1, 2, 1}, {"signature", testChain, 1, 1, 2}} {
		b := NewBatch(c.chain, 1)
		b.add(Key{31: c.key}, []byte{c.message}, Signature{63: c.sig})
		digest := string(b.transcript.Sum(nil))
		if other, ok := seen[digest]; ok {
			t.Errorf("%s and %s give the same coefficients", c.name, other)
		}
		seen[digest] = c.name
	}
}

func TestBatchOfReceiptsAndCommitments(t *testing.T) {
	terms := testTerms(1 << 20)
	c := Commitment{Lease: terms.Lease, Revision: 1, Units: 9}
	if err := errors.Join(c.SignPayer(testChain, payerKey), c.CountersignProvider(testChain, providerKey)); err != nil {
		t.Fatal(err)
	}
	forged, forgedAck := c, c
	forged.Units++
	forgedAck.ProviderSig[3] ^= 1
	b := NewBatch(testChain, 0)
	b.Receipt(signed(t, terms, 1, 5, 1), terms.Payer, terms.Provider)
	b.Commitment(c, terms.Payer, terms.Provider)
	if errs := b.Verify(); errs != nil {
		t.Fatalf("all valid: %v", errs)
	}
	b.Commitment(forged, terms.Payer, terms.Provider)
	b.Commitment(forgedAck, terms.Payer, terms.Provider)
	errs := b.Verify()
	if len(errs) != 4 || errs[0] != nil || errs[1] != nil || !errors.Is(errs[2], ErrPayerSignature) || !errors.Is(errs[3], ErrProviderSignature) {
		t.Fatalf("two forged: %v", errs)
	}
	for i, forged := range []Commitment{forged, forgedAck} {
		if want := forged.Verify(testChain, terms.Payer, terms.Provider); text(errs[2+i]) != text(want) {
			t.Errorf("batch %v, single %v", errs[2+i], want)
		}
	}
	if errs := NewBatch(testChain, 0).Verify(); errs != nil {
		t.Errorf("empty batch: %v", errs)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(signed(f, testTerms(1<<20), 1, 5, 1).Encode())
	f.Add(make([]byte, Size))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Decode(b)
		if (err == nil) != (len(b) == Size) {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		if err == nil && !bytes.Equal(r.Encode(), b) {
			t.Fatalf("%x reads as %x", b, r.Encode())
		}
	})
}

func FuzzDecodeCommitment(f *testing.F) {
	f.Add(make([]byte, CommitmentSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCommitment(b)
		if (err == nil) != (len(b) == CommitmentSize) {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		if err == nil && !bytes.Equal(c.Encode(), b) {
			t.Fatalf("%x reads as %x", b, c.Encode())
		}
	})
}

// Single and batch verification never disagree on bytes nobody chose with care.
func FuzzVerifyBatch(f *testing.F) {
	r := signed(f, testTerms(1<<20), 1, 5, 1)
	payer, provider := public(payerKey), public(providerKey)
	f.Add(r.Encode(), payer[:], provider[:])
	f.Fuzz(func(t *testing.T, b, p, q []byte) {
		r, err := Decode(b)
		if err != nil || len(p) != KeySize || len(q) != KeySize {
			return
		}
		single := r.Verify(testChain, Key(p), Key(q))
		batch := errAt(VerifyBatch(testChain, []Signed{{r, Key(p), Key(q)}}), 0)
		if text(single) != text(batch) {
			t.Fatalf("single %v, batch %v", single, batch)
		}
	})
}
