package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/sim"
)

// simFlags are what every simulation takes.
type simFlags struct {
	runs int
	seed uint64
	days int
	off  []string
}

func newSim(g *globals) *cobra.Command {
	var f simFlags
	var csvFile, plotFile string
	c := &cobra.Command{
		Use:   "sim [SCENARIO|FILE.yaml]...",
		Short: "Simulate the network's economy",
		Long: "Runs the ledger's own rules for money with simulated providers, buyers, validators and whales,\n" +
			"many times with different luck, and shows the percentiles over the runs. The same seed gives the same numbers.\n" +
			"Without an argument it runs the optimistic, the base and the pessimistic scenario.",
		Example: "grange sim                                 # three futures\n" +
			"grange sim base --runs 100 --plot base.svg # fan charts of one of them\n" +
			"grange sim show base > mine.yaml           # a scenario to change\n" +
			"grange sim mine.yaml --csv mine.csv\n" +
			"grange sim attacks                         # what attackers make of it",
		RunE: func(c *cobra.Command, names []string) error {
			if len(names) == 0 {
				names = []string{"optimistic", "base", "pessimistic"}
			}
			if len(names) > 1 && (csvFile != "" || plotFile != "") {
				return cliout.Failf(cliout.Usage, c.CommandPath()+" "+names[0], "--csv and --plot take one scenario, not %d", len(names))
			}
			var all []sim.Summary
			for _, name := range names {
				s, err := f.scenario(name)
				if err != nil {
					return err
				}
				results, err := f.runAll(c, s)
				if err != nil {
					return err
				}
				all = append(all, sim.Summarize(s, results))
				if err := writeFile(csvFile, func(w io.Writer) error { return sim.WriteCSV(w, results) }); err != nil {
					return err
				}
				if err := writeFile(plotFile, func(w io.Writer) error { return sim.WriteSVG(w, s, results) }); err != nil {
					return err
				}
			}
			return g.out(c).Emit(all, func(w io.Writer) error { return writeSummaries(w, all) })
		},
	}
	f.add(c, 20)
	c.Flags().StringVar(&csvFile, "csv", "", "write every day of every run to this file")
	c.Flags().StringVar(&plotFile, "plot", "", "draw fan charts into this SVG file")
	c.AddCommand(newSimAttacks(g), newSimList(g), newSimShow())
	return c
}

func (f *simFlags) add(c *cobra.Command, runs int) {
	c.Flags().IntVar(&f.runs, "runs", runs, "runs of each scenario, with seeds that follow each other")
	c.Flags().Uint64Var(&f.seed, "seed", 1, "seed of the first run")
	c.Flags().IntVar(&f.days, "days", 0, "days of each run (default: the scenario's)")
	c.Flags().StringSliceVar(&f.off, "without", nil, "turn a safeguard off: "+strings.Join(sim.Safeguards, ", "))
}

// scenario reads a shipped scenario or, when the name looks like one, a file.
func (f *simFlags) scenario(name string) (sim.Scenario, error) {
	var s sim.Scenario
	var err error
	if strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml") || strings.ContainsRune(name, filepath.Separator) {
		data, readErr := os.ReadFile(name)
		if readErr != nil {
			return s, cliout.Fail(cliout.NotFound, readErr, "grange sim list")
		}
		if s, err = sim.Parse(data); err != nil {
			return s, cliout.Fail(cliout.Usage, fmt.Errorf("%s: %w", name, err), "grange sim show base")
		}
	} else if s, err = sim.Load(name); err != nil {
		return s, cliout.Fail(cliout.NotFound, err, "grange sim list")
	}
	for _, r := range f.off {
		if err := s.Rules.Without(r); err != nil {
			return s, cliout.Fail(cliout.Usage, err, "grange sim --without haircut")
		}
	}
	if f.days > 0 {
		s.Days = f.days
	}
	if f.runs < 1 {
		return s, cliout.Failf(cliout.Usage, "grange sim --runs 20", "--runs is %d, want at least 1", f.runs)
	}
	if err := s.Valid(); err != nil {
		return s, cliout.Fail(cliout.Usage, err, "grange sim --help")
	}
	return s, nil
}

// runAll runs a scenario and tells the progress on standard error.
func (f *simFlags) runAll(c *cobra.Command, s sim.Scenario) ([]sim.Result, error) {
	w := c.ErrOrStderr()
	tty := cliout.IsTerminal(w)
	results, err := sim.Many(c.Context(), s, f.seed, f.runs, func(over int) {
		switch {
		case tty:
			fmt.Fprintf(w, "\r\x1b[K%s: %d of %d runs", s.Name, over, f.runs)
		case over == f.runs:
			fmt.Fprintf(w, "%s: %d runs of %d days\n", s.Name, f.runs, s.Days)
		}
	})
	if tty {
		fmt.Fprint(w, "\r\x1b[K")
	}
	return results, err
}

