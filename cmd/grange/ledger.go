package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node/ledgerview"
)

// missing says where to look for what was not found.
func missing(err error, next string) error {
	if errors.Is(err, ledgerview.ErrNotFound) {
		return cliout.Fail(cliout.NotFound, err, next)
	}
	return err
}

func newLease(g *globals) *cobra.Command {
	var device, payer string
	c := &cobra.Command{Use: "lease", Short: "Leases on the ledger", Example: "grange lease list\ngrange lease show 77ab\ngrange lease fund 77ab 0.5", RunE: group}
	list := &cobra.Command{
		Use: "list", Short: "List leases with what is left in their escrow", Args: args(), Example: "grange lease list --device 3fa9c2",
		RunE: func(c *cobra.Command, _ []string) error {
			return g.read(c, func(ctx context.Context, v *ledgerview.View) error {
				if device != "" {
					d, err := v.Device(ctx, device)
					if err != nil {
						return missing(err, "grange device list"+g.homeFlag())
					}
					device = d.ID
				}
				all, err := v.Leases(ctx, device, payer)
				if err != nil {
					return err
				}
				return g.out(c).Emit(all, func(w io.Writer) error { return writeLeases(w, all) })
			})
		},
	}
	list.Flags().StringVar(&device, "device", "", "only leases of this device")
	list.Flags().StringVar(&payer, "payer", "", "only leases this account pays for")
	c.AddCommand(list, newLeaseStanding(g), newLeaseFund(g), &cobra.Command{
		Use: "show LEASE", Short: "Show one lease (an id, or the beginning of one)", Args: args("a LEASE id"), Example: "grange lease show 77ab",
		RunE: func(c *cobra.Command, given []string) error {
			return g.read(c, func(ctx context.Context, v *ledgerview.View) error {
				l, err := v.Lease(ctx, given[0])
				if err != nil {
					return missing(err, "grange lease list"+g.homeFlag())
				}
				return g.out(c).Emit(l, func(w io.Writer) error { return writeLease(w, l) })
			})
		},
	})
	return c
}

func writeLeases(w io.Writer, all []ledgerview.Lease) error {
	t := cliout.NewTable("LEASE", "KIND", "DEVICE", "STATE", "HELD", "DEPOSITED", "PAID", "LEFT", "FAULTS", "REASON").Right(4, 5, 6, 7, 8)
	for _, l := range all {
		t.Row(cliout.Short(l.ID), l.Kind, cliout.Short(l.Device), l.State, size(l.Held(), unit(l.Kind)), cliout.Credits(l.Deposited),
			cliout.Credits(l.Paid), cliout.Credits(l.Left), l.Faults, l.Reason)
	}
	return t.Write(w)
}

func writeLease(w io.Writer, l ledgerview.Lease) error {
	state := l.State
	if l.Until > 0 {
		state += fmt.Sprintf(" until epoch %d", l.Until)
	}
	if l.Reason != "" {
		state += " (" + l.Reason + ")"
	}
	u := unit(l.Kind)
	pairs := [][2]string{
		{"lease", l.ID}, {"kind", l.Kind}, {"offer", fmt.Sprint(l.Offer)}, {"payer", l.Payer}, {"provider", l.Owner}, {"device", l.Device}, {"state", state},
		{"opened in epoch", fmt.Sprint(l.Opened)}, {"capacity", size(l.Capacity, u)}, {"in use", size(l.Held(), u)},
		{"price of holding", price(l.Hold, u.Hold) + " for an epoch"}, {"price of use", price(l.Use, u.Use)}, {"deposited", cliout.Credits(l.Deposited)},
		{"paid for holding", cliout.Credits(l.HoldPaid) + " of at most " + cliout.Credits(l.HoldBudget)},
		{"paid in all", cliout.Credits(l.Paid)}, {"refunded", cliout.Credits(l.Refunded)}, {"left in escrow", cliout.Credits(l.Left)},
		{"faults in a row", fmt.Sprint(l.Faults)}, {"next epoch to settle", fmt.Sprint(l.Next)},
	}
	for _, a := range l.Lanes {
		pairs = append(pairs, [2]string{fmt.Sprintf("lane %d", a.ID), fmt.Sprintf("%s by receipt %d, %s paid of at most %s",
			amount(a.Units, u.Use), a.Seq, cliout.Credits(a.Paid), cliout.Credits(a.Cap))})
	}
	for _, k := range l.Commits {
		pairs = append(pairs, [2]string{fmt.Sprintf("commitment %d", k.Revision), fmt.Sprintf("%s, root %s, from epoch %d", size(k.Units, u), cliout.Short(k.Root), k.Effective)})
	}
	return cliout.Pairs(w, pairs...)
}

func newReceipt(g *globals) *cobra.Command {
	var lane uint32
	c := &cobra.Command{Use: "receipt", Short: "Settled receipts", RunE: group}
	show := &cobra.Command{
		Use: "show LEASE", Short: "Show the newest settled receipt of a lease's lane", Args: args("a LEASE id"), Example: "grange receipt show 77ab --lane 1",
		RunE: func(c *cobra.Command, given []string) error {
			return g.read(c, func(ctx context.Context, v *ledgerview.View) error {
				lane := lane
				if !c.Flags().Changed("lane") {
					l, err := v.Lease(ctx, given[0])
					if err != nil {
						return missing(err, "grange lease list"+g.homeFlag())
					}
					if len(l.Lanes) > 0 {
						lane = l.Lanes[0].ID
					}
				}
				r, err := v.Receipt(ctx, given[0], lane)
				if err != nil {
					return missing(err, "grange lease list"+g.homeFlag())
				}
				return g.out(c).Emit(r, func(w io.Writer) error { return writeReceipt(w, r) })
			})
		},
	}
	show.Flags().Uint32Var(&lane, "lane", 0, "lane of the lease (default: its first)")
	c.AddCommand(show)
	return c
}

