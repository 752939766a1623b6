package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/grange-network/grange/core/score"
	"github.com/grange-network/grange/vertical"
)

// weighed is what a vertical's Score found in an epoch, ready for package score.
type weighed struct {
	lines    []score.Line
	parts    map[[32]byte][]vertical.Part
	evidence *PublishedEvidence // nil for a vertical without evidence
	hash     [32]byte           // of evidence, zero without
}

// weigh runs Score. A device that is not registered cannot be paid, so its line
// is passed over.
func weigh(ctx context.Context, v vertical.Vertical, in vertical.Input) (w weighed, err error) {
	lines, err := v.Score(ctx, in)
	if err != nil {
		return w, fmt.Errorf("score epoch %d of %s: %w", in.Epoch, v.Info().Name, err)
	}
	w.parts = map[[32]byte][]vertical.Part{}
	for _, l := range lines {
		if _, registered := in.Registry.Device(l.Device); !registered {
			continue
		}
		weight, err := l.Weight()
		if err != nil {
			return w, err
		}
		w.lines = append(w.lines, score.Line{Device: l.Device, Weight: weight, Penalty: l.Penalty})
		w.parts[l.Device] = l.Parts
	}
	return w, nil
}

// attach adds what the lines were computed from.
func (w *weighed) attach(e *PublishedEvidence) error {
	raw, err := json.Marshal(e)
	if err != nil {
		return err
	}
	w.evidence, w.hash = e, sha256.Sum256(raw)
	return nil
}

// registry remembers what was asked, so that it can be published.
type registry struct {
	find  func(id [32]byte) (vertical.Device, bool, error)
	known map[[32]byte]PublishedDevice
	err   error // the first one; what was computed with it is void
}

var _ vertical.Registry = (*registry)(nil)

// Device implements vertical.Registry.
func (r *registry) Device(id [32]byte) (vertical.Device, bool) {
	p, asked := r.known[id]
	if !asked && r.err == nil {
		var d vertical.Device
		d, p.Registered, r.err = r.find(id)
		p.Device, p.Device.ID = d, id
		r.known[id] = p
	}
	return p.Device, p.Registered
}

// published lists what was asked, sorted by device.
func (r *registry) published() []PublishedDevice {
	out := []PublishedDevice{}
	for _, id := range slices.SortedFunc(maps.Keys(r.known), func(a, b [32]byte) int { return slices.Compare(a[:], b[:]) }) {
		p := r.known[id]
		p.Hex = hex.EncodeToString(id[:])
		out = append(out, p)
	}
	return out
}