// writeFile writes a file whole, or leaves what was there.
func writeFile(path string, write func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".grange-sim-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := errors.Join(write(f), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func writeSummaries(w io.Writer, all []sim.Summary) error {
	c := cliout.ColorsFor(w)
	for i, s := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s\n", c.Bold(fmt.Sprintf("%s: %s", s.Scenario, s.About)))
		fmt.Fprintf(w, "%d runs of %d days from seed %d; means of the last 90 days, unless the line says otherwise\n", s.Runs, s.Days, s.First)
		t := cliout.NewTable("", "5 %", "25 %", "MEDIAN", "75 %", "95 %").Right(1, 2, 3, 4, 5)
		for _, f := range s.Figures {
			x := f.Spread
			t.Row(f.Name, sim.Format(x.P5, f.Unit), sim.Format(x.P25, f.Unit), sim.Format(x.P50, f.Unit), sim.Format(x.P75, f.Unit), sim.Format(x.P95, f.Unit))
		}
		if err := t.Write(w); err != nil {
			return err
		}
		if len(s.Attacks) > 0 {
			fmt.Fprintln(w)
			if err := writeAttacks(w, s.Attacks, s.Runs); err != nil {
				return err
			}
		}
	}
	return nil
}

func newSimAttacks(g *globals) *cobra.Command {
	var f simFlags
	var open bool
	c := &cobra.Command{
		Use:   "attacks [KIND]...",
		Short: "Show what attackers make of the ledger's rules",
		Long: "Runs each attack in its own scenario and shows its profit over the runs. An attacker has all that favours him:\n" +
			"credits count at their face value, opening leases costs nothing, settling costs the least fee.\n" +
			"Ends with code 1 when an attack makes a profit in any run, unless --open asked for it.",
		Example: "grange sim attacks\ngrange sim attacks pump latency --runs 50\ngrange sim attacks --open   # without the safeguards, to see what they hold",
		RunE: func(c *cobra.Command, kinds []string) error {
			var all []sim.AttackFigures
			for _, k := range sim.Attacks {
				if len(kinds) > 0 && !slices.Contains(kinds, k.Kind) {
					continue
				}
				s, err := f.scenario("attack-" + k.Kind)
				if err != nil {
					return err
				}
				for _, name := range sim.Safeguards {
					if !open {
						break
					}
					if err := s.Rules.Without(name); err != nil {
						return err
					}
				}
				results, err := f.runAll(c, s)
				if err != nil {
					return err
				}
				all = append(all, sim.Summarize(s, results).Attacks...)
			}
			if len(all) == 0 || len(kinds) > len(all) {
				return cliout.Failf(cliout.NotFound, "grange sim attacks", "not all of %s are attacks", strings.Join(kinds, ", "))
			}
			if err := g.out(c).Emit(all, func(w io.Writer) error { return writeAttacks(w, all, f.runs) }); err != nil {
				return err
			}
			for _, a := range all {
				if a.Wins > 0 && !open {
					return cliout.Failf(cliout.Failed, "", "%s: profit in %d of %d runs, the rules must leave none", a.Title, a.Wins, f.runs)
				}
			}
			return nil
		},
	}
	f.add(c, 20)
	c.Flags().BoolVar(&open, "open", false, "without all safeguards, to see what they hold")
	return c
}

func writeAttacks(w io.Writer, all []sim.AttackFigures, runs int) error {
	c := cliout.ColorsFor(w)
	t := cliout.NewTable("ATTACK", "MOVED", "PROFIT 5 %", "MEDIAN", "95 %", "BEST", "ON $1000", "RESULT").Right(1, 2, 3, 4, 5, 6)
	for _, a := range all {
		t.Row(a.Title, sim.Dollars(a.Volume.P50), sim.Dollars(a.Profit.P5), sim.Dollars(a.Profit.P50), sim.Dollars(a.Profit.P95), sim.Dollars(a.Profit.Max),
			sim.Dollars(a.PerMille.P50), result(a, runs))
	}
	if err := t.Write(w); err != nil {
		return err
	}
	for _, a := range all {
		if a.Wins > 0 && a.Held != "" {
			fmt.Fprintf(w, "%s %s; held by: %s\n", c.Yellow("open:"), a.Title, a.Held)
		}
	}
	return nil
}

func result(a sim.AttackFigures, runs int) string {
	if a.Wins == 0 {
		return fmt.Sprintf("loses in all %d runs", runs)
	}
	return fmt.Sprintf("gains in %d of %d runs", a.Wins, runs)
}

func newSimList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the scenarios that come with the program", Args: args(),
		RunE: func(c *cobra.Command, _ []string) error {
			type item struct {
				Name  string `json:"name"`
				About string `json:"about"`
			}
			var items []item
			for _, name := range sim.Names() {
				s, err := sim.Load(name)
				if err != nil {
					return err
				}
				items = append(items, item{s.Name, s.About})
			}
			return g.out(c).Emit(items, func(w io.Writer) error {
				t := cliout.NewTable("SCENARIO", "WHAT HAPPENS")
				for _, i := range items {
					t.Row(i.Name, i.About)
				}
				return t.Write(w)
			})
		},
	}
}

func newSimShow() *cobra.Command {
	return &cobra.Command{
		Use: "show SCENARIO", Short: "Write a scenario's file to standard output", Args: args("SCENARIO"),
		RunE: func(c *cobra.Command, names []string) error {
			text, err := sim.Source(names[0])
			if err != nil {
				return cliout.Fail(cliout.NotFound, err, "grange sim list")
			}
			_, err = c.OutOrStdout().Write(text)
			return err
		},
	}
}
