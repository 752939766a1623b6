package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node/cluster"
	"github.com/grange-network/grange/node/host"
	"github.com/grange-network/grange/node/ledgerview"
	"github.com/grange-network/grange/node/local"
	"github.com/grange-network/grange/node/verticals"
	"github.com/grange-network/grange/verify"
)

// books is what verification reads of the ledger.
type books interface {
	Report(ctx context.Context, vertical string, epoch uint64) (ledgerview.Report, error)
	Inputs(ctx context.Context, vertical string, epoch uint64) (verify.Recorded, error)
}

// Results of a comparison.
const (
	verdictEqual     = "equal"
	verdictDifferent = "different"
	verdictGone      = "not kept by the ledger"
)

// verification is the JSON form of grange verify.
type verification struct {
	Vertical   string      `json:"vertical"`
	Epoch      uint64      `json:"epoch"`
	Result     string      `json:"result"` // equal, different
	File       string      `json:"file"`
	From       uint64      `json:"from_epoch"` // leaves it started from; 0: none
	Recomputed int         `json:"recomputed_epochs"`
	Published  roots       `json:"published"`
	Ledger     roots       `json:"ledger"`
	Power      uint64      `json:"power"`
	TotalPower uint64      `json:"total_power"`
	Inputs     string      `json:"inputs"` // terms and usage against the ledger's own
	Problems   []string    `json:"problems"`
	Steps      []stepCheck `json:"steps"`
	// Weights are those of the kind or cell asked for; absent when none was, and when
	// something is different.
	Weights []partWeight `json:"weights,omitempty"`
	asked   bool
}

type roots struct {
	Reward string `json:"reward_root"`
	Inputs string `json:"inputs_root"`
	Total  uint64 `json:"total_ugrain"`
	Leaves uint64 `json:"leaves"`
}

// stepCheck is one epoch that was recomputed.
type stepCheck struct {
	Epoch   uint64 `json:"epoch"`
	Devices int    `json:"devices"`
	Inputs  string `json:"inputs"`
}

func newVerify(g *globals) *cobra.Command {
	var epoch uint64
	var vertical, published, store string
	var whole bool
	var part partOf
	var cell string
	c := &cobra.Command{
		Use:   "verify",
		Short: "Recompute what an epoch paid and compare it with the ledger",
		Long: "Verify recomputes the rewards of an epoch from the published inputs and compares the roots with the report that\n" +
			"the ledger accepted. It starts from the newest earlier epoch whose report was accepted, or with --whole from the first one.\n" +
			"With --kind and --cell it also lists what the devices of that kind, registered in that cell, weigh as recomputed.\n" +
			"It ends with 0 when everything is equal, 4 when something differs, 3 when the epoch is not published or not reported.",
		Args: args(), Example: "grange verify --epoch 12\ngrange verify --epoch 12 --published ./copy --json\n" +
			"grange verify --vertical sensing --epoch 12 --kind weather --cell 8831aa400bfffff",
		RunE: func(c *cobra.Command, _ []string) error {
			if !c.Flags().Changed("epoch") || epoch == 0 {
				return cliout.Failf(cliout.Usage, "grange verify --help", "grange verify needs --epoch, a number from 1")
			}
			if filepath.Base(vertical) != vertical || vertical == "." || vertical == ".." {
				return cliout.Failf(cliout.Usage, "grange verify --help", "read vertical %q: want a plain name", vertical)
			}
			if cell != "" {
				var err error
				if part.Cell, err = h3.Parse(cell); err != nil {
					return cliout.Fail(cliout.Usage, err, "grange verify --help")
				}
			}
			if published == "" {
				published = publishedIn(g.home)
			}
			return g.read(c, func(ctx context.Context, v *ledgerview.View) error {
				from, done, err := sources(g, store)
				if err != nil {
					return err
				}
				defer done()
				x, err := recomputing{v, shelfDir(published), from, part}.run(ctx, vertical, epoch, whole)
				if err != nil {
					return err
				}
				if err := g.out(c).Emit(x, x.write); err != nil || x.Result == verdictEqual {
					return err
				}
				return cliout.Failf(cliout.Refused, "grange verify --whole with the --published files of another verifier", "verify %s, epoch %d: what was published and what the ledger has are different", vertical, epoch)
			})
		},
	}
	f := c.Flags()
	f.Uint64Var(&epoch, "epoch", 0, "epoch to verify")
	f.StringVar(&vertical, "vertical", "storage", "kind of work")
	f.StringVar(&published, "published", "", "directory of published epochs, VERTICAL/EPOCH.json (default: the verifier's of --home, of a localnet the first's)")
	f.StringVar(&store, "evidence", "", "directory or http(s)://HOST/BUCKET[/PREFIX] with the published evidence (default: that of --home)")
	f.StringVar(&part.Kind, "kind", "", "list the weights of one kind, as weather, air or radio")
	f.StringVar(&cell, "cell", "", "list the weights of devices in an H3 cell of any resolution, in hex")
	f.BoolVar(&whole, "whole", false, "recompute all epochs from the first, whatever the ledger accepted of them")
	return c
}

