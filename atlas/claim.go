package atlas

import (
	"math/big"
	"slices"
	"strings"
)

// Kind says who vouches for a claim.
type Kind string

// The kinds, from the least to the most trusted for showing one number.
const (
	Survey   Kind = "survey"   // somebody wrote it down
	Operator Kind = "operator" // the network itself publishes it
	Derived  Kind = "derived"  // computed from other numbers by the stated method
	Observed Kind = "observed" // measured by somebody who does not run the network
)

var kindRank = map[Kind]int{Survey: 1, Operator: 2, Derived: 3, Observed: 4}

// Bound says what the number means.
type Bound string

// The bounds.
const (
	Exact   Bound = ""
	AtLeast Bound = "at-least" // the source writes 1,170+
	AtMost  Bound = "at-most"
	About   Bound = "about" // the source writes ~; taken as ±10 %
)

// Claim is one number (or range, or text) that one source gives for one metric.
// Exactly one of Value, Low with High, and Text is set; where none is, the
// source speaks of the metric without a figure and Note says so.
type Claim struct {
	Metric string   `yaml:"metric" json:"metric"`
	Value  *Decimal `yaml:"value" json:"value"`
	Low    *Decimal `yaml:"low" json:"low,omitempty"`
	High   *Decimal `yaml:"high" json:"high,omitempty"`
	Text   string   `yaml:"text" json:"text,omitempty"`
	Unit   Unit     `yaml:"unit" json:"unit"`
	Bound  Bound    `yaml:"bound" json:"bound,omitempty"`
	AsOf   Date     `yaml:"as-of" json:"as_of"`
	Source string   `yaml:"source" json:"source"`
	Kind   Kind     `yaml:"kind" json:"kind"`
	Method string   `yaml:"method" json:"method,omitempty"`
	Note   string   `yaml:"note" json:"note,omitempty"`
	Stale  bool     `yaml:"-" json:"stale,omitempty"` // only of live claims: the source stopped answering
}

// Known reports whether the claim carries a figure or a text.
func (c Claim) Known() bool { return c.Value != nil || c.Low != nil || c.Text != "" }

// Point is one number for the claim in its base unit: its value, or the middle
// of its range. Nil when the claim has no number.
func (c Claim) Point() *big.Rat {
	switch {
	case c.Value != nil:
		return c.Unit.Base(*c.Value)
	case c.Low != nil && c.High != nil:
		sum := new(big.Rat).Add(c.Unit.Base(*c.Low), c.Unit.Base(*c.High))
		return sum.Mul(sum, big.NewRat(1, 2))
	}
	return nil
}

// Range is what the claim allows, in its base unit; a nil end is open. Both
// are nil when the claim has no number.
func (c Claim) Range() (low, high *big.Rat) {
	if c.Low != nil && c.High != nil {
		return c.Unit.Base(*c.Low), c.Unit.Base(*c.High)
	}
	if c.Value == nil {
		return nil, nil
	}
	v := c.Unit.Base(*c.Value)
	switch c.Bound {
	case AtLeast:
		return v, nil
	case AtMost:
		return nil, v
	case About:
		return new(big.Rat).Mul(v, big.NewRat(9, 10)), new(big.Rat).Mul(v, big.NewRat(11, 10))
	}
	return v, v
}

// contradicts reports whether no number satisfies both claims.
func contradicts(a, b Claim) bool {
	if a.Text != "" && b.Text != "" {
		return a.Text != b.Text
	}
	al, ah := a.Range()
	bl, bh := b.Range()
	if al == nil && ah == nil || bl == nil && bh == nil {
		return false
	}
	below := func(high, low *big.Rat) bool { return high != nil && low != nil && high.Cmp(low) < 0 }
	return below(ah, bl) || below(bh, al)
}

// Shown picks the claim to show for a metric: the best kind first (observed,
// derived, operator, survey; a stale one only when nothing else is known), then
// the freshest, then the first source in the alphabet. Nil when none is known.
func Shown(claims []Claim, metric string) *Claim {
	var best *Claim
	for i := range claims {
		c := &claims[i]
		if c.Metric == metric && c.Known() && (best == nil || better(*c, *best)) {
			best = c
		}
	}
	return best
}

func better(a, b Claim) bool {
	switch {
	case a.Stale != b.Stale:
		return b.Stale
	case kindRank[a.Kind] != kindRank[b.Kind]:
		return kindRank[a.Kind] > kindRank[b.Kind]
	case a.AsOf != b.AsOf:
		return a.AsOf.Fresher(b.AsOf)
	}
	return a.Source < b.Source
}

// metricsOf lists the metrics of claims in alphabetical order.
func metricsOf(claims []Claim) []string {
	var all []string
	for _, c := range claims {
		if !slices.Contains(all, c.Metric) {
			all = append(all, c.Metric)
		}
	}
	slices.SortFunc(all, strings.Compare)
	return all
}
