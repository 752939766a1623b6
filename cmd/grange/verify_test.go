package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grange-network/grange/core/merkle"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/core/score"
	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node/ledgerview"
	"github.com/grange-network/grange/verify"
	"github.com/grange-network/grange/vertical"
)

// keptBooks is a ledger of a few epochs.
type keptBooks struct {
	reports map[uint64]ledgerview.Report
	inputs  map[uint64]verify.Recorded
}

func (b keptBooks) Report(_ context.Context, _ string, epoch uint64) (ledgerview.Report, error) {
	r, ok := b.reports[epoch]
	if !ok {
		return r, ledgerview.ErrNotFound
	}
	return r, nil
}

func (b keptBooks) Inputs(_ context.Context, _ string, epoch uint64) (verify.Recorded, error) {
	r, ok := b.inputs[epoch]
	if !ok {
		return r, ledgerview.ErrNotFound
	}
	return r, nil
}

func recompute(ctx context.Context, b keptBooks, shelf shelfDir, name string, epoch uint64, whole bool) (verification, error) {
	return recomputing{ledger: b, shelf: shelf}.run(ctx, name, epoch, whole)
}

// scored is a ledger of four epochs of two devices, and what a verifier
// published of them.
func scored(t *testing.T) (keptBooks, shelfDir) {
	t.Helper()
	b := keptBooks{map[uint64]ledgerview.Report{}, map[uint64]verify.Recorded{}}
	dir := t.TempDir()
	var state score.State
	for e := uint64(1); e <= 4; e++ {
		terms := score.Terms{Vertical: "storage", Epoch: e, Pool: 1e9, Rebate: 8000, Price: 50_000}
		r := verify.Recorded{Terms: terms, Usage: []vertical.Usage{{Device: [32]byte{1}, Burned: money.Credit(1000 * e)}, {Device: [32]byte{2}, Burned: 77}}}
		next, report, bonuses, err := state.Next(terms, r.Burns())
		if err != nil {
			t.Fatal(err)
		}
		put(t, dir, publishedOf(state.Epoch, terms, next, report, bonuses))
		b.inputs[e] = r
		b.reports[e] = ledgerview.Report{
			Vertical: "storage", Epoch: e, RewardRoot: report.Rewards.Hash.String(), InputsRoot: report.Inputs.String(),
			Total: report.Rewards.Total, Leaves: uint64(len(next.Leaves)), Power: 3, TotalPower: 4,
		}
		state = next
	}
	return b, shelfDir(dir)
}

func publishedOf(previous uint64, terms score.Terms, state score.State, report score.Report, bonuses []score.Bonus) verify.Published {
	p := verify.Published{
		Version: 2, Chain: "test-1", Vertical: terms.Vertical, Epoch: terms.Epoch, Previous: previous,
		Terms:      verify.PublishedTerms{Pool: uint64(terms.Pool), Rebate: uint32(terms.Rebate), Price: terms.Price},
		RewardRoot: report.Rewards.Hash.String(), InputsRoot: report.Inputs.String(), Total: report.Rewards.Total,
	}
	for _, x := range bonuses {
		p.Usage = append(p.Usage, verify.PublishedUse{Device: hex.EncodeToString(x.Device[:]), Burned: uint64(x.Burned), Bonus: uint64(x.Amount)})
	}
	for _, l := range state.Leaves {
		p.Leaves = append(p.Leaves, verify.PublishedTip{Device: hex.EncodeToString(l.Device[:]), Lifetime: uint64(l.Lifetime)})
	}
	return p
}