// publishedIn is where the verifier of a home publishes, in a localnet the first
// validator's.
func publishedIn(home string) string {
	own := filepath.Join(home, "data", "verifier")
	if _, err := os.Stat(own); err != nil {
		if p, err := cluster.LoadPlan(home); err == nil {
			own = cluster.VerifierPath(home, p.Validators[0].Name)
		}
	}
	return filepath.Join(own, "epochs")
}

// shelfDir is a directory of published epochs.
type shelfDir string

func (s shelfDir) path(vertical string, epoch uint64) string {
	return filepath.Join(string(s), vertical, strconv.FormatUint(epoch, 10)+".json")
}

func (s shelfDir) read(vertical string, epoch uint64) (verify.Published, error) {
	path := s.path(vertical, epoch)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return verify.Published{}, cliout.Failf(cliout.NotFound, "copy the file from a verifier that has it", "epoch %d of %s is not published at %s", epoch, vertical, path)
	}
	if err != nil {
		return verify.Published{}, err
	}
	p, err := verify.DecodePublished(raw)
	if err == nil && (p.Vertical != vertical || p.Epoch != epoch) {
		err = fmt.Errorf("it is of %s, epoch %d", p.Vertical, p.Epoch)
	}
	if err == nil && p.Previous >= p.Epoch {
		err = fmt.Errorf("epoch %d follows epoch %d", p.Epoch, p.Previous)
	}
	if err != nil {
		return p, cliout.Failf(cliout.Refused, "copy the file from another verifier", "read %s: %w", path, err)
	}
	return p, nil
}

// sources is where evidence is fetched from and to. done removes what was fetched.
func sources(g *globals, store string) (from verify.Sources, done func(), err error) {
	if store == "" {
		store = local.EvidencePath(g.home)
		if p, err := host.ReadPlan(g.home); err == nil && p.Evidence != "" {
			store = p.Evidence
		}
	}
	from = verify.Sources{Verticals: verticals.All()}
	opened, err := evidence.Open(store)
	if err != nil {
		return from, nil, cliout.Fail(cliout.Usage, err, "grange verify --help")
	}
	from.Archive = evidence.New(opened)
	from.Dir, err = os.MkdirTemp("", "grange-verify-")
	return from, func() { os.RemoveAll(from.Dir) }, err
}

// recomputing is what epochs are recomputed from.
type recomputing struct {
	ledger books
	shelf  shelfDir
	from   verify.Sources
	part   partOf
}

// run checks an epoch and those before it down to one whose root the
// ledger accepted, and compares the result with the ledger's report.
func (c recomputing) run(ctx context.Context, vertical string, epoch uint64, whole bool) (verification, error) {
	ledger, shelf := c.ledger, c.shelf
	x := verification{Vertical: vertical, Epoch: epoch, File: shelf.path(vertical, epoch), Problems: []string{}, Inputs: verdictEqual, Result: verdictEqual}
	p, err := shelf.read(vertical, epoch)
	if err != nil {
		return x, err
	}
	r, err := ledger.Report(ctx, vertical, epoch)
	if errors.Is(err, ledgerview.ErrNotFound) {
		return x, cliout.Failf(cliout.NotFound, "grange query oracle reports "+vertical, "the ledger has accepted no report on epoch %d of %s: %w", epoch, vertical, err)
	}
	if err != nil {
		return x, err
	}
	x.Published = roots{p.RewardRoot, p.InputsRoot, p.Total, uint64(len(p.Leaves))}
	x.Ledger = roots{r.RewardRoot, r.InputsRoot, r.Total, r.Leaves}
	x.Power, x.TotalPower = r.Power, r.TotalPower
	if x.Published != x.Ledger {
		x.differ("the ledger accepted reward root %s, inputs root %s and %d ugrain in %d leaves; published are %s, %s and %d in %d",
			r.RewardRoot, r.InputsRoot, r.Total, r.Leaves, p.RewardRoot, p.InputsRoot, p.Total, len(p.Leaves))
	}
	if err := c.walk(ctx, &x, p, whole); err != nil {
		return x, err
	}
	// What is published is what was recomputed only if all of it is equal.
	if x.asked = c.part != (partOf{}) && x.Result == verdictEqual; x.asked {
		x.Weights, err = c.part.weights(p)
	}
	return x, err
}

// walk recomputes p from its predecessor, that one from its own, and so on to
// an accepted epoch.
func (c recomputing) walk(ctx context.Context, x *verification, p verify.Published, whole bool) error {
	for {
		var before verify.Published
		if p.Previous > 0 {
			var err error
			if before, err = c.shelf.read(p.Vertical, p.Previous); err != nil {
				return err
			}
		}
		err := p.Check(ctx, before, c.from)
		if errors.Is(err, evidence.ErrUnavailable) {
			return cliout.Failf(cliout.Unavailable, "grange verify --evidence with a copy of the evidence", "recompute %s, epoch %d: %w", p.Vertical, p.Epoch, err)
		}
		if err != nil {
			x.differ("%v", err)
		}
		if err := x.step(ctx, c.ledger, p); err != nil {
			return err
		}
		x.From = p.Previous
		if p.Previous == 0 {
			return nil
		}
		accepted, err := c.ledger.Report(ctx, before.Vertical, before.Epoch)
		if err != nil && !errors.Is(err, ledgerview.ErrNotFound) {
			return err
		}
		if err == nil && accepted.RewardRoot != before.RewardRoot {
			x.differ("the ledger accepted reward root %s for epoch %d, published is %s", accepted.RewardRoot, before.Epoch, before.RewardRoot)
			return nil
		}
		if err == nil && !whole {
			return nil
		}
		p = before
	}
}

