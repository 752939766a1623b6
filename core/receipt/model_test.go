package receipt

import (
	"errors"
	"slices"
	"testing"

	"github.com/grange-network/grange/core/money"
	"pgregory.net/rapid"
)

// world is one lane with both processes, their disks, the wire between them and
// the truth that neither of them sees. Every action may be cut short by a kill
// at the worst moment: after the machine moved and before its state is stored.
type world struct {
	t          *rapid.T
	terms      Terms
	concession uint64
	epoch      uint64

	payer        *Payer
	payerDisk    []byte
	payerBackup  []byte // an old copy of the disk
	provider     *Provider
	providerDisk []byte

	granted  []uint64  // in the provider's memory: may be sent, not sent yet
	data     []uint64  // on the wire to the payer
	receipts []Receipt // every receipt that ever left the payer
	answers  []Receipt // every answer that ever left the provider

	sent       uint64 // units that left the provider
	delivered  uint64 // units that reached the payer
	paid       uint64 // units the provider can settle: newest receipt on its disk
	maxWindow  uint64
	losses     uint64 // how often the payer lost its disk
	lastSigned Receipt
}

func newWorld(t *rapid.T, laneCap, concession uint64) *world {
	w := &world{t: t, terms: testTerms(laneCap), concession: concession, epoch: 1}
	w.startPayer()
	w.startProvider()
	return w
}

// testWindow is small enough that a few actions reach its ceiling.
var testWindow = Window{Start: 64, Ceiling: 2048, Request: 512}

func (w *world) startPayer() {
	p, err := NewPayer(w.terms, testWindow, w.concession, w.payerDisk)
	if err != nil {
		w.t.Fatal(err)
	}
	w.payer = p
}

func (w *world) startProvider() {
	p, err := NewProvider(w.terms, testWindow, w.providerDisk)
	if err != nil {
		w.t.Fatal(err)
	}
	w.provider, w.granted = p, nil
}

func (w *world) kill(what string) bool {
	return rapid.IntRange(0, 9).Draw(w.t, "kill "+what) == 0
}

// take removes a random element, or leaves it for another time: messages are
// reordered, and repeated.
func take[M any](w *world, from *[]M, repeat bool) (m M, ok bool) {
	if len(*from) == 0 {
		return m, false
	}
	i := rapid.IntRange(0, len(*from)-1).Draw(w.t, "message")
	m = (*from)[i]
	if !repeat {
		*from = slices.Delete(*from, i, i+1)
	}
	return m, true
}

func (w *world) request(t *rapid.T) {
	n := rapid.Uint64Range(0, 700).Draw(t, "units")
	g, err := w.provider.Serve(n, w.epoch)
	if err != nil && !errors.Is(err, ErrCap) {
		t.Fatal(err)
	}
	if g.Units > n {
		t.Fatalf("granted %d of %d", g.Units, n)
	}
	if m := w.provider.Meter(); g.Units > 0 {
		w.maxWindow = max(w.maxWindow, m.Window)
		if m.Served-m.Paid > m.Window || m.Served > w.terms.Cap {
			t.Fatalf("granted too much: %+v, cap %d", m, w.terms.Cap)
		}
	}
	if g.Store {
		if w.kill("provider before storing a grant") {
			w.startProvider()
			return
		}
		w.providerDisk = w.provider.State()
	}
	if g.Units > 0 {
		w.granted = append(w.granted, g.Units)
	}
}

func (w *world) send(t *rapid.T) {
	if n, ok := take(w, &w.granted, false); ok {
		w.sent += n
		w.data = append(w.data, n)
	}
}

func (w *world) release(t *rapid.T) {
	if n, ok := take(w, &w.granted, false); ok {
		w.provider.Release(n)
	}
}

func (w *world) deliverData(t *rapid.T) {
	n, ok := take(w, &w.data, false)
	if !ok {
		return
	}
	if rapid.IntRange(0, 9).Draw(t, "lose data") == 0 {
		return
	}
	w.delivered += n
	if err := w.payer.Delivered(n, []byte("leaf")); err != nil && !errors.Is(err, ErrCap) {
		t.Fatal(err)
	}
	if rapid.Bool().Draw(t, "store early") {
		w.payerDisk = w.payer.State()
	}
}

