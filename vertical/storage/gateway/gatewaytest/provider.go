package gatewaytest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/tunnel"
	"github.com/grange-network/grange/vertical/storage/gateway"
	"github.com/grange-network/grange/vertical/storage/piece"
	"github.com/grange-network/grange/vertical/storage/proof"
)

// Provider is a storage provider in memory behind a real tunnel, with faults to
// switch on. It keeps everything it was sent until its process would end.
type Provider struct {
	ledger   *Ledger
	key      ed25519.PrivateKey
	device   gateway.DeviceID
	owner    string
	offer    uint64
	addr     string
	Faults   Faults
	listener *tunnel.Listener
	server   *http.Server
	wg       sync.WaitGroup

	mu     sync.Mutex
	pieces map[piece.Root]*held
	leases map[gateway.LeaseID]*account
}

// Faults are what a provider does wrong. The zero value does nothing wrong.
type Faults struct {
	Full   atomic.Bool  // refuse uploads: no room
	Flip   atomic.Bool  // flip a bit in everything that is read
	Forget atomic.Bool  // answer 404 to reads
	Stall  atomic.Bool  // take requests and never answer
	Delay  atomic.Int64 // nanoseconds before each answer
	NoSign atomic.Bool  // refuse to countersign commitments
	// LoseAnswer breaks the connection after a commitment was countersigned.
	LoseAnswer atomic.Bool
	Overbill   atomic.Int64 // bytes more than served that a 402 claims
	Puts       atomic.Int64 // uploads that ended well
	Reads      atomic.Int64 // reads served
	Unpaid     atomic.Int64 // 402 answers
}

type held struct {
	data     []byte
	outboard []byte
}

type account struct {
	machine *receipt.Provider
	terms   receipt.Terms
	set     proof.Set
	last    receipt.Commitment
	stored  map[piece.Root]bool
}

// NewProvider makes a provider of the given owner with an offer on the ledger,
// listening on loopback. Stop it at the end.
func NewProvider(ledger *Ledger, owner string, use, hold money.Price) (*Provider, error) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	base, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Provider{ledger: ledger, key: key, owner: owner, addr: base.Addr().String(),
		device: DeviceOf(pub),
		pieces: map[piece.Root]*held{}, leases: map[gateway.LeaseID]*account{}}
	p.offer = ledger.Post(gateway.Offer{
		Provider: gateway.Provider{Owner: owner, Device: p.device, Key: [32]byte(pub), Endpoint: "tcp://" + p.addr},
		Use:      use, Hold: hold, Free: 1 << 40,
	})
	return p, p.serve(base)
}

// DeviceOf is the device id of an ed25519 public key.
func DeviceOf(pub ed25519.PublicKey) gateway.DeviceID {
	key, err := device.NewPublicKey(device.Ed25519, pub)
	if err != nil {
		panic(err) // a generated key is valid
	}
	return gateway.DeviceID(key.ID())
}

func (p *Provider) serve(base net.Listener) error {
	l, err := tunnel.Listen(base, p.key, tunnel.Options{})
	if err != nil {
		return err
	}
	p.listener = l
	p.server = &http.Server{Handler: p.handler(), ConnContext: tunnel.ConnContext, ReadHeaderTimeout: 10 * time.Second}
	p.wg.Go(func() { _ = p.server.Serve(l) })
	return nil
}

// Stop kills the provider: every connection breaks.
func (p *Provider) Stop() {
	p.server.Close()
	p.listener.Close()
	p.wg.Wait()
}

// Start brings a stopped provider back at the same address with its data.
func (p *Provider) Start() error {
	base, err := net.Listen("tcp", p.addr)
	if err != nil {
		return err
	}
	return p.serve(base)
}

// MoveTo starts a stopped provider at another address and tells the ledger.
func (p *Provider) MoveTo(addr string) error {
	p.addr = addr
	if err := p.Start(); err != nil {
		return err
	}
	p.addr = p.listener.Addr().String()
	p.ledger.Move(p.device, "tcp://"+p.addr)
	return nil
}

