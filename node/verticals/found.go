package verticals

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/grange-network/grange/vertical"
)

// Optional are the names of the verticals that a network has only when it was
// founded with them: those with evidence.
func Optional() (names []string) {
	for _, v := range All() {
		if hasEvidence(v) {
			names = append(names, v.Info().Name)
		}
	}
	return names
}

func hasEvidence(v vertical.Vertical) bool { return len(v.Info().Evidence) > 0 }

// Chosen sorts what a network is to be founded with and refuses what there is
// not.
func Chosen(with []string) ([]string, error) {
	with = slices.Compact(slices.Sorted(slices.Values(with)))
	for _, name := range with {
		if !slices.Contains(Optional(), name) {
			return nil, fmt.Errorf("make a network with %q: want any of %s", name, strings.Join(Optional(), ", "))
		}
	}
	return with, nil
}

// Of a network founded with some verticals: so many ugrain for each of them, over
// so many epochs.
const (
	grantUgrain = 10_000 * 1_000_000
	grantEpochs = 1000
)

// Parameters are OnLedger in JSON.
func Parameters(with []string) (names, grants []byte, err error) {
	n, g := OnLedger(with)
	names, err1 := json.Marshal(n)
	grants, err2 := json.Marshal(g)
	return names, grants, errors.Join(err1, err2)
}

// OnLedger are the oracle's and the credit module's parameters "verticals" and
// "grants" of a network founded with some.
func OnLedger(with []string) (names []string, grants []map[string]string) {
	for _, v := range All() {
		if name := v.Info().Name; !hasEvidence(v) || slices.Contains(with, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	grants = []map[string]string{}
	for _, name := range with {
		grants = append(grants, map[string]string{
			"vertical": name, "ugrain": fmt.Sprint(grantUgrain), "start_epoch": "1", "end_epoch": fmt.Sprint(1 + grantEpochs),
		})
	}
	return names, grants
}