func (w *world) sign(t *rapid.T) {
	r, err := w.payer.Sign(w.epoch, payerKey)
	if errors.Is(err, ErrNothing) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if w.kill("payer before storing a receipt") {
		w.startPayer()
		return
	}
	w.payerDisk = w.payer.State()
	w.leave(r)
	if w.kill("payer after storing a receipt") {
		w.startPayer()
	}
}

// leave checks a receipt as it leaves the payer.
func (w *world) leave(r Receipt) {
	if limit := w.delivered + w.concession*(1+w.losses); r.Units > limit {
		w.t.Fatalf("signed for %d of %d units", r.Units, limit)
	}
	if r.Units > w.terms.Cap || r.Epoch > w.terms.Expires {
		w.t.Fatalf("signed beyond the terms: %+v", r)
	}
	if w.lastSigned.Seq > 0 && r.Supersedes(w.lastSigned) != nil {
		w.t.Fatal(r.Supersedes(w.lastSigned))
	}
	w.lastSigned = r
	w.receipts = append(w.receipts, r)
}

func (w *world) resend(t *rapid.T) {
	if r := w.payer.Last(); r.Seq > 0 && !slices.Contains(w.receipts, stripped(r)) {
		t.Fatalf("the last receipt never left: seq %d", r.Seq)
	}
}

func stripped(r Receipt) Receipt { r.ProviderSig = Signature{}; return r }

func (w *world) acceptReceipt(t *rapid.T) {
	r, ok := take(w, &w.receipts, true)
	if !ok {
		return
	}
	answer, err := w.provider.Accept(r, w.epoch, providerKey)
	if errors.Is(err, ErrStale) {
		w.answers = append(w.answers, w.provider.Newest())
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if w.kill("provider before storing a receipt") {
		w.startProvider()
		return
	}
	w.providerDisk = w.provider.State()
	w.paid = max(w.paid, answer.Units)
	w.answers = append(w.answers, answer)
	if w.kill("provider after storing a receipt") {
		w.startProvider()
	}
}

func (w *world) acknowledge(t *rapid.T) {
	if r, ok := take(w, &w.answers, true); ok {
		if err := w.payer.Acknowledge(r); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) killPayer(t *rapid.T) { w.startPayer() }

func (w *world) killProvider(t *rapid.T) { w.startProvider() }

// losePayerDisk is a payer back from nothing; it asks the provider first, as
// NewPayer says, so what it signs then is above all it ever signed and the
// provider holds.
func (w *world) losePayerDisk(t *rapid.T) {
	if rapid.IntRange(0, 4).Draw(t, "really") > 0 {
		return
	}
	w.payerDisk, w.lastSigned = nil, Receipt{}
	w.losses++
	w.startPayer()
	if r := w.provider.Newest(); r.Seq > 0 {
		if err := w.payer.Acknowledge(r); err != nil {
			t.Fatal(err)
		}
	}
}

// backupPayer and restorePayer put an old disk back: the payer then remembers
// less than it signed and, unlike one with no disk, does not know it.
func (w *world) backupPayer(t *rapid.T) { w.payerBackup = w.payerDisk }

func (w *world) restorePayer(t *rapid.T) {
	if rapid.IntRange(0, 4).Draw(t, "really") > 0 {
		return
	}
	w.payerDisk, w.lastSigned = w.payerBackup, Receipt{}
	w.losses++
	w.startPayer()
}

func (w *world) concede(t *rapid.T) { w.payer.Concede(w.provider.Meter().Served) }

func (w *world) missDeadline(t *rapid.T) {
	w.provider.MissDeadline()
	w.payer.SetWindow(w.provider.Meter().Window)
}

func (w *world) stopProvider(t *rapid.T) {
	if len(w.granted) > 0 {
		return
	}
	w.provider.Trim()
	w.providerDisk = w.provider.State()
	w.startProvider()
}

func (w *world) nextEpoch(t *rapid.T) { w.epoch = min(w.epoch+1, w.terms.Expires) }

// check is what must hold after every action.
func (w *world) check(t *rapid.T) {
	if loss := less(w.sent, w.paid); loss > w.maxWindow || loss > w.provider.Bound() {
		t.Fatalf("provider sent %d and can settle %d: loses %d, window was never above %d, bound %d",
			w.sent, w.paid, loss, w.maxWindow, w.provider.Bound())
	}
	if m := w.provider.Meter(); m.Served < w.sent {
		t.Fatalf("provider counts %d, sent %d", m.Served, w.sent)
	}
	if w.sent > w.terms.Cap {
		t.Fatalf("sent %d, cap %d", w.sent, w.terms.Cap)
	}
	if w.payer.received > w.delivered+w.concession*(1+w.losses) {
		t.Fatalf("payer counts %d, delivered %d", w.payer.received, w.delivered)
	}
}

func TestLossIsBoundedWhoeverIsKilled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		laneCap := rapid.SampledFrom([]uint64{300, 3000, 1 << 20}).Draw(t, "cap")
		w := newWorld(t, laneCap, rapid.SampledFrom([]uint64{0, 100, 1 << 20}).Draw(t, "concession"))
		t.Repeat(map[string]func(*rapid.T){
			"": w.check, "request": w.request, "request more": w.request, "send": w.send, "send more": w.send,
			"release": w.release, "deliver": w.deliverData, "deliver more": w.deliverData,
			"sign": w.sign, "resend": w.resend, "accept": w.acceptReceipt, "accept more": w.acceptReceipt,
			"acknowledge": w.acknowledge, "kill payer": w.killPayer, "kill provider": w.killProvider,
			"lose payer disk": w.losePayerDisk,
			"back up payer":   w.backupPayer, "restore payer": w.restorePayer, "concede": w.concede, "miss deadline": w.missDeadline,
			"stop provider": w.stopProvider, "next epoch": w.nextEpoch,
		})
		w.settleEverythingInAnyOrder()
	})
}

