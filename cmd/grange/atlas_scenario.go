package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/atlas"
	"github.com/grange-network/grange/atlas/project"
	"github.com/grange-network/grange/atlas/source"
	"github.com/grange-network/grange/internal/cliout"
)

func newAtlasScenario(g *globals) *cobra.Command {
	var runs, every int
	var seed uint64
	c := &cobra.Command{
		Use: "scenario [NAME|FILE.yaml]...", Short: "Run a network's economy forward under stated assumptions",
		Long: "Emission against revenue, break-even month, runway and concentration of an example network under the assumptions of a\n" +
			"parameter file, many times with seeded chance. The same file and seed give the same bytes. It says what the parameters\n" +
			"amount to and forecasts nothing. For the rules of this network with its own agents see: grange sim",
		Example: "grange atlas scenario                      # optimistic, base and pessimistic beside each other\n" +
			"grange atlas scenario base --every 12\ngrange atlas scenario mine.yaml --runs 1000 --json",
		RunE: func(c *cobra.Command, names []string) error {
			if len(names) == 0 {
				names = []string{"optimistic", "base", "pessimistic"}
			}
			all := make([]project.Scenario, 0, len(names))
			for _, name := range names {
				p, err := loadScenario(name)
				if err != nil {
					return atlasError(c, err)
				}
				if c.Flags().Changed("runs") {
					p.Runs = runs
				}
				if c.Flags().Changed("seed") {
					p.Seed = seed
				}
				s, err := project.Run(p)
				if err != nil {
					return atlasError(c, err)
				}
				all = append(all, s)
			}
			return g.out(c).Emit(all, func(w io.Writer) error { return writeScenarios(w, all, every) })
		},
	}
	c.Flags().IntVar(&runs, "runs", 0, "runs (default: the file's)")
	c.Flags().Uint64Var(&seed, "seed", 0, "seed (default: the file's)")
	c.Flags().IntVar(&every, "every", 6, "show every so many months")
	return c
}

func loadScenario(name string) (project.Params, error) {
	if !strings.HasSuffix(name, ".yaml") && !strings.ContainsRune(name, filepath.Separator) {
		return project.Load(name)
	}
	f, err := os.Open(name)
	if err != nil {
		return project.Params{}, err
	}
	defer f.Close()
	return project.Parse(f)
}

func bandText(b project.Band, before, after string) string {
	return figureText(b.P50, before, after) + " (" + figureText(b.P10, before, after) + " – " + figureText(b.P90, before, after) + ")"
}

// hundred turns parts of one into percent.
func hundred(b project.Band) project.Band {
	times := func(d *atlas.Decimal) *atlas.Decimal {
		if d == nil {
			return nil
		}
		p, err := atlas.DecimalFromRat(new(big.Rat).Mul(d.Rat(), big.NewRat(100, 1)), 1)
		if err != nil {
			return nil
		}
		return &p
	}
	return project.Band{P10: times(b.P10), P50: times(b.P50), P90: times(b.P90)}
}

func writeScenarios(w io.Writer, all []project.Scenario, every int) error {
	colors := cliout.ColorsFor(w)
	for i, s := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s: %s %s\n", colors.Bold(s.Name), s.About, colors.Dim(fmt.Sprintf("(%d runs, seed %d, median and P10 – P90)", s.Runs, s.Seed)))
		if len(all) == 1 {
			if err := writeMonths(w, s, every); err != nil {
				return err
			}
			fmt.Fprintln(w)
		}
		f := s.Final
		pairs := [][2]string{
			{"break-even", outcomeText(s.BreakEven, "revenue covers emission")}, {"without chance or limits", figureText(s.Formula, "month ", " by the formula")},
			{"treasury", outcomeText(s.Exhausted, "it cannot pay what it should")},
			{"in the last month", fmt.Sprintf("revenue %s, emission %s", bandText(f.Revenue, "$", ""), bandText(f.Emission, "$", ""))},
			{"  coverage", bandText(f.Coverage, "", "×")}, {"  providers", bandText(f.Providers, "", "")}, {"  utilisation", bandText(hundred(f.Used), "", " %")},
			{"  treasury", bandText(f.Treasury, "$", "")}, {"  concentration (HHI)", bandText(f.HHI, "", "")},
		}
		if err := cliout.Pairs(w, pairs...); err != nil {
			return err
		}
		if len(all) == 1 {
			fmt.Fprintf(w, "\n%s\n", colors.Bold("What the source expects besides ("+s.Source+")"))
			for _, p := range s.Points {
				fmt.Fprintf(w, "  - %s\n", p)
			}
			fmt.Fprintf(w, "%s\n", colors.Bold("Where the parameters come from"))
			for _, b := range s.Basis {
				fmt.Fprintf(w, "  - %s: %s (%s)\n", b.Parameter, b.Why, b.Source)
			}
		}
	}
	return nil
}

func outcomeText(o project.Outcome, what string) string {
	if o.Month.P50 == nil {
		return "in no run"
	}
	return fmt.Sprintf("month %s (%s – %s) in %s %% of the runs: %s", o.Month.P50, o.Month.P10, o.Month.P90, o.Reached, what)
}

func writeMonths(w io.Writer, s project.Scenario, every int) error {
	t := cliout.NewTable("MONTH", "REVENUE", "EMISSION", "COVERAGE", "PROVIDERS", "USED", "TOKEN", "TREASURY", "HHI").Right(0, 1, 2, 3, 4, 5, 6, 7, 8)
	for i, m := range s.Months {
		if i%max(1, every) != 0 && i != len(s.Months)-1 {
			continue
		}
		t.Row(m.Month, bandText(m.Revenue, "$", ""), bandText(m.Emission, "$", ""), bandText(m.Coverage, "", "×"), figureText(m.Providers.P50, "", ""),
			figureText(hundred(m.Used).P50, "", " %"), figureText(m.TokenPrice.P50, "$", ""), figureText(m.Treasury.P50, "$", ""), figureText(m.HHI.P50, "", ""))
	}
	return t.Write(w)
}

