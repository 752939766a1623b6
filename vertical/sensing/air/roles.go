package air

import (
	"cmp"
	"slices"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical"
)

// leadShare is the part of a pixel in tenths that its leads share; the rest is the
// backups', who stand ready and are what leads are compared with.
const leadShare = 9

// holder is an owner's stations in a pixel, which have one role together; what it
// is worth they share, as in every cell.
type holder struct {
	owner    string
	stations []int
	best     uint64 // weight of its best station
	since    int64  // when the oldest station came to its place
	oldest   int64  // height of its registration
	id       [32]byte
}

// roles extends terms by each station's part in its pixel. Leads are the owners
// with the best local reputation: the weight of what their best station showed in
// the window, then how long it has stood there.
func roles(all []*record, terms [][]vertical.Term) error {
	pixels := map[h3.Cell]map[string]*holder{}
	for i, r := range all {
		weight, err := vertical.Part{Terms: terms[i]}.Value()
		if err != nil {
			return err
		}
		place := h3.Cell(r.Cell)
		if weight == 0 {
			continue // it says already why
		}
		if r.Cell == 0 || place.Resolution() < Resolution {
			continue // whoever shares cells says so
		}
		place = place.Parent(Resolution)
		if pixels[place] == nil {
			pixels[place] = map[string]*holder{}
		}
		enter(pixels[place], i, r, weight)
	}
	for _, holders := range pixels { // pixels do not touch each other
		assign(holders, terms)
	}
	return nil
}

func enter(pixel map[string]*holder, i int, r *record, weight uint64) {
	h := pixel[r.Owner]
	if h == nil {
		h = &holder{owner: r.Owner, since: r.Moved, oldest: r.Registered, id: r.ID}
		pixel[r.Owner] = h
	}
	h.stations = append(h.stations, i)
	h.best = max(h.best, weight)
	h.since, h.oldest = min(h.since, r.Moved), min(h.oldest, r.Registered)
	if slices.Compare(r.ID[:], h.id[:]) < 0 {
		h.id = r.ID
	}
}

func assign(pixel map[string]*holder, terms [][]vertical.Term) {
	order := make([]*holder, 0, len(pixel))
	for _, h := range pixel {
		order = append(order, h)
	}
	slices.SortFunc(order, func(a, b *holder) int {
		return cmp.Or(cmp.Compare(b.best, a.best), cmp.Compare(a.since, b.since), cmp.Compare(a.oldest, b.oldest), slices.Compare(a.id[:], b.id[:]))
	})
	backups := uint64(max(0, len(order)-Leads))
	for rank, h := range order {
		role := vertical.Term{Name: "lead of its pixel", Value: leadShare, Of: 10}
		switch {
		case backups == 0:
			role = vertical.Term{Name: "lead of its pixel, without backups", Value: 1, Of: 1}
		case rank >= Leads:
			role = vertical.Term{Name: "one of the backups of its pixel", Value: min(leadShare*backups, (10-leadShare)*Leads), Of: 10 * backups}
		}
		for _, i := range h.stations {
			terms[i] = append(terms[i], role)
		}
	}
}