// Route makes the provider reachable through a router only, and tells the
// ledger.
func (p *Provider) Route(ctx context.Context, router string) error {
	p.Stop()
	if err := p.serve(nil); err != nil {
		return err
	}
	if err := p.listener.Register(router); err != nil {
		return err
	}
	key := [32]byte(p.key.Public().(ed25519.PublicKey))
	p.ledger.Move(p.device, tunnel.Endpoint{Scheme: tunnel.SchemeRouter, Addr: router, Key: key}.String())
	return p.listener.Registered(ctx, router)
}

// Device returns the provider's device id.
func (p *Provider) Device() gateway.DeviceID { return p.device }

// Owner returns the provider's owner.
func (p *Provider) Owner() string { return p.owner }

// Holds reports whether the provider has the piece.
func (p *Provider) Holds(root piece.Root) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pieces[root] != nil
}

// Lose deletes a piece as a failed disk would.
func (p *Provider) Lose(root piece.Root) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pieces, root)
}

// Pieces returns how many pieces are stored.
func (p *Provider) Pieces() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.pieces)
}

// Committed returns the number of pieces and the revision of a lease's newest
// commitment.
func (p *Provider) Committed(id gateway.LeaseID) (pieces int, revision uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.leases[id]
	if a == nil {
		return 0, 0
	}
	return a.set.Len(), a.last.Revision
}

// Meter returns what a lease's lane has served and been paid for.
func (p *Provider) Meter(id gateway.LeaseID) receipt.Meter {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.leases[id]; a != nil {
		return a.machine.Meter()
	}
	return receipt.Meter{}
}

func (p *Provider) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /v1/pieces/{root}", p.authorised(p.put))
	mux.HandleFunc("GET /v1/pieces/{root}", p.authorised(p.get))
	mux.HandleFunc("HEAD /v1/pieces/{root}", p.authorised(p.head))
	mux.HandleFunc("POST /v1/receipts", p.authorised(p.pay))
	mux.HandleFunc("GET /v1/receipts", p.authorised(p.lastReceipt))
	mux.HandleFunc("POST /v1/commitments", p.authorised(p.commit))
	mux.HandleFunc("GET /v1/sets", p.authorised(p.sets))
	mux.HandleFunc("GET /v1/status", p.authorised(func(w http.ResponseWriter, r *http.Request, a *account) { _, _ = io.WriteString(w, "{}") }))
	return mux
}

func refuse(w http.ResponseWriter, status int, code, message string, more map[string]any) {
	body := map[string]any{"error": message, "code": code}
	for k, v := range more {
		body[k] = v
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// authorised finds the lease whose lane has the peer's key.
func (p *Provider) authorised(next func(http.ResponseWriter, *http.Request, *account)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if p.Faults.Stall.Load() {
			_, _ = io.Copy(io.Discard, r.Body) // so that the server notices the client going away
			<-r.Context().Done()
			return
		}
		if d := p.Faults.Delay.Load(); d > 0 {
			select {
			case <-time.After(time.Duration(d)):
			case <-r.Context().Done():
				return
			}
		}
		raw, _ := hex.DecodeString(r.URL.Query().Get("lease"))
		peer, ok := tunnel.PeerKey(r.Context())
		if len(raw) != 32 || !ok {
			refuse(w, http.StatusForbidden, "lease", "name a lease of yours", nil)
			return
		}
		a, err := p.account(gateway.LeaseID(raw), peer)
		if err != nil {
			refuse(w, http.StatusForbidden, "lease", err.Error(), nil)
			return
		}
		next(w, r, a)
	}
}

func (p *Provider) account(id gateway.LeaseID, peer [32]byte) (*account, error) {
	le, ok := p.ledger.Lease(id)
	if !ok || le.Device != p.device || le.Lanes[0].Key != peer {
		return nil, fmt.Errorf("lease %x is not yours here", id)
	}
	if le.State != lease.Open && le.State != lease.Grace {
		return nil, fmt.Errorf("lease %x is %s", id, le.State)
	}
	terms := receipt.Terms{Chain: p.ledger.Chain, Lease: id, Lane: le.Lanes[0].ID, Payer: receipt.Key(peer),
		Provider: receipt.Key(p.key.Public().(ed25519.PublicKey)), Cap: le.Use.Units(le.Lanes[0].Cap), Expires: ^uint64(0)}
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.leases[id]
	var state []byte
	switch {
	case a == nil:
		a = &account{stored: map[piece.Root]bool{}}
		p.leases[id] = a
	case a.terms == terms:
		return a, nil
	default:
		state = a.machine.State()
	}
	machine, err := receipt.NewProvider(terms, receipt.ByteWindow, state)
	a.machine, a.terms = machine, terms
	return a, err
}

func (p *Provider) put(w http.ResponseWriter, r *http.Request, a *account) {
	root, err := piece.ParseRoot(r.PathValue("root"))
	switch {
	case err != nil || r.ContentLength < 1 || r.ContentLength > piece.MaxSize:
		refuse(w, http.StatusBadRequest, "piece", "give a root and a length", nil)
		return
	case p.Faults.Full.Load():
		refuse(w, http.StatusInsufficientStorage, "full", "no room left", nil)
		return
	}
	if le, _ := p.ledger.Lease(a.terms.Lease); le.State != lease.Open {
		refuse(w, http.StatusPaymentRequired, "grace", "the lease is not funded", nil)
		return
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, piece.MaxSize))
	if err != nil || int64(len(data)) != r.ContentLength {
		return
	}
	var h piece.Hasher
	_, _ = h.Write(data)
	got, outboard := h.Outboard()
	if got != root {
		refuse(w, http.StatusUnprocessableEntity, "root", "bytes have another root", nil)
		return
	}
	p.mu.Lock()
	p.pieces[root] = &held{data, outboard}
	a.stored[root] = true
	p.mu.Unlock()
	p.Faults.Puts.Add(1)
	w.WriteHeader(http.StatusCreated)
}

