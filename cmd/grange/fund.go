package main

import (
	"context"
	"fmt"
	"io"
	"math/big"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/node/ledgerport"
	"github.com/grange-network/grange/node/ledgerview"
	"github.com/grange-network/grange/node/local"
)

func newLeaseFund(g *globals) *cobra.Command {
	var from string
	c := &cobra.Command{
		Use:   "fund LEASE CREDITS",
		Short: "Add credits to what a lease may spend on holding",
		Long: "Add credits (1 is 1 USD, down to 0.000001) to the part of a lease's escrow that pays for holding. A lease in\n" +
			"grace whose escrow pays for what it holds again is open again.",
		Example: "grange lease fund 77ab 0.5",
		Args:    args("a LEASE id", "an amount of CREDITS"),
		RunE: func(c *cobra.Command, given []string) error {
			amount, err := parseCredits(given[1])
			if err != nil {
				return cliout.Fail(cliout.Usage, err, c.CommandPath()+" "+given[0]+" 0.5")
			}
			return g.read(c, func(ctx context.Context, v *ledgerview.View) error {
				l, err := v.Lease(ctx, given[0])
				if err != nil {
					return missing(err, "grange lease list"+g.homeFlag())
				}
				if err := g.fund(ctx, l.ID, from, amount); err != nil {
					return err
				}
				if l, err = v.Lease(ctx, l.ID); err != nil {
					return err
				}
				return g.out(c).Emit(l, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "lease %s is %s with %s left in escrow\n", cliout.Short(l.ID), l.State, cliout.Credits(l.Left))
					return err
				})
			})
		},
	}
	c.Flags().StringVar(&from, "from", "buyer", "account of the network that pays")
	return c
}

// fund sends the message of an account of the network of --home.
func (g *globals) fund(ctx context.Context, lease, from string, amount money.Credit) error {
	e, err := local.LoadEndpoints(g.home)
	if err != nil {
		return g.notRunning(err)
	}
	accounts, err := local.Accounts(g.home)
	if err != nil {
		return err
	}
	k, ok := accounts[from]
	if !ok {
		return cliout.Failf(cliout.NotFound, "ls "+g.home+"/keys", "find account %q: the network has no such account", from)
	}
	id, err := ledgerview.ParseID(lease)
	if err != nil {
		return err
	}
	c, err := client.Dial(ctx, client.Endpoints{GRPC: e.GRPC, RPC: e.RPC})
	if err != nil {
		return err
	}
	defer c.Close()
	return ledgerport.Gateway{Port: ledgerport.New(c, k, nil)}.Fund(ctx, [32]byte(id), amount, nil)
}

// parseCredits reads a decimal amount of credits as ucredit, exactly.
func parseCredits(text string) (money.Credit, error) {
	r, ok := new(big.Rat).SetString(text)
	if ok {
		r.Mul(r, big.NewRat(1_000_000, 1))
	}
	if !ok || !r.IsInt() || r.Sign() <= 0 || !r.Num().IsUint64() {
		return 0, fmt.Errorf("read amount %q: want a number of credits above 0 with at most 6 decimals", text)
	}
	return money.Credit(r.Num().Uint64()), nil
}
