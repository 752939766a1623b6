package sensing

import (
	"slices"

	"github.com/grange-network/grange/vertical"
)

// witnesses hands what devices signed about others to those. A device that was
// only seen is added if it is registered; what a forked device says of others
// does not count.
func (v Vertical) witnesses(registry vertical.Registry, all []*signed) []*signed {
	byID := make(map[[32]byte]*signed, len(all))
	for _, s := range all {
		byID[s.device.ID] = s
	}
	out := all
	for _, k := range v.Kinds {
		w, ok := k.Info().Format.(Witness)
		if !ok {
			continue
		}
		for _, s := range all {
			for _, b := range s.inOrder() {
				if b.Content != w.Content() {
					continue
				}
				id, yes := w.About(b.Payload)
				if !yes {
					continue
				}
				delete(s.batches, b.Counter)
				if s.forked != 0 || id == s.device.ID {
					continue
				}
				if byID[id] == nil {
					d, known := registry.Device(id)
					if !known {
						continue
					}
					byID[id] = &signed{device: d}
					out = append(out, byID[id])
				}
				byID[id].seen = append(byID[id].seen, b)
			}
		}
	}
	slices.SortFunc(out, func(a, b *signed) int { return slices.Compare(a.device.ID[:], b.device.ID[:]) })
	return out
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
