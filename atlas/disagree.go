package atlas

import (
	"math/big"
	"slices"
	"strings"
)

// Disagreement is one metric of one subject on which sources contradict each
// other: no number satisfies them all.
type Disagreement struct {
	Subject string   `json:"subject"` // sector, a vertical, or the id of an entry
	Name    string   `json:"name"`
	Metric  string   `json:"metric"`
	Claims  []Claim  `json:"claims"` // every claim of the metric, smallest first
	Factor  *Decimal `json:"factor"` // largest over smallest number; null between texts
	Months  int      `json:"months"` // between the oldest and the newest dated claim
}

// Disagreements lists every contradiction in the catalogue: the largest factor
// first, those between texts last.
func (c *Catalog) Disagreements() []Disagreement {
	var all []Disagreement
	add := func(subject, name string, claims []Claim) {
		for _, m := range metricsOf(claims) {
			if d, ok := disagree(claims, m); ok {
				d.Subject, d.Name = subject, name
				all = append(all, d)
			}
		}
	}
	add("sector", "the sector", c.Sector.Claims)
	for _, v := range c.Verticals {
		add(string(v.ID), v.Name, v.Claims)
	}
	for _, e := range c.Entries {
		add(e.ID, e.Name, e.Claims)
	}
	slices.SortStableFunc(all, func(a, b Disagreement) int {
		switch {
		case a.Factor == nil || b.Factor == nil:
			if (a.Factor == nil) != (b.Factor == nil) {
				return map[bool]int{true: 1, false: -1}[a.Factor == nil]
			}
		default:
			if n := b.Factor.Rat().Cmp(a.Factor.Rat()); n != 0 {
				return n
			}
		}
		return strings.Compare(a.Subject+"/"+a.Metric, b.Subject+"/"+b.Metric)
	})
	return all
}

// disagree collects the known claims of one metric and reports whether any two
// contradict each other.
func disagree(claims []Claim, metric string) (Disagreement, bool) {
	d := Disagreement{Metric: metric}
	for _, c := range claims {
		if c.Metric == metric && c.Known() {
			d.Claims = append(d.Claims, c)
		}
	}
	found := false
	for i, a := range d.Claims {
		for _, b := range d.Claims[i+1:] {
			found = found || contradicts(a, b)
		}
	}
	if !found {
		return d, false
	}
	slices.SortStableFunc(d.Claims, func(a, b Claim) int {
		x, y := a.Point(), b.Point()
		if x == nil || y == nil {
			return strings.Compare(a.Text, b.Text)
		}
		return x.Cmp(y)
	})
	d.Factor = factor(d.Claims)
	d.Months = monthsBetween(d.Claims)
	return d, true
}

// factor is the largest number over the smallest, to three significant digits
// or so; nil when there is no positive smallest.
func factor(sorted []Claim) *Decimal {
	low, high := sorted[0].Point(), sorted[len(sorted)-1].Point()
	if low == nil || high == nil || low.Sign() <= 0 {
		return nil
	}
	return rounded(new(big.Rat).Quo(high, low))
}

// rounded keeps about three significant digits.
func rounded(r *big.Rat) *Decimal {
	places := 0
	switch f, _ := new(big.Rat).Abs(r).Float64(); {
	case f < 0.1:
		places = 4
	case f < 10:
		places = 2
	case f < 100:
		places = 1
	}
	d, err := DecimalFromRat(r, places)
	if err != nil {
		return nil
	}
	return &d
}

func monthsBetween(claims []Claim) int {
	most := 0
	for i, a := range claims {
		for _, b := range claims[i+1:] {
			most = max(most, MonthsApart(a.AsOf, b.AsOf))
		}
	}
	return most
}
