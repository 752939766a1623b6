package vertical

import (
	"fmt"
	"math/big"

	"github.com/grange-network/grange/core/money"
)

// Bounds of a line.
const (
	MaxWeight = 1 << 40 // of a device in an epoch
	MaxParts  = 256
	MaxTerms  = 32 // of a part
	MaxName   = 64 // bytes of a part's or a term's name
)

// Line is what a device did in an epoch. Its weight is not a number beside the
// explanation but follows from it: the sum of the parts, each the product of its
// terms.
type Line struct {
	Device [32]byte
	Parts  []Part
	// Penalty is the part of its usage bonus that the device loses, for bad
	// quality; what it loses nobody gets. 0 for verticals that do not judge usage.
	Penalty money.BPS
}

// Part is one addend of a weight: the product of its terms, rounded down once.
type Part struct {
	Name  string `json:"name"`
	Terms []Term `json:"terms"`
}

// Term is one factor of a part, Value/Of; Of 0 stands for 1. A count of hours is
// {"hours", 24, 0}, a quality of 0.93 is {"quality", 930_000, 1_000_000}.
type Term struct {
	Name  string `json:"name"`
	Value uint64 `json:"value,string"`
	Of    uint64 `json:"of,string"`
}

// Weight is the device's weight among all devices of the vertical. It refuses a
// line beyond the bounds.
func (l Line) Weight() (uint64, error) {
	if len(l.Parts) > MaxParts || l.Penalty > money.Whole {
		return 0, fmt.Errorf("weigh device %x: %d parts and a penalty of %d bps, at most %d and %d are allowed", l.Device, len(l.Parts), l.Penalty, MaxParts, money.Whole)
	}
	var sum uint64
	for _, p := range l.Parts {
		n, err := p.Value()
		if err != nil {
			return 0, fmt.Errorf("weigh device %x: %w", l.Device, err)
		}
		if sum += n; sum > MaxWeight {
			return 0, fmt.Errorf("weigh device %x: more than %d", l.Device, MaxWeight)
		}
	}
	return sum, nil
}

// Value is the product of the terms, rounded down once; 0 without terms.
func (p Part) Value() (uint64, error) {
	if len(p.Terms) == 0 {
		return 0, nil
	}
	if len(p.Terms) > MaxTerms || len(p.Name) > MaxName {
		return 0, fmt.Errorf("part %.64q has %d terms, at most %d are allowed", p.Name, len(p.Terms), MaxTerms)
	}
	num, den := big.NewInt(1), big.NewInt(1)
	for _, t := range p.Terms {
		if len(t.Name) > MaxName {
			return 0, fmt.Errorf("part %s: name of a term has %d bytes, at most %d are allowed", p.Name, len(t.Name), MaxName)
		}
		num.Mul(num, new(big.Int).SetUint64(t.Value))
		if t.Of > 1 {
			den.Mul(den, new(big.Int).SetUint64(t.Of))
		}
	}
	num.Quo(num, den)
	if !num.IsUint64() || num.Uint64() > MaxWeight {
		return 0, fmt.Errorf("part %s is %s, at most %d are allowed", p.Name, num, MaxWeight)
	}
	return num.Uint64(), nil
}
