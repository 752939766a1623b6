package ledgerport

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/grange-network/grange/core/lease"
	"github.com/grange-network/grange/core/receipt"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/vertical/storage/proof"
	"github.com/grange-network/grange/vertical/storage/provider"
)

// Provider is the ledger as a storage provider needs it.
type Provider struct{ *Port }

var (
	_ provider.Leases = Provider{}
	_ provider.Oracle = Provider{}
	_ provider.Market = Provider{}
)

// Lease returns the lease as of the newest block.
func (p Provider) Lease(ctx context.Context, id [32]byte) (lease.Lease, error) {
	l, err := p.lease(ctx, id)
	if errors.Is(err, client.ErrNotFound) {
		return l, fmt.Errorf("%w: %w", provider.ErrNoLease, err)
	}
	return l, err
}

// Duty returns the current epoch as the device sees it.
func (p Provider) Duty(ctx context.Context, device [32]byte) (provider.Duty, error) {
	r, err := p.oracle.Challenges(ctx, &oraclepb.QueryChallengesRequest{Device: hex.EncodeToString(device[:])})
	if err != nil {
		return provider.Duty{}, fmt.Errorf("read challenges: %w", err)
	}
	e, err := p.oracle.Epoch(ctx, &oraclepb.QueryEpochRequest{Number: r.Epoch})
	if err != nil {
		return provider.Duty{}, fmt.Errorf("read epoch %d: %w", r.Epoch, err)
	}
	_, now := p.c.Head()
	start := time.Unix(0, e.Epoch.StartTime)
	d := provider.Duty{
		Epoch: r.Epoch, Proven: r.Proven, Challenges: len(r.Challenges),
		Elapsed: now.Sub(start), Length: time.Unix(0, r.Deadline).Sub(start),
	}
	if e.Epoch.Status == oraclepb.EPOCH_STATUS_DECIDED && len(r.Seed) == 32 {
		d.Seed, d.Seeded = [32]byte(r.Seed), true
	}
	for _, h := range r.Heads {
		if len(h.Lease) != 32 || len(h.Root) != 32 {
			return d, fmt.Errorf("read challenges: head of lease %x has a root of %d bytes", h.Lease, len(h.Root))
		}
		d.Heads = append(d.Heads, proof.Head{Lease: [32]byte(h.Lease), Root: [32]byte(h.Root), Units: h.Units})
	}
	return d, nil
}

// Prove posts the answers to an epoch's challenges.
func (p Provider) Prove(ctx context.Context, device [32]byte, epoch uint64, proofs [][]byte) error {
	_, err := p.send(ctx, &oraclepb.MsgProve{Signer: p.Address(), Device: device[:], Epoch: epoch, Proofs: proofs})
	if err != nil {
		return fmt.Errorf("prove epoch %d: %w", epoch, err)
	}
	return nil
}

// Settle hands in what both sides signed.
func (p Provider) Settle(ctx context.Context, receipts []receipt.Receipt, commitments []receipt.Commitment) error {
	var rs, cs [][]byte
	for _, r := range receipts {
		rs = append(rs, r.Encode())
	}
	for _, c := range commitments {
		cs = append(cs, c.Encode())
	}
	return p.settle(ctx, rs, cs)
}

// Blocks tells of new blocks until ctx ends; one that nobody waits for is
// dropped.
func (p *Port) Blocks(ctx context.Context) <-chan struct{} {
	out := make(chan struct{}, 1)
	go func() {
		defer close(out)
		height, _ := p.c.Head()
		for {
			if p.c.WaitHeight(ctx, height+1) != nil {
				return
			}
			height, _ = p.c.Head()
			select {
			case out <- struct{}{}:
			default:
			}
		}
	}()
	return out
}
