package gateway_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/vertical/storage/erasure"
	"github.com/grange-network/grange/vertical/storage/gateway"
	"github.com/grange-network/grange/vertical/storage/gateway/gatewaytest"
)

// network is a ledger, providers of distinct owners and one engine.
type network struct {
	t         testing.TB
	ledger    *gatewaytest.Ledger
	providers []*gatewaytest.Provider
	conf      gateway.Config
	engine    *gateway.Engine
}

var (
	usePrice  = money.Price{Credits: 1, Per: 1000}
	holdPrice = money.Price{Credits: 1, Per: 1_000_000}
)

// newNetwork starts n providers. change may edit the engine's configuration.
func newNetwork(t testing.TB, n int, change func(c *gateway.Config)) *network {
	t.Helper()
	nw := &network{t: t, ledger: gatewaytest.NewLedger("grange-test-1")}
	for i := range n {
		p, err := gatewaytest.NewProvider(nw.ledger, fmt.Sprint("owner", i), usePrice, holdPrice)
		if err != nil {
			t.Fatal(err)
		}
		nw.providers = append(nw.providers, p)
		t.Cleanup(p.Stop)
	}
	nw.conf = gateway.Config{
		Dir: t.TempDir(), Chain: nw.ledger.Chain, Ledger: nw.ledger,
		Keys:  erasure.Keys{Content: erasure.ContentKey{1}, Seal: erasure.SealKey{2}},
		Lease: gateway.LeasePolicy{Capacity: 1 << 32},
		Pace: gateway.Pace{
			PieceTimeout: 20 * time.Second, CommitDelay: 20 * time.Millisecond, RepairInterval: time.Hour,
			ProbeInterval: time.Hour, UnreachableAfter: time.Hour, UploadLinger: 200 * time.Millisecond,
		},
	}
	if os.Getenv("GATEWAY_TEST_LOG") != "" {
		nw.conf.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if change != nil {
		change(&nw.conf)
	}
	nw.open()
	t.Cleanup(func() { nw.engine.Close() })
	return nw
}

func (nw *network) open() {
	nw.t.Helper()
	e, err := gateway.New(nw.ctx(), nw.conf)
	if err != nil {
		nw.t.Fatal(err)
	}
	nw.engine = e
}

func (nw *network) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	nw.t.Cleanup(cancel)
	return ctx
}

func (nw *network) put(data []byte) gateway.SegmentID {
	nw.t.Helper()
	id, err := nw.engine.Put(nw.ctx(), bytes.NewReader(data), int64(len(data)))
	if err != nil {
		nw.t.Fatal(err)
	}
	return id
}

func (nw *network) read(id gateway.SegmentID, off, n int64) ([]byte, error) {
	var b bytes.Buffer
	err := nw.engine.Read(nw.ctx(), id, off, n, &b)
	return b.Bytes(), err
}

// want reads a whole segment and compares.
func (nw *network) want(id gateway.SegmentID, data []byte) {
	nw.t.Helper()
	got, err := nw.read(id, 0, -1)
	if err != nil {
		nw.t.Fatal(err)
	}
	if !bytes.Equal(got, data) {
		nw.t.Fatalf("read %d bytes that differ from the %d stored", len(got), len(data))
	}
}

// holders returns the providers of a segment by shard index, nil where absent.
func (nw *network) holders(id gateway.SegmentID) []*gatewaytest.Provider {
	nw.t.Helper()
	seg, err := nw.engine.Segment(id)
	if err != nil {
		nw.t.Fatal(err)
	}
	out := make([]*gatewaytest.Provider, len(seg.Pieces))
	for i, p := range seg.Pieces {
		le, _ := nw.ledger.Lease(p.Lease)
		for _, prov := range nw.providers {
			if p.State == gateway.PieceGood && prov.Device() == le.Device {
				out[i] = prov
			}
		}
	}
	return out
}

