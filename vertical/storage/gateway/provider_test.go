package gateway_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/tunnel"
	"github.com/grange-network/grange/vertical/storage/gateway"
	"github.com/grange-network/grange/vertical/storage/gateway/gatewaytest"
	"github.com/grange-network/grange/vertical/storage/provider"
)

// realProvider is package provider behind a tunnel, on a disk, with the
// in-memory ledger.
type realProvider struct {
	ledger *gatewaytest.Ledger
	key    ed25519.PrivateKey
	device gateway.DeviceID
	dir    string
	addr   string

	p        *provider.Provider
	listener *tunnel.Listener
	server   *http.Server
	cancel   context.CancelFunc
	wg       sync.WaitGroup
}

// side is the ledger as a provider sees it.
type side struct{ *gatewaytest.Ledger }

func (s side) Lease(_ context.Context, id [32]byte) (lease.Lease, error) {
	l, ok := s.Ledger.Lease(id)
	if !ok {
		return l, fmt.Errorf("lease %x: %w", id, provider.ErrNoLease)
	}
	return l, nil
}

func (s side) Duty(ctx context.Context, _ [32]byte) (provider.Duty, error) {
	e, err := s.Ledger.Epoch(ctx)
	return provider.Duty{Epoch: e}, err
}

func (s side) Prove(context.Context, [32]byte, uint64, [][]byte) error { return nil }

func (s side) Settle(ctx context.Context, _ []receipt.Receipt, cs []receipt.Commitment) error {
	return s.Ledger.Commit(ctx, cs)
}

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRealProvider(t testing.TB, ledger *gatewaytest.Ledger, owner string, capacity int64) *realProvider {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := &realProvider{ledger: ledger, key: key, device: gatewaytest.DeviceOf(pub), dir: t.TempDir(), addr: "127.0.0.1:0"}
	r.start(t, capacity)
	ledger.Post(gateway.Offer{
		Provider: gateway.Provider{Owner: owner, Device: r.device, Key: [32]byte(pub), Endpoint: "tcp://" + r.addr},
		Use:      usePrice, Hold: holdPrice, Free: 1 << 40,
	})
	t.Cleanup(r.stop)
	return r
}

