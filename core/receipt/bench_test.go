package receipt

import (
	"fmt"
	"testing"

	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// benchBatch makes n receipts of n payers and 20 providers.
func benchBatch(b *testing.B, n int) []Signed {
	b.Helper()
	batch := make([]Signed, n)
	for i := range batch {
		payer, provider := keyOf(fmt.Sprint("payer ", i)), keyOf(fmt.Sprint("provider ", i%20))
		r := Receipt{Lane: uint32(i), Seq: 1, Units: uint64(i) << 20, Epoch: 1}
		if err := r.SignPayer(testChain, payer); err != nil {
			b.Fatal(err)
		}
		if err := r.CountersignProvider(testChain, provider); err != nil {
			b.Fatal(err)
		}
		batch[i] = Signed{r, public(payer), public(provider)}
	}
	return batch
}

func perSecond(b *testing.B, receiptsPerLoop int) {
	b.ReportMetric(float64(receiptsPerLoop*b.N)/b.Elapsed().Seconds(), "receipts/s")
}

// BenchmarkVerifySingle checks both signatures of one receipt.
func BenchmarkVerifySingle(b *testing.B) {
	batch := benchBatch(b, 64)
	i := 0
	for b.Loop() {
		s := batch[i%len(batch)]
		if err := s.Receipt.Verify(testChain, s.Payer, s.Provider); err != nil {
			b.Fatal(err)
		}
		i++
	}
	perSecond(b, 1)
}

func benchVerifyBatch(b *testing.B, n int) {
	batch := benchBatch(b, n)
	for b.Loop() {
		if errs := VerifyBatch(testChain, batch); errs != nil {
			b.Fatal(errs)
		}
	}
	perSecond(b, n)
}

func BenchmarkVerifyBatch16(b *testing.B)   { benchVerifyBatch(b, 16) }
func BenchmarkVerifyBatch128(b *testing.B)  { benchVerifyBatch(b, 128) }
func BenchmarkVerifyBatch1024(b *testing.B) { benchVerifyBatch(b, 1024) }

// BenchmarkBound1024 is the least that VerifyBatch of 1024 can take: the same
// 2048 signatures over ready messages straight into the library's batch.
func BenchmarkBound1024(b *testing.B) {
	batch := benchBatch(b, 1024)
	type entry struct{ key, message, sig []byte }
	var entries []entry
	for _, s := range batch {
		entries = append(entries,
			entry{s.Payer[:], s.Receipt.payerMessage(testChain), s.Receipt.PayerSig[:]},
			entry{s.Provider[:], s.Receipt.providerMessage(testChain), s.Receipt.ProviderSig[:]})
	}
	for b.Loop() {
		v := ed25519.NewBatchVerifierWithCapacity(len(entries)).ForceNoPublicKeyExpansion()
		for _, e := range entries {
			v.AddWithOptions(e.key, e.message, e.sig, rule)
		}
		if !v.VerifyBatchOnly(nil) {
			b.Fatal("not valid")
		}
	}
	perSecond(b, len(batch))
}

// BenchmarkVerifyBatch1024OneForged is what one bad receipt costs a batch.
func BenchmarkVerifyBatch1024OneForged(b *testing.B) {
	batch := benchBatch(b, 1024)
	batch[500].Receipt.Units++
	for b.Loop() {
		if errs := VerifyBatch(testChain, batch); errs == nil {
			b.Fatal("forgery passed")
		}
	}
	perSecond(b, len(batch))
}

// BenchmarkPayAndAccept is one whole step of both machines: count, sign, check,
// countersign, acknowledge.
func BenchmarkPayAndAccept(b *testing.B) {
	terms := testTerms(1 << 62)
	payer, err := NewPayer(terms, ByteWindow, 0, nil)
	if err != nil {
		b.Fatal(err)
	}
	provider, err := NewProvider(terms, ByteWindow, nil)
	if err != nil {
		b.Fatal(err)
	}
	leaf := make([]byte, 40)
	for b.Loop() {
		g, err := provider.Serve(64<<10, 1)
		if err != nil || g.Units == 0 {
			b.Fatal(g, err)
		}
		if err := payer.Delivered(g.Units, leaf); err != nil {
			b.Fatal(err)
		}
		r, err := payer.Sign(1, payerKey)
		if err != nil {
			b.Fatal(err)
		}
		if r, err = provider.Accept(r, 1, providerKey); err != nil {
			b.Fatal(err)
		}
		if err := payer.Acknowledge(r); err != nil {
			b.Fatal(err)
		}
	}
	perSecond(b, 1)
}

func BenchmarkServe(b *testing.B) {
	provider, err := NewProvider(testTerms(1<<62), ByteWindow, nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := provider.Serve(1, 1); err != nil {
			b.Fatal(err)
		}
		provider.Release(1)
	}
}
