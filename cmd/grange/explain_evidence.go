package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node/ledgerview"
	"github.com/grange-network/grange/vertical"
)

// evidenceTerms are what the published epochs of this home say of a device's
// evidence; none where they are not here.
func evidenceTerms(shelf shelfDir, device string, epoch uint64) (all []ledgerview.EvidenceTerms) {
	verticals, err := os.ReadDir(string(shelf))
	if err != nil {
		return nil
	}
	for _, v := range verticals {
		p, err := shelf.read(v.Name(), epoch)
		if err != nil || p.Evidence == nil {
			continue
		}
		t := ledgerview.EvidenceTerms{Vertical: p.Vertical, Grant: p.Terms.Grant}
		found := false
		for _, u := range p.Usage {
			t.WeightAll += u.Weight
			if u.Device == device {
				t.Weight, t.Parts, t.Penalty, t.Granted = u.Weight, u.Parts, u.Penalty, u.Granted
				found = true
			}
		}
		if found {
			all = append(all, t)
		}
	}
	return all
}

// evidencePairs shows them, each part with its terms.
func evidencePairs(all []ledgerview.EvidenceTerms) (pairs [][2]string) {
	for _, t := range all {
		for _, p := range t.Parts {
			pairs = append(pairs, [2]string{t.Vertical + " " + p.Name, partText(p)})
		}
		pairs = append(pairs, [2]string{t.Vertical + " grant", fmt.Sprintf("%s: weight %d of %d in %s", cliout.Grains(t.Granted), t.Weight, t.WeightAll, cliout.Grains(t.Grant))})
		if t.Penalty > 0 {
			pairs = append(pairs, [2]string{t.Vertical + " penalty", percent(t.Penalty) + " of the bonus on usage"})
		}
	}
	return pairs
}

// partText is "6 slots seen by others × 1/1 device of its owner = 6".
func partText(p vertical.Part) string {
	var terms []string
	for _, t := range p.Terms {
		value := fmt.Sprint(t.Value)
		if t.Of > 0 {
			value = fmt.Sprintf("%d/%d", t.Value, t.Of)
		}
		terms = append(terms, value+" "+t.Name)
	}
	sum, err := p.Value()
	if err != nil {
		return strings.Join(terms, " × ") + ": " + err.Error()
	}
	return fmt.Sprintf("%s = %d", strings.Join(terms, " × "), sum)
}