func (nw *network) waitFor(what string, ok func() bool) {
	nw.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			nw.t.Fatalf("no %s in 30 s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (nw *network) health() gateway.Health {
	nw.t.Helper()
	h, err := nw.engine.Health(nw.ctx())
	if err != nil {
		nw.t.Fatal(err)
	}
	return h
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func TestPutReadDelete(t *testing.T) {
	nw := newNetwork(t, 9, nil)
	for _, size := range []int{1, 1000, 65536, 65537, 300_000, 5 << 20, 20 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			data := random(size)
			id := nw.put(data)
			nw.want(id, data)
			for range 10 {
				off := mathrand.IntN(size)
				n := mathrand.IntN(min(size-off, 400_000)) + 1
				got, err := nw.read(id, int64(off), int64(n))
				if err != nil || !bytes.Equal(got, data[off:off+n]) {
					t.Fatalf("range %d+%d: %d bytes, %v", off, n, len(got), err)
				}
			}
			if got, err := nw.read(id, int64(size), 0); err != nil || len(got) != 0 {
				t.Errorf("empty range at the end: %d bytes, %v", len(got), err)
			}
			for _, r := range [][2]int64{{0, int64(size) + 1}, {-1, 1}, {int64(size), 1}, {int64(size) + 1, 0}} {
				if _, err := nw.read(id, r[0], r[1]); !errors.Is(err, gateway.ErrRange) {
					t.Errorf("range %d+%d: %v, want ErrRange", r[0], r[1], err)
				}
			}
			owners := map[string]bool{}
			for i, p := range nw.holders(id) {
				if p == nil || owners[p.Owner()] {
					t.Errorf("piece %d is absent or shares an owner", i)
					continue
				}
				owners[p.Owner()] = true
			}
			if err := nw.engine.Delete(nw.ctx(), id, gateway.SegmentID{9}); err != nil {
				t.Fatal(err)
			}
			if _, err := nw.read(id, 0, -1); !errors.Is(err, gateway.ErrNotFound) {
				t.Errorf("read after delete: %v, want ErrNotFound", err)
			}
		})
	}
	if err := nw.engine.Commit(nw.ctx()); err != nil {
		t.Fatal(err)
	}
	for _, l := range nw.health().Leases {
		if l.Stored != 0 || l.Committed != 0 {
			t.Errorf("lease %x stores %d and commits %d bytes after all was deleted", l.ID[:4], l.Stored, l.Committed)
		}
	}
}

