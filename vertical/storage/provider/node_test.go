package provider

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/tunnel"
	"github.com/grange-network/grange/vertical/storage/piece"
	"github.com/grange-network/grange/vertical/storage/proof"
)

func keyOf(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// node is a provider serving through a real tunnel beside an in-memory ledger.
type node struct {
	*Provider
	ledger *ledger
	clock  *clock
	dir    string
	key    ed25519.PrivateKey
	addr   string
	stop   func()
}

func start(t testing.TB, change func(*Config)) *node {
	t.Helper()
	n := &node{key: keyOf(200), dir: t.TempDir(), clock: &clock{t: time.Unix(1_700_000_000, 0)}}
	n.ledger = newLedger([32]byte{0xde}, receipt.Key(tunnel.KeyOf(n.key)))
	n.run(t, change)
	t.Cleanup(func() { n.stop() })
	return n
}

// run opens the provider on its directory and serves it.
func (n *node) run(t testing.TB, change func(*Config)) {
	t.Helper()
	conf := Config{
		Dir: n.dir, Capacity: 1 << 30, Chain: chainID, Device: n.ledger.device, Key: n.key,
		Leases: n.ledger, Oracle: n.ledger, Market: n.ledger, PeerKey: tunnel.PeerKey,
		Now: n.clock.now, Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&conf)
	}
	p, err := Open(conf)
	if err != nil {
		t.Fatal(err)
	}
	base, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := tunnel.Listen(base, n.key, tunnel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: p.Handler(), ConnContext: tunnel.ConnContext}
	done := make(chan struct{})
	go func() { srv.Serve(l); close(done) }()
	n.Provider, n.addr = p, base.Addr().String()
	n.stop = sync.OnceFunc(func() {
		srv.Close()
		l.Close()
		<-done
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

func (n *node) restart(t testing.TB, change func(*Config)) {
	t.Helper()
	n.stop()
	n.run(t, change)
}

// payer is a client with one session key on one lease.
type payer struct {
	t     testing.TB
	lease [32]byte
	key   ed25519.PrivateKey
	http  *http.Client
	seq   uint64
	set   proof.Set
	rev   uint64
}

func (n *node) payer(t testing.TB, lease [32]byte, key ed25519.PrivateKey) *payer {
	t.Helper()
	d, err := tunnel.NewDialer(key, tunnel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	target := tunnel.Target{Endpoint: tunnel.Endpoint{Scheme: tunnel.SchemeTCP, Addr: n.addr}, Peer: tunnel.KeyOf(n.key)}
	tr := &http.Transport{DialContext: d.DialContext(target), DisableCompression: true, ExpectContinueTimeout: 5 * time.Second}
	t.Cleanup(func() { tr.CloseIdleConnections(); d.Close() })
	return &payer{t: t, lease: lease, key: key, http: &http.Client{Transport: tr}}
}

// reply is a whole answer.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) json(t testing.TB) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(r.body, &m); err != nil {
		t.Fatalf("answer %d %q: %v", r.status, r.body, err)
	}
	return m
}

func (r reply) want(t testing.TB, status int) reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

func (r reply) wantCode(t testing.TB, status int, code string) reply {
	t.Helper()
	if r.want(t, status); r.json(t)["code"] != code {
		t.Fatalf("code %v, want %s: %s", r.json(t)["code"], code, r.body)
	}
	return r
}

func (p *payer) do(method, path string, body io.Reader, size int64, header http.Header) reply {
	p.t.Helper()
	req, err := http.NewRequest(method, "http://provider"+path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	req.ContentLength = size
	if header != nil {
		req.Header = header
	}
	res, err := p.http.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, b}
}

func (p *payer) q() string { return "?lease=" + hex.EncodeToString(p.lease[:]) }

func (p *payer) put(data []byte) (piece.Root, reply) {
	p.t.Helper()
	root, err := piece.Sum(data)
	if err != nil {
		p.t.Fatal(err)
	}
	return root, p.do("PUT", "/v1/pieces/"+root.String()+p.q(), bytes.NewReader(data), int64(len(data)), nil)
}

func (p *payer) mustPut(data []byte) piece.Root {
	p.t.Helper()
	root, r := p.put(data)
	r.want(p.t, http.StatusCreated)
	return root
}

func (p *payer) get(root piece.Root, off, n int, pay *receipt.Receipt) reply {
	p.t.Helper()
	h := http.Header{}
	if pay != nil {
		h.Set(HeaderReceipt, base64.StdEncoding.EncodeToString(pay.Encode()))
	}
	return p.do("GET", fmt.Sprintf("/v1/pieces/%v%s&offset=%d&length=%d", root, p.q(), off, n), nil, 0, h)
}

// mustRead reads a range and verifies it.
func (p *payer) mustRead(root piece.Root, size, off, n int, pay *receipt.Receipt) []byte {
	p.t.Helper()
	b, err := p.read(root, size, off, n, pay)
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

func (p *payer) read(root piece.Root, size, off, n int, pay *receipt.Receipt) ([]byte, error) {
	p.t.Helper()
	r := p.get(root, off, n, pay).want(p.t, http.StatusOK)
	s, err := piece.NewSliceReader(bytes.NewReader(r.body), root, int64(size), int64(off), int64(n))
	if err != nil {
		p.t.Fatal(err)
	}
	return io.ReadAll(s)
}

func (p *payer) receipt(units uint64) receipt.Receipt {
	p.t.Helper()
	p.seq++
	r := receipt.Receipt{Lease: p.lease, Lane: 1, Seq: p.seq, Units: units, Epoch: 1}
	if err := r.SignPayer(receipt.ChainOf(chainID), p.key); err != nil {
		p.t.Fatal(err)
	}
	return r
}

func (p *payer) pay(r receipt.Receipt) reply {
	p.t.Helper()
	b := r.Encode()
	return p.do("POST", "/v1/receipts"+p.q(), bytes.NewReader(b), int64(len(b)), nil)
}

// commitment signs the next revision of the payer's view of the set.
func (p *payer) commitment(add []proof.Piece, remove []piece.Root) (CommitmentJSON, proof.Set) {
	p.t.Helper()
	next := p.set
	j := CommitmentJSON{}
	var err error
	for _, a := range add {
		if next, err = next.Add(a); err != nil {
			p.t.Fatal(err)
		}
		j.Add = append(j.Add, a.Root.String())
	}
	for _, r := range remove {
		if next, err = next.Remove(r); err != nil {
			p.t.Fatal(err)
		}
		j.Remove = append(j.Remove, r.String())
	}
	c := receipt.Commitment{Lease: p.lease, Revision: p.rev + 1, Root: next.Root(), Units: next.Units()}
	if err := c.SignPayer(receipt.ChainOf(chainID), p.key); err != nil {
		p.t.Fatal(err)
	}
	signed := commitmentJSON(c)
	signed.Add, signed.Remove, signed.ProviderSig = j.Add, j.Remove, ""
	return signed, next
}

func (p *payer) post(j CommitmentJSON) reply {
	p.t.Helper()
	b, err := json.Marshal(j)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.do("POST", "/v1/commitments", bytes.NewReader(b), int64(len(b)), nil)
}

func (p *payer) commit(add []proof.Piece, remove []piece.Root) {
	p.t.Helper()
	j, next := p.commitment(add, remove)
	p.post(j).want(p.t, http.StatusOK)
	p.set, p.rev = next, p.rev+1
}

func randomBytes(seed uint64, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 7}).Read(b)
	return b
}

// flipBit damages a stored piece as a failing disk would.
func flipBit(t testing.TB, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

// running runs the duties until the test ends; block makes one block and waits until
// the ledger or the provider's counters show that cond holds.
type running struct {
	t      testing.TB
	n      *node
	blocks chan struct{}
	wait   func()
}

func (n *node) duties(t testing.TB) *running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: t, n: n, blocks: make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx, r.blocks) }()
	r.wait = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.wait)
	return r
}

// until makes blocks until cond holds.
func (r *running) until(what string, cond func() bool) {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	for !cond() {
		select {
		case r.blocks <- struct{}{}:
		case <-r.n.ledger.changed:
		case <-deadline:
			r.t.Fatalf("%s: did not happen; status %+v", what, r.n.Status())
		}
	}
}
