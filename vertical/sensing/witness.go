package sensing

import (
	"cmp"
	"slices"
)

// about returns the device that a batch is about when that is not its signer's own
// matter.
func (v Vertical) about(b *Batch) (id [32]byte, witness bool) {
	for _, k := range v.Kinds {
		if w, ok := k.Info().Format.(Witness); ok && b.Content == w.Content() {
			return w.About(b.Payload)
		}
	}
	return id, false
}

// hand gives what devices signed about others to those. A device that was only
// seen is added if it is registered; what a forked device says of others does not
// count, nor what one says of itself.
func (r *reader) hand() {
	signers := make([]*signed, 0, len(r.byID))
	for _, s := range r.byID {
		if len(s.told) > 0 && s.forked == 0 {
			signers = append(signers, s)
		}
	}
	slices.SortFunc(signers, func(a, b *signed) int { return slices.Compare(a.device.ID[:], b.device.ID[:]) })
	for _, s := range signers {
		slices.SortFunc(s.told, func(a, b told) int { return cmp.Compare(a.counter, b.counter) })
		for _, t := range s.told {
			if t.about == s.device.ID {
				continue
			}
			if of := r.device(t.about); of != nil {
				of.seen = append(of.seen, r.shelf.batch(t.place))
			}
		}
	}
}

// held are the batches of a kind.
func held(all []*Batch, info KindInfo) (out []*Batch) {
	for _, b := range all {
		if info.Holds(b) {
			out = append(out, b)
		}
	}
	return out
}
