// Package prepaid meters what is sold in single answers, a query, a stamp, a
// message: each is paid by a receipt before it is given. The payer risks the
// price of one answer and the provider nothing, so neither needs a window.
//
// Both sides have their receipts on disk before anything leaves. The package
// moves no money and speaks no protocol: the receipt travels with the request,
// the countersigned one with the answer.
package prepaid

import (
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/grange-network/grange/core/receipt"
)

// ErrUnpaid is returned for a receipt that does not pay for what is asked.
var ErrUnpaid = errors.New("receipt does not pay for this")

// Payer pays on one lane. It is for one goroutine at a time; nobody else signs on
// the lane.
type Payer struct {
	Terms receipt.Terms
	Dir   string        // exists; one file for each lane
	Key   crypto.Signer // the lane's session key
}

// Pay signs for units more than ever before on the lane. evidence is what the
// units are for.
func (p *Payer) Pay(epoch, units uint64, evidence [32]byte) (receipt.Receipt, error) {
	file := path(p.Dir, p.Terms.Lease, "receipt")
	next := receipt.Receipt{Lease: p.Terms.Lease, Lane: p.Terms.Lane}
	switch raw, err := os.ReadFile(file); {
	case err == nil:
		if next, err = receipt.Decode(raw); err != nil {
			return next, fmt.Errorf("read %s: %w", file, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return next, err
	}
	if left := p.Terms.Cap - min(p.Terms.Cap, next.Units); units > left {
		return next, fmt.Errorf("pay %d units on lease %x lane %d: %d of %d are left: %w", units, next.Lease, next.Lane, left, p.Terms.Cap, receipt.ErrCap)
	}
	next.Seq, next.Units, next.Epoch, next.Evidence = next.Seq+1, next.Units+units, epoch, evidence
	if err := next.SignPayer(p.Terms.Chain, p.Key); err != nil {
		return next, err
	}
	return next, replace(file, next.Encode())
}

// Payee is paid on lanes of any leases. Its methods are safe for concurrent use.
type Payee struct {
	Dir string        // exists; one file for each lane
	Key crypto.Signer // of the device
	// Terms returns those of the one lane of a lease.
	Terms func(ctx context.Context, lease [32]byte) (receipt.Terms, error)

	mu    sync.Mutex
	lanes map[[32]byte]*receipt.Provider
}

// Take countersigns a receipt that pays for at least units more than the newest
// one did. Then the units are to be given, once. The error is ErrUnpaid or one of
// receipt.Provider's Accept.
func (p *Payee) Take(ctx context.Context, r receipt.Receipt, epoch, units uint64) (receipt.Receipt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	lane, err := p.lane(ctx, r.Lease)
	if err != nil {
		return r, err
	}
	if paid := lane.Newest().Units; r.Units < paid || r.Units-paid < units {
		return r, fmt.Errorf("receipt for %d units on lease %x, %d are used up and %d asked for: %w", r.Units, r.Lease, paid, units, ErrUnpaid)
	}
	if r, err = lane.Accept(r, epoch, p.Key); err != nil {
		return r, err
	}
	return r, replace(path(p.Dir, r.Lease, "lane"), lane.State())
}

// Newest returns the newest receipt of every lane that was paid on since the
// start of this process, to be settled.
func (p *Payee) Newest() (all []receipt.Receipt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lanes {
		if r := l.Newest(); r.Seq > 0 {
			all = append(all, r)
		}
	}
	return all
}

// lane opens a lane with what it stored last. p.mu is held.
func (p *Payee) lane(ctx context.Context, lease [32]byte) (*receipt.Provider, error) {
	if l := p.lanes[lease]; l != nil {
		return l, nil
	}
	terms, err := p.Terms(ctx, lease)
	if err != nil {
		return nil, err
	}
	state, err := os.ReadFile(path(p.Dir, lease, "lane"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := receipt.NewProvider(terms, receipt.Window{Start: 1, Ceiling: 1}, state)
	if err != nil {
		return nil, err
	}
	if p.lanes == nil {
		p.lanes = map[[32]byte]*receipt.Provider{}
	}
	p.lanes[lease] = l
	return l, nil
}

func path(dir string, lease [32]byte, kind string) string {
	return filepath.Join(dir, hex.EncodeToString(lease[:])+"."+kind)
}

// replace puts a whole file in place, durably.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once renamed
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
