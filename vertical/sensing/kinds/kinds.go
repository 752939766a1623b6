// Package kinds lists the kinds of observation of this program. All validators of
// a chain must run the same: a kind is added by its line here.
package kinds

import (
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/air"
	"github.com/grange-network/grange/vertical/sensing/events"
	"github.com/grange-network/grange/vertical/sensing/gnss"
	"github.com/grange-network/grange/vertical/sensing/images"
	"github.com/grange-network/grange/vertical/sensing/noise"
	"github.com/grange-network/grange/vertical/sensing/radio"
	"github.com/grange-network/grange/vertical/sensing/weather"
)

// All are the kinds by name.
func All() []sensing.Kind {
	return []sensing.Kind{air.Kind{}, events.Kind{}, gnss.Kind{}, images.Kind{}, noise.Kind{}, radio.Kind{}, weather.Kind{}}
}

// Vertical is the sensing vertical with all kinds.
func Vertical() sensing.Vertical {
	return sensing.Vertical{Kinds: All(), Checked: new(sensing.Checked)}
}
