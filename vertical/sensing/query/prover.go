package query

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/segment"
	"github.com/grange-network/grange/vertical/sensing"
)

// Prover makes proofs of batches. One that is not published yet has Pending set.
type Prover interface {
	Prove(ctx context.Context, id device.ID, counter uint64, batch sensing.Hash) (*Proof, error)
}

// Published is a Prover over an archive of evidence. It reads a segment once and
// remembers which batches are in it.
type Published struct {
	Archive *evidence.Archive
	ChainID string
	Dir     string // for copies of segments, nothing else; it is emptied now and then
	// Newest is the newest epoch that evidence may have been published for.
	Newest func(ctx context.Context) (uint64, error)
	Back   uint64 // epochs that are searched; 0: 16

	mu   sync.Mutex
	read map[merkle.Hash]bool      // manifests
	at   map[sensing.Hash]location // of batches
	segs map[merkle.Hash]bool      // segments
}

// location is where a batch is published.
type location struct {
	segment  evidence.Segment
	index    uint64
	manifest evidence.Manifest
	listed   int
}

// maxLocations bounds what is remembered.
const maxLocations = 2_000_000

const notYet = "the batch is signed and stored; it is published when its epoch ends"

// Prove implements Prover.
func (p *Published) Prove(ctx context.Context, _ device.ID, _ uint64, batch sensing.Hash) (*Proof, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.at[batch]
	if !ok {
		if err := p.refresh(ctx); err != nil {
			return nil, err
		}
		if at, ok = p.at[batch]; !ok {
			return &Proof{ChainID: p.ChainID, Pending: notYet}, nil
		}
	}
	return p.proof(at)
}

// refresh reads manifests that are new. p.mu is held.
func (p *Published) refresh(ctx context.Context) error {
	if p.at == nil || len(p.at) > maxLocations {
		if err := os.RemoveAll(p.Dir); err != nil {
			return fmt.Errorf("remove old copies of evidence: %w", err)
		}
		p.read, p.at, p.segs = map[merkle.Hash]bool{}, map[sensing.Hash]location{}, map[merkle.Hash]bool{}
	}
	newest, err := p.Newest(ctx)
	if err != nil {
		return err
	}
	back := p.Back
	if back == 0 {
		back = 16
	}
	for epoch := newest - min(newest, back); epoch <= newest; epoch++ {
		ids, err := p.Archive.Published(ctx, sensing.Name, epoch)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if p.read[id.Root] {
				continue
			}
			if err := p.take(ctx, id); err != nil && !errors.Is(err, evidence.ErrUnavailable) {
				return err
			}
		}
	}
	return nil
}

// take reads the segments of a manifest that were not read before.
func (p *Published) take(ctx context.Context, id evidence.ID) error {
	in, err := p.Archive.Fetch(ctx, id, p.Dir)
	if err != nil {
		return err
	}
	for i, s := range in.Segments {
		if s.Kind != sensing.Batches.Name || p.segs[s.Root] {
			continue
		}
		err := p.open(s, func(seg *segment.Segment[sensing.Row]) error {
			index := uint64(0)
			for row, err := range seg.Rows() {
				if err != nil {
					return err
				}
				if b, err := row.Open(p.ChainID); err == nil {
					p.at[b.Hash] = location{s, index, in.Manifest, i}
				}
				index++
			}
			return nil
		})
		if err != nil {
			return err
		}
		p.segs[s.Root] = true
	}
	p.read[id.Root] = true
	return nil
}

// open opens a segment that was fetched.
func (p *Published) open(s evidence.Segment, use func(*segment.Segment[sensing.Row]) error) error {
	f, err := os.Open(filepath.Join(p.Dir, filepath.FromSlash(s.Path(s.Root))))
	if err != nil {
		return err
	}
	defer f.Close()
	seg, err := segment.Verify(f, s.Bytes, sensing.Batches)
	if err != nil {
		return err
	}
	return use(seg)
}

func (p *Published) proof(at location) (*Proof, error) {
	out := &Proof{ChainID: p.ChainID, Segment: nameOf(at.segment), Epoch: at.manifest.Epoch, Inputs: at.manifest.Root.String()}
	err := p.open(at.segment, func(seg *segment.Segment[sensing.Row]) error {
		row, path, err := seg.Prove(at.index)
		if err != nil {
			return err
		}
		out.KeyType, out.Key, out.Batch, out.Path = row.KeyType, slices.Clone(row.Key), slices.Clone(row.Batch), path.Encode()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("prove batch: %w", err)
	}
	listed, err := at.manifest.Prove(at.listed)
	out.Listed = listed.Encode()
	return out, err
}