// step compares an epoch's terms and usage with what the ledger recorded.
func (x *verification) step(ctx context.Context, ledger books, p verify.Published) error {
	s := stepCheck{Epoch: p.Epoch, Devices: len(p.Usage), Inputs: verdictEqual}
	recorded, err := ledger.Inputs(ctx, p.Vertical, p.Epoch)
	switch {
	case errors.Is(err, ledgerview.ErrNotFound):
		s.Inputs = verdictGone
		if x.Inputs == verdictEqual {
			x.Inputs = verdictGone
		}
	case err != nil:
		return err
	default:
		if why := compareInputs(p, recorded); why != "" {
			s.Inputs, x.Inputs = verdictDifferent, verdictDifferent
			x.differ("epoch %d: %s", p.Epoch, why)
		}
	}
	x.Steps = append(x.Steps, s)
	x.Recomputed = len(x.Steps)
	return nil
}

// compareInputs says how the published inputs differ from the ledger's, or "".
func compareInputs(p verify.Published, r verify.Recorded) string {
	terms := r.Terms
	want := verify.PublishedTerms{Pool: uint64(terms.Pool), Grant: uint64(terms.Grant), Rebate: uint32(terms.Rebate), Price: terms.Price}
	if p.Terms != want {
		return fmt.Sprintf("the ledger's terms are pool %d ugrain, grant %d, rebate %d, price %d; published are %d, %d, %d, %d",
			want.Pool, want.Grant, want.Rebate, want.Price, p.Terms.Pool, p.Terms.Grant, p.Terms.Rebate, p.Terms.Price)
	}
	burned := map[string]uint64{}
	for _, u := range r.Usage {
		burned[hex.EncodeToString(u.Device[:])] += uint64(u.Burned)
	}
	if p.Evidence != nil && p.Evidence.Ended != r.Ended {
		return fmt.Sprintf("the epoch ended at %d on the ledger, published is %d", r.Ended, p.Evidence.Ended)
	}
	for _, u := range p.Usage {
		if have := burned[u.Device]; have != u.Burned {
			return fmt.Sprintf("device %s burned %d ucredit on the ledger, published are %d", u.Device, have, u.Burned)
		}
		delete(burned, u.Device)
	}
	var missing []string
	for device, b := range burned {
		if b > 0 {
			missing = append(missing, device)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Sprintf("device %s burned %d ucredit on the ledger and is left out", missing[0], burned[missing[0]])
	}
	return ""
}

func (x *verification) differ(format string, args ...any) {
	x.Result = verdictDifferent
	x.Problems = append(x.Problems, fmt.Sprintf(format, args...))
}

// write shows the comparison side by side.
func (x verification) write(w io.Writer) error {
	c := cliout.ColorsFor(w)
	verdict := c.Green(x.Result)
	if x.Result != verdictEqual {
		verdict = c.Red(x.Result)
	}
	fmt.Fprintf(w, "%s: %s\n", c.Bold(fmt.Sprintf("%s, epoch %d", x.Vertical, x.Epoch)), verdict)
	from := "nothing"
	if x.From > 0 {
		from = fmt.Sprintf("epoch %d", x.From)
	}
	fmt.Fprintf(w, "  recomputed %d epochs from %s on, from %s\n", x.Recomputed, from, filepath.Dir(x.File))
	fmt.Fprintf(w, "  the ledger accepted the report with %d of %d power; terms and usage: %s\n\n", x.Power, x.TotalPower, x.Inputs)
	t := cliout.NewTable("", "PUBLISHED", "LEDGER", "")
	for _, r := range [][3]string{
		{"reward root", x.Published.Reward, x.Ledger.Reward}, {"inputs root", x.Published.Inputs, x.Ledger.Inputs},
		{"earned so far", cliout.Grains(x.Published.Total), cliout.Grains(x.Ledger.Total)},
		{"devices", fmt.Sprint(x.Published.Leaves), fmt.Sprint(x.Ledger.Leaves)},
	} {
		same := "equal"
		if r[1] != r[2] {
			same = "DIFFERENT"
		}
		t.Row(r[0], r[1], r[2], same)
	}
	if err := t.Write(w); err != nil {
		return err
	}
	if x.asked {
		if err := writeWeights(w, x.Weights); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	for _, p := range x.Problems {
		fmt.Fprintf(&b, "\n%s %s\n", c.Red("different:"), p)
	}
	_, err := w.Write(b.Bytes())
	return err
}
