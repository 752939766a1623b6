package doctor

import (
	"os"
	"path/filepath"

	"github.com/grange-network/grange/node/cluster"
	"github.com/grange-network/grange/node/local"
	"github.com/grange-network/grange/verify"
)

// verifiers says where the ledger accepted another result than a verifier of this
// home computed.
func (d *doctor) verifiers() {
	switch {
	case d.plan != nil:
		d.disagreements(local.VerifierName, filepath.Join(d.Home, "data", "verifier"))
	case d.many != nil:
		for _, v := range d.many.Validators {
			d.disagreements(v.Name, cluster.VerifierPath(d.Home, v.Name))
		}
	default:
		d.disagreements(d.host.Name, filepath.Join(d.Home, "data", "verifier"))
	}
}

func (d *doctor) disagreements(role, home string) {
	if _, err := os.Stat(home); err != nil {
		return // no verifier has run here
	}
	all, err := verify.Disagreements(home)
	if err != nil {
		d.add("reports", role, Fail, "", "%v", err)
		return
	}
	refuted := 0
	for _, x := range all {
		if x.Outcome == verify.Proven {
			refuted++
			continue
		}
		d.add("reports", role, Warn, "compare the published files (grange verify --help); then remove "+verify.DisagreementPath(home, x.Vertical, x.Epoch),
			"for %s, epoch %d the ledger accepted reward root %s, computed here is %s: %s: %s", x.Vertical, x.Epoch, x.Accepted, x.Ours, x.Outcome, x.Reason)
	}
	if refuted == len(all) {
		d.add("reports", role, Pass, "", "what the ledger accepted is what was computed here; %d wrong reports were refuted", refuted)
	}
}
