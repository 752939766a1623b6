package provider

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/tunnel"
	"github.com/grange-network/grange/vertical/storage/piece"
	"github.com/grange-network/grange/vertical/storage/proof"
)

var payerKey, secondKey, strangerKey = keyOf(1), keyOf(2), keyOf(3)

// leased starts a node with one open lease of 64 MiB and its payer.
func leased(t testing.TB, change func(*Config)) (*node, *payer) {
	n := start(t, change)
	id := n.ledger.open(t, 1, 64<<20, 1_000_000, 1_000_000, tunnel.KeyOf(payerKey), tunnel.KeyOf(secondKey))
	return n, n.payer(t, id, payerKey)
}

func TestPutAndRead(t *testing.T) {
	n, p := leased(t, nil)
	data := randomBytes(1, 200_000)
	root := p.mustPut(data)
	if _, again := p.put(data); again.status != http.StatusOK {
		t.Errorf("put again: %d", again.status)
	}
	if got := p.mustRead(root, len(data), 0, len(data), nil); !bytes.Equal(got, data) {
		t.Error("whole piece differs")
	}
	head := p.do("HEAD", "/v1/pieces/"+root.String()+p.q(), nil, 0, nil).want(t, http.StatusOK)
	if head.header.Get(HeaderSize) != strconv.Itoa(len(data)) {
		t.Errorf("size header %q", head.header.Get(HeaderSize))
	}
	n.restart(t, nil)
	p = n.payer(t, p.lease, payerKey)
	r := p.receipt(200_000)
	if got := p.mustRead(root, len(data), 70_000, 50_000, &r); !bytes.Equal(got, data[70_000:120_000]) {
		t.Error("range differs after a restart")
	}
}

func TestRefusals(t *testing.T) {
	n, p := leased(t, func(c *Config) { c.Capacity = 500_000 })
	elsewhere := n.ledger.open(t, 2, 1<<20, 1000, 1000, tunnel.KeyOf(payerKey))
	n.ledger.update(elsewhere, func(l lease.Lease) lease.Lease { l.Device = [32]byte{9}; return l })
	small := n.ledger.open(t, 3, 1000, 1000, 1000, tunnel.KeyOf(payerKey))
	closing := n.ledger.open(t, 4, 1<<20, 1000, 1000, tunnel.KeyOf(payerKey))
	data := randomBytes(1, 10_000)
	root := p.mustPut(data)
	on := func(l [32]byte) *payer { q := *p; q.lease = l; return &q }
	on(closing).mustPut(data)
	n.ledger.update(closing, func(l lease.Lease) lease.Lease {
		l, err := l.Close(lease.ReasonPayer, 1, rules)
		if err != nil {
			t.Fatal(err)
		}
		return l
	})
	n.leases.expire()
	other := randomBytes(2, 10_000)
	otherRoot, _ := piece.Sum(other)
	path := "/v1/pieces/" + otherRoot.String()
	stranger := n.payer(t, p.lease, strangerKey)
	for _, tc := range []struct {
		name   string
		got    reply
		status int
		code   string
	}{
		{"no lease named", p.do("GET", "/v1/pieces/"+root.String(), nil, 0, nil), 400, CodeBadRequest},
		{"lease is no hex", p.do("GET", "/v1/pieces/"+root.String()+"?lease=zz", nil, 0, nil), 400, CodeBadRequest},
		{"unknown lease", on([32]byte{99}).get(root, 0, 10, nil), 403, CodeUnknownLease},
		{"another device's lease", on(elsewhere).get(root, 0, 10, nil), 403, CodeNotAllowed},
		{"stranger's key", stranger.get(root, 0, 10, nil), 403, CodeNotAllowed},
		{"wrong root", p.do("PUT", path+p.q(), bytes.NewReader(data), 10_000, nil), 422, CodeWrongRoot},
		{"empty", p.do("PUT", path+p.q(), http.NoBody, 0, nil), 411, CodeBadRequest},
		{"too large", p.do("PUT", path+p.q(), bytes.NewReader(make([]byte, piece.MaxSize+1)), piece.MaxSize+1, http.Header{"Expect": {"100-continue"}}), 413, CodeTooLarge},
		{"disk full", p.do("PUT", path+p.q(), bytes.NewReader(make([]byte, 600_000)), 600_000, nil), 507, CodeFull},
		{"lease full", func() reply { _, r := on(small).put(other); return r }(), 507, CodeFull},
		{"put in closing lease", func() reply { _, r := on(closing).put(other); return r }(), 402, CodeLeaseState},
		{"get in closing lease", on(closing).get(root, 0, 10, nil), 402, CodeLeaseState},
		{"unknown piece", p.get(otherRoot, 0, 10, nil), 404, CodeNotFound},
		{"range outside", p.get(root, 9_999, 2, nil), 416, CodeBadRequest},
		{"negative offset", p.get(root, -1, 2, nil), 400, CodeBadRequest},
		{"zero length", p.get(root, 0, 0, nil), 416, CodeBadRequest},
		{"root is no hex", p.do("GET", "/v1/pieces/abc"+p.q(), nil, 0, nil), 400, CodeBadRequest},
		{"receipt is no base64", p.do("GET", "/v1/pieces/"+root.String()+p.q(), nil, 0, http.Header{HeaderReceipt: {"!"}}), 400, CodeBadRequest},
		{"short receipt", p.do("POST", "/v1/receipts"+p.q(), bytes.NewReader([]byte{1}), 1, nil), 400, CodeBadRequest},
		{"no receipt yet", p.do("GET", "/v1/receipts"+p.q()+"&lane=1", nil, 0, nil), 404, CodeNotFound},
		{"no such lane", p.do("GET", "/v1/receipts"+p.q()+"&lane=7", nil, 0, nil), 404, CodeNotFound},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.got.wantCode(t, tc.status, tc.code) })
	}
	if u := n.Store().Usage(); u.Pieces != 1 || u.Reserved != 0 {
		t.Errorf("refusals left %+v", u)
	}
}

