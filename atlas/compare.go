package atlas

import (
	"errors"
	"slices"
	"strings"
)

// Comparison sets entries side by side. A cell without a claim is null: no
// source says, which is not zero.
type Comparison struct {
	Entries []*Entry        `json:"entries"`
	Metrics []ComparedClaim `json:"metrics"`
}

// ComparedClaim is one metric over all compared entries.
type ComparedClaim struct {
	Metric   string   `json:"metric"`
	Name     string   `json:"name"`
	Shown    []*Claim `json:"shown"`    // one per entry, null where nothing is known
	Disputed []bool   `json:"disputed"` // whether other claims contradict the shown one
}

// Compare sets two or more entries side by side over every metric that one of
// them has a claim for.
func (c *Catalog) Compare(entries []*Entry) (Comparison, error) {
	if len(entries) < 2 {
		return Comparison{}, errors.New("compare: want at least two entries")
	}
	var metrics []string
	for _, e := range entries {
		for _, m := range metricsOf(e.Claims) {
			if !slices.Contains(metrics, m) {
				metrics = append(metrics, m)
			}
		}
	}
	slices.SortFunc(metrics, strings.Compare)
	out := Comparison{Entries: entries}
	for _, m := range metrics {
		row := ComparedClaim{Metric: m, Name: m}
		if info, ok := c.Metric(m); ok {
			row.Name = info.Name
		}
		for _, e := range entries {
			_, disputed := disagree(e.Claims, m)
			row.Shown = append(row.Shown, Shown(e.Claims, m))
			row.Disputed = append(row.Disputed, disputed)
		}
		out.Metrics = append(out.Metrics, row)
	}
	return out, nil
}
