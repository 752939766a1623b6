package verify

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/score"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/vertical"
)

// Sources are what recomputing needs besides the published epochs: the verticals
// and, for those that have it, their evidence.
type Sources struct {
	Verticals []vertical.Vertical
	Archive   *evidence.Archive // nil: evidence.ErrUnavailable where some is needed
	Dir       string            // for fetched segments; the caller removes it
}

// Check recomputes the epoch from the one published before it (the zero
// Published before the first), its own terms and usage, and its evidence. It
// returns nil when every byte comes out the same, and evidence.ErrUnavailable
// when that cannot be told. That terms, usage, devices and seed are the ledger's
// own is for the caller to compare.
func (p Published) Check(ctx context.Context, before Published, from Sources) error {
	var state score.State
	if p.Previous != before.Epoch {
		return fmt.Errorf("check %s, epoch %d: it follows epoch %d, not %d", p.Vertical, p.Epoch, p.Previous, before.Epoch)
	}
	if before.Epoch != 0 {
		var err error
		if state, err = before.State(); err != nil {
			return err
		}
	}
	w, err := p.weigh(ctx, from)
	if err != nil {
		return err
	}
	terms := score.Terms{
		Vertical: p.Vertical, Epoch: p.Epoch, Pool: money.Grain(p.Terms.Pool), Grant: money.Grain(p.Terms.Grant),
		Rebate: money.BPS(p.Terms.Rebate), Price: p.Terms.Price, Evidence: w.hash,
	}
	var usage []score.Usage
	for _, u := range p.Usage {
		device, err := deviceOf(u.Device)
		if err != nil {
			return err
		}
		usage = append(usage, score.Usage{Device: device, Epoch: p.Epoch, Burned: money.Credit(u.Burned)})
	}
	next, report, bonuses, err := state.Next(terms, usage, w.lines...)
	if err != nil {
		return err
	}
	want, err := publish(p.Chain, p.Previous, terms, next, report, bonuses, w).Encode()
	if err != nil {
		return err
	}
	got, err := p.Encode()
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("check %s, epoch %d: recomputed reward root %s and inputs root %s with total %d, published are %s, %s and %d",
			p.Vertical, p.Epoch, report.Rewards.Hash, report.Inputs, report.Rewards.Total, p.RewardRoot, p.InputsRoot, p.Total)
	}
	return nil
}

// weigh runs Score again on what the file says it was run on.
func (p Published) weigh(ctx context.Context, from Sources) (w weighed, err error) {
	v := find(from.Verticals, p.Vertical)
	if hasEvidence(v) != (p.Evidence != nil) {
		return w, fmt.Errorf("check %s, epoch %d: its Score is not part of this program: use the version of the verifiers", p.Vertical, p.Epoch)
	}
	if p.Evidence == nil {
		return w, nil
	}
	return p.Evidence.weigh(ctx, v, vertical.Input{ChainID: p.Chain, Epoch: p.Epoch}, from)
}

func (e *PublishedEvidence) weigh(ctx context.Context, v vertical.Vertical, in vertical.Input, from Sources) (w weighed, err error) {
	for _, u := range e.Usage {
		use, err := u.usage()
		if err != nil {
			return w, err
		}
		in.Usage = append(in.Usage, use)
	}
	in.Began, in.Ended, in.Decided = e.Began, e.Ended, e.Decided
	if in.Seed, err = deviceOf(e.Seed); err != nil { // 32 bytes in hex as well
		return w, fmt.Errorf("seed: %w", err)
	}
	if in.Evidence, err = e.fetch(ctx, v.Info().Name, in.Epoch, from); err != nil {
		return w, err
	}
	reg := &registry{find: unpublished, known: map[[32]byte]PublishedDevice{}}
	for _, d := range e.Devices {
		id, err := deviceOf(d.Hex)
		if err != nil {
			return w, err
		}
		d.ID = id
		reg.known[id] = d
	}
	in.Registry = reg
	w, err = weigh(ctx, v, in)
	if err = errors.Join(reg.err, err); err != nil {
		return w, err
	}
	again := *e
	again.Root, again.Devices = in.Evidence.Root.String(), reg.published()
	return w, w.attach(&again)
}

func unpublished(id [32]byte) (vertical.Device, bool, error) {
	return vertical.Device{}, false, fmt.Errorf("device %s is not among the published ones", hex.EncodeToString(id[:]))
}

func (e *PublishedEvidence) fetch(ctx context.Context, name string, epoch uint64, from Sources) (*evidence.Inputs, error) {
	if e.Abandoned {
		return new(evidence.Inputs), nil
	}
	if from.Archive == nil {
		return nil, fmt.Errorf("fetch evidence of %s, epoch %d: no store is given: %w", name, epoch, evidence.ErrUnavailable)
	}
	var roots []merkle.Hash
	for _, s := range e.Manifests {
		root, err := deviceOf(s)
		if err != nil {
			return nil, fmt.Errorf("manifest: %w", err)
		}
		roots = append(roots, merkle.Hash(root))
	}
	return from.Archive.FetchAll(ctx, name, epoch, roots, from.Dir)
}