func (p *Provider) find(r *http.Request) (piece.Root, *held) {
	root, err := piece.ParseRoot(r.PathValue("root"))
	if err != nil || p.Faults.Forget.Load() {
		return root, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return root, p.pieces[root]
}

func (p *Provider) head(w http.ResponseWriter, r *http.Request, _ *account) {
	if _, h := p.find(r); h == nil {
		w.WriteHeader(http.StatusNotFound)
	}
}

func (p *Provider) get(w http.ResponseWriter, r *http.Request, a *account) {
	_, h := p.find(r)
	if h == nil {
		refuse(w, http.StatusNotFound, "piece", "no such piece", nil)
		return
	}
	off, err1 := strconv.ParseInt(r.URL.Query().Get("offset"), 10, 64)
	n, err2 := strconv.ParseInt(r.URL.Query().Get("length"), 10, 64)
	if err := errors.Join(err1, err2); err != nil || n < 1 || off < 0 || off+n > int64(len(h.data)) {
		refuse(w, http.StatusRequestedRangeNotSatisfiable, "range", "range outside piece", nil)
		return
	}
	if raw, err := base64.StdEncoding.DecodeString(r.Header.Get(gateway.HeaderReceipt)); err == nil && len(raw) > 0 {
		if signed, err := p.accept(a, raw); err == nil {
			w.Header().Set(gateway.HeaderReceipt, base64.StdEncoding.EncodeToString(signed.Encode()))
		}
	}
	p.mu.Lock()
	epoch, _ := p.ledger.Epoch(r.Context())
	grant, err := a.machine.Serve(uint64(n), epoch)
	if err != nil || grant.Units < uint64(n) {
		a.machine.Release(grant.Units)
		m := a.machine.Meter()
		p.mu.Unlock()
		p.Faults.Unpaid.Add(1)
		refuse(w, http.StatusPaymentRequired, "receipt_due", "send a receipt", map[string]any{
			"units_served": m.Served + uint64(p.Faults.Overbill.Load()), "units_paid": m.Paid, "window": m.Window})
		return
	}
	p.mu.Unlock()
	data := h.data
	if p.Faults.Flip.Load() {
		data = bytes.Clone(data)
		data[off+n/2] ^= 1
	}
	p.Faults.Reads.Add(1)
	_ = piece.WriteSlice(w, bytes.NewReader(data), bytes.NewReader(h.outboard), int64(len(data)), off, n)
}

func (p *Provider) accept(a *account, raw []byte) (receipt.Receipt, error) {
	rc, err := receipt.Decode(raw)
	if err != nil {
		return rc, err
	}
	epoch, _ := p.ledger.Epoch(context.Background())
	p.mu.Lock()
	defer p.mu.Unlock()
	return a.machine.Accept(rc, epoch, p.key)
}

func (p *Provider) pay(w http.ResponseWriter, r *http.Request, a *account) {
	raw, _ := io.ReadAll(io.LimitReader(r.Body, receipt.Size+1))
	signed, err := p.accept(a, raw)
	if errors.Is(err, receipt.ErrStale) {
		refuse(w, http.StatusConflict, "stale", err.Error(), nil)
		return
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "receipt", err.Error(), nil)
		return
	}
	w.Write(signed.Encode())
}

