package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/tunnel"
	"github.com/grange-network/grange/vertical/storage/gateway"
	"github.com/grange-network/grange/vertical/storage/gateway/gatewaytest"
)

// TestCrashes kills the engine at random moments of uploads, reads, deletes,
// commitments and repairs. What was acknowledged is there afterwards, and what
// was not leaves no piece behind once providers have swept.
func TestCrashes(t *testing.T) {
	nw := newNetwork(t, 0, nil)
	var real []*realProvider
	for i := range 10 {
		real = append(real, newRealProvider(t, nw.ledger, fmt.Sprint("owner", i), 1<<30))
	}
	var mu sync.Mutex
	stored := map[gateway.SegmentID][]byte{}
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		var wg sync.WaitGroup
		engine := nw.engine
		for range 4 {
			wg.Go(func() {
				for {
					data := random(1 + mathrand.IntN(600_000))
					id, err := engine.Put(context.Background(), bytes.NewReader(data), int64(len(data)))
					if err != nil {
						return
					}
					mu.Lock()
					stored[id] = data
					mu.Unlock()
					if mathrand.IntN(3) > 0 {
						continue
					}
					mu.Lock()
					delete(stored, id) // from here on it may be gone or not
					mu.Unlock()
					if engine.Delete(context.Background(), id) != nil {
						return
					}
				}
			})
		}
		wg.Go(func() {
			for engine.Commit(context.Background()) == nil {
				nw.ledger.Turn()
				time.Sleep(30 * time.Millisecond)
			}
		})
		time.Sleep(time.Duration(20+mathrand.IntN(250)) * time.Millisecond)
		engine.Crash()
		wg.Wait()
		nw.open()
		for id, data := range stored {
			if got, err := nw.read(id, 0, -1); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("round %d: acknowledged segment %x: %d bytes, %v", round, id[:4], len(got), err)
			}
		}
	}
	// Delete what is there, acknowledged or not, and let everybody sweep.
	var all []gateway.SegmentID
	_ = nw.engine.List(nw.ctx(), func(id gateway.SegmentID) error { all = append(all, id); return nil })
	if len(all) < len(stored) {
		t.Errorf("%d segments listed, %d acknowledged", len(all), len(stored))
	}
	if err := nw.engine.Delete(nw.ctx(), all...); err != nil {
		t.Fatal(err)
	}
	nw.waitFor("commitments", func() bool { return nw.engine.Commit(nw.ctx()) == nil })
	for _, l := range nw.health().Leases {
		if l.Stored != 0 || l.Committed != 0 {
			t.Errorf("lease %x stores %d and commits %d bytes of nothing", l.ID[:4], l.Stored, l.Committed)
		}
	}
	for i, r := range real {
		for _, l := range nw.ledger.LeasesOf(r.device) {
			c, _ := r.p.Store().Commitment(l.ID)
			if _, err := r.p.Store().Expire(l.ID, 0); err != nil {
				t.Fatal(err)
			}
			if _, err := r.p.Store().Retire(l.ID, c.Revision); err != nil {
				t.Fatal(err)
			}
		}
		if u := r.p.Store().Usage(); u.Pieces != 0 {
			t.Errorf("provider %d keeps %d orphans of %d bytes", i, u.Pieces, u.Used)
		}
	}
	t.Logf("%d segments survived", len(stored))
}

// TestLeaseOpenedAndCrashed: what was paid for a lease is not lost with the
// process: the session key is there afterwards.
func TestLeaseOpenedAndCrashed(t *testing.T) {
	nw := newNetwork(t, 8, nil)
	// The upload dies right after its leases were opened: every provider is full.
	for _, p := range nw.providers {
		p.Faults.Full.Store(true)
	}
	data := random(10_000)
	if _, err := nw.engine.Put(nw.ctx(), bytes.NewReader(data), int64(len(data))); err == nil {
		t.Fatal("stored on full providers")
	}
	nw.engine.Crash()
	nw.open()
	for _, p := range nw.providers {
		p.Faults.Full.Store(false)
	}
	id := nw.put(data)
	nw.want(id, data)
	for _, p := range nw.providers {
		if n := len(nw.ledger.LeasesOf(p.Device())); n != 1 {
			t.Errorf("%s has %d leases, want the one from before the crash", p.Owner(), n)
		}
	}
}

