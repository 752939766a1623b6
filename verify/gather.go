package verify

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/ledger/api/devicepb"
	"github.com/grange-network/grange/ledger/api/oraclepb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/vertical"
)

const (
	// publishLag is how many epochs after its own the evidence of an epoch may be
	// published in.
	publishLag = 1
	// silence is how many epochs more an epoch waits that nobody published for: a
	// store that is empty by mistake looks the same, and those who see the evidence
	// have voted by then.
	silence = 1
	// patience is how many epochs evidence that was announced and cannot be had is
	// waited for; then its epoch is scored without any. It is well below the
	// history that the ledger keeps.
	patience = 32
)

// errSilence ends the scoring for now: nobody has published for the next epoch.
var errSilence = errors.New("nobody has published evidence yet")

// known returns the vertical of a name, nil for one that this program does not
// know: it is scored from usage alone.
func (c Config) known(name string) vertical.Vertical { return find(c.Known, name) }

func find(all []vertical.Vertical, name string) vertical.Vertical {
	for _, v := range all {
		if v.Info().Name == name {
			return v
		}
	}
	return nil
}

func hasEvidence(v vertical.Vertical) bool { return v != nil && len(v.Info().Evidence) > 0 }

// weigh scores what was published for an ended epoch. Evidence that cannot be
// had is evidence.ErrUnavailable: the epoch waits, and with it all later ones,
// and the next report pays for all of them.
func (v *verifier) weigh(ctx context.Context, name string, r Recorded, current uint64) (weighed, error) {
	vert := v.known(name)
	if !hasEvidence(vert) {
		return weighed{}, nil
	}
	in := vertical.Input{ChainID: v.ledger.ChainID, Epoch: r.Terms.Epoch, Usage: r.Usage, Evidence: new(evidence.Inputs)}
	if err := v.facts(ctx, r, &in); err != nil {
		return weighed{}, err
	}
	w, err := v.weighPublished(ctx, vert, in, current)
	if errors.Is(err, evidence.ErrUnavailable) && current > in.Epoch+patience {
		v.log.Error("evidence is given up, the epoch is scored without it", "vertical", name, "epoch", in.Epoch, "error", err)
		return v.weighInputs(ctx, vert, in, nil, true)
	}
	return w, err
}

// facts adds what the ledger knows of the epoch.
func (v *verifier) facts(ctx context.Context, r Recorded, in *vertical.Input) error {
	in.Ended = r.Ended
	e, err := v.ledger.Oracle.Epoch(ctx, &oraclepb.QueryEpochRequest{Number: in.Epoch})
	if err != nil {
		return fmt.Errorf("read seed of epoch %d: %w", in.Epoch, err)
	}
	in.Began = e.Epoch.StartTime / 1_000_000_000
	if e.Epoch.Status == oraclepb.EPOCH_STATUS_DECIDED && len(e.Epoch.Seed) == 32 {
		in.Seed, in.Decided = [32]byte(e.Epoch.Seed), true
	}
	return nil
}

// weighPublished fetches all evidence of the epoch and scores it.
func (v *verifier) weighPublished(ctx context.Context, vert vertical.Vertical, in vertical.Input, current uint64) (weighed, error) {
	name := vert.Info().Name
	if v.Archive == nil {
		return weighed{}, fmt.Errorf("score epoch %d of %s: no store of evidence is configured: %w", in.Epoch, name, evidence.ErrUnavailable)
	}
	ids, err := v.Archive.Published(ctx, name, in.Epoch)
	if err != nil {
		return weighed{}, err
	}
	if len(ids) == 0 && current <= in.Epoch+silence {
		return weighed{}, errSilence
	}
	roots := make([]merkle.Hash, 0, len(ids)) // listed by key, so sorted
	for _, id := range ids {
		roots = append(roots, id.Root)
	}
	dir := filepath.Join(v.Home, "evidence", name, strconv.FormatUint(in.Epoch, 10))
	defer os.RemoveAll(dir)
	if in.Evidence, err = v.Archive.FetchAll(ctx, name, in.Epoch, roots, dir); err != nil {
		return weighed{}, err
	}
	return v.weighInputs(ctx, vert, in, roots, false)
}

// weighInputs scores evidence that is here and notes everything it came from.
func (v *verifier) weighInputs(ctx context.Context, vert vertical.Vertical, in vertical.Input, roots []merkle.Hash, abandoned bool) (weighed, error) {
	e := &PublishedEvidence{
		Root: in.Evidence.Root.String(), Manifests: []string{}, Abandoned: abandoned,
		Began: in.Began, Ended: in.Ended, Seed: hex.EncodeToString(in.Seed[:]), Decided: in.Decided, Usage: publishUsage(in.Usage),
	}
	for _, r := range roots {
		e.Manifests = append(e.Manifests, r.String())
	}
	after, err := v.ledger.Oracle.Epoch(ctx, &oraclepb.QueryEpochRequest{Number: in.Epoch + 1})
	if err != nil {
		return weighed{}, fmt.Errorf("read the beginning of epoch %d: %w", in.Epoch+1, err)
	}
	next := after.Epoch.StartHeight
	reg := &registry{find: func(id [32]byte) (vertical.Device, bool, error) { return v.device(ctx, id, in.Epoch, next) }, known: map[[32]byte]PublishedDevice{}}
	in.Registry = reg
	w, err := weigh(ctx, vert, in)
	if err = errors.Join(reg.err, err); err != nil {
		return w, err
	}
	e.Devices = reg.published()
	return w, w.attach(e)
}

// device asks the ledger what a device was when the epoch ended; next is the
// height at which the one after it began.
func (v *verifier) device(ctx context.Context, id [32]byte, epoch uint64, next int64) (d vertical.Device, registered bool, err error) {
	r, err := v.ledger.Device.Device(ctx, &devicepb.QueryDeviceRequest{Id: hex.EncodeToString(id[:])})
	if errors.Is(err, client.ErrNotFound) {
		return d, false, nil
	}
	if err != nil {
		return d, false, fmt.Errorf("read device %x: %w", id, err)
	}
	now := &r.Device
	if now.RegisteredHeight >= next {
		return d, false, nil
	}
	was := now.Before
	if was == nil || was.Epoch <= epoch {
		was = &devicepb.Before{Owner: now.Owner, Class: now.Profile.Class, Cell: now.Profile.Cell, CellChangedAt: now.CellChangedAt, Moves: now.Moves}
	}
	d = vertical.Device{Owner: was.Owner, Class: vertical.DRN, Cell: was.Cell, Registered: now.RegisteredHeight}
	if was.Class == devicepb.CLASS_PRN {
		d.Class = vertical.PRN
	}
	if was.Moves > 0 {
		d.Moved = was.CellChangedAt
	}
	return d, true, nil
}
