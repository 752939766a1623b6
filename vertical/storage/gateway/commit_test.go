package gateway_test

import (
	"testing"
)

func TestCommitmentsFollowTheSet(t *testing.T) {
	nw := newNetwork(t, 8, nil)
	a, b := nw.put(random(1<<20)), nw.put(random(2<<20))
	if err := nw.engine.Commit(nw.ctx()); err != nil {
		t.Fatal(err)
	}
	check := func(pieces int) {
		t.Helper()
		for range 2 { // the in-memory providers post nothing: we do, an epoch later
			now := nw.ledger.Turn()
			nw.waitFor("epoch", func() bool { return nw.health().Epoch == now })
		}
		for _, p := range nw.providers {
			l := nw.ledger.LeasesOf(p.Device())[0]
			c, ok, err := nw.engine.Commitment(l.ID)
			if err != nil || !ok {
				t.Fatalf("no commitment with %s: %v", p.Owner(), err)
			}
			n, rev := p.Committed(l.ID)
			if n == 0 {
				t.Fatalf("%s is committed to nothing", p.Owner())
			}
			if n != pieces || rev != c.Revision {
				t.Errorf("%s is committed to %d pieces at revision %d, want %d at %d", p.Owner(), n, rev, pieces, c.Revision)
			}
			nw.waitFor("commitment on the ledger", func() bool {
				l, _ = nw.ledger.Lease(l.ID)
				n := len(l.Commitments)
				return n > 0 && l.Commitments[n-1].Revision == c.Revision
			})
			head := l.Commitments[len(l.Commitments)-1]
			if head.Root != c.Root || head.Units != c.Units {
				t.Errorf("%s: ledger has root %x, we %x", p.Owner(), head.Root[:4], c.Root[:4])
			}
		}
	}
	check(2)
	_ = nw.engine.Delete(nw.ctx(), a)
	if err := nw.engine.Commit(nw.ctx()); err != nil {
		t.Fatal(err)
	}
	check(1)
	_ = nw.engine.Delete(nw.ctx(), b)
	nw.waitFor("empty sets", func() bool {
		for _, p := range nw.providers {
			if n, _ := p.Committed(nw.ledger.LeasesOf(p.Device())[0].ID); n != 0 {
				return false
			}
		}
		return true
	})
}

// TestCommitmentAnswerLost: the provider signs, the answer is lost and the
// engine restarts with other changes; both agree again.
func TestCommitmentAnswerLost(t *testing.T) {
	nw := newNetwork(t, 8, nil)
	victim := nw.providers[3]
	a := nw.put(random(1 << 20))
	victim.Faults.LoseAnswer.Store(true)
	if err := nw.engine.Commit(nw.ctx()); err == nil {
		t.Fatal("commit succeeded although one answer was lost")
	}
	victim.Faults.LoseAnswer.Store(false)
	nw.engine.Crash()
	nw.open()
	data := random(1 << 20)
	b := nw.put(data)
	if err := nw.engine.Delete(nw.ctx(), a); err != nil {
		t.Fatal(err)
	}
	if err := nw.engine.Commit(nw.ctx()); err != nil {
		t.Fatal(err)
	}
	id := nw.ledger.LeasesOf(victim.Device())[0].ID
	c, ok, err := nw.engine.Commitment(id)
	if n, revision := victim.Committed(id); n != 1 || !ok || err != nil || revision != c.Revision {
		t.Errorf("provider is committed to %d pieces at revision %d, we have %d, %v; want 1 piece", n, revision, c.Revision, err)
	}
	nw.want(b, data)
}

// TestCommitmentRefusedThenSigned: a provider that would not sign is asked again.
func TestCommitmentRefusedThenSigned(t *testing.T) {
	nw := newNetwork(t, 8, nil)
	nw.providers[3].Faults.NoSign.Store(true)
	nw.put(random(1 << 20))
	if err := nw.engine.Commit(nw.ctx()); err == nil {
		t.Fatal("commit succeeded although one provider does not sign")
	}
	nw.engine.Close()
	nw.open()
	nw.put(random(1 << 20))
	nw.providers[3].Faults.NoSign.Store(false)
	if err := nw.engine.Commit(nw.ctx()); err != nil {
		t.Fatal(err)
	}
	if n, _ := nw.providers[3].Committed(nw.ledger.LeasesOf(nw.providers[3].Device())[0].ID); n != 2 {
		t.Errorf("provider is committed to %d pieces, want 2", n)
	}
}
