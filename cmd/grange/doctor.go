package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node/doctor"
)

func newDoctor(g *globals) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check this machine and its roles, and say what to do",
		Long: "Check this machine and the roles that run from --home: files, disk, ports, clock, ledger, price, escrow, whether\n" +
			"providers are reached through what they announced, and their proofs. It works for a home of grange up, grange\n" +
			"localnet or grange start, running or not. Exit code 0 when nothing failed, 1 when something did.",
		Example: "grange doctor\ngrange doctor --all                # also what is well\ngrange doctor --json | jq '.findings[] | select(.state != \"pass\")'",
		Args:    args(),
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := doctor.Run(c.Context(), g.home, doctor.Options{})
			if errors.Is(err, doctor.ErrNoHome) {
				return cliout.Fail(cliout.NotFound, err, "grange up"+g.homeFlag())
			}
			if err != nil {
				return err
			}
			if err := g.out(c).Emit(r, func(w io.Writer) error { return writeFindings(w, r, all) }); err != nil {
				return err
			}
			if n := r.Failed(); n > 0 {
				return cliout.Failf(cliout.Failed, "", "%d of %d checks failed", n, len(r.Findings))
			}
			return nil
		},
	}
	c.Flags().BoolVar(&all, "all", false, "show every provider's checks that passed as well")
	return c
}

// writeFindings writes what is well in a line each, what is not with what to do.
// Checks that each of many roles passed become one line.
func writeFindings(w io.Writer, r doctor.Report, all bool) error {
	c := cliout.ColorsFor(w)
	paint := map[doctor.State]func(string) string{doctor.Pass: c.Green, doctor.Warn: c.Yellow, doctor.Fail: c.Red}
	passed := map[string]int{}
	for _, f := range r.Findings {
		if f.State == doctor.Pass && f.Role != "" {
			passed[f.Check]++
		}
	}
	said := map[string]bool{}
	for _, f := range r.Findings {
		what := f.Check
		if n := passed[f.Check]; !all && f.State == doctor.Pass && f.Role != "" && n > 1 {
			if said[f.Check] {
				continue
			}
			said[f.Check] = true
			f.Role, f.Found = "", fmt.Sprintf("%d roles pass, such as %s: %s", n, f.Role, f.Found)
		}
		if f.Role != "" {
			what += " of " + f.Role
		}
		fmt.Fprintf(w, "%s  %-24s %s\n", paint[f.State](string(f.State)), what, f.Found)
		if f.Do != "" {
			fmt.Fprintf(w, "      %-24s %s\n", "", c.Dim("do: "+f.Do))
		}
	}
	return nil
}
