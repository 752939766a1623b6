package verify

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/score"
)

// Published is everything behind one report: what was measured, the terms, the
// leaves before it and after it, and the roots. Its JSON is deterministic: every
// validator that computes an epoch writes the same bytes.
type Published struct {
	Version    int            `json:"version"`
	Chain      string         `json:"chain"`
	Vertical   string         `json:"vertical"`
	Epoch      uint64         `json:"epoch,string"`
	Previous   uint64         `json:"previous_epoch,string"` // epoch of the leaves it adds to
	Terms      PublishedTerms `json:"terms"`
	Usage      []PublishedUse `json:"usage"`  // sorted by device
	Leaves     []PublishedTip `json:"leaves"` // sorted by device
	RewardRoot string         `json:"reward_root"`
	InputsRoot string         `json:"inputs_root"`
	Total      uint64         `json:"total_ugrain,string"`
}

// PublishedTerms are the terms of the epoch.
type PublishedTerms struct {
	Pool   uint64 `json:"pool_ugrain,string"`
	Rebate uint32 `json:"rebate_bps"`
	Price  uint64 `json:"price_ucredit_per_grain,string"`
}

// PublishedUse is one device's burn and what it got for it.
type PublishedUse struct {
	Device string `json:"device"`
	Burned uint64 `json:"burned_ucredit,string"`
	Bonus  uint64 `json:"bonus_ugrain,string"`
}

// PublishedTip is one leaf.
type PublishedTip struct {
	Device   string `json:"device"`
	Lifetime uint64 `json:"lifetime_ugrain,string"`
}

const publishedVersion = 1

// maxPublished bounds a file that is read: about a million leaves.
const maxPublished = 256 << 20

// publish describes a computed epoch.
func publish(chain string, previous uint64, terms score.Terms, state score.State, report score.Report, bonuses []score.Bonus) Published {
	p := Published{
		Version: publishedVersion, Chain: chain, Vertical: terms.Vertical, Epoch: terms.Epoch, Previous: previous,
		Terms: PublishedTerms{uint64(terms.Pool), uint32(terms.Rebate), terms.Price},
		Usage: []PublishedUse{}, Leaves: []PublishedTip{},
		RewardRoot: report.Rewards.Hash.String(), InputsRoot: report.Inputs.String(), Total: report.Rewards.Total,
	}
	for _, b := range bonuses {
		p.Usage = append(p.Usage, PublishedUse{hex.EncodeToString(b.Device[:]), uint64(b.Burned), uint64(b.Amount)})
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

// Check recomputes the epoch from the one published before it (the zero
// Published before the first) and its own terms and usage. It returns nil when
// every byte comes out the same. That terms and usage are the ledger's own is
// for the caller to compare.
func (p Published) Check(before Published) error {
	var state score.State
	if p.Previous != before.Epoch {
		return fmt.Errorf("check %s, epoch %d: it follows epoch %d, not %d", p.Vertical, p.Epoch, p.Previous, before.Epoch)
	}
	if before.Epoch != 0 {
		var err error
		if state, err = before.State(); err != nil {
			return err
		}
	}
	terms := score.Terms{
		Vertical: p.Vertical, Epoch: p.Epoch, Pool: money.Grain(p.Terms.Pool),
		Rebate: money.BPS(p.Terms.Rebate), Price: p.Terms.Price,
	}
	var usage []score.Usage
	for _, u := range p.Usage {
		device, err := deviceOf(u.Device)
		if err != nil {
			return err
		}
		usage = append(usage, score.Usage{Device: device, Epoch: p.Epoch, Burned: money.Credit(u.Burned)})
	}
	next, report, bonuses, err := state.Next(terms, usage)
	if err != nil {
		return err
	}
	want, err := publish(p.Chain, p.Previous, terms, next, report, bonuses).Encode()
	if err != nil {
		return err
	}
	got, err := p.Encode()
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("check %s, epoch %d: recomputed reward root %s and inputs root %s with total %d, published are %s, %s and %d",
			p.Vertical, p.Epoch, report.Rewards.Hash, report.Inputs, report.Rewards.Total, p.RewardRoot, p.InputsRoot, p.Total)
	}
	return nil
}

func deviceOf(s string) ([32]byte, error) {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != 32 {
		return [32]byte{}, fmt.Errorf("device %q: want 64 hex digits", s)
	}
	return [32]byte(raw), nil
}

// shelf is the folder of one vertical's published epochs.
type shelf struct{ dir string }

func shelfOf(home, vertical string) shelf { return shelf{filepath.Join(home, "epochs", vertical)} }

func (s shelf) path(epoch uint64) string {
	return filepath.Join(s.dir, strconv.FormatUint(epoch, 10)+".json")
}

func (s shelf) put(p Published) error {
	raw, err := p.Encode()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	return writeFile(s.path(p.Epoch), raw, 0o644)
}

// get returns a published epoch, or an error that is fs.ErrNotExist.
func (s shelf) get(epoch uint64) (Published, error) {
	raw, err := os.ReadFile(s.path(epoch))
	if err != nil {
		return Published{}, fmt.Errorf("read published epoch %d: %w", epoch, err)
	}
	return DecodePublished(raw)
}

// newest is the highest epoch on the shelf, 0 for none.
func (s shelf) newest() (uint64, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("list published epochs: %w", err)
	}
	var newest uint64
	for _, e := range entries {
		name, isJSON := strings.CutSuffix(e.Name(), ".json")
		if n, err := strconv.ParseUint(name, 10, 64); isJSON && err == nil {
			newest = max(newest, n)
		}
	}
	return newest, nil
}
