package local

import "github.com/grange-network/grange/vertical/notary"

// with are the verticals that the network has besides those that every network
// has.
func (p *Plan) with() []string {
	if p.Notary == nil {
		return nil
	}
	return []string{notary.Name}
}
