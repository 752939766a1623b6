package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node/local"
)

// newRole is how up --processes starts the process of one role.
func newRole(g *globals) *cobra.Command {
	var verbose bool
	c := &cobra.Command{Use: "role", Short: "Serve one role of a network (used by up --processes)", Hidden: true, RunE: group}
	r := &cobra.Command{
		Use: "run NAME", Short: "Serve one role", Hidden: true, Args: args("the NAME of a role"),
		RunE: func(c *cobra.Command, given []string) error {
			err := local.Serve(c.Context(), g.home, given[0], newLogger(os.Stderr, verbose))
			if err != nil {
				return cliout.Fail(cliout.Failed, err, "grange local list"+g.homeFlag())
			}
			return nil
		},
	}
	r.Flags().BoolVar(&verbose, "verbose", false, "log more")
	c.AddCommand(r)
	return c
}