func (p *Provider) lastReceipt(w http.ResponseWriter, _ *http.Request, a *account) {
	p.mu.Lock()
	defer p.mu.Unlock()
	newest := a.machine.Newest()
	if newest.Seq == 0 {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Write(newest.Encode())
}

func (p *Provider) commit(w http.ResponseWriter, r *http.Request, a *account) {
	var body struct {
		Revision    uint64
		Root        string
		Units       uint64
		PayerSig    string `json:"payer_sig"`
		Add, Remove []string
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<22)).Decode(&body); err != nil || p.Faults.NoSign.Load() {
		refuse(w, http.StatusBadRequest, "commitment", "not signed", nil)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := receipt.Commitment{Lease: a.terms.Lease, Revision: body.Revision, Units: body.Units}
	root, _ := hex.DecodeString(body.Root)
	sig, _ := hex.DecodeString(body.PayerSig)
	copy(c.Root[:], root)
	copy(c.PayerSig[:], sig)
	set, err := p.apply(a, body.Add, body.Remove)
	switch {
	case c.Revision == a.last.Revision && c.Root == a.last.Root && c.Units == a.last.Units:
		c = a.last
	case err != nil || set.Root() != c.Root || set.Units() != c.Units || c.Revision != a.last.Revision+1:
		own := a.set.Root()
		refuse(w, http.StatusConflict, "root", fmt.Sprintf("set differs: %v", err), map[string]any{"root": hex.EncodeToString(own[:])})
		return
	default:
		if c.VerifyPayer(p.ledger.Chain, a.terms.Payer) != nil || c.CountersignProvider(p.ledger.Chain, p.key) != nil {
			refuse(w, http.StatusBadRequest, "signature", "not signed by the payer", nil)
			return
		}
		a.set, a.last = set, c
	}
	if p.Faults.LoseAnswer.Load() {
		panic(http.ErrAbortHandler)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"lease": hex.EncodeToString(c.Lease[:]), "revision": c.Revision, "root": body.Root, "units": c.Units,
		"payer_sig": body.PayerSig, "provider_sig": hex.EncodeToString(c.ProviderSig[:])})
}

func (p *Provider) sets(w http.ResponseWriter, _ *http.Request, a *account) {
	p.mu.Lock()
	defer p.mu.Unlock()
	type entry struct {
		Root string `json:"root"`
		Size int64  `json:"size"`
	}
	list := []entry{}
	for pc := range a.set.All() {
		list = append(list, entry{pc.Root.String(), pc.Size})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"revision": a.last.Revision, "pieces": list})
}

func (p *Provider) apply(a *account, add, remove []string) (proof.Set, error) {
	set := a.set
	for _, text := range remove {
		root, err := piece.ParseRoot(text)
		if err == nil {
			set, err = set.Remove(root)
		}
		if err != nil {
			return set, err
		}
	}
	for _, text := range add {
		root, err := piece.ParseRoot(text)
		if err != nil {
			return set, err
		}
		h := p.pieces[root]
		if h == nil || !a.stored[root] {
			return set, fmt.Errorf("piece %s is not stored", root)
		}
		if set, err = set.Add(proof.Piece{Root: root, Size: int64(len(h.data))}); err != nil {
			return set, err
		}
	}
	return set, nil
}
