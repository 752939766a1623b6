package gnss

import (
	"fmt"
	"slices"

	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/sensing/gnss/orbit"
)

// share gives the bases of each cell their part. The oldest that is steady leads
// and has a whole share; the others have one together. Bases within 100 m of an
// older one, and further bases of an owner, have none.
func share(all []*base) {
	byCell := map[h3.Cell][]*base{}
	for _, b := range all {
		if value(b.terms) > 0 { // others say already why
			c := h3.Cell(b.Cell).Parent(Resolution)
			byCell[c] = append(byCell[c], b)
		}
	}
	var seated []*base
	for _, in := range byCell { // cells do not touch each other
		slices.SortFunc(in, older)
		seated = append(seated, seats(in)...)
	}
	crowd(seated)
}

// seats shares one cell among owners, by the oldest base of each, and returns who
// has a part.
func seats(in []*base) (seated []*base) {
	owners := map[string]bool{}
	for _, b := range in {
		if owners[b.Owner] {
			b.terms = append(b.terms, yes("oldest base of its owner in the cell", false))
			continue
		}
		owners[b.Owner] = true
		if near := neighbour(seated, b); near != nil {
			b.terms = append(b.terms, yes(fmt.Sprintf("no older base within %d m", cluster), false))
			continue
		}
		seated = append(seated, b)
	}
	lead := slices.IndexFunc(seated, func(b *base) bool { return b.terms[2].Value >= Steady })
	for i, b := range seated {
		switch {
		case i == lead:
			b.terms = append(b.terms, yes("lead of its cell", true))
		case lead < 0:
			b.terms = append(b.terms, vertical.Term{Name: "share of a cell without a lead", Value: 1, Of: uint64(len(seated))})
		default:
			b.terms = append(b.terms, vertical.Term{Name: "share beside the lead of its cell", Value: 1, Of: uint64(len(seated) - 1)})
		}
	}
	return seated
}

func neighbour(seated []*base, b *base) *base {
	for _, o := range seated {
		if orbit.Distance(o.at, b.at) < cluster {
			return o
		}
	}
	return nil
}

// crowd takes the part of those that stand within 100 m of an older base across
// the border of a cell.
func crowd(seated []*base) {
	slices.SortFunc(seated, older)
	var kept []*base
	for _, b := range seated {
		if neighbour(kept, b) != nil {
			b.terms = append(b.terms, yes(fmt.Sprintf("no older base within %d m", cluster), false))
			continue
		}
		kept = append(kept, b)
	}
}