// TestThroughRouter has providers without a port of their own.
func TestThroughRouter(t *testing.T) {
	base, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	router, err := tunnel.NewRouter(base, newKey(t), tunnel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { router.Close() })
	nw := newNetwork(t, 8, nil)
	for _, p := range nw.providers[:4] {
		if err := p.Route(nw.ctx(), router.Addr().String()); err != nil {
			t.Fatal(err)
		}
	}
	data := random(5 << 20)
	id := nw.put(data)
	nw.want(id, data)
}

// TestProviderMoves: a provider comes back at another address.
func TestProviderMoves(t *testing.T) {
	nw := newNetwork(t, 8, nil)
	data := random(1 << 20)
	id := nw.put(data)
	for _, p := range nw.providers[:5] {
		p.Stop()
		if err := p.MoveTo("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := nw.read(id, 0, -1); err == nil {
		t.Fatal("read although five providers have moved and nobody was told")
	}
	epoch := nw.ledger.Turn()
	nw.waitFor("epoch", func() bool { return nw.health().Epoch == epoch })
	nw.waitFor("read at the new addresses", func() bool {
		got, err := nw.read(id, 0, -1)
		return err == nil && bytes.Equal(got, data)
	})
}

// TestSlowProvider: one slow data provider must not slow every read down.
func TestSlowProvider(t *testing.T) {
	nw := newNetwork(t, 8, func(c *gateway.Config) { c.Pace.HedgeFloor = 30 * time.Millisecond })
	data := random(256 << 10)
	id := nw.put(data)
	for range 40 {
		nw.want(id, data)
	}
	nw.holders(id)[1].Faults.Delay.Store(int64(2 * time.Second))
	began := time.Now()
	for range 5 {
		nw.want(id, data)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("5 reads with one slow provider took %s", took)
	}
}

// TestLedgerRefuses: storage goes on while the ledger takes no payments.
func TestLedgerRefuses(t *testing.T) {
	nw := newNetwork(t, 8, nil)
	data := random(100_000)
	id := nw.put(data)
	nw.ledger.Refuse(fmt.Errorf("no funds: buy credits first"))
	nw.want(id, data)
	nw.put(data) // the leases are open
	p, err := gatewaytest.NewProvider(nw.ledger, "late", usePrice, holdPrice)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	nw.ledger.Close(nw.ledger.LeasesOf(nw.providers[0].Device())[0].ID, lease.ReasonProvider)
	epoch := nw.ledger.Turn()
	nw.waitFor("epoch", func() bool { return nw.health().Epoch == epoch })
	nw.want(nw.put(data), data) // 7 of 8: above the threshold, repair does the rest later
}

// TestFastReader spends several lane caps within one epoch: top-ups keep up.
func TestFastReader(t *testing.T) {
	nw := newNetwork(t, 8, func(c *gateway.Config) { c.Lease.ReadBytes = 3 << 20 })
	data := random(8 << 20)
	id := nw.put(data)
	for range 12 {
		nw.want(id, data)
	}
	if funded, _ := nw.ledger.Counts(); funded == 0 {
		t.Error("nothing was funded")
	}
}

// TestSpentLane: with top-ups switched off reads end with a clear error, and
// nothing is signed beyond the cap.
func TestSpentLane(t *testing.T) {
	nw := newNetwork(t, 8, func(c *gateway.Config) {
		c.Lease.ReadBytes, c.Lease.NoTopUp = 3<<20, true
	})
	data := random(8 << 20)
	id := nw.put(data)
	var err error
	for range 8 {
		if _, err = nw.read(id, 0, -1); err != nil {
			break
		}
	}
	if err == nil {
		t.Fatal("read eight times 8 MiB with caps of 24 MiB")
	}
	if !errors.Is(err, gateway.ErrSpent) {
		t.Errorf("%v, want ErrSpent", err)
	}
	for _, p := range nw.providers {
		l := nw.ledger.LeasesOf(p.Device())[0]
		if m := p.Meter(l.ID); m.Paid > l.Use.Units(l.Lanes[0].Cap) {
			t.Errorf("%s was signed %d units, cap %d", p.Owner(), m.Paid, l.Use.Units(l.Lanes[0].Cap))
		}
	}
}

func TestPrepare(t *testing.T) {
	nw := newNetwork(t, 10, nil)
	if err := nw.engine.Prepare(nw.ctx()); err != nil {
		t.Fatal(err)
	}
	if n := len(nw.health().Leases); n != 8 {
		t.Errorf("%d leases are open, want 8", n)
	}
	data := random(50_000)
	nw.want(nw.put(data), data)
}