func TestPutRefusals(t *testing.T) {
	nw := newNetwork(t, 7, nil)
	ctx := nw.ctx()
	if _, err := nw.engine.Put(ctx, bytes.NewReader(random(10)), 10); !errors.Is(err, gateway.ErrTooFewOwners) {
		t.Errorf("7 owners for a layout of 8: %v, want ErrTooFewOwners", err)
	}
	for i := range 3 { // more devices of the same owner change nothing
		p, err := gatewaytest.NewProvider(nw.ledger, "owner0", usePrice, holdPrice)
		if err != nil {
			t.Fatal(i, err)
		}
		t.Cleanup(p.Stop)
	}
	nw2 := newNetwork(t, 8, nil)
	if _, err := nw2.engine.Put(ctx, bytes.NewReader(nil), 0); !errors.Is(err, gateway.ErrSize) {
		t.Errorf("0 bytes: %v, want ErrSize", err)
	}
	if _, err := nw2.engine.Put(ctx, bytes.NewReader(nil), gateway.MaxSegment+1); !errors.Is(err, gateway.ErrSize) {
		t.Errorf("too much: %v, want ErrSize", err)
	}
	if _, err := nw2.engine.Put(ctx, bytes.NewReader(random(9)), 10); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short reader: %v, want io.ErrUnexpectedEOF", err)
	}
	sick := errors.New("client went away")
	if _, err := nw2.engine.Put(ctx, io.MultiReader(bytes.NewReader(random(9)), failing{sick}), 10); !errors.Is(err, sick) {
		t.Errorf("failing reader: %v, want its error", err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := nw2.engine.Put(gone, bytes.NewReader(random(10)), 10); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	nw2.engine.Close()
	if _, err := nw2.engine.Put(ctx, bytes.NewReader(random(10)), 10); !errors.Is(err, gateway.ErrClosed) {
		t.Errorf("closed: %v, want ErrClosed", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestReadSurvivesLosses kills providers, then makes others lie: n−k in all.
func TestReadSurvivesLosses(t *testing.T) {
	nw := newNetwork(t, 8, func(c *gateway.Config) { c.Pace.PieceTimeout = 5 * time.Second })
	data := random(6 << 20)
	id := nw.put(data)
	nw.want(id, data)
	at := nw.holders(id)
	at[0].Stop()
	nw.want(id, data)
	at[1].Faults.Flip.Store(true)
	nw.want(id, data)
	at[2].Faults.Forget.Store(true)
	nw.want(id, data)
	at[5].Faults.Stall.Store(true)
	nw.want(id, data)
	at[6].Stop()
	if _, err := nw.read(id, 0, -1); !errors.Is(err, gateway.ErrUnrecoverable) {
		t.Errorf("read with 3 of 8 pieces: %v, want ErrUnrecoverable", err)
	}
}

// TestUploadWithBadProviders: full and dead providers are replaced by spares;
// without spares the threshold decides.
func TestUploadWithBadProviders(t *testing.T) {
	nw := newNetwork(t, 10, func(c *gateway.Config) { c.Pace.PieceTimeout = 5 * time.Second })
	nw.providers[0].Faults.Full.Store(true)
	nw.providers[1].Stop()
	data := random(3 << 20)
	for range 5 {
		id := nw.put(data)
		nw.want(id, data)
		for i, p := range nw.holders(id) {
			if p == nil {
				t.Errorf("piece %d is absent although there was a spare", i)
			}
		}
	}
	nw.providers[2].Faults.Full.Store(true)
	nw.providers[3].Faults.Stall.Store(true)
	began := time.Now()
	id := nw.put(data)
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("a stalled provider held the upload up for %s", took)
	}
	nw.want(id, data)
	nw.providers[4].Faults.Full.Store(true)
	before := 0
	for _, p := range nw.providers {
		before += p.Pieces()
	}
	_, err := nw.engine.Put(nw.ctx(), bytes.NewReader(data), int64(len(data)))
	if !errors.Is(err, gateway.ErrNotStored) {
		t.Fatalf("5 usable providers for a threshold of 6: %v, want ErrNotStored", err)
	}
	t.Log(err)
}

// TestRestart: what was acknowledged is there after the engine was closed and
// opened again, and reading goes on being paid for.
func TestRestart(t *testing.T) {
	nw := newNetwork(t, 9, nil)
	data := random(3 << 20)
	id := nw.put(data)
	nw.want(id, data)
	nw.engine.Close()
	nw.open()
	nw.want(id, data)
	if err := nw.engine.Commit(nw.ctx()); err != nil {
		t.Fatal(err)
	}
	h := nw.health()
	if h.Segments != 1 || h.Full != 1 || h.Bytes != int64(len(data)) {
		t.Errorf("health after restart: %+v", h)
	}
	var n int
	_ = nw.engine.List(nw.ctx(), func(got gateway.SegmentID) error {
		if got == id {
			n++
		}
		return nil
	})
	if n != 1 {
		t.Errorf("List yields the segment %d times, want once", n)
	}
}

// TestReceiptsFollowReads: everything read is signed for, nothing more, and the
// providers are paid to the last byte when the engine closes.
func TestReceiptsFollowReads(t *testing.T) {
	nw := newNetwork(t, 8, nil)
	data := random(20 << 20)
	id := nw.put(data)
	for range 3 {
		nw.want(id, data)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { nw.want(id, data) })
	}
	wg.Wait()
	nw.engine.Close()
	var served uint64
	for _, p := range nw.providers {
		for _, l := range nw.ledger.LeasesOf(p.Device()) {
			m := p.Meter(l.ID)
			// A transfer given up under load may leave a rest that nobody asks for.
			if m.Paid > m.Served || m.Served-m.Paid > 1<<20 {
				t.Errorf("owner %s served %d bytes, was paid for %d", p.Owner(), m.Served, m.Paid)
			}
			served += m.Served
		}
		if n := p.Faults.Unpaid.Load(); n > 3 {
			t.Errorf("owner %s refused %d reads for want of a receipt", p.Owner(), n)
		}
	}
	if want := uint64(11 * len(data)); served < want || served > want+want/8 {
		t.Errorf("providers served %d bytes for %d read", served, want)
	}
}

// TestOverbillingIsBounded: a provider that claims to have served more than it
// did gets no more than the concession, and reads go on elsewhere.
func TestOverbillingIsBounded(t *testing.T) {
	nw := newNetwork(t, 8, func(c *gateway.Config) { c.Lease.ReadBytes = 256 << 20 })
	data := random(8 << 20)
	id := nw.put(data)
	at := nw.holders(id)
	at[0].Faults.Overbill.Store(1 << 40)
	for range 20 {
		nw.want(id, data)
	}
	l := nw.ledger.LeasesOf(at[0].Device())[0]
	if m := at[0].Meter(l.ID); m.Paid > m.Served+(64<<20) {
		t.Errorf("paid for %d bytes of %d served", m.Paid, m.Served)
	}
}

// TestConcurrent hammers everything at once.
func TestConcurrent(t *testing.T) {
	nw := newNetwork(t, 10, nil)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 5 {
				data := random(1 + mathrand.IntN(1<<20))
				id := nw.put(data)
				nw.want(id, data)
				if (w+i)%2 == 0 {
					if err := nw.engine.Delete(nw.ctx(), id); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Go(func() {
		for range 5 {
			nw.ledger.Turn()
			_ = nw.engine.Commit(nw.ctx())
			_, _ = nw.engine.Repair(nw.ctx())
		}
	})
	wg.Wait()
	if err := nw.engine.Commit(nw.ctx()); err != nil {
		t.Fatal(err)
	}
	h := nw.health()
	if h.Segments != 20 || h.Low+h.Unreadable != 0 {
		t.Errorf("%d segments, %d low, %d unreadable; want 20, 0 and 0", h.Segments, h.Low, h.Unreadable)
	}
}
