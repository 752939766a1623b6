package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node/ledgerview"
)

func newLeaseStanding(g *globals) *cobra.Command {
	var payer string
	c := &cobra.Command{
		Use: "standing", Short: "List standing leases: one payer, any device that serves it", Args: args(),
		Long: "A standing lease pays every device of a kind that served the payer, by statements that the payer signs. A device\n" +
			"that a statement leaves out disputes it, and is then paid from the payer's bond.",
		Example: "grange lease standing\ngrange lease standing --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return g.read(c, func(ctx context.Context, v *ledgerview.View) error {
				all, err := v.Standings(ctx, payer)
				if err != nil {
					return err
				}
				return g.out(c).Emit(all, func(w io.Writer) error { return writeStandings(w, all) })
			})
		},
	}
	c.Flags().StringVar(&payer, "payer", "", "only those this account pays for")
	return c
}

func writeStandings(w io.Writer, all []ledgerview.Standing) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "No standing lease was opened yet.")
		return err
	}
	t := cliout.NewTable("LEASE", "KIND", "PAYER", "STATE", "PRICE", "DEPOSITED", "PAID", "LEFT", "BOND", "DISPUTES", "LAST STATEMENT", "REASON").Right(5, 6, 7, 8, 9)
	for _, s := range all {
		last := "none"
		if s.Last != nil {
			last = fmt.Sprintf("%d devices, epoch %d", s.Last.Devices, s.Last.Epoch)
		}
		t.Row(cliout.Short(s.ID), s.Kind, s.Payer, s.State, price(s.Use, unit(s.Kind).Use), cliout.Credits(s.Deposited),
			cliout.Credits(s.Stated+s.Disputed), cliout.Credits(s.Left), cliout.Credits(s.Bond), s.Disputes, last, s.Reason)
	}
	return t.Write(w)
}
