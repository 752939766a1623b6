package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node/ledgerview"
	"github.com/grange-network/grange/tunnel"
)

func newDevice(g *globals) *cobra.Command {
	c := &cobra.Command{Use: "device", Short: "Devices on the ledger", Example: "grange device list\ngrange device show 3fa9c2", RunE: group}
	c.AddCommand(&cobra.Command{
		Use: "list", Short: "List every device with its offer", Args: args(), Example: "grange device list --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return g.read(c, func(ctx context.Context, v *ledgerview.View) error {
				all, err := v.Devices(ctx)
				if err != nil {
					return err
				}
				return g.out(c).Emit(all, func(w io.Writer) error { return writeDevices(w, all) })
			})
		},
	}, &cobra.Command{
		Use: "show DEVICE", Short: "Show one device (an id, or the beginning of one)", Args: args("a DEVICE id"), Example: "grange device show 3fa9c2",
		RunE: func(c *cobra.Command, given []string) error {
			return g.read(c, func(ctx context.Context, v *ledgerview.View) error {
				d, err := v.Device(ctx, given[0])
				if err != nil {
					return missing(err, "grange device list"+g.homeFlag())
				}
				return g.out(c).Emit(d, func(w io.Writer) error { return writeDevice(w, d) })
			})
		},
	}, newDeviceDID(g), newDeviceAttestations(g), newDeviceIssuers(g), newDeviceAttest(g), newDeviceRevoke(g))
	return c
}

func newDeviceDID(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "did DEVICE", Short: "Print the W3C DID document of a device", Args: args("a DEVICE id or did:key"),
		Long: "Print the W3C DID document of a device: its key, where it is reached, and its owner as controller. The same\n" +
			"document is served over REST under /1.0/identifiers/DID, where DID resolvers look.",
		Example: "grange device did 3fa9c2\ngrange device did did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
		RunE: func(c *cobra.Command, given []string) error {
			return g.read(c, func(ctx context.Context, v *ledgerview.View) error {
				d, err := v.Document(ctx, given[0])
				if err != nil {
					return missing(err, "grange device list"+g.homeFlag())
				}
				return g.out(c).Emit(d, func(w io.Writer) error {
					_, err := w.Write(d)
					return err
				})
			})
		},
	}
}

func newDeviceAttestations(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "attestations DEVICE|ACCOUNT", Short: "Show what issuers attest of a device or an account", Args: args("a DEVICE id or an ACCOUNT address"),
		Example: "grange device attestations 3fa9c2",
		RunE: func(c *cobra.Command, given []string) error {
			return g.read(c, func(ctx context.Context, v *ledgerview.View) error {
				a, err := v.Attested(ctx, given[0])
				if err != nil {
					return missing(err, "grange device list"+g.homeFlag())
				}
				return g.out(c).Emit(a, func(w io.Writer) error { return writeAttested(w, a) })
			})
		},
	}
}

func writeAttested(w io.Writer, a ledgerview.Attested) error {
	err := cliout.Pairs(w, [2]string{"subject", a.Subject}, [2]string{"level", fmt.Sprint(a.Level)},
		[2]string{"reward cap", fmt.Sprintf("%.2f times that without attestation", float64(a.CapBPS)/10_000)})
	if err != nil || len(a.Attestations) == 0 {
		return err
	}
	t := cliout.NewTable("ISSUER", "LEVEL", "SERIAL", "EXPIRES", "REVOKED", "CLAIM").Right(1, 2)
	for _, x := range a.Attestations {
		t.Row(x.Issuer, x.Level, x.Serial, x.Expires.Format("2006-01-02 15:04:05"), x.Revoked, cliout.Short(x.Claim))
	}
	return t.Write(w)
}

func writeDevices(w io.Writer, all []ledgerview.Device) error {
	t := cliout.NewTable("DEVICE", "DOES", "STATUS", "OWNER", "ENDPOINT", "SOLD", "CAPACITY", "BOND", "SLASHED").Right(5, 6, 7, 8)
	for _, d := range all {
		sold, capacity, bond, slashed := "-", "-", "-", "-"
		if len(d.Offers) > 0 {
			o := d.Offers[0]
			sold, capacity, bond, slashed = cliout.Bytes(o.Sold), cliout.Bytes(o.Capacity), cliout.Grains(o.Bond), cliout.Grains(o.Slashed)
		}
		t.Row(cliout.Short(d.ID), does(d), d.Status, d.Owner, reached(d.Endpoint), sold, capacity, bond, slashed)
	}
	return t.Write(w)
}

func does(d ledgerview.Device) string { return strings.Join(d.Capabilities, " ") }

// reached is an endpoint without most of the key that a router knows a device by:
// "device show" has it whole.
func reached(endpoint string) string {
	at, key, routed := strings.Cut(strings.TrimPrefix(endpoint, tunnel.SchemeRouter+"://"), "/")
	switch {
	case endpoint == "":
		return "-"
	case !routed || !strings.HasPrefix(endpoint, tunnel.SchemeRouter):
		return endpoint
	}
	return tunnel.SchemeRouter + "://" + at + "/" + cliout.Short(key)
}

func writeDevice(w io.Writer, d ledgerview.Device) error {
	pairs := [][2]string{
		{"device", d.ID}, {"did", d.DID}, {"key", d.KeyType + " " + d.Key}, {"owner", d.Owner}, {"class", d.Class}, {"status", d.Status},
		{"does", does(d)}, {"registered at height", fmt.Sprint(d.Registered)},
	}
	if d.Endpoint != "" {
		pairs = append(pairs, [2]string{"endpoint", d.Endpoint})
	}
	if d.Cell != "" {
		pairs = append(pairs, [2]string{"H3 cell", d.Cell})
	}
	for _, p := range d.Payouts {
		pairs = append(pairs, [2]string{"payout", payout(p)})
	}
	for _, o := range d.Offers {
		u := unit(o.Kind)
		pairs = append(pairs, [2]string{fmt.Sprintf("offer %d", o.ID),
			fmt.Sprintf("%s, %s of %s sold in %d leases, bond %s, slashed %s, %s", o.Kind, size(o.Sold, u), size(o.Capacity, u),
				o.Leases, cliout.Grains(o.Bond), cliout.Grains(o.Slashed), o.Status)},
			[2]string{"  price of holding", price(o.Hold, u.Hold) + " for an epoch"}, [2]string{"  price of use", price(o.Use, u.Use)})
	}
	return cliout.Pairs(w, pairs...)
}

func payout(p ledgerview.Payout) string {
	s := fmt.Sprintf("%.2f %% to %s, paid %d", float64(p.BPS)/100, p.To, p.Paid)
	if p.Lien {
		s += fmt.Sprintf(" of at most %d %s (lien)", p.Cap, p.Denom)
	}
	return s
}
