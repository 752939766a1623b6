package score

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/grange-network/grange/core/money"
)

// Term is one line of an explanation: a quantity, its value and its unit.
type Term struct {
	Name  string
	Value uint64
	Unit  string
}

// Explain lists how a device's bonus of an epoch came about, from the evidence
// to the amount. A device without usage has the terms of zero. bonuses are those
// of Compute with the same terms.
func Explain(terms Terms, bonuses []Bonus, device [32]byte) []Term {
	b := Bonus{Device: device}
	i, found := slices.BinarySearchFunc(bonuses, device, func(x Bonus, d [32]byte) int { return bytes.Compare(x.Device[:], d[:]) })
	if found {
		b = bonuses[i]
	}
	var total money.Credit
	var weights uint64
	for _, x := range bonuses {
		total += x.Burned
		weights += x.Weight
	}
	return []Term{
		{"epoch", terms.Epoch, ""},
		{"burned by the device", uint64(b.Burned), money.CreditDenom},
		{"burned by all", uint64(total), money.CreditDenom},
		{"pool", uint64(terms.Pool), money.GrainDenom},
		{"share of the pool", uint64(b.Share), money.GrainDenom},
		{"rebate", uint64(terms.Rebate), "bps"},
		{"price of a GRAIN", terms.Price, money.CreditDenom},
		{"cap by own burn", uint64(b.Cap), money.GrainDenom},
		{"penalty", uint64(b.Penalty), "bps"},
		{"bonus of usage", uint64(b.Usage), money.GrainDenom},
		{"weight of the device", b.Weight, ""},
		{"weight of all", weights, ""},
		{"grant", uint64(terms.Grant), money.GrainDenom},
		{"share of the grant", uint64(b.Granted), money.GrainDenom},
		{"bonus", uint64(b.Amount), money.GrainDenom},
	}
}

// String writes the term as "name: value unit".
func (t Term) String() string {
	if t.Unit == "" {
		return fmt.Sprintf("%s: %d", t.Name, t.Value)
	}
	return fmt.Sprintf("%s: %d %s", t.Name, t.Value, t.Unit)
}
