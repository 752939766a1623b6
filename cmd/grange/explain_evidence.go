package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node/ledgerview"
	"github.com/grange-network/grange/verify"
	"github.com/grange-network/grange/vertical"
)

// evidenceTerms are what the published epochs of this home say of a device's
// evidence; none where they are not here.
func evidenceTerms(shelf shelfDir, device string, epoch uint64) (all []verify.EvidenceTerms) {
	names, err := verify.PublishedVerticals(string(shelf))
	if err != nil {
		return nil
	}
	for _, name := range names {
		p, err := shelf.read(name, epoch)
		if err != nil {
			continue
		}
		if t, found := p.EvidenceOf(device); found {
			all = append(all, t)
		}
	}
	return all
}

// evidencePairs shows them, each part with its terms.
func evidencePairs(all []verify.EvidenceTerms) (pairs [][2]string) {
	for _, t := range all {
		for _, p := range t.Parts {
			pairs = append(pairs, [2]string{t.Vertical + " " + p.Name, partText(p)})
		}
		pairs = append(pairs, [2]string{t.Vertical + " grant", fmt.Sprintf("%s: weight %d of %d in %s", cliout.Grains(t.Granted), t.Weight, t.WeightAll, cliout.Grains(t.Grant))})
		if t.Penalty > 0 {
			pairs = append(pairs, [2]string{t.Vertical + " penalty", percent(t.Penalty) + " of the bonus on usage"})
		}
		pairs = append(pairs, [2]string{t.Vertical + " bonus", cliout.Grains(t.Bonus) + " for usage and evidence together"})
	}
	return pairs
}

// writeObserved explains a device that leased nothing and earned by its evidence.
func writeObserved(w io.Writer, x ledgerview.Explanation) error {
	c := cliout.ColorsFor(w)
	for _, e := range x.Evidence {
		fmt.Fprintf(w, "%s\n", c.Bold(fmt.Sprintf("device %s in epoch %d: %s by its evidence for %s", cliout.Short(x.Device), x.Epoch, cliout.Grains(e.Granted), e.Vertical)))
		fmt.Fprintf(w, "  weight %d of %d of all devices, in a grant of %s\n", e.Weight, e.WeightAll, cliout.Grains(e.Grant))
		for _, p := range e.Parts {
			if t, part := costliest(p); part < 1 {
				fmt.Fprintf(w, "  %s: what cost it most is %q, %d of %d\n", p.Name, t.Name, t.Value, t.Of)
			}
		}
		for _, p := range e.Parts {
			fmt.Fprintln(w)
			if err := writePart(w, p); err != nil {
				return err
			}
		}
		fmt.Fprintln(w)
	}
	return cliout.Pairs(w, [2]string{"owner", x.Owner}, [2]string{"claimed so far", cliout.Grains(x.Bonus.Claimed)})
}

// writeUnseen is of a device that observes, of which the scores say nothing.
func writeUnseen(w io.Writer, x ledgerview.Explanation) error {
	c := cliout.ColorsFor(w)
	fmt.Fprintf(w, "%s\n", c.Bold(fmt.Sprintf("device %s in epoch %d: nothing", cliout.Short(x.Device), x.Epoch)))
	if x.Ended {
		fmt.Fprintf(w, "  The scores of this epoch in the network of --home do not name it: nothing that it signed had arrived, or it was not of\n")
		fmt.Fprintf(w, "  the time that is weighed, whole hours that ended five minutes before the epoch did.\n\n")
	} else {
		fmt.Fprintf(w, "  The epoch has not ended.\n\n")
	}
	return cliout.Pairs(w, [2]string{"owner", x.Owner}, [2]string{"claimed so far", cliout.Grains(x.Bonus.Claimed)})
}

func writePart(w io.Writer, p vertical.Part) error {
	t := cliout.NewTable("TERM OF "+strings.ToUpper(p.Name), "VALUE", "").Right(1, 2)
	for _, x := range p.Terms {
		value, share := strconv.FormatUint(x.Value, 10), ""
		if x.Of > 0 {
			value += "/" + strconv.FormatUint(x.Of, 10)
			share = fmt.Sprintf("%.4g %%", 100*float64(x.Value)/float64(x.Of))
		}
		t.Row(x.Name, value, share)
	}
	n, err := p.Value()
	if err != nil {
		return err
	}
	t.Row("product", strconv.FormatUint(n, 10), "")
	return t.Write(w)
}

// costliest is the smallest of the terms that are parts of a whole.
func costliest(p vertical.Part) (least vertical.Term, part float64) {
	part = 1
	for _, t := range p.Terms {
		if t.Of > 0 && float64(t.Value)/float64(t.Of) < part {
			least, part = t, float64(t.Value)/float64(t.Of)
		}
	}
	return least, part
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