// The bytes served and not paid never exceed the window, whatever is asked.
func TestWindow(t *testing.T) {
	n, p := leased(t, nil)
	data := randomBytes(1, 1<<20)
	root := p.mustPut(data)
	start := int(receipt.ByteWindow.Start)
	due := p.get(root, 0, start+1, nil).wantCode(t, http.StatusPaymentRequired, CodeReceiptDue).json(t)
	if due["available"] != float64(start) || due["units_served"] != 0. || due["window"] != float64(start) {
		t.Errorf("refusal says %v", due)
	}
	p.mustRead(root, len(data), 0, start, nil)
	p.get(root, 0, 1, nil).wantCode(t, http.StatusPaymentRequired, CodeReceiptDue)
	r := p.receipt(uint64(start))
	res := p.get(root, start, start, &r).want(t, http.StatusOK)
	b, err := base64.StdEncoding.DecodeString(res.header.Get(HeaderReceipt))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := receipt.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := signed.Verify(receipt.ChainOf(chainID), receipt.Key(tunnel.KeyOf(payerKey)), receipt.Key(tunnel.KeyOf(n.key))); err != nil {
		t.Error(err)
	}
	// The other lane has a window of its own.
	second := n.payer(t, p.lease, secondKey)
	second.mustRead(root, len(data), 0, start, nil)
	second.get(root, 0, 1, nil).wantCode(t, http.StatusPaymentRequired, CodeReceiptDue)
}

func TestReceiptsSurviveRestart(t *testing.T) {
	n, p := leased(t, nil)
	data := randomBytes(1, 300_000)
	root := p.mustPut(data)
	p.mustRead(root, len(data), 0, 100_000, nil)
	r := p.receipt(100_000)
	signed := p.pay(r).want(t, http.StatusOK)
	if again := p.pay(r).want(t, http.StatusOK); !bytes.Equal(again.body, signed.body) {
		t.Error("the same receipt again gives another answer")
	}
	n.restart(t, nil)
	p2 := n.payer(t, p.lease, payerKey)
	if got := p2.do("GET", "/v1/receipts"+p2.q()+"&lane=1", nil, 0, nil).want(t, http.StatusOK); !bytes.Equal(got.body, signed.body) {
		t.Error("the newest receipt is another after a restart")
	}
	stale := p2.receipt(50_000)
	p2.pay(stale).wantCode(t, http.StatusConflict, CodeStale)
	forged := p2.receipt(200_000)
	forged.Units++
	p2.pay(forged).wantCode(t, http.StatusForbidden, CodeBadSignature)
}

// Killed without Close, a provider comes back having counted at least what it served.
func TestServedIsNeverForgotten(t *testing.T) {
	n, p := leased(t, nil)
	data := randomBytes(1, 300_000)
	root := p.mustPut(data)
	p.mustRead(root, len(data), 0, 150_000, nil)
	state := n.Store().Lane(p.lease, 1)
	terms := n.laneTerms(n.ledger.get(p.lease), n.ledger.get(p.lease).Lanes[0])
	m, err := receipt.NewProvider(terms, receipt.ByteWindow, state)
	if err != nil {
		t.Fatal(err)
	}
	if m.Meter().Served < 150_000 {
		t.Errorf("a crash now would remember %d served", m.Meter().Served)
	}
}

