// Package verticals lists the verticals of this program. All validators of a
// chain must run the same: a vertical is added by its line here.
package verticals

import (
	"github.com/grange-network/grange/vertical"
	"github.com/grange-network/grange/vertical/notary"
	"github.com/grange-network/grange/vertical/sensing/kinds"
	"github.com/grange-network/grange/vertical/storage"
)

// All are the verticals whose Score this program has, by name.
func All() []vertical.Vertical {
	return []vertical.Vertical{notary.Vertical{}, kinds.Vertical(), storage.Vertical{}}
}