type sustainability struct {
	Networks      []project.Health        `json:"networks"`
	Concentration []project.Concentration `json:"concentration"`
}

func newAtlasSustain(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "sustain", Short: "Measure how sustainable networks are, as far as claims say", Args: args(),
		Long:    "Emission against revenue, utilisation, capitalisation against revenue, and concentration. Metrics, never advice to buy.",
		Example: "grange atlas sustain\ngrange atlas sustain --json",
		RunE: func(c *cobra.Command, _ []string) error {
			cat, err := g.atlas()
			if err != nil {
				return err
			}
			s := sustainability{project.FromAtlas(cat), project.SectorConcentration(cat)}
			return g.out(c).Emit(s, func(w io.Writer) error { return writeSustain(w, s) })
		},
	}
}

func writeSustain(w io.Writer, s sustainability) error {
	t := cliout.NewTable("NETWORK", "AS OF", "COVERAGE", "SUBSIDY", "USED", "CAP / YEARLY REVENUE", "NOTE").Right(2, 3, 4, 5)
	for _, h := range s.Networks {
		t.Row(h.Name, fallback(string(h.AsOf), "undated"), figureText(h.Coverage, "", "×"), figureText(h.Subsidy, "", " %"), figureText(h.Used, "", " %"), figureText(h.PerSales, "", "×"), strings.Join(h.Notes, "; "))
	}
	if err := t.Write(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	k := cliout.NewTable("CONCENTRATION OF", "HHI", "LARGEST", "ITS PART").Right(1, 3)
	for _, x := range s.Concentration {
		k.Row(x.Of, figureText(x.HHI, "", ""), x.Name, figureText(x.Top, "", " %"))
	}
	if err := k.Write(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", cliout.ColorsFor(w).Dim("Metrics, never advice to buy. – is unknown. HHI: 10000 is one holder, below 1500 is usually called spread."))
	return err
}

type refreshed struct {
	File    string           `json:"file"`
	Sources []source.Outcome `json:"sources"`
}

func newAtlasRefresh(g *globals) *cobra.Command {
	var config string
	c := &cobra.Command{
		Use: "refresh", Short: "Ask live sources for figures (nobody is asked until configured)", Args: args(),
		Long: "Asks the sources named in the configuration once and keeps their values as claims. A source that fails leaves its last\n" +
			"good values, marked stale; a value that jumps tenfold waits in quarantine. The configuration is YAML:\n\n" +
			"  coingecko: {}\n  helium: {}\n  akash: {}\n  defillama: {slugs: {render: SLUG}}\n  spacescope: {key-file: PATH}\n  depin-ninja: {key-file: PATH}",
		Example: "grange atlas refresh --config sources.yaml",
		RunE: func(c *cobra.Command, _ []string) error {
			if config == "" {
				config = filepath.Join(g.home, "atlas", "sources.yaml")
			}
			out, err := g.refresh(c, config)
			if err != nil {
				return atlasError(c, err)
			}
			if err := g.out(c).Emit(out, func(w io.Writer) error { return writeRefreshed(w, out) }); err != nil {
				return err
			}
			for _, s := range out.Sources {
				if s.Problem != "" {
					return cliout.Failf(cliout.Unavailable, "grange atlas refresh    # again later; the last good values are kept", "%s did not answer", s.Source)
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&config, "config", "", "configuration (default: atlas/sources.yaml in --home)")
	return c
}

func (g *globals) refresh(c *cobra.Command, config string) (refreshed, error) {
	out := refreshed{File: g.observedFile(), Sources: []source.Outcome{}}
	f, err := os.Open(config)
	if errors.Is(err, os.ErrNotExist) {
		return out, cliout.Fail(cliout.Usage, fmt.Errorf("no live source is configured: %w", err), "grange atlas refresh --help")
	}
	if err != nil {
		return out, err
	}
	defer f.Close()
	cfg, err := source.ReadConfig(f)
	if err != nil {
		return out, err
	}
	cat := atlas.Embedded()
	sources, err := cfg.Sources(cat)
	if err != nil {
		return out, err
	}
	book, err := readBook(out.File)
	if err != nil {
		return out, err
	}
	log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	outcomes, err := source.Refresh(c.Context(), sources, source.NewClient(log), book, cat)
	out.Sources = append(out.Sources, outcomes...)
	if err != nil {
		return out, err
	}
	return out, writeBook(out.File, book)
}

// writeBook replaces the book in one step.
func writeBook(path string, book *source.Book) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".observed-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when renamed
	if err := errors.Join(book.Write(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func writeRefreshed(w io.Writer, r refreshed) error {
	t := cliout.NewTable("SOURCE", "VALUES", "IN QUARANTINE", "PROBLEM").Right(1, 2)
	for _, s := range r.Sources {
		problem := s.Problem
		if problem == "" && len(s.Unknown) > 0 {
			problem = "answers with unknown fields: " + strings.Join(s.Unknown, ", ")
		}
		t.Row(s.Source, s.Values, s.Quarantined, fallback(problem, "–"))
	}
	if err := t.Write(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nkept in %s at %s\n", r.File, time.Now().UTC().Format(time.RFC3339))
	return err
}
