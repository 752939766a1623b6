package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"sync"

	"github.com/grange-network/grange/ledger/api/creditpb"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/verify"
)

// Bonus are the terms of a device's bonus on usage in an ended epoch.
type Bonus struct {
	Price     string `json:"price_ucredit"`
	Stale     bool   `json:"stale"`
	Released  string `json:"released_ugrain"`
	Pool      string `json:"pool_ugrain"` // for usage, of all verticals
	Share     uint32 `json:"share_bps"`   // of it for the verticals the device was used in
	Rebate    uint32 `json:"rebate_bps"`
	Burned    string `json:"burned_ugrain"`
	BurnedAll string `json:"burned_all_ugrain"`
	Cap       string `json:"cap_ugrain"`
	ProRata   string `json:"pro_rata_ugrain"`
	Bonus     string `json:"bonus_ugrain"`
	Formula   string `json:"formula"`
}

// formula of core/score, in words.
const formula = "bonus = min(rebate × burned, pool × burned / burned by all)"

// Bonus computes the bonus of a device with the rules that verifiers use, from the
// ledger's record of an ended epoch. It is client.ErrNotFound when the ledger no
// longer keeps the record.
func (l *Ledger) Bonus(ctx context.Context, device string, epoch uint64) (Bonus, error) {
	r, err := l.c.Credit.EpochPrice(ctx, &creditpb.QueryEpochPriceRequest{Epoch: epoch})
	if err != nil {
		return Bonus{}, fmt.Errorf("read record of epoch %d: %w", epoch, err)
	}
	used, err := l.c.Market.Usage(ctx, &marketpb.QueryUsageRequest{Epoch: epoch})
	if err != nil {
		return Bonus{}, fmt.Errorf("read usage of epoch %d: %w", epoch, err)
	}
	t, err := verify.ExplainBonus(r.Record, used.Usage, device)
	return Bonus{
		Price: decimal(t.Price), Stale: t.Stale, Released: decimal(t.Released), Pool: decimal(t.Pool), Share: t.ShareBPS, Rebate: t.RebateBPS,
		Burned: decimal(t.Burned), BurnedAll: decimal(t.BurnedAll), Cap: decimal(t.Cap), ProRata: decimal(t.ProRata), Bonus: decimal(t.Bonus), Formula: formula,
	}, err
}

// Evidence is what a device's evidence of one vertical was worth in an epoch.
type Evidence struct {
	Vertical  string `json:"vertical"`
	Weight    string `json:"weight"` // the sum of the parts
	WeightAll string `json:"weight_all"`
	Parts     []Part `json:"parts"`
	Penalty   uint32 `json:"penalty_bps"` // part of the bonus on usage that is lost
	Grant     string `json:"grant_ugrain"`
	Granted   string `json:"granted_ugrain"` // part of the grant
	Bonus     string `json:"bonus_ugrain"`   // on usage less the penalty, and granted
}

// Part is one addend of a weight: the product of its terms.
type Part struct {
	Name  string `json:"name"`
	Terms []Term `json:"terms"`
	Value string `json:"value"`
}

// Term is one factor, value/of; of is null for 1.
type Term struct {
	Name  string  `json:"name"`
	Value string  `json:"value"`
	Of    *string `json:"of"`
}

// Published reads the epochs that a verifier published, from a directory. It is
// safe for concurrent use. Its zero value has none.
type Published struct {
	dir string

	mu   sync.Mutex
	kept []verify.Published // newest last
}

// Bounds of what is read: a page must not make an explorer read the epochs of a
// million devices again and again.
const (
	maxPublished  = 16 << 20
	keptPublished = 8
)

// NewPublished reads from dir, where a verifier keeps VERTICAL/EPOCH.json; "" for
// none.
func NewPublished(dir string) *Published { return &Published{dir: dir} }

// Evidence lists what a device's evidence was worth, by vertical: nothing where no
// vertical had any of the device, or none is published here.
func (p *Published) Evidence(device string, epoch uint64) ([]Evidence, error) {
	out := []Evidence{}
	if p.dir == "" {
		return out, nil
	}
	names, err := verify.PublishedVerticals(p.dir)
	if err != nil {
		return out, err
	}
	for _, name := range names {
		e, err := p.read(name, epoch)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return out, err
		}
		if t, found := e.EvidenceOf(device); found {
			out = append(out, evidenceOf(t))
		}
	}
	return out, nil
}

func (p *Published) read(vertical string, epoch uint64) (verify.Published, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.kept {
		if e.Vertical == vertical && e.Epoch == epoch {
			return e, nil
		}
	}
	size, err := verify.PublishedSize(p.dir, vertical, epoch)
	if err != nil {
		return verify.Published{}, err
	}
	if size > maxPublished {
		return verify.Published{}, fmt.Errorf("published epoch %d of %s has %d bytes, at most %d are read", epoch, vertical, size, maxPublished)
	}
	e, err := verify.ReadPublished(p.dir, vertical, epoch)
	if err != nil {
		return e, err
	}
	if len(p.kept) == keptPublished {
		p.kept = slices.Delete(p.kept, 0, 1)
	}
	p.kept = append(p.kept, e)
	return e, nil
}

func evidenceOf(t verify.EvidenceTerms) Evidence {
	e := Evidence{
		Vertical: t.Vertical, Weight: decimal(t.Weight), WeightAll: decimal(t.WeightAll), Parts: []Part{}, Penalty: t.Penalty,
		Grant: decimal(t.Grant), Granted: decimal(t.Granted), Bonus: decimal(t.Bonus),
	}
	for _, part := range t.Parts {
		value, _ := part.Value() // what was published was computed
		shown := Part{Name: part.Name, Terms: []Term{}, Value: strconv.FormatUint(value, 10)}
		for _, term := range part.Terms {
			x := Term{Name: term.Name, Value: decimal(term.Value)}
			if term.Of > 0 {
				of := decimal(term.Of)
				x.Of = &of
			}
			shown.Terms = append(shown.Terms, x)
		}
		e.Parts = append(e.Parts, shown)
	}
	return e
}