func TestFundingALaneOpensIt(t *testing.T) {
	n := start(t, nil)
	id := n.ledger.open(t, 1, 64<<20, 1000, 100, tunnel.KeyOf(payerKey)) // 100 ucredit: 103,423 bytes
	p := n.payer(t, id, payerKey)
	data := randomBytes(1, 150_000)
	root := p.mustPut(data)
	p.get(root, 0, 150_000, nil).wantCode(t, http.StatusPaymentRequired, CodeReceiptDue)
	p.mustRead(root, len(data), 0, 103_423, nil)
	r := p.receipt(103_423)
	p.get(root, 0, 10, &r).wantCode(t, http.StatusPaymentRequired, CodeLaneSpent)
	n.ledger.update(id, func(l lease.Lease) lease.Lease {
		l, _, err := l.Fund(0, []lease.Lane{{ID: 1, Key: tunnel.KeyOf(payerKey), Cap: 1000}}, 1)
		if err != nil {
			t.Fatal(err)
		}
		return l
	})
	n.clock.add(3e9)
	p.mustRead(root, len(data), 0, 10_000, nil)
}

// A bit that flips on the disk is caught by the reader, by the provider's own check
// before it proves, and by a scrub.
func TestFlippedBitIsCaught(t *testing.T) {
	n, p := leased(t, nil)
	data := randomBytes(1, 100_000)
	root := p.mustPut(data)
	p.commit([]proof.Piece{{Root: root, Size: 100_000}}, nil)
	head := proof.Head{Lease: p.lease, Root: p.set.Root(), Units: p.set.Units()}
	if _, err := n.Prove(t.Context(), [32]byte{1}, []proof.Head{head}, 20); err != nil {
		t.Fatal(err)
	}
	flipBit(t, n.Store().Path(root), 55_555)
	if _, err := p.read(root, len(data), 50_000, 20_000, nil); !errors.Is(err, piece.ErrInvalid) {
		t.Errorf("reader: %v", err)
	}
	if got, err := p.read(root, len(data), 0, 10_000, nil); err != nil || !bytes.Equal(got, data[:10_000]) {
		t.Errorf("a range beside the damage: %v", err)
	}
	if _, err := n.Prove(t.Context(), [32]byte{1}, []proof.Head{head}, 250); !errors.Is(err, proof.ErrInvalid) {
		t.Errorf("prover: %v", err)
	}
	p.mustPut(randomBytes(2, 1000))
	if checked, damaged, err := n.Scrub(t.Context()); checked != 2 || damaged != 1 || err != nil {
		t.Errorf("scrub read %d pieces, found %d damaged: %v", checked, damaged, err)
	}
	p.mustPut(data) // the payer has it still: what is damaged is written again
	if checked, damaged, err := n.Scrub(t.Context()); checked != 2 || damaged != 0 || err != nil {
		t.Errorf("scrub after the repair read %d pieces, found %d damaged: %v", checked, damaged, err)
	}
}