// settleEverythingInAnyOrder plays every receipt ever countersigned against a
// ledger that keeps the newest, in a random order with repeats: it pays for the
// newest and nothing else.
func (w *world) settleEverythingInAnyOrder() {
	price := money.Price{Credits: 3, Per: 7}
	limit, err := price.Of(w.terms.Cap)
	if err != nil {
		w.t.Fatal(err)
	}
	all := rapid.Permutation(slices.Concat(w.answers, w.answers)).Draw(w.t, "order")
	var newest Receipt
	var paid money.Credit
	for _, r := range all {
		if r.Supersedes(newest) != nil {
			continue
		}
		amount, err := r.Amount(price, limit)
		if err != nil {
			w.t.Fatal(err)
		}
		paid += amount - min(amount, paid)
		newest = r
	}
	if want, _ := price.Of(w.paid); len(all) > 0 && (newest.Units != w.paid || paid != want) {
		w.t.Fatalf("settled %d units for %d, want %d for %d", newest.Units, paid, w.paid, want)
	}
}

// A payer that follows no rule but owns the session key: it signs any numbers in
// any order, and takes all it is given. The provider, killed at will, still
// loses at most its bound, and what it settles is within the cap.
func TestLossIsBoundedForAnyPayer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, rapid.SampledFrom([]uint64{300, 3000, 1 << 20}).Draw(t, "cap"), 0)
		cheat := func(t *rapid.T) {
			terms := w.terms
			key := payerKey
			switch rapid.IntRange(0, 9).Draw(t, "forgery") {
			case 0:
				terms.Chain = ChainOf("grange-1")
			case 1:
				terms.Lane++
			case 2:
				terms.Lease[0]++
			case 3:
				key = keyOf("thief")
			}
			r := Receipt{
				Lease: terms.Lease, Lane: terms.Lane, Seq: rapid.Uint64Range(0, 40).Draw(t, "seq"),
				Units: rapid.Uint64Range(0, w.sent+50).Draw(t, "units"), Epoch: rapid.Uint64Range(0, 3).Draw(t, "epoch"),
			}
			if err := r.SignPayer(terms.Chain, key); err != nil {
				t.Fatal(err)
			}
			genuine := terms == w.terms && key.Equal(payerKey)
			answer, err := w.provider.Accept(r, w.epoch, providerKey)
			if err != nil {
				return
			}
			if !genuine || answer.Units > w.terms.Cap {
				t.Fatalf("took %+v", answer)
			}
			if w.kill("provider before storing a receipt") {
				w.startProvider()
				return
			}
			w.providerDisk = w.provider.State()
			w.paid = max(w.paid, answer.Units)
		}
		t.Repeat(map[string]func(*rapid.T){
			"": w.check, "request": w.request, "request more": w.request, "send": w.send, "send more": w.send,
			"release": w.release, "cheat": cheat, "kill provider": w.killProvider,
			"miss deadline": w.missDeadline, "stop provider": w.stopProvider, "next epoch": w.nextEpoch,
		})
	})
}