func put(t *testing.T, dir string, p verify.Published) {
	t.Helper()
	raw, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	path := shelfDir(dir).path(p.Vertical, p.Epoch)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyEqual(t *testing.T) {
	b, shelf := scored(t)
	x, err := recompute(t.Context(), b, shelf, "storage", 4, false)
	if err != nil || x.Result != verdictEqual || x.Recomputed != 1 || x.From != 3 {
		t.Fatalf("%+v, %v", x, err)
	}
	delete(b.reports, 3) // missed its quorum
	delete(b.inputs, 3)  // and the ledger no longer has the record
	x, err = recompute(t.Context(), b, shelf, "storage", 4, false)
	if err != nil || x.Result != verdictEqual || x.Recomputed != 2 || x.From != 2 || x.Inputs != verdictGone {
		t.Fatalf("%+v, %v", x, err)
	}
	if x, err = recompute(t.Context(), b, shelf, "storage", 4, true); err != nil || x.Recomputed != 4 || x.From != 0 {
		t.Fatalf("%+v, %v", x, err)
	}
	var out bytes.Buffer
	if err := x.write(&out); err != nil || !strings.HasPrefix(out.String(), "storage, epoch 4: equal\n") {
		t.Fatalf("%v:\n%s", err, &out)
	}
}

func TestVerifyNotThere(t *testing.T) {
	b, shelf := scored(t)
	if _, err := recompute(t.Context(), b, shelf, "storage", 5, false); cliout.Code(err) != cliout.NotFound {
		t.Errorf("not published: %v", err)
	}
	delete(b.reports, 4)
	if _, err := recompute(t.Context(), b, shelf, "storage", 4, false); cliout.Code(err) != cliout.NotFound || !errors.Is(err, ledgerview.ErrNotFound) {
		t.Errorf("not reported: %v", err)
	}
	if err := os.Remove(shelf.path("storage", 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := recompute(t.Context(), b, shelf, "storage", 3, false); cliout.Code(err) != cliout.NotFound {
		t.Errorf("predecessor not published: %v", err)
	}
}

func TestVerifyDifferent(t *testing.T) {
	edit := func(change func(*verify.Published)) func(*testing.T, keptBooks, shelfDir) {
		return func(t *testing.T, _ keptBooks, s shelfDir) {
			p, err := s.read("storage", 4)
			if err != nil {
				t.Fatal(err)
			}
			change(&p)
			put(t, string(s), p)
		}
	}
	for name, spoil := range map[string]func(*testing.T, keptBooks, shelfDir){
		"a leaf is raised":       edit(func(p *verify.Published) { p.Leaves[0].Lifetime++ }),
		"a device is left out":   edit(func(p *verify.Published) { p.Usage = p.Usage[1:] }),
		"the pool is larger":     edit(func(p *verify.Published) { p.Terms.Pool++ }),
		"the total is larger":    edit(func(p *verify.Published) { p.Total++ }),
		"the root is another":    edit(func(p *verify.Published) { p.RewardRoot = merkle.EmptyRoot().String() }),
		"the ledger has another": func(_ *testing.T, b keptBooks, _ shelfDir) { r := b.reports[4]; r.InputsRoot = "00"; b.reports[4] = r },
		"the ledger had less usage": func(_ *testing.T, b keptBooks, _ shelfDir) {
			r := b.inputs[4]
			r.Usage = r.Usage[1:]
			b.inputs[4] = r
		},
		"the ledger had more usage": func(_ *testing.T, b keptBooks, _ shelfDir) {
			r := b.inputs[4]
			r.Usage = append(r.Usage, vertical.Usage{Device: [32]byte{3}, Burned: 1})
			b.inputs[4] = r
		},
		"the predecessor is another": func(_ *testing.T, b keptBooks, _ shelfDir) { r := b.reports[3]; r.RewardRoot = "00"; b.reports[3] = r },
	} {
		t.Run(name, func(t *testing.T) {
			b, shelf := scored(t)
			spoil(t, b, shelf)
			x, err := recompute(t.Context(), b, shelf, "storage", 4, false)
			if err != nil || x.Result != verdictDifferent || len(x.Problems) == 0 {
				t.Fatalf("%+v, %v", x, err)
			}
		})
	}
}
