package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/ledger/api/marketpb"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/node/ledgerport"
	"github.com/grange-network/grange/node/local"
	"github.com/grange-network/grange/node/sensing"
)

// baseFlags are those of grange sensing base.
type baseFlags struct {
	source, caster, mount, gateway, dir, owner string
	lat, lon                                   float64
	bond                                       uint64
	old                                        bool
}

func newSensingBase(g *globals) *cobra.Command {
	var f baseFlags
	c := &cobra.Command{
		Use: "base", Short: "Sign for a GNSS base and push its stream to a caster", Args: cobra.NoArgs,
		Long: "Reads the RTCM 3 stream of a GNSS receiver, pushes it to an NTRIP caster with its device key, and once a minute\n" +
			"signs a sample of it for the gateway: that is what the base earns by. The key is made when there is none, registered\n" +
			"in the H3 cell of resolution 8 around --lat and --lon, and offered on the market, without which NEAR passes it by.\n\n" +
			"--source is a file, a serial device (set its speed with stty), - for standard input, tcp://HOST:PORT or\n" +
			"ntrip://USER:PASSWORD@HOST:PORT/MOUNT. It must hold message 1005 or 1006.",
		Example: "grange sensing base --source /dev/ttyACM0 --lat 48.14 --lon 11.57 --mount ROOF --caster 127.0.0.1:2101\n" +
			"grange sensing base --source tcp://192.168.1.7:9000 --lat 48.14 --lon 11.57 --mount ROOF --gateway http://127.0.0.1:8086",
		RunE: func(c *cobra.Command, _ []string) error {
			source, err := sensing.ParseSource(f.source, c.InOrStdin())
			if err != nil {
				return cliout.Fail(cliout.Usage, fmt.Errorf("--source: %w", err), c.CommandPath()+" --help")
			}
			if !c.Flags().Changed("lat") || !c.Flags().Changed("lon") || !(f.lat >= -90 && f.lat <= 90 && f.lon >= -180 && f.lon <= 180) {
				return cliout.Failf(cliout.Usage, c.CommandPath()+" --help", "--lat and --lon are missing or not on earth: a base earns only where its own coordinates are")
			}
			return g.serving(c, func(ctx context.Context, l *client.Client, log *slog.Logger) error {
				gateway, err := g.gatewayOr(f.gateway)
				if err != nil {
					return err
				}
				k, dir, err := g.onboardBase(ctx, c, l, f)
				if err != nil {
					return err
				}
				fmt.Fprintf(c.ErrOrStderr(), "base %s on mount point %s; Ctrl-C ends it\n", k.PublicKey().ID(), f.mount)
				return sensing.Base{
					Dir: filepath.Join(dir, "minutes"), Key: k, ChainID: l.ChainID(), Gateway: gateway, Source: source,
					Caster: f.caster, Mount: f.mount, Old: f.old, Logger: log,
				}.Run(ctx)
			})
		},
	}
	c.Flags().StringVar(&f.source, "source", "", "where the receiver's stream comes from")
	c.Flags().StringVar(&f.caster, "caster", "", "HOST:PORT of the NTRIP caster (default: none, the minutes are signed only)")
	c.Flags().StringVar(&f.mount, "mount", "BASE", "mount point on the caster")
	c.Flags().StringVar(&f.gateway, "gateway", "", "URL of the gateway that takes the minutes (default: that of the network of --home)")
	c.Flags().StringVar(&f.dir, "dir", "", "directory of the key and of what waits (default: base in --home)")
	c.Flags().StringVar(&f.owner, "owner", "buyer", "account of the network that the device belongs to")
	c.Flags().Float64Var(&f.lat, "lat", 0, "degrees north of the antenna")
	c.Flags().Float64Var(&f.lon, "lon", 0, "degrees east")
	c.Flags().Uint64Var(&f.bond, "bond", 1_000_000_000, "ugrain behind the offer; 0: no offer")
	c.Flags().BoolVar(&f.old, "v1", false, "push by NTRIP version 1")
	return c
}