// Both sides honest and killed now and then: with a concession the lane is used
// up to its cap, it never gets stuck.
func TestLaneNeverSticks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, 20_000, 20_000)
		for steps := 0; w.provider.Meter().Paid < w.terms.Cap; steps++ {
			if steps > 5000 {
				t.Fatalf("stuck at %+v, payer counts %d", w.provider.Meter(), w.payer.received)
			}
			g, err := w.provider.Serve(700, w.epoch)
			if err != nil && !errors.Is(err, ErrCap) {
				t.Fatal(err)
			}
			if g.Store {
				w.providerDisk = w.provider.State()
			}
			_ = w.payer.Delivered(g.Units, []byte("leaf"))
			w.killSome(steps)
			if !w.payer.Due() && g.Units > 0 {
				continue
			}
			if g.Units == 0 && w.payer.Unsigned() == 0 {
				w.payer.Concede(w.provider.Meter().Served)
			}
			w.payOnce(t)
		}
	})
}

func (w *world) killSome(steps int) {
	if steps > 60 {
		return
	}
	switch rapid.IntRange(0, 9).Draw(w.t, "fault") {
	case 0:
		w.startPayer()
	case 1:
		w.startProvider()
	case 2:
		w.missDeadline(w.t)
	}
}

func (w *world) payOnce(t *rapid.T) {
	r, err := w.payer.Sign(w.epoch, payerKey)
	if errors.Is(err, ErrNothing) {
		r, err = w.payer.Last(), nil
	}
	if err != nil {
		t.Fatal(err)
	}
	w.payerDisk = w.payer.State()
	if r.Seq == 0 {
		return
	}
	answer, err := w.provider.Accept(r, w.epoch, providerKey)
	if err != nil {
		t.Fatal(err)
	}
	w.providerDisk = w.provider.State()
	if err := w.payer.Acknowledge(answer); err != nil {
		t.Fatal(err)
	}
}

// A hundred payers on one escrow, each with a lane whose cap is its share: when
// all of them and their provider try to spend all they can, the sum stays within
// the escrow, because no lane's receipts exceed its cap.
func TestHundredLanesCannotOverspendOneEscrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		price := money.Price{Credits: 11, Per: 100}
		const lanes, escrow = 100, money.Credit(1_000_000)
		share := escrow / lanes
		var spent money.Credit
		for lane := range uint32(lanes) {
			terms := testTerms(price.Units(share))
			terms.Lane = lane
			payer, err := NewPayer(terms, testWindow, ^uint64(0), nil)
			if err != nil {
				t.Fatal(err)
			}
			provider, err := NewProvider(terms, testWindow, nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = payer.Delivered(rapid.Uint64().Draw(t, "delivered"), nil)
			payer.Concede(rapid.Uint64().Draw(t, "served"))
			r, err := payer.Sign(1, payerKey)
			if errors.Is(err, ErrNothing) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if r, err = provider.Accept(r, 1, providerKey); err != nil {
				t.Fatal(err)
			}
			// What the receipt is worth before the ledger's own cap.
			amount, err := r.Amount(price, escrow)
			if err != nil || amount > share {
				t.Fatalf("lane %d owes %d, cap %d (%v)", lane, amount, share, err)
			}
			spent += amount
		}
		if spent > escrow {
			t.Fatalf("spent %d of %d", spent, escrow)
		}
	})
}
