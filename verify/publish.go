package verify

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/score"
	"github.com/grange-network/grange/vertical"
)

// Published is everything behind one report: what was measured, the terms, the
// leaves before it and after it, and the roots. Its JSON is deterministic: every
// validator that computes an epoch writes the same bytes.
type Published struct {
	Version    int                `json:"version"`
	Chain      string             `json:"chain"`
	Vertical   string             `json:"vertical"`
	Epoch      uint64             `json:"epoch,string"`
	Previous   uint64             `json:"previous_epoch,string"` // epoch of the leaves it adds to
	Terms      PublishedTerms     `json:"terms"`
	Evidence   *PublishedEvidence `json:"evidence,omitempty"` // of a vertical that has some
	Usage      []PublishedUse     `json:"usage"`              // sorted by device
	Leaves     []PublishedTip     `json:"leaves"`             // sorted by device
	RewardRoot string             `json:"reward_root"`
	InputsRoot string             `json:"inputs_root"`
	Total      uint64             `json:"total_ugrain,string"`
}

// PublishedTerms are the terms of the epoch.
type PublishedTerms struct {
	Pool   uint64 `json:"pool_ugrain,string"`
	Grant  uint64 `json:"grant_ugrain,string"`
	Rebate uint32 `json:"rebate_bps"`
	Price  uint64 `json:"price_ucredit_per_grain,string"`
}

// PublishedUse is what one device did, and what it got for it.
type PublishedUse struct {
	Device  string          `json:"device"`
	Burned  uint64          `json:"burned_ucredit,string"`
	Penalty uint32          `json:"penalty_bps,omitempty"`
	Weight  uint64          `json:"weight,string,omitempty"` // the sum of the parts
	Parts   []vertical.Part `json:"parts,omitempty"`
	Granted uint64          `json:"granted_ugrain,string,omitempty"` // part of the bonus
	Bonus   uint64          `json:"bonus_ugrain,string"`
}

// PublishedTip is one leaf.
type PublishedTip struct {
	Device   string `json:"device"`
	Lifetime uint64 `json:"lifetime_ugrain,string"`
}

const publishedVersion = 2

// maxPublished bounds a file that is read: about a million leaves.
const maxPublished = 256 << 20

// publish describes a computed epoch.
func publish(chain string, previous uint64, terms score.Terms, state score.State, report score.Report, bonuses []score.Bonus, w weighed) Published {
	p := Published{
		Version: publishedVersion, Chain: chain, Vertical: terms.Vertical, Epoch: terms.Epoch, Previous: previous,
		Terms:    PublishedTerms{uint64(terms.Pool), uint64(terms.Grant), uint32(terms.Rebate), terms.Price},
		Evidence: w.evidence, Usage: []PublishedUse{}, Leaves: []PublishedTip{},
		RewardRoot: report.Rewards.Hash.String(), InputsRoot: report.Inputs.String(), Total: report.Rewards.Total,
	}
	for _, b := range bonuses {
		p.Usage = append(p.Usage, PublishedUse{
			Device: hex.EncodeToString(b.Device[:]), Burned: uint64(b.Burned), Penalty: uint32(b.Penalty),
			Weight: b.Weight, Parts: w.parts[b.Device], Granted: uint64(b.Granted), Bonus: uint64(b.Amount),
		})
	}
	for _, l := range state.Leaves {
		p.Leaves = append(p.Leaves, PublishedTip{hex.EncodeToString(l.Device[:]), uint64(l.Lifetime)})
	}
	return p
}

// Encode is the file's bytes.
func (p Published) Encode() ([]byte, error) {
	raw, err := json.MarshalIndent(p, "", " ")
	return append(raw, '\n'), err
}

// DecodePublished reads a file and refuses one that Encode would not write.
func DecodePublished(raw []byte) (Published, error) {
	var p Published
	if len(raw) > maxPublished {
		return p, fmt.Errorf("decode published epoch of %d bytes, at most %d are allowed", len(raw), maxPublished)
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return p, fmt.Errorf("decode published epoch: %w", err)
	}
	if p.Version != publishedVersion {
		return p, fmt.Errorf("decode published epoch: version %d, want %d", p.Version, publishedVersion)
	}
	if again, err := p.Encode(); err != nil || !bytes.Equal(again, raw) {
		return p, errors.New("decode published epoch: not in the canonical form")
	}
	return p, nil
}

// State is the leaves after the epoch. It refuses leaves that do not make the
// published root.
func (p Published) State() (score.State, error) {
	s := score.State{Epoch: p.Epoch}
	for _, l := range p.Leaves {
		device, err := deviceOf(l.Device)
		if err != nil {
			return s, err
		}
		s.Leaves = append(s.Leaves, score.Leaf{Device: device, Lifetime: money.Grain(l.Lifetime)})
	}
	tree, err := s.Tree()
	if err != nil {
		return s, err
	}
	if got := tree.Root(); got.Hash.String() != p.RewardRoot || got.Total != p.Total {
		return s, fmt.Errorf("leaves of %s, epoch %d make root %s with total %d, published are %s and %d",
			p.Vertical, p.Epoch, got.Hash, got.Total, p.RewardRoot, p.Total)
	}
	return s, nil
}

func deviceOf(s string) ([32]byte, error) {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != 32 {
		return [32]byte{}, fmt.Errorf("device %q: want 64 hex digits", s)
	}
	return [32]byte(raw), nil
}