func TestCommitments(t *testing.T) {
	n, p := leased(t, nil)
	var pieces []proof.Piece
	for i := range uint64(3) {
		pieces = append(pieces, proof.Piece{Root: p.mustPut(randomBytes(i, 1000)), Size: 1000})
	}
	p.commit(pieces[:2], nil)
	j, next := p.commitment(pieces[2:], []piece.Root{pieces[0].Root})
	first := p.post(j).want(t, http.StatusOK)
	if again := p.post(j).want(t, http.StatusOK); !bytes.Equal(first.body, again.body) {
		t.Error("the same commitment again gives another answer")
	}
	p.set, p.rev = next, 2
	if got := p.do("GET", "/v1/commitments"+p.q(), nil, 0, nil).want(t, http.StatusOK); !bytes.Equal(got.body, first.body) {
		t.Error("newest commitment differs")
	}
	set := p.do("GET", "/v1/sets"+p.q(), nil, 0, nil).want(t, http.StatusOK).json(t)
	if set["root"] != hexOf(next.Root()) || len(set["pieces"].([]any)) != 2 {
		t.Errorf("set %v", set)
	}

	stored := proof.Piece{Root: p.mustPut(randomBytes(9, 500)), Size: 500}
	absent := proof.Piece{Root: piece.Root{1}, Size: 500}
	good, _ := p.commitment([]proof.Piece{stored}, nil)
	forged, oldRevision, wrongUnits := good, good, good
	forged.Units++
	wrongUnits.Units, wrongUnits.PayerSig = 5, ""
	oldRevision.Revision = 2
	missing, _ := p.commitment([]proof.Piece{absent}, nil)
	incomplete := good
	incomplete.Add = nil
	for _, tc := range []struct {
		name   string
		body   CommitmentJSON
		status int
		code   string
	}{
		{"forged", forged, 403, CodeBadSignature},
		{"no signature", wrongUnits, 400, CodeBadRequest},
		{"changed revision", oldRevision, 403, CodeBadSignature},
		{"missing piece", missing, 409, CodeMissing},
		{"set differs", incomplete, 409, CodeDiffers},
	} {
		got := p.post(tc.body).wantCode(t, tc.status, tc.code).json(t)
		if tc.code == CodeDiffers && got["root"] != hexOf(next.Root()) {
			t.Errorf("%s: provider's root %v", tc.name, got["root"])
		}
		if tc.code == CodeMissing && got["missing"].([]any)[0] != absent.Root.String() {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
	p.post(good).want(t, http.StatusOK)
	n.restart(t, nil)
	if s := n.Status(); s.Pieces != 4 || s.Leases != 1 {
		t.Errorf("status %+v", s)
	}
}

func TestCommitRules(t *testing.T) {
	n, p := leased(t, nil)
	a := proof.Piece{Root: p.mustPut(randomBytes(1, 1000)), Size: 1000}
	b := proof.Piece{Root: p.mustPut(randomBytes(2, 1000)), Size: 1000}
	p.commit([]proof.Piece{a}, nil)
	n.ledger.update(p.lease, func(l lease.Lease) lease.Lease { l.State = lease.Grace; return l })
	n.leases.expire()
	grow, _ := p.commitment([]proof.Piece{b}, nil)
	p.post(grow).wantCode(t, http.StatusPaymentRequired, CodeLeaseState)
	shrink, _ := p.commitment(nil, []piece.Root{a.Root})
	p.post(shrink).want(t, http.StatusOK)
}

func TestStatusIsForAnybody(t *testing.T) {
	n, _ := leased(t, nil)
	s := n.payer(t, [32]byte{}, strangerKey).do("GET", "/v1/status", nil, 0, nil).want(t, http.StatusOK).json(t)
	if s["capacity"] != float64(1<<30) || s["problems"] != nil {
		t.Errorf("status %v", s)
	}
}

// While the ledger does not answer, known leases go on being served.
func TestLedgerOutage(t *testing.T) {
	n, p := leased(t, nil)
	data := randomBytes(1, 10_000)
	root := p.mustPut(data)
	n.ledger.fail(errors.New("connection refused"))
	n.clock.add(3600e9)
	p.mustRead(root, len(data), 0, 5_000, nil)
	q := *p
	q.lease = [32]byte{77}
	q.get(root, 0, 1, nil).wantCode(t, http.StatusServiceUnavailable, CodeUnavailable)
}

func FuzzCommitmentJSON(f *testing.F) {
	var c receipt.Commitment
	good := commitmentJSON(c)
	good.Add = []string{piece.Root{1}.String()}
	b, err := json.Marshal(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"lease":"zz"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var j CommitmentJSON
		if json.Unmarshal(b, &j) != nil {
			return
		}
		c, add, _, err := j.parse()
		if err != nil {
			return
		}
		if again := commitmentJSON(c); !strings.EqualFold(again.PayerSig, j.PayerSig) || len(add) != len(j.Add) {
			t.Fatalf("read %+v as %+v", j, again)
		}
	})
}

// BenchmarkAPI moves 1 MiB pieces through a real tunnel on loopback.
func BenchmarkAPI(b *testing.B) {
	wide := receipt.Window{Start: 1 << 50, Ceiling: 1 << 50, Request: 1 << 50}
	n := start(b, func(c *Config) { c.Capacity, c.Window = 1<<40, wide })
	id := n.ledger.open(b, 1, 1<<40, 1<<40, 1<<40, tunnel.KeyOf(payerKey))
	p := n.payer(b, id, payerKey)
	data := randomBytes(1, 1<<20)
	root := p.mustPut(data)
	b.Run("put", func(b *testing.B) {
		b.SetBytes(1 << 20)
		for i := uint64(0); b.Loop(); i++ {
			binary.BigEndian.PutUint64(data, i+uint64(b.N)<<32)
			p.put(data)
		}
	})
	for _, length := range []int{64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("get-%dK", length>>10), func(b *testing.B) {
			b.SetBytes(int64(length))
			for b.Loop() {
				p.mustRead(root, 1<<20, 0, length, nil)
			}
		})
	}
}
