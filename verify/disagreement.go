package verify

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// Outcome is what came of a disagreement with the ledger.
type Outcome string

// The outcomes of a disagreement. The first two may change until the report is
// payable.
const (
	// Open: the published file behind the report, or a place for the challenge on
	// the ledger, is still looked for.
	Open Outcome = "open"
	// Incomplete: this verifier did not see all evidence, so it accuses nobody.
	Incomplete Outcome = "incomplete"
	// Proven: the ledger took the challenge, and the report is gone.
	Proven Outcome = "proven"
	// Rejected: the ledger found no fraud in the challenge and kept the deposit.
	Rejected Outcome = "rejected"
	// NoFraud: the leaves behind the report are of a form that the ledger cannot
	// call a fraud; people have to compare the published files.
	NoFraud Outcome = "no-fraud"
	// Unavailable: no other verifier has the file behind the report.
	Unavailable Outcome = "unavailable"
	// Unsent: the ledger refused the challenge each time, Reason says why.
	Unsent Outcome = "unsent"
	// Over: the report was refuted by somebody else, or is payable; or what came of
	// our challenge is not known.
	Over Outcome = "over"
)

// Disagreement is an accepted report that is not what this verifier computed,
// and what it did about that.
type Disagreement struct {
	Vertical string  `json:"vertical"`
	Epoch    uint64  `json:"epoch,string"`
	Ours     string  `json:"ours"`     // reward root
	Accepted string  `json:"accepted"` // reward root
	Outcome  Outcome `json:"outcome"`
	Fraud    string  `json:"fraud,omitempty"`  // that was charged
	Reason   string  `json:"reason,omitempty"` // what was shown, or what went wrong last
	Tries    int     `json:"tries,omitempty"`  // to find the file
	Sent     int     `json:"sent,omitempty"`   // challenges, refused ones too
}

func (d Disagreement) settled() bool { return d.Outcome != Open && d.Outcome != Incomplete }

// DisagreementPath is where a verifier's home has the record of a disagreement.
func DisagreementPath(home, vertical string, epoch uint64) string {
	return filepath.Join(home, "disagreements", vertical, strconv.FormatUint(epoch, 10)+".json")
}

func (d Disagreement) store(home string) error {
	raw, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return err
	}
	path := DisagreementPath(home, d.Vertical, d.Epoch)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return writeFile(path, append(raw, '\n'), 0o644)
}

// Disagreements lists what a verifier's home has, by vertical and epoch.
func Disagreements(home string) (all []Disagreement, err error) {
	paths, err := fs.Glob(os.DirFS(home), "disagreements/*/*.json")
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		raw, err := os.ReadFile(filepath.Join(home, filepath.FromSlash(path)))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		var d Disagreement
		if err == nil {
			err = json.Unmarshal(raw, &d)
		}
		if err != nil {
			return nil, fmt.Errorf("read disagreement %s: %w", path, err)
		}
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b Disagreement) int {
		return cmp.Or(cmp.Compare(a.Vertical, b.Vertical), cmp.Compare(a.Epoch, b.Epoch))
	})
	return all, nil
}
