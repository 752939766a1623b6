package gateway_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/vertical/storage/gateway"
)

func TestRepair(t *testing.T) {
	nw := newNetwork(t, 12, nil)
	data := random(5 << 20)
	id := nw.put(data)
	if err := nw.engine.Commit(nw.ctx()); err != nil {
		t.Fatal(err)
	}
	at := nw.holders(id)
	at[0].Faults.Forget.Store(true)
	nw.want(id, data) // notices
	if n, err := nw.engine.Repair(nw.ctx()); n != 0 || err != nil {
		t.Errorf("repair with 7 of 8 pieces stored %d, %v; lazy repair waits for 6", n, err)
	}
	lost := nw.ledger.LeasesOf(at[5].Device())[0].ID
	if err := nw.ledger.Close(lost, lease.ReasonProvider); err != nil {
		t.Fatal(err)
	}
	nw.ledger.Turn()
	nw.waitFor("repair after the lease was closed", func() bool {
		h := nw.health()
		return h.Full == 1
	})
	nw.want(id, data)
	now := nw.holders(id)
	owners := map[string]bool{}
	for i, p := range now {
		if p == nil || owners[p.Owner()] {
			t.Errorf("piece %d is absent or shares an owner", i)
			continue
		}
		owners[p.Owner()] = true
	}
	if seg, _ := nw.engine.Segment(id); now[0] == at[0] || seg.Pieces[5].Lease == lost {
		t.Error("a lost piece was not moved")
	}
	// The four that hold data shards may go: the rebuilt pieces must be right.
	if err := nw.engine.Commit(nw.ctx()); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{1, 2, 3, 4} {
		now[i].Stop()
	}
	nw.want(id, data)
}

func TestRepairAfterSilence(t *testing.T) {
	nw := newNetwork(t, 12, func(c *gateway.Config) {
		c.Pace.UnreachableAfter = 300 * time.Millisecond
		c.Pace.ProbeInterval = 50 * time.Millisecond
		c.Tunnel.MinBackoff, c.Tunnel.MaxBackoff = 10*time.Millisecond, 50*time.Millisecond
	})
	data := random(2 << 20)
	id := nw.put(data)
	at := nw.holders(id)
	at[0].Stop()
	at[7].Stop()
	nw.waitFor("repair after silence", func() bool {
		for i, p := range nw.holders(id) {
			if p == nil || p == at[0] || p == at[7] {
				_ = i
				return false
			}
		}
		return true
	})
	nw.want(id, data)
}

func TestTopUp(t *testing.T) {
	nw := newNetwork(t, 8, func(c *gateway.Config) {
		c.Lease.HoldBytes, c.Lease.Epochs, c.Lease.Low = 1<<20, 4, 2
	})
	data := random(4 << 20)
	id := nw.put(data)
	if err := nw.engine.Commit(nw.ctx()); err != nil {
		t.Fatal(err)
	}
	for range 12 {
		epoch := nw.ledger.Turn()
		nw.waitFor("engine to follow the epoch", func() bool { return nw.health().Epoch == epoch })
		nw.waitFor("funded leases", func() bool {
			for _, l := range nw.health().Leases {
				if l.Epochs < 2 {
					return false
				}
			}
			return true
		})
	}
	for _, l := range nw.health().Leases {
		if l.State != "open" {
			t.Errorf("lease %x is %s", l.ID[:4], l.State)
		}
	}
	nw.want(id, data)
	if funded, _ := nw.ledger.Counts(); funded == 0 {
		t.Error("nothing was funded")
	}
}

func TestNoTopUpEndsInGrace(t *testing.T) {
	nw := newNetwork(t, 8, func(c *gateway.Config) {
		c.Lease.NoTopUp, c.Lease.HoldBytes, c.Lease.Epochs = true, 1<<20, 2
	})
	data := random(4 << 20)
	id := nw.put(data)
	if err := nw.engine.Commit(nw.ctx()); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		last := nw.ledger.Turn()
		nw.waitFor("epoch", func() bool { return nw.health().Epoch == last })
	}
	graced := 0
	for _, l := range nw.health().Leases {
		if l.State == "grace" {
			graced++
		}
	}
	if graced == 0 {
		t.Fatalf("no lease in grace: %+v", nw.health().Leases)
	}
	nw.want(id, data) // read-only
	if _, err := nw.engine.Put(nw.ctx(), bytes.NewReader(data), int64(len(data))); err != nil {
		t.Logf("put in grace: %v", err) // new leases on the same offers may take it
	}
}
