package storage

import (
	"context"

	"github.com/grange-network/grange/vertical"
)

// Vertical is storage.
type Vertical struct{}

var _ vertical.Vertical = Vertical{}

// Info implements vertical.Vertical.
func (Vertical) Info() vertical.Info {
	return vertical.Info{
		Name: "storage", Class: vertical.DRN,
		Units: []vertical.Unit{{Kind: "storage", Use: "byte read", Hold: "byte held"}},
	}
}

// Score finds nothing: there is no evidence.
func (Vertical) Score(context.Context, vertical.Input) ([]vertical.Line, error) { return nil, nil }
