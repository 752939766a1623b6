package local

import (
	"slices"

	"github.com/grange-network/grange/vertical/notary"
	"github.com/grange-network/grange/vertical/sensing"
)

// with are the verticals that the network has besides those that every network
// has, sorted.
func (p *Plan) with() (names []string) {
	if p.Notary != nil {
		names = append(names, notary.Name)
	}
	if p.Sensing != nil {
		names = append(names, sensing.Name)
	}
	slices.Sort(names)
	return names
}