func (r *realProvider) start(t testing.TB, capacity int64) {
	t.Helper()
	base, err := net.Listen("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	r.addr = base.Addr().String()
	r.p, err = provider.Open(provider.Config{
		Dir: r.dir, Capacity: capacity, Chain: "grange-test-1", Device: r.device, Key: r.key,
		Leases: side{r.ledger}, Oracle: side{r.ledger}, Market: side{r.ledger}, PeerKey: tunnel.PeerKey,
		LeaseAge: 50 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.listener, err = tunnel.Listen(base, r.key, tunnel.Options{}); err != nil {
		t.Fatal(err)
	}
	r.server = &http.Server{Handler: r.p.Handler(), ConnContext: tunnel.ConnContext}
	r.wg.Go(func() { _ = r.server.Serve(r.listener) })
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	blocks := make(chan struct{}, 1)
	r.wg.Go(func() { _ = r.p.Run(ctx, blocks) })
	r.wg.Go(func() { // a block every 10 ms
		for {
			select {
			case blocks <- struct{}{}:
			case <-ctx.Done():
				return
			}
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
				return
			}
		}
	})
}

func (r *realProvider) stop() {
	if r.p == nil {
		return
	}
	r.cancel()
	r.server.Close()
	r.listener.Close()
	r.wg.Wait()
	r.p.Close()
	r.p = nil
}

// flip changes a bit in the middle of every piece on the disk.
func (r *realProvider) flip(t testing.TB) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(r.dir, "pieces"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b[len(b)/3] ^= 0x10
		return os.WriteFile(path, b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestRealProviders runs the life of some segments with package provider over
// the tunnel: store, read, commit, restart, kill, corrupt, repair, delete.
func TestRealProviders(t *testing.T) {
	nw := newNetwork(t, 0, nil)
	var real []*realProvider
	for i := range 12 {
		real = append(real, newRealProvider(t, nw.ledger, fmt.Sprint("owner", i), 1<<30))
	}
	byDevice := func(id gateway.SegmentID, shard int) *realProvider {
		seg, err := nw.engine.Segment(id)
		if err != nil {
			t.Fatal(err)
		}
		le, _ := nw.ledger.Lease(seg.Pieces[shard].Lease)
		for _, r := range real {
			if r.device == le.Device {
				return r
			}
		}
		t.Fatalf("no provider for shard %d", shard)
		return nil
	}
	data := random(24 << 20)
	small := random(70_000)
	id, id2 := nw.put(data), nw.put(small)
	nw.want(id, data)
	nw.want(id2, small)
	if err := nw.engine.Commit(nw.ctx()); err != nil {
		t.Fatal(err)
	}

	t.Run("provider restart", func(t *testing.T) {
		r := byDevice(id, 0)
		r.stop()
		nw.want(id, data)
		r.start(t, 1<<30)
		nw.want(id, data)
	})
	t.Run("gateway restart", func(t *testing.T) {
		nw.engine.Close()
		nw.open()
		nw.want(id, data)
	})
	t.Run("bit rot and a dead provider", func(t *testing.T) {
		byDevice(id, 1).flip(t)
		byDevice(id, 2).stop()
		nw.want(id, data)
		seg, _ := nw.engine.Segment(id)
		if seg.Pieces[1].State != gateway.PieceBad {
			t.Errorf("rotten piece is in state %d", seg.Pieces[1].State)
		}
	})
	t.Run("repair", func(t *testing.T) {
		seg, _ := nw.engine.Segment(id)
		if err := nw.ledger.Close(seg.Pieces[2].Lease, lease.ReasonFaulted); err != nil {
			t.Fatal(err)
		}
		epoch := nw.ledger.Turn()
		nw.waitFor("epoch", func() bool { return nw.health().Epoch == epoch })
		nw.waitFor("repair", func() bool {
			s, _ := nw.engine.Segment(id)
			return s.Pieces[1].State == gateway.PieceGood && s.Pieces[2].Lease != seg.Pieces[2].Lease
		})
		if err := nw.engine.Commit(nw.ctx()); err != nil {
			t.Fatal(err)
		}
		nw.want(id, data)
	})
	t.Run("delete", func(t *testing.T) {
		if err := nw.engine.Delete(nw.ctx(), id, id2); err != nil {
			t.Fatal(err)
		}
		if err := nw.engine.Commit(nw.ctx()); err != nil {
			t.Fatal(err)
		}
		for _, r := range real {
			if r.p == nil {
				continue
			}
			for _, l := range nw.ledger.LeasesOf(r.device) {
				if set, err := r.p.Store().Set(l.ID); l.State == lease.Open && (err != nil || set.Len() != 0) {
					t.Errorf("provider is still committed to %d pieces, %v", set.Len(), err)
				}
			}
		}
	})
}

// TestFullDisks: with most stores full the engine finds those that are not, and
// says so when there are too few.
func TestFullDisks(t *testing.T) {
	nw := newNetwork(t, 0, nil)
	for i := range 10 {
		capacity := int64(1 << 30)
		if i < 2 {
			capacity = 100_000
		}
		newRealProvider(t, nw.ledger, fmt.Sprint("owner", i), capacity)
	}
	data := random(2 << 20)
	id := nw.put(data)
	nw.want(id, data)
	seg, _ := nw.engine.Segment(id)
	for i, p := range seg.Pieces {
		if p.State != gateway.PieceGood {
			t.Errorf("piece %d is absent although eight stores had room", i)
		}
	}
}

// TestStateRolledBack: a gateway that comes back with an older state file (a backup)
// agrees with its providers again on sets and receipts.
func TestStateRolledBack(t *testing.T) {
	nw := newNetwork(t, 0, nil)
	for i := range 8 {
		newRealProvider(t, nw.ledger, fmt.Sprint("owner", i), 1<<30)
	}
	first := random(4 << 20)
	id := nw.put(first)
	nw.want(id, first)
	if err := nw.engine.Commit(nw.ctx()); err != nil {
		t.Fatal(err)
	}
	nw.engine.Close()
	path := filepath.Join(nw.conf.Dir, "gateway.db")
	backup, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	nw.open()
	second := random(3 << 20)
	nw.put(second)
	for range 3 {
		nw.want(id, first)
	}
	if err := nw.engine.Commit(nw.ctx()); err != nil {
		t.Fatal(err)
	}
	nw.engine.Close()
	if err := os.WriteFile(path, backup, 0o600); err != nil {
		t.Fatal(err)
	}
	nw.open()
	for range 5 {
		nw.want(id, first)
	}
	third := random(1 << 20)
	id3 := nw.put(third)
	nw.waitFor("agreement on the sets", func() bool { return nw.engine.Commit(nw.ctx()) == nil })
	nw.want(id3, third)
	nw.waitFor("the forgotten segment's pieces to be released", func() bool {
		_ = nw.engine.Commit(nw.ctx())
		h := nw.health()
		for _, l := range h.Leases {
			if l.Committed != l.Stored {
				return false
			}
		}
		return h.Segments == 2
	})
}

// BenchmarkEngine stores and reads 64 MiB segments over loopback with real
// providers in this process.
func BenchmarkEngine(b *testing.B) {
	nw := newNetwork(b, 0, nil)
	for i := range 8 {
		newRealProvider(b, nw.ledger, fmt.Sprint("owner", i), 1<<36)
	}
	data := random(64 << 20)
	id := nw.put(data)
	b.Run("put64MiB", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			id, err := nw.engine.Put(context.Background(), bytes.NewReader(data), int64(len(data)))
			if err != nil {
				b.Fatal(err)
			}
			_ = nw.engine.Delete(context.Background(), id)
		}
	})
	b.Run("read64MiB", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if err := nw.engine.Read(context.Background(), id, 0, -1, discard{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read64KiB", func(b *testing.B) {
		b.SetBytes(64 << 10)
		for b.Loop() {
			if err := nw.engine.Read(context.Background(), id, 1<<20, 64<<10, discard{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
