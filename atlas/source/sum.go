package source

import (
	"math/big"
	"strings"

	"github.com/grange-network/grange/atlas"
)

// sumUSD adds decimals exactly.
type sumUSD struct{ r big.Rat }

func (s *sumUSD) add(d atlas.Decimal) { s.r.Add(&s.r, d.Rat()) }

// dollars rounds down; ok is false beyond what twelve months of it can hold.
func (s *sumUSD) dollars() (int64, bool) {
	q := new(big.Int).Quo(s.r.Num(), s.r.Denom())
	return q.Int64(), q.IsInt64() && q.Int64() < 1<<59
}

// String is the sum with up to six places.
func (s *sumUSD) String() string {
	text := s.r.FloatString(6)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}
