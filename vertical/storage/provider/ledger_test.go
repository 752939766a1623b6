package provider

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/vertical/storage/proof"
)

const chainID = "grange-test-1"

// ledger is a small ledger in memory that follows the rules of core/lease and
// verifies every signature and proof it is given.
type ledger struct {
	mu       sync.Mutex
	provider receipt.Key
	device   [32]byte
	epoch    uint64
	seeded   bool
	elapsed  time.Duration
	leases   map[[32]byte]lease.Lease
	heads    []proof.Head // frozen at the epoch's start
	proven   map[uint64]bool
	paid     money.Credit
	settles  int
	down     error             // every call fails with it
	refused  map[[32]byte]bool // leases whose receipts are refused
	changed  chan struct{}
}

var rules = lease.Rules{Grace: 2, Window: 1, FaultLimit: 3}

const (
	challenges  = 4
	epochLength = 10 * time.Second
)

func newLedger(device [32]byte, provider receipt.Key) *ledger {
	return &ledger{provider: provider, device: device, epoch: 1, leases: map[[32]byte]lease.Lease{},
		proven: map[uint64]bool{}, refused: map[[32]byte]bool{}, changed: make(chan struct{}, 1)}
}

func (l *ledger) open(t testing.TB, id byte, capacity uint64, hold, laneCap money.Credit, keys ...[32]byte) [32]byte {
	t.Helper()
	terms := lease.Terms{ID: [32]byte{id}, Offer: 1, Payer: "payer", Owner: "owner", Device: l.device, Kind: "storage",
		Use: money.Price{Credits: 1, Per: 1024}, Hold: money.Price{Credits: 1, Per: 1 << 20}, Capacity: capacity, HoldBudget: hold}
	for i, k := range keys {
		terms.Lanes = append(terms.Lanes, lease.Lane{ID: uint32(i + 1), Key: k, Cap: laneCap})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	le, err := lease.Begin(terms, l.epoch)
	if err != nil {
		t.Fatal(err)
	}
	l.leases[le.ID] = le
	return le.ID
}

func (l *ledger) update(id [32]byte, f func(lease.Lease) lease.Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leases[id] = f(l.leases[id])
}

func (l *ledger) get(id [32]byte) lease.Lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leases[id]
}

func (l *ledger) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = err
}

func (l *ledger) Lease(_ context.Context, id [32]byte) (lease.Lease, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down != nil {
		return lease.Lease{}, l.down
	}
	le, ok := l.leases[id]
	if !ok {
		return lease.Lease{}, fmt.Errorf("find lease %x: %w", id, ErrNoLease)
	}
	return le, nil
}

func seedOf(epoch uint64) [32]byte { return sha256.Sum256([]byte(fmt.Sprint("seed ", epoch))) }

func (l *ledger) Duty(context.Context, [32]byte) (Duty, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down != nil {
		return Duty{}, l.down
	}
	d := Duty{Epoch: l.epoch, Heads: slices.Clone(l.heads), Challenges: challenges, Proven: l.proven[l.epoch],
		Elapsed: l.elapsed, Length: epochLength}
	if l.seeded {
		d.Seed, d.Seeded = seedOf(l.epoch), true
	}
	return d, nil
}

func (l *ledger) Prove(_ context.Context, device [32]byte, epoch uint64, proofs [][]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.signal()
	switch {
	case l.down != nil:
		return l.down
	case device != l.device, epoch != l.epoch, !l.seeded:
		return fmt.Errorf("prove epoch %d: ledger is in %d", epoch, l.epoch)
	case l.proven[epoch]:
		return errors.New("proven already")
	}
	chs := proof.Challenges(seedOf(epoch), device, l.heads, challenges)
	if len(chs) != len(proofs) {
		return fmt.Errorf("%d proofs for %d challenges", len(proofs), len(chs))
	}
	for i, ch := range chs {
		if err := proof.Verify(l.heads[ch.Head], ch, proofs[i]); err != nil {
			return err
		}
	}
	l.proven[epoch] = true
	return nil
}

func (l *ledger) Settle(_ context.Context, receipts []receipt.Receipt, commitments []receipt.Commitment) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.signal()
	if l.down != nil {
		return l.down
	}
	l.settles++
	for _, r := range receipts {
		if l.refused[r.Lease] {
			return fmt.Errorf("receipt of lease %x: %w", r.Lease, ErrRefused)
		}
	}
	for _, r := range receipts {
		le := l.leases[r.Lease]
		ln, ok := le.Lane(r.Lane)
		if !ok {
			return errors.New("no such lane")
		}
		if err := r.Verify(receipt.ChainOf(chainID), receipt.Key(ln.Key), l.provider); err != nil {
			return err
		}
		le, pay, err := le.Claim(lease.Claim{Lane: r.Lane, Seq: r.Seq, Units: r.Units, Epoch: r.Epoch}, l.epoch)
		if err != nil {
			return err
		}
		l.paid += pay
		l.leases[r.Lease] = le
	}
	for _, c := range commitments {
		le := l.leases[c.Lease]
		if err := c.Verify(receipt.ChainOf(chainID), receipt.Key(le.Lanes[0].Key), l.provider); err != nil {
			return err
		}
		le, err := le.Commit(lease.Commitment{Revision: c.Revision, Root: c.Root, Units: c.Units}, l.epoch)
		if err != nil {
			return err
		}
		l.leases[c.Lease] = le
	}
	return nil
}

func (l *ledger) signal() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// nextEpoch ends the epoch: leases accrue and advance, heads are frozen.
func (l *ledger) nextEpoch() {
	l.mu.Lock()
	defer l.mu.Unlock()
	outcome := lease.Faulted
	if l.proven[l.epoch] {
		outcome = lease.Proven
	}
	l.epoch++
	l.seeded, l.elapsed, l.heads = false, 0, nil
	for id, le := range l.leases {
		for le.Accruable(l.epoch) {
			next, _, err := le.Accrue(outcome)
			if err != nil {
				panic(err)
			}
			le = next
		}
		le = le.Advance(l.epoch, rules)
		if le.Ended(l.epoch, rules) {
			le, _, _ = le.Finish(l.epoch, rules)
		}
		l.leases[id] = le
		if head := le.HeadAt(l.epoch); head.Units > 0 && (le.State == lease.Open || le.State == lease.Grace) {
			l.heads = append(l.heads, proof.Head{Lease: id, Root: head.Root, Units: head.Units})
		}
	}
	slices.SortFunc(l.heads, func(a, b proof.Head) int { return bytes.Compare(a.Lease[:], b.Lease[:]) })
}

func (l *ledger) reveal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seeded = true
}

func (l *ledger) late() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.elapsed = epochLength * 8 / 10
}
