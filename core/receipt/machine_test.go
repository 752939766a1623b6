package receipt

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/grange-network/grange/core/merkle"
)

func newPair(t testing.TB, terms Terms, concession uint64) (*Payer, *Provider) {
	t.Helper()
	payer, err := NewPayer(terms, ByteWindow, concession, nil)
	if err != nil {
		t.Fatal(err)
	}
	provider, err := NewProvider(terms, ByteWindow, nil)
	if err != nil {
		t.Fatal(err)
	}
	return payer, provider
}

// pay sends a receipt for all that was delivered and takes the answer.
func pay(t testing.TB, payer *Payer, provider *Provider, epoch uint64) Receipt {
	t.Helper()
	r, err := payer.Sign(epoch, payerKey)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = provider.Accept(r, epoch, providerKey); err != nil {
		t.Fatal(err)
	}
	if err := payer.Acknowledge(r); err != nil {
		t.Fatal(err)
	}
	return r
}

func deliver(t testing.TB, payer *Payer, n uint64) {
	t.Helper()
	if err := payer.Delivered(n, []byte("leaf")); err != nil {
		t.Fatal(err)
	}
}

func serve(t testing.TB, provider *Provider, n uint64) uint64 {
	t.Helper()
	g, err := provider.Serve(n, 1)
	if err != nil {
		t.Fatal(err)
	}
	return g.Units
}