// onboardBase makes the base's key and enters device and offer on the ledger.
func (g *globals) onboardBase(ctx context.Context, c *cobra.Command, l *client.Client, f baseFlags) (k sensing.Key, dir string, err error) {
	if dir = f.dir; dir == "" {
		dir = filepath.Join(g.home, "base")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return k, dir, err
	}
	private, err := local.DeviceKey(filepath.Join(dir, "device.pem"))
	if err != nil {
		return k, dir, err
	}
	if k, err = sensing.NewKey(private); err != nil {
		return k, dir, err
	}
	if err := g.registerStation(ctx, c.ErrOrStderr(), l, k, f.owner, h3.At(f.lat, f.lon, h3.PublishedResolution), "gnss-base"); err != nil || f.bond == 0 {
		return k, dir, err
	}
	accounts, err := local.Accounts(g.home)
	if err != nil {
		return k, dir, err
	}
	_, err = ledgerport.New(l, accounts[f.owner], nil).Post(ctx, k.PublicKey().ID(), ledgerport.Supply{
		Kind: sensing.StreamKind, Use: marketpb.Price{Credits: sensing.StreamPrice.Credits, Per: sensing.StreamPrice.Per}, Hold: marketpb.Price{Per: 1}, Capacity: 1000, Bond: f.bond,
	})
	return k, dir, err
}

func newSensingCaster(g *globals) *cobra.Command {
	var listen, dir, gatewayDir, gateway string
	var rovers []string
	var escrow uint64
	var all, witness bool
	c := &cobra.Command{
		Use: "caster", Short: "Run an NTRIP caster whose rovers pay the bases by leases", Args: cobra.NoArgs,
		Long: "Serves RTK corrections from bases that the ledger of --home knows to rovers whose accounts pay for them: a standing\n" +
			"lease of each account in --rover pays the owners of the bases by the second. A rover signs in with the account's name\n" +
			"and the token in DIR/till/NAME.token, a base with its device id and its token, or with the key of its sidecar\n" +
			"(\"grange sensing base\"). What bases send that cannot sign is signed by the caster as a witness.",
		Example: "grange sensing caster --rover buyer --home ~/.grange\n" +
			"str2str -in ntrip://buyer:TOKEN@127.0.0.1:2101/NEAR -p 48.1 11.6 500 -n 1000 -out file://corrections.rtcm3",
		RunE: func(c *cobra.Command, _ []string) error {
			return g.serving(c, func(ctx context.Context, l *client.Client, log *slog.Logger) error {
				if dir == "" {
					dir = filepath.Join(g.home, "caster")
				}
				if gatewayDir == "" {
					gatewayDir = filepath.Join(g.home, "data", local.SensingName)
				}
				secret, err := sensing.Secret(gatewayDir)
				if err != nil {
					return err
				}
				cs := sensing.Caster{Dir: dir, Ledger: l, Secret: secret, Gateway: gateway, All: all, Logger: log}
				accounts, err := local.Accounts(g.home)
				if err != nil {
					return err
				}
				for _, name := range rovers {
					k, ok := accounts[name]
					if !ok {
						return cliout.Failf(cliout.NotFound, "ls "+g.home+"/keys", "find account %q: the network has no such account", name)
					}
					cs.Rovers = append(cs.Rovers, sensing.RoverAccount(name, l, k, money.Credit(escrow)))
				}
				if witness {
					if cs.Witness, err = g.witnessKey(ctx, c, l, dir); err != nil {
						return err
					}
				}
				if cs.Listen, err = listenOn(c, listen); err != nil {
					return err
				}
				fmt.Fprintf(c.ErrOrStderr(), "NTRIP caster on %s; tokens of rovers in %s; Ctrl-C ends it\n", cs.Listen.Addr(), filepath.Join(dir, "till"))
				return cs.Run(ctx)
			})
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:2101", "address to serve on")
	c.Flags().StringVar(&dir, "dir", "", "directory of mount points and sales (default: caster in --home)")
	c.Flags().StringVar(&gatewayDir, "gateway-dir", "", "directory of the gateway that makes device tokens (default: that of grange up)")
	c.Flags().StringVar(&gateway, "gateway", "http://127.0.0.1:8086", "URL of the gateway that takes what the caster witnessed")
	c.Flags().StringSliceVar(&rovers, "rover", []string{"buyer"}, "accounts that pay for rovers")
	c.Flags().Uint64Var(&escrow, "escrow", 1_000_000, "ucredit that a new lease of a rover begins with")
	c.Flags().BoolVar(&all, "all", false, "let NEAR serve bases without an offer too")
	c.Flags().BoolVar(&witness, "witness", true, "sign what bases sent that do not sign themselves")
	return c
}

// witnessKey is the caster's own device.
func (g *globals) witnessKey(ctx context.Context, c *cobra.Command, l *client.Client, dir string) (k sensing.Key, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return k, err
	}
	private, err := local.DeviceKey(filepath.Join(dir, "device.pem"))
	if err != nil {
		return k, err
	}
	if k, err = sensing.NewKey(private); err != nil {
		return k, err
	}
	return k, g.registerStation(ctx, c.ErrOrStderr(), l, k, "buyer", 0, "ntrip-caster")
}
