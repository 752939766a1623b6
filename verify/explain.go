package verify

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/score"
	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/vertical"
)

// BonusTerms are what the GRAIN bonus on an epoch's usage is computed from: a part
// of the pool in proportion to what the device's usage burned, never more than
// the rebate of that burn. A device that was used in several verticals has the
// sums. What evidence adds, or costs, is in EvidenceTerms.
type BonusTerms struct {
	Price     uint64 `json:"price_ucredit_per_grain"`
	Stale     bool   `json:"price_stale"`
	Released  uint64 `json:"released_ugrain"`
	Pool      uint64 `json:"pool_ugrain"`       // of all verticals
	ShareBPS  uint32 `json:"share_bps"`         // of the pool for the verticals the device was used in
	RebateBPS uint32 `json:"rebate_bps"`        // most of a burn that comes back
	Burned    uint64 `json:"burned_ugrain"`     // by this device's usage, at the epoch's price
	BurnedAll uint64 `json:"burned_all_ugrain"` // by everybody's, in those verticals
	Cap       uint64 `json:"cap_ugrain"`        // rebate of Burned
	ProRata   uint64 `json:"pro_rata_ugrain"`   // part of those verticals' pools
	Bonus     uint64 `json:"bonus_ugrain"`      // the smaller of both
}

// ExplainBonus computes the terms of a device (hex) from what the ledger recorded
// of an ended epoch, with the rules that Run reports with.
func ExplainBonus(r creditpb.EpochRecord, used []marketpb.Usage, device string) (BonusTerms, error) {
	b := BonusTerms{Price: r.Quote.High, Stale: r.Stale, Released: r.Released, Pool: r.DemandPool, RebateBPS: r.RebateBps}
	var verticals []string
	for _, u := range used {
		if name := vertical.Of(u.Kind); hex.EncodeToString(u.Device) == device && !slices.Contains(verticals, name) {
			verticals = append(verticals, name)
		}
	}
	var pools money.Grain
	for _, name := range verticals {
		recorded, err := Record(name, r, used)
		if err != nil {
			return b, err
		}
		pools += recorded.Terms.Pool
		bonuses, err := score.Compute(recorded.Terms, recorded.Burns())
		if err != nil {
			return b, fmt.Errorf("compute bonuses of epoch %d: %w", r.Epoch, err)
		}
		b.add(bonuses, device)
	}
	if b.Pool > 0 {
		bps, _, _ := money.MulDiv(uint64(pools), uint64(money.Whole), b.Pool) // pools are parts of Pool
		b.ShareBPS = uint32(bps)
	}
	return b, nil
}

// add adds one vertical's bonuses, of which one is the device's.
func (b *BonusTerms) add(bonuses []score.Bonus, device string) {
	for _, x := range bonuses {
		b.BurnedAll += b.grains(x.Burned)
		if hex.EncodeToString(x.Device[:]) == device {
			b.Burned += b.grains(x.Burned)
			b.Cap += uint64(x.Cap)
			b.ProRata += uint64(x.Share)
			b.Bonus += uint64(x.Amount)
		}
	}
}

func (b *BonusTerms) grains(c money.Credit) uint64 {
	if b.Price == 0 {
		return 0
	}
	g, _, _ := money.MulDiv(uint64(c), 1_000_000, b.Price) // 0 for what no 64 bits hold
	return g
}

// EvidenceTerms are what a device's evidence of one vertical was worth in an
// epoch.
type EvidenceTerms struct {
	Vertical  string          `json:"vertical"`
	Weight    uint64          `json:"weight"` // the sum of the parts
	WeightAll uint64          `json:"weight_all"`
	Parts     []vertical.Part `json:"parts"`
	Penalty   uint32          `json:"penalty_bps"` // part of the bonus on usage that is lost
	Grant     uint64          `json:"grant_ugrain"`
	Granted   uint64          `json:"granted_ugrain"` // part of the grant
	Bonus     uint64          `json:"bonus_ugrain"`   // on usage less the penalty, and granted
}

// ReadPublished reads an epoch from a directory of published ones, as Run keeps
// it in epochs of its home: VERTICAL/EPOCH.json. The error is fs.ErrNotExist when
// it is not there; a file that is of another vertical or epoch is refused.
func ReadPublished(dir, vertical string, epoch uint64) (Published, error) {
	p, err := shelf{filepath.Join(dir, vertical)}.get(epoch)
	switch {
	case err != nil:
		return Published{}, err
	case p.Vertical != vertical || p.Epoch != epoch:
		return Published{}, fmt.Errorf("read published epoch %d of %s: it is of %s, epoch %d", epoch, vertical, p.Vertical, p.Epoch)
	case p.Previous >= p.Epoch:
		return Published{}, fmt.Errorf("read published epoch %d of %s: it follows epoch %d", epoch, vertical, p.Previous)
	}
	return p, nil
}

// PublishedSize is how many bytes an epoch takes in such a directory; an error
// that is fs.ErrNotExist when it is not there.
func PublishedSize(dir, vertical string, epoch uint64) (int64, error) {
	info, err := os.Stat(filepath.Join(dir, vertical, strconv.FormatUint(epoch, 10)+".json"))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// PublishedVerticals lists the verticals of a directory of published epochs; none
// for a directory that is not there.
func PublishedVerticals(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list published verticals: %w", err)
	}
	var all []string
	for _, e := range entries {
		if e.IsDir() {
			all = append(all, e.Name())
		}
	}
	return all, nil
}

// EvidenceOf returns what a device's (hex) evidence was worth; false when the epoch
// has no evidence, or none of the device.
func (p Published) EvidenceOf(device string) (EvidenceTerms, bool) {
	t, found := EvidenceTerms{Vertical: p.Vertical, Grant: p.Terms.Grant, Parts: []vertical.Part{}}, false
	if p.Evidence == nil {
		return t, false
	}
	for _, u := range p.Usage {
		t.WeightAll += u.Weight
		if u.Device == device {
			t.Weight, t.Penalty, t.Granted, t.Bonus = u.Weight, u.Penalty, u.Granted, u.Bonus
			t.Parts = append(t.Parts, u.Parts...)
			found = true
		}
	}
	return t, found
}
