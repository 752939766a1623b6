package main

import (
	"fmt"
	"io"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node/ledgerview"
	"github.com/grange-network/grange/vertical"
)

// writeExplanation writes the terms in the order in which they make the payment.
func writeExplanation(w io.Writer, x ledgerview.Explanation) error {
	if len(x.Leases) == 0 && x.Slashed == 0 && len(x.Evidence) > 0 {
		return writeObserved(w, x)
	}
	if len(x.Leases) == 0 && x.Slashed == 0 && x.Class == string(vertical.PRN) {
		return writeUnseen(w, x)
	}
	c := cliout.ColorsFor(w)
	fmt.Fprintf(w, "%s\n", c.Bold(fmt.Sprintf("device %s in epoch %d: %s", cliout.Short(x.Device), x.Epoch, x.Outcome.Outcome)))
	for _, r := range x.Reasons {
		fmt.Fprintf(w, "  %s\n", r)
	}
	if len(x.Leases) > 0 {
		fmt.Fprintln(w)
		t := cliout.NewTable("LEASE", "OUTCOME", "HELD", "OWED FOR IT", "PAID FOR IT", "READ", "PAID FOR IT", "TAKE", "NET").Right(2, 3, 4, 5, 6, 7, 8)
		for _, l := range x.Leases {
			t.Row(cliout.Short(l.Lease), l.Outcome, cliout.Bytes(l.UnitsHeld), cliout.Credits(l.HoldOwed), cliout.Credits(l.HoldPaid),
				cliout.Bytes(l.UnitsUsed), cliout.Credits(l.UsePaid), cliout.Credits(l.Take), cliout.Credits(l.Net))
		}
		if err := t.Write(w); err != nil {
			return err
		}
	}
	fmt.Fprintln(w)
	pairs := [][2]string{
		{"take", fmt.Sprintf("%s: %s burned, %s to validators, %s to the treasury", cliout.Credits(x.Take.Ucredit), percent(x.Take.BurnBPS), percent(x.Take.ValidatorsBPS), percent(x.Take.TreasuryBPS))},
	}
	for _, p := range x.Payouts {
		pairs = append(pairs, [2]string{"payout", payout(p)})
	}
	pairs = append(pairs, [2]string{"the rest to", x.Owner}, [2]string{"slashed", cliout.Grains(x.Slashed) + " of the bond"},
		[2]string{"settled meanwhile", fmt.Sprintf("%s for holding earlier, %s for reading, %s burned", cliout.Credits(x.Settled.HoldPaid), cliout.Credits(x.Settled.UsePaid), cliout.Credits(x.Settled.Burned))})
	b := x.Bonus
	if b.Price > 0 {
		pairs = append(pairs,
			[2]string{"price of GRAIN", cliout.Credits(b.Price)},
			[2]string{"burned by usage", fmt.Sprintf("%s of %s by everybody", cliout.Grains(b.Burned), cliout.Grains(b.BurnedAll))},
			[2]string{"bonus at most", fmt.Sprintf("%s (%s of the burn)", cliout.Grains(b.Cap), percent(b.RebateBPS))},
			[2]string{"part of the pool", fmt.Sprintf("%s of %s (%s of %s)", cliout.Grains(b.ProRata), cliout.Grains(b.Pool), percent(b.ShareBPS), "it for this kind")})
	}
	pairs = append(pairs, evidencePairs(x.Evidence)...)
	pairs = append(pairs, [2]string{"bonus", cliout.Grains(b.Bonus)}, [2]string{"claimed so far", cliout.Grains(b.Claimed)})
	return cliout.Pairs(w, pairs...)
}

func percent(bps uint32) string { return fmt.Sprintf("%.4g %%", float64(bps)/100) }
