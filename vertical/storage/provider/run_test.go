package provider

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/tunnel"
	"github.com/grange-network/grange/vertical/storage/piece"
	"github.com/grange-network/grange/vertical/storage/proof"
)

// The life of a lease: stored, committed, posted, proven, paid, removed, closed.
func TestLifeOfALease(t *testing.T) {
	n, p := leased(t, nil)
	run := n.duties(t)
	data := randomBytes(1, 200_000)
	a := proof.Piece{Root: p.mustPut(data), Size: 200_000}
	b := proof.Piece{Root: p.mustPut(randomBytes(2, 90_000)), Size: 90_000}
	p.commit([]proof.Piece{a, b}, nil)
	p.mustRead(a.Root, 200_000, 0, 100_000, nil)
	p.pay(p.receipt(100_000)).want(t, http.StatusOK)

	n.ledger.late()
	run.until("settled in epoch 1", func() bool { return n.Status().Settled == 1 })
	if l := n.ledger.get(p.lease); l.Lanes[0].Units != 100_000 || l.HeadAt(2).Root != p.set.Root() {
		t.Fatalf("ledger has lanes %+v, commitments %+v", l.Lanes, l.Commitments)
	}

	n.ledger.nextEpoch()
	n.ledger.reveal()
	run.until("proven in epoch 2", func() bool { return n.Status().Proven == 2 })

	// Removing a piece keeps its bytes until the ledger's commitment in force
	// does without them.
	p.commit(nil, []piece.Root{b.Root})
	n.ledger.late()
	run.until("settled in epoch 2", func() bool { return n.Status().Settled == 2 })
	if _, err := os.Stat(n.Store().Path(b.Root)); err != nil {
		t.Fatalf("removed piece that epoch 2 may still ask for: %v", err)
	}
	n.ledger.nextEpoch()
	n.ledger.reveal()
	n.ledger.late()
	run.until("proven and settled in epoch 3", func() bool { s := n.Status(); return s.Proven == 3 && s.Settled == 3 })
	run.until("removed piece is gone", func() bool {
		_, err := os.Stat(n.Store().Path(b.Root))
		return os.IsNotExist(err)
	})

	n.ledger.update(p.lease, func(l lease.Lease) lease.Lease {
		l, err := l.Close(lease.ReasonPayer, 3, rules)
		if err != nil {
			t.Fatal(err)
		}
		return l
	})
	for range 3 {
		n.ledger.nextEpoch()
	}
	n.ledger.late()
	run.until("closed lease is forgotten", func() bool { return n.Status().Leases == 0 && n.Status().Used == 0 })
	if problems := n.Status().Problems; len(problems) > 0 {
		t.Errorf("problems: %+v", problems)
	}
}

// A challenge of this epoch is about the commitment in force at its start, though
// newer ones were signed and posted since.
func TestProvesAnOlderRevision(t *testing.T) {
	n, p := leased(t, nil)
	run := n.duties(t)
	var last proof.Piece
	for i := range uint64(3) {
		var remove []piece.Root
		if i > 0 {
			remove = []piece.Root{last.Root}
		}
		last = proof.Piece{Root: p.mustPut(randomBytes(i, 50_000)), Size: 50_000}
		p.commit([]proof.Piece{last}, remove)
		n.ledger.late()
		run.until("settled", func() bool { return n.Status().Settled == i+1 })
		n.ledger.nextEpoch()
		newer := proof.Piece{Root: p.mustPut(randomBytes(100+i, 1000)), Size: 1000}
		p.commit([]proof.Piece{newer}, nil)
		n.ledger.reveal()
		run.until("proven", func() bool { return n.Status().Proven == i+2 })
	}
}

func TestFailedDutiesAreRetried(t *testing.T) {
	n, p := leased(t, nil)
	run := n.duties(t)
	p.commit([]proof.Piece{{Root: p.mustPut(randomBytes(1, 5000)), Size: 5000}}, nil)
	n.ledger.fail(errors.New("mempool is full"))
	n.ledger.late()
	run.until("a problem", func() bool { return len(n.Status().Problems) > 0 })
	n.ledger.fail(nil)
	n.clock.add(time.Minute)
	run.until("settled after all", func() bool { return n.Status().Settled == 1 })
}

