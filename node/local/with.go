package local

import (
	"fmt"
	"slices"
	"strings"

	"github.com/grange-network/grange/vertical/notary"
)

// Verticals that a local network has only when asked for, with Options.With.
var optional = []string{notary.Name}

// checkWith sorts what was asked for and refuses what there is not.
func checkWith(with []string) ([]string, error) {
	with = slices.Compact(slices.Sorted(slices.Values(with)))
	for _, name := range with {
		if !slices.Contains(optional, name) {
			return nil, &PlanError{fmt.Sprintf("make a network with %q: want any of %s", name, strings.Join(optional, ", "))}
		}
	}
	return with, nil
}

// verticals are those of the plan, sorted.
func (p *Plan) verticals() []string {
	all := []string{"storage"}
	if p.Notary != nil {
		all = append(all, notary.Name)
	}
	slices.Sort(all)
	return all
}

// Bootstrap grants of a local network: so many ugrain for each vertical with
// evidence, over so many epochs.
const (
	grantUgrain = 10_000 * 1_000_000
	grantEpochs = 1000
)

// grants are the genesis parameters of the bootstrap grants, by vertical.
func (p *Plan) grants() []map[string]string {
	out := []map[string]string{}
	for _, name := range p.verticals() {
		if slices.Contains(optional, name) {
			out = append(out, map[string]string{
				"vertical": name, "ugrain": fmt.Sprint(grantUgrain), "start_epoch": "1", "end_epoch": fmt.Sprint(1 + grantEpochs),
			})
		}
	}
	return out
}