func writeReceipt(w io.Writer, r ledgerview.Receipt) error {
	u := unit(r.Kind).Use
	return cliout.Pairs(w,
		[2]string{"lease", r.Lease}, [2]string{"kind", r.Kind}, [2]string{"device", r.Device}, [2]string{"payer", r.Payer}, [2]string{"lane", fmt.Sprint(r.Lane.ID)},
		[2]string{"number", fmt.Sprint(r.Lane.Seq)}, [2]string{"units", fmt.Sprintf("%d (%s since the lease opened)", r.Lane.Units, amount(r.Lane.Units, u))},
		[2]string{"price", price(r.Use, u)}, [2]string{"paid", cliout.Credits(r.Lane.Paid) + " of at most " + cliout.Credits(r.Lane.Cap)},
		[2]string{"signed with", r.Lane.Key})
}

func newProof(g *globals) *cobra.Command {
	var device string
	var limit uint64
	c := &cobra.Command{Use: "proof", Short: "Proofs of storage on the ledger", RunE: group}
	list := &cobra.Command{
		Use: "list", Short: "List the newest proofs", Args: args(), Example: "grange proof list --device 3fa9c2 --limit 5",
		RunE: func(c *cobra.Command, _ []string) error {
			return g.read(c, func(ctx context.Context, v *ledgerview.View) error {
				if device != "" {
					d, err := v.Device(ctx, device)
					if err != nil {
						return missing(err, "grange device list"+g.homeFlag())
					}
					device = d.ID
				}
				all, err := v.Proofs(ctx, device, limit)
				if err != nil {
					return err
				}
				return g.out(c).Emit(all, func(w io.Writer) error { return writeProofs(w, all) })
			})
		},
	}
	list.Flags().StringVar(&device, "device", "", "only proofs of this device")
	list.Flags().Uint64Var(&limit, "limit", 50, "how many, newest first")
	c.AddCommand(list)
	return c
}

func writeProofs(w io.Writer, all []ledgerview.Proof) error {
	t := cliout.NewTable("EPOCH", "DEVICE", "HEIGHT", "AT", "CHALLENGES", "HELD", "PROOF SIZE").Right(0, 2, 4, 5, 6)
	for _, p := range all {
		t.Row(p.Epoch, cliout.Short(p.Device), p.Height, p.Time.Format("15:04:05"), p.Challenges, cliout.Bytes(p.Units), cliout.Bytes(p.Size))
	}
	return t.Write(w)
}

// verticalsApart is how many epochs the newest report of one vertical is behind that
// of another, at most, while all is well.
const verticalsApart = 3

// explained explains an epoch, or with 0 the newest one that says something of the
// device.
func (g *globals) explained(ctx context.Context, v *ledgerview.View, device string, epoch uint64) (x ledgerview.Explanation, err error) {
	oldest := epoch
	if epoch == 0 {
		if epoch = v.Reported(ctx); epoch == 0 {
			return x, cliout.Failf(cliout.Unavailable, "grange status"+g.homeFlag(), "no epoch has been scored yet: the first is when two have ended")
		}
		oldest = max(epoch, verticalsApart) - verticalsApart + 1
	}
	for {
		if x, err = v.Explain(ctx, device, epoch); err != nil {
			return x, err
		}
		x.Evidence = evidenceTerms(shelfDir(publishedIn(g.home)), x.Device, epoch)
		if len(x.Evidence) > 0 || len(x.Leases) > 0 || epoch == oldest {
			return x, nil
		}
		epoch--
	}
}

func newReward(g *globals) *cobra.Command {
	c := &cobra.Command{Use: "reward", Short: "What devices earned, and why", RunE: group}
	c.AddCommand(&cobra.Command{
		Use: "explain DEVICE [EPOCH]", Short: "Show term by term what an epoch paid a device",
		Long: "Show term by term what an epoch paid a device; without one the newest that has been scored and says something of it.",
		Args: argsOr("a DEVICE id", "an EPOCH"), Example: "grange reward explain 3fa9c2\ngrange reward explain 3fa9c2 17",
		RunE: func(c *cobra.Command, given []string) error {
			epoch := uint64(0)
			if len(given) == 2 {
				var err error
				if epoch, err = strconv.ParseUint(given[1], 10, 64); err != nil || epoch == 0 {
					return cliout.Failf(cliout.Usage, c.CommandPath()+" --help", "read epoch %q: want a number from 1", given[1])
				}
			}
			return g.read(c, func(ctx context.Context, v *ledgerview.View) error {
				x, err := g.explained(ctx, v, given[0], epoch)
				if err != nil {
					return missing(err, "grange device list"+g.homeFlag())
				}
				return g.out(c).Emit(x, func(w io.Writer) error { return writeExplanation(w, x) })
			})
		},
	})
	return c
}