func TestDamageIsReportedNotProven(t *testing.T) {
	n, p := leased(t, nil)
	run := n.duties(t)
	root := p.mustPut(randomBytes(1, 3000))
	p.commit([]proof.Piece{{Root: root, Size: 3000}}, nil)
	n.ledger.late()
	run.until("settled", func() bool { return n.Status().Settled == 1 })
	for at := range int64(3) {
		flipBit(t, n.Store().Path(root), at*1024)
	}
	n.ledger.nextEpoch()
	n.ledger.reveal()
	run.until("damage is reported", func() bool {
		for _, pr := range n.Status().Problems {
			if pr.Topic == "prove" && strings.Contains(pr.Error, root.String()) {
				return true
			}
		}
		return false
	})
	if n.Status().Proven != 0 {
		t.Error("a damaged piece was proven")
	}
}

func TestUncommittedPiecesAreSwept(t *testing.T) {
	n, p := leased(t, nil)
	run := n.duties(t)
	kept := p.mustPut(randomBytes(1, 1000))
	swept := p.mustPut(randomBytes(2, 1000))
	p.commit([]proof.Piece{{Root: kept, Size: 1000}}, nil)
	n.clock.add(49 * time.Hour)
	n.ledger.late()
	run.until("swept", func() bool { _, ok := n.Store().Holds(p.lease, swept); return !ok })
	if _, ok := n.Store().Holds(p.lease, kept); !ok {
		t.Error("committed piece swept")
	}
}

// A ledger that forgets a lease for a moment costs nobody data.
func TestUnknownLeaseIsKeptForAWhile(t *testing.T) {
	n, p := leased(t, nil)
	run := n.duties(t)
	root := p.mustPut(randomBytes(1, 1000))
	p.commit([]proof.Piece{{Root: root, Size: 1000}}, nil)
	n.ledger.mu.Lock()
	delete(n.ledger.leases, p.lease)
	n.ledger.mu.Unlock()
	n.ledger.late()
	run.until("settled", func() bool { return n.Status().Settled == 1 })
	if _, ok := n.Store().Holds(p.lease, root); !ok {
		t.Fatal("pieces of a lease unknown for a moment are gone")
	}
	n.clock.add(49 * time.Hour)
	n.ledger.nextEpoch()
	n.ledger.late()
	run.until("forgotten", func() bool { return n.Status().Leases == 0 })
}

// A payer that lets epochs pass without paying starts again with a small window.
func TestUnpaidEpochResetsTheWindow(t *testing.T) {
	n, p := leased(t, nil)
	run := n.duties(t)
	data := randomBytes(1, 1<<20)
	root := p.mustPut(data)
	served := 0
	for _, step := range []int{256 << 10, 256 << 10, 512 << 10} {
		r := p.receipt(uint64(served))
		if served == 0 {
			p.seq--
			p.mustRead(root, len(data), 0, step, nil)
		} else {
			p.mustRead(root, len(data), 0, step, &r)
		}
		served += step
	}
	ln := n.laneOf(laneID{p.lease, 1})
	window := func() uint64 {
		ln.mu.Lock()
		defer ln.mu.Unlock()
		return ln.machine.Meter().Window
	}
	if window() <= 256<<10 {
		t.Fatalf("window %d after two receipts", window())
	}
	for range 3 {
		n.ledger.nextEpoch()
		epoch := n.ledger.epoch
		run.until("epoch seen", func() bool { return n.Status().Epoch == epoch })
	}
	run.until("window is small again", func() bool { return window() == 256<<10 })
}

// One item that the ledger refuses does not keep the others from being posted.
func TestRefusedItemDoesNotHoldUpOthers(t *testing.T) {
	n := start(t, nil)
	run := n.duties(t)
	var ids [][32]byte
	for i := range byte(5) {
		id := n.ledger.open(t, i+1, 1<<20, 1000, 1000, tunnel.KeyOf(payerKey))
		p := n.payer(t, id, payerKey)
		root := p.mustPut(randomBytes(uint64(i), 5000))
		p.commit([]proof.Piece{{Root: root, Size: 5000}}, nil)
		p.mustRead(root, 5000, 0, 4000, nil)
		p.pay(p.receipt(4000)).want(t, http.StatusOK)
		ids = append(ids, id)
	}
	n.ledger.mu.Lock()
	n.ledger.refused[ids[2]] = true
	n.ledger.mu.Unlock()
	n.ledger.late()
	run.until("settled", func() bool { return n.Status().Settled == 1 })
	for i, id := range ids {
		l := n.ledger.get(id)
		if paid := l.Lanes[0].Units == 4000; paid == (i == 2) || len(l.Commitments) != 1 {
			t.Errorf("lease %d: units %d, %d commitments", i, l.Lanes[0].Units, len(l.Commitments))
		}
	}
	if problems := n.Status().Problems; len(problems) != 1 || problems[0].Topic != "settle" {
		t.Errorf("problems %+v", problems)
	}
}