func TestWindowLimit(t *testing.T) {
	const MiB = 1 << 20
	for _, c := range []struct {
		name    string
		window  Window
		laneCap uint64
		want    uint64
	}{
		{"large lane", ByteWindow, 1 << 40, 64 * MiB},
		{"1 % of the cap", ByteWindow, 3200 * MiB, 32 * MiB},
		{"one request", ByteWindow, 100 * MiB, 17 * MiB},
		{"no requests named", Window{Start: 10, Ceiling: 1000}, 5000, 50},
		{"tiny lane", Window{Start: 10, Ceiling: 1000}, 5, 1},
	} {
		if got := c.window.Limit(c.laneCap); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestWindowGrowsWithWhatIsPaid(t *testing.T) {
	const KiB, MiB = 1 << 10, 1 << 20
	payer, provider := newPair(t, testTerms(1<<40), 0)
	for _, want := range []uint64{256 * KiB, 512 * KiB, MiB, 2 * MiB, 4 * MiB, 8 * MiB, 16 * MiB, 32 * MiB, 64 * MiB, 64 * MiB} {
		if got := provider.Meter().Window; got != want {
			t.Fatalf("window %d, want %d", got, want)
		}
		if payer.Due() {
			t.Fatal("due with nothing delivered")
		}
		deliver(t, payer, serve(t, provider, want/2))
		if !payer.Due() {
			t.Fatalf("not due at half of %d: the two sides disagree on the window", want)
		}
		pay(t, payer, provider, 1)
	}
}

func TestSmallReceiptsBuyNoTrust(t *testing.T) {
	payer, provider := newPair(t, testTerms(1<<40), 0)
	for range 100 {
		deliver(t, payer, serve(t, provider, 1))
		pay(t, payer, provider, 1)
	}
	if got := provider.Meter().Window; got != ByteWindow.Start {
		t.Errorf("window %d after paying 100 units in 100 receipts", got)
	}
}

func TestRequestLargerThanTheWindow(t *testing.T) {
	const request = 17 << 20
	payer, provider := newPair(t, testTerms(1<<40), 0)
	var pieces []uint64
	for left := uint64(request); left > 0; {
		got := serve(t, provider, left)
		if got == 0 {
			t.Fatal("stuck although all is paid")
		}
		if more := serve(t, provider, left-got); more != 0 {
			t.Fatalf("%d more without a receipt", more)
		}
		deliver(t, payer, got)
		pay(t, payer, provider, 1)
		pieces = append(pieces, got)
		left -= got
	}
	if want := []uint64{256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20, 8 << 20, 17<<20 - 16128<<10}; len(pieces) != len(want) {
		t.Errorf("pieces %v, want %v", pieces, want)
	}
	if got := serve(t, provider, request); got != 16<<20 && got != request {
		t.Errorf("second request: %d at once", got)
	}
}

func TestMissedDeadlineResetsTheWindow(t *testing.T) {
	payer, provider := newPair(t, testTerms(1<<40), 0)
	for range 4 {
		deliver(t, payer, serve(t, provider, ^uint64(0)))
		pay(t, payer, provider, 1)
	}
	deliver(t, payer, serve(t, provider, 3<<20))
	provider.MissDeadline()
	if m := provider.Meter(); m.Window != ByteWindow.Start || m.Available != 0 {
		t.Errorf("after a missed deadline: %+v", m)
	}
	payer.SetWindow(provider.Meter().Window)
	pay(t, payer, provider, 1)
	if m := provider.Meter(); m.Window != 2*ByteWindow.Start || m.Available != m.Window {
		t.Errorf("after paying up: %+v", m)
	}
}

func TestServeRefuses(t *testing.T) {
	terms := testTerms(300 << 10)
	_, provider := newPair(t, terms, 0)
	if _, err := provider.Serve(1, terms.Expires+1); !errors.Is(err, ErrExpired) {
		t.Errorf("after the last epoch: %v", err)
	}
	if got := serve(t, provider, 1<<20); got != 256<<10 {
		t.Errorf("granted %d, want the window", got)
	}
	if _, err := provider.Accept(signed(t, terms, 1, 256<<10, 1), 1, providerKey); err != nil {
		t.Fatal(err)
	}
	if got := serve(t, provider, 1<<20); got != 44<<10 {
		t.Errorf("granted %d, want the rest of the cap", got)
	}
	if _, err := provider.Serve(1, 1); !errors.Is(err, ErrCap) {
		t.Errorf("beyond the cap: %v", err)
	}
}

func TestFewGrantsWaitForTheDisk(t *testing.T) {
	_, provider := newPair(t, testTerms(1<<40), 0)
	stores := 0
	for range 64 {
		g, err := provider.Serve(ByteWindow.Start/64, 1)
		if err != nil || g.Units == 0 {
			t.Fatal(g, err)
		}
		if g.Store {
			stores++
		}
	}
	if stores == 0 || stores > 9 {
		t.Errorf("%d stores for one window in 64 requests, want 1 to 9", stores)
	}
}

// A request that is refused as a whole leaves nothing behind: not a unit that a
// killed provider would take for served.
func TestRefusedRequestReservesNothing(t *testing.T) {
	terms := testTerms(1 << 30)
	_, provider := newPair(t, terms, 0)
	for range 10 {
		provider.Release(serve(t, provider, 1<<20))
	}
	killed, err := NewProvider(terms, ByteWindow, provider.State())
	if err != nil {
		t.Fatal(err)
	}
	if got := killed.Meter().Served; got > ByteWindow.Start/8 {
		t.Errorf("served %d after ten refusals and a kill", got)
	}
}

// Reserving ahead never counts more than the window allows.
func TestReserveStaysWithinTheWindow(t *testing.T) {
	terms := testTerms(1 << 30)
	_, provider := newPair(t, terms, 0)
	serve(t, provider, ByteWindow.Start)
	killed, err := NewProvider(terms, ByteWindow, provider.State())
	if err != nil {
		t.Fatal(err)
	}
	if got := killed.Meter().Served; got != ByteWindow.Start {
		t.Errorf("served %d after a kill, want %d", got, ByteWindow.Start)
	}
}

func TestReleaseGivesBackOnlyWhatIsUnpaid(t *testing.T) {
	terms := testTerms(1 << 30)
	_, provider := newPair(t, terms, 0)
	serve(t, provider, 100<<10)
	provider.Release(40 << 10)
	if got := provider.Meter().Served; got != 60<<10 {
		t.Errorf("served %d", got)
	}
	if _, err := provider.Accept(signed(t, terms, 1, 50<<10, 1), 1, providerKey); err != nil {
		t.Fatal(err)
	}
	provider.Release(1 << 30)
	if m := provider.Meter(); m.Served != 50<<10 || m.Paid != 50<<10 {
		t.Errorf("after releasing too much: %+v", m)
	}
}

func TestAcceptRefuses(t *testing.T) {
	terms := testTerms(1 << 20)
	_, provider := newPair(t, terms, 0)
	serve(t, provider, 1000)
	first, err := provider.Accept(signed(t, terms, 5, 500, 9), 9, providerKey)
	if err != nil {
		t.Fatal(err)
	}
	before := provider.State()
	otherLane, otherLease := terms, terms
	otherLane.Lane++
	otherLease.Lease[0]++
	otherChain := terms
	otherChain.Chain = ChainOf("grange-1")
	forged := Receipt{Lease: terms.Lease, Lane: terms.Lane, Seq: 6, Units: 600, Epoch: 9}
	if err := forged.SignPayer(testChain, keyOf("thief")); err != nil {
		t.Fatal(err)
	}
	older := signed(t, terms, 4, 400, 9)
	for _, c := range []struct {
		name string
		r    Receipt
		want error
	}{
		{"lower seq and units", older, ErrStale},
		{"same seq, more units", signed(t, terms, 5, 600, 9), ErrStale},
		{"higher seq, fewer units", signed(t, terms, 6, 400, 9), ErrStale},
		{"higher seq, same units", signed(t, terms, 6, 500, 9), ErrStale},
		{"earlier epoch", signed(t, terms, 6, 600, 8), ErrStale},
		{"other lane", signed(t, otherLane, 6, 600, 9), ErrWrongLane},
		{"other lease", signed(t, otherLease, 6, 600, 9), ErrWrongLane},
		{"other chain", signed(t, otherChain, 6, 600, 9), ErrPayerSignature},
		{"forged", forged, ErrPayerSignature},
		{"beyond the cap", signed(t, terms, 6, 1<<20+1, 9), ErrCap},
		{"after the last epoch", signed(t, terms, 6, 600, 101), ErrExpired},
		{"from the future", signed(t, terms, 6, 600, 11), ErrAhead},
	} {
		if got, err := provider.Accept(c.r, 9, providerKey); !errors.Is(err, c.want) || got != (Receipt{}) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if _, err := provider.Accept(signed(t, terms, 6, 600, 9), 9, payerKey); err == nil {
		t.Error("countersigned with a key that is not the provider's")
	}
	if !bytes.Equal(provider.State(), before) {
		t.Error("a refused receipt changed the state")
	}
	again, err := provider.Accept(Receipt{
		Lease: first.Lease, Lane: first.Lane, Seq: first.Seq, Units: first.Units, Epoch: first.Epoch,
		Evidence: first.Evidence, PayerSig: first.PayerSig,
	}, 50, providerKey)
	if err != nil || again != first {
		t.Errorf("the newest receipt again: %+v (%v)", again, err)
	}
	if _, err := provider.Accept(signed(t, terms, 6, 600, 10), 9, providerKey); err != nil {
		t.Errorf("one epoch ahead: %v", err)
	}
}

func TestPayerNeverSignsTooMuch(t *testing.T) {
	terms := testTerms(1000)
	payer, _ := newPair(t, terms, 0)
	if _, err := payer.Sign(1, payerKey); !errors.Is(err, ErrNothing) {
		t.Errorf("nothing delivered: %v", err)
	}
	deliver(t, payer, 900)
	if _, err := payer.Sign(terms.Expires+1, payerKey); !errors.Is(err, ErrExpired) {
		t.Errorf("after the last epoch: %v", err)
	}
	if _, err := payer.Sign(1, keyOf("thief")); err == nil {
		t.Error("signed with another key")
	}
	if err := payer.Delivered(200, nil); !errors.Is(err, ErrCap) {
		t.Errorf("delivered beyond the cap: %v", err)
	}
	if got := payer.Concede(5000); got != 0 {
		t.Errorf("conceded %d without a concession", got)
	}
	r, err := payer.Sign(7, payerKey)
	if err != nil || r.Units != 1000 || r.Seq != 1 {
		t.Errorf("signed %+v (%v)", r, err)
	}
	if _, err := payer.Sign(7, payerKey); !errors.Is(err, ErrNothing) {
		t.Errorf("signed the same twice: %v", err)
	}
	if payer.Last() != r {
		t.Error("the last receipt is not kept")
	}
}

func TestPayerEpochNeverGoesBack(t *testing.T) {
	payer, provider := newPair(t, testTerms(1<<20), 0)
	deliver(t, payer, serve(t, provider, 10))
	pay(t, payer, provider, 9)
	deliver(t, payer, serve(t, provider, 10))
	if r := pay(t, payer, provider, 8); r.Epoch != 9 {
		t.Errorf("epoch %d after 9", r.Epoch)
	}
}

func TestEvidenceIsTheRootOfTheLeaves(t *testing.T) {
	terms := testTerms(1 << 20)
	payer, _ := newPair(t, terms, 0)
	var leaves [][]byte
	for i := range 5 {
		leaf := []byte{byte(i)}
		if err := payer.Delivered(1, leaf); err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leaf)
		restored, err := NewPayer(terms, ByteWindow, 0, payer.State())
		if err != nil {
			t.Fatal(err)
		}
		payer = restored
		if err := payer.Delivered(0, []byte("nothing")); err != nil {
			t.Fatal(err)
		}
		r, err := payer.Sign(1, payerKey)
		if err != nil || merkle.Hash(r.Evidence) != merkle.Root(leaves) {
			t.Fatalf("evidence of %d leaves: %x (%v)", i+1, r.Evidence, err)
		}
	}
}

func TestPayerWithoutStateGoesOnFromTheProvider(t *testing.T) {
	terms := testTerms(1 << 30)
	payer, provider := newPair(t, terms, 0)
	deliver(t, payer, serve(t, provider, 100))
	pay(t, payer, provider, 1)
	deliver(t, payer, serve(t, provider, 50)) // forgotten below: the provider's loss

	fresh, err := NewPayer(terms, ByteWindow, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := fresh.Acknowledge(provider.Newest()); err != nil {
		t.Fatal(err)
	}
	if fresh.Unsigned() != 0 || fresh.Remaining() != terms.Cap-100 {
		t.Fatalf("%d unsigned, %d remaining", fresh.Unsigned(), fresh.Remaining())
	}
	deliver(t, fresh, serve(t, provider, 10))
	r := pay(t, fresh, provider, 1)
	if r.Seq != 2 || r.Units != 110 {
		t.Errorf("first receipt after the loss: %+v", r)
	}
	first := provider.Newest().Evidence
	if first == sha256.Sum256(nil) {
		t.Error("evidence starts from nothing")
	}
}

// The payer lost its state and signed before it asked: it is refused as stale,
// takes the provider's receipt, and goes on above it.
func TestPayerWithoutStateThatDidNotAsk(t *testing.T) {
	for _, c := range []struct {
		name      string
		old, anew []uint64 // deliveries paid before and after the loss
	}{
		{"same seq, less", []uint64{500}, []uint64{100}},
		{"same seq, more", []uint64{100}, []uint64{500}},
		{"lower seq, less", []uint64{100, 100, 100}, []uint64{100}},
		{"lower seq, more", []uint64{100, 100, 100}, []uint64{5000}},
		{"higher seq, less", []uint64{500}, []uint64{10, 10, 10}},
	} {
		terms := testTerms(1 << 30)
		payer, provider := newPair(t, terms, 0)
		for _, n := range c.old {
			deliver(t, payer, serve(t, provider, n))
			pay(t, payer, provider, 1)
		}
		fresh, err := NewPayer(terms, ByteWindow, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range c.anew {
			deliver(t, fresh, serve(t, provider, n))
			r, err := fresh.Sign(1, payerKey)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := provider.Accept(r, 1, providerKey); !errors.Is(err, ErrStale) {
				t.Fatalf("%s: accepted or %v", c.name, err)
			}
		}
		if err := fresh.Acknowledge(provider.Newest()); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		deliver(t, fresh, serve(t, provider, 10_000))
		r := pay(t, fresh, provider, 1)
		if most := 10_000 + max(sum(c.old), sum(c.anew)); r.Units != most {
			t.Errorf("%s: signed %d units, want %d", c.name, r.Units, most)
		}
		if least := uint64(max(len(c.old), len(c.anew))); r.Seq <= least {
			t.Errorf("%s: seq %d was signed before", c.name, r.Seq)
		}
	}
}

func sum(values []uint64) (total uint64) {
	for _, v := range values {
		total += v
	}
	return total
}

func TestAcknowledgeRefuses(t *testing.T) {
	terms := testTerms(1 << 20)
	payer, provider := newPair(t, terms, 0)
	deliver(t, payer, serve(t, provider, 100))
	first := pay(t, payer, provider, 1)
	deliver(t, payer, serve(t, provider, 100))
	second := pay(t, payer, provider, 1)
	if err := payer.Acknowledge(first); err != nil || payer.Acknowledged() != second {
		t.Errorf("an old answer: %v, holds %+v", err, payer.Acknowledged())
	}
	before := payer.State()
	otherLane := terms
	otherLane.Lane++
	unsigned, forged := signed(t, terms, 9, 5000, 1), signed(t, terms, 9, 5000, 1)
	unsigned.ProviderSig = Signature{}
	if err := forged.SignPayer(testChain, providerKey); err != nil {
		t.Fatal(err)
	}
	if err := forged.CountersignProvider(testChain, providerKey); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		r    Receipt
		want error
	}{
		{"other lane", signed(t, otherLane, 9, 5000, 1), ErrWrongLane},
		{"not countersigned", unsigned, ErrProviderSignature},
		{"not this payer's", forged, ErrPayerSignature},
		{"beyond the cap", signed(t, terms, 9, terms.Cap+1, 1), ErrCap},
	} {
		if err := payer.Acknowledge(c.r); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if !bytes.Equal(payer.State(), before) {
		t.Error("a refused answer changed the state")
	}
}

func TestConcede(t *testing.T) {
	terms := testTerms(1 << 20)
	payer, err := NewPayer(terms, ByteWindow, 1000, nil)
	if err != nil {
		t.Fatal(err)
	}
	deliver(t, payer, 100)
	for _, c := range []struct{ served, want uint64 }{
		{50, 0},     // the provider says less than we count
		{400, 300},  // 400
		{400, 0},    // nothing new
		{5000, 700}, // the rest of the concession
		{9000, 0},
	} {
		if got := payer.Concede(c.served); got != c.want {
			t.Errorf("concede up to %d: %d, want %d", c.served, got, c.want)
		}
	}
	restored, err := NewPayer(terms, ByteWindow, 1000, payer.State())
	if err != nil {
		t.Fatal(err)
	}
	if got := restored.Concede(9000); got != 0 {
		t.Errorf("conceded %d more after a restart", got)
	}
	if r, err := restored.Sign(1, payerKey); err != nil || r.Units != 1100 {
		t.Errorf("signed %d (%v)", r.Units, err)
	}
}

func TestProviderWithoutStateLearnsFromThePayer(t *testing.T) {
	terms := testTerms(1 << 30)
	payer, provider := newPair(t, terms, 0)
	deliver(t, payer, serve(t, provider, 100<<10))
	pay(t, payer, provider, 1)
	fresh, err := NewProvider(terms, ByteWindow, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fresh.Accept(payer.Last(), 1, providerKey); err != nil {
		t.Fatal(err)
	}
	if m := fresh.Meter(); m.Served != 100<<10 || m.Paid != 100<<10 {
		t.Errorf("learned %+v", m)
	}
}

func TestCleanStopLeavesAnExactCount(t *testing.T) {
	terms := testTerms(1 << 30)
	_, provider := newPair(t, terms, 0)
	serve(t, provider, 1000)
	killed, err := NewProvider(terms, ByteWindow, provider.State())
	if err != nil {
		t.Fatal(err)
	}
	if got, most := killed.Meter().Served, 1000+ByteWindow.Start/8; got < 1000 || got > most {
		t.Errorf("killed: served %d, want 1000 to %d", got, most)
	}
	provider.Trim()
	stopped, err := NewProvider(terms, ByteWindow, provider.State())
	if err != nil {
		t.Fatal(err)
	}
	if got := stopped.Meter().Served; got != 1000 {
		t.Errorf("stopped: served %d, want 1000", got)
	}
}
