package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/grange-network/grange/explorer/top"
	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node/local"
)

func newTop(g *globals) *cobra.Command {
	var address, owner string
	c := &cobra.Command{
		Use: "top", Short: "Dashboard for providers: earnings, leases, health, last problems", Args: args(),
		Long:    "Asks an explorer every few seconds. Where standard output is no terminal, or with --json, it is shown once.",
		Example: "grange top\ngrange top --owner grange1gytsmm8mdsnpd4rhmjw25ulp3sw5uk3xarhs2m --explorer http://127.0.0.1:24780",
		RunE: func(c *cobra.Command, _ []string) error {
			if address == "" {
				e, err := local.LoadEndpoints(g.home)
				if err != nil {
					return g.notRunning(err)
				}
				address = e.Explorer
			}
			return runTop(c.Context(), g.out(c), top.NewSource(address, owner))
		},
	}
	c.Flags().StringVar(&address, "explorer", "", "address of an explorer, http URL (default: from --home)")
	c.Flags().StringVar(&owner, "owner", "", "only devices of this account")
	return c
}

func runTop(ctx context.Context, out cliout.Out, s *top.Source) error {
	if !out.JSON && out.W == os.Stdout && term.IsTerminal(int(os.Stdout.Fd())) {
		_, err := tea.NewProgram(top.New(ctx, s), tea.WithContext(ctx)).Run()
		if ctx.Err() != nil || errors.Is(err, tea.ErrInterrupted) {
			return nil
		}
		return err
	}
	p, err := s.Read(ctx)
	if err != nil {
		return cliout.Fail(cliout.Unavailable, err, "grange status")
	}
	return out.Emit(p, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, top.Text(p))
		return err
	})
}
