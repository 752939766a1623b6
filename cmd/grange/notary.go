package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/evidence"
	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/ledger/key"
	"github.com/grange-network/grange/node/local"
	"github.com/grange-network/grange/node/notary"
	"github.com/grange-network/grange/tunnel"
)

func newNotary(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use: "notary", Short: "Sign when a hash was seen, and sell such stamps", RunE: group,
		Long: "Sign when a hash was seen, and sell such stamps: the example of a vertical (docs/new-vertical.md), for a network\n" +
			"that was founded --with notary. grange up and grange localnet run both roles themselves.",
		Example: "grange notary serve --listen 0.0.0.0:26700 --address 192.0.2.1:26700 --evidence /srv/evidence\n" +
			"grange notary door --listen 127.0.0.1:8090\ncurl --data-binary hello http://127.0.0.1:8090/stamp",
	}
	c.AddCommand(newNotaryServe(g), newNotaryDoor(g))
	return c
}

func newNotaryServe(g *globals) *cobra.Command {
	var dir, listen, address, owner, where string
	var bond uint64
	c := &cobra.Command{
		Use: "serve", Short: "Be a notary", Args: args(),
		Long: "Be a notary until Ctrl-C: register a device, whose key is made when there is none, and its offer for --owner, give\n" +
			"stamps for receipts, look at the other notaries and publish once an epoch what was seen.",
		Example: "grange notary serve --listen 0.0.0.0:26700 --address 192.0.2.1:26700 --evidence /srv/evidence",
		RunE: func(c *cobra.Command, _ []string) error {
			store, err := evidence.Open(where)
			if err != nil {
				return cliout.Fail(cliout.Usage, err, c.CommandPath()+" --help")
			}
			dir, err := g.folder(dir, "notary")
			if err != nil {
				return err
			}
			return g.serving(c, func(ctx context.Context, l *client.Client, log *slog.Logger) error {
				p := notary.Provider{Dir: dir, Ledger: l, Bond: bond * 1_000_000, Archive: evidence.New(store), Log: log}
				var err error
				if p.Owner, err = g.account(owner); err != nil {
					return err
				}
				if p.Device, err = local.DeviceKey(filepath.Join(dir, "device.pem")); err != nil {
					return err
				}
				if p.Listen, err = listenOn(c, listen); err != nil {
					return err
				}
				if address == "" {
					address = p.Listen.Addr().String()
				}
				p.Endpoint = tunnel.Endpoint{Scheme: tunnel.SchemeTCP, Addr: address}.String()
				return p.Run(ctx, func() { fmt.Fprintf(c.ErrOrStderr(), "notary answers on %s; Ctrl-C ends it\n", p.Endpoint) })
			})
		},
	}
	f := c.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:26700", "where the tunnel listens")
	f.StringVar(&address, "address", "", "host:port where others reach it (default: --listen)")
	f.StringVar(&where, "evidence", "", "where evidence is published: a directory, or http(s)://HOST/BUCKET[/PREFIX] (see grange start)")
	f.StringVar(&dir, "dir", "", "directory of its key and of what it was paid (default: notary in --home)")
	f.StringVar(&owner, "owner", "operator", "account that owns the device and bonds: a name in --home or a key file")
	f.Uint64Var(&bond, "bond", 1000, "GRAIN to bond behind the offer")
	return c
}

func newNotaryDoor(g *globals) *cobra.Command {
	var dir, listen, buyer string
	c := &cobra.Command{
		Use: "door", Short: "Sell stamps of the network's notaries over HTTP", Args: args(),
		Long: "Lease from every notary that has an offer now, and answer POST /stamp with a stamp until Ctrl-C. What the leases\n" +
			"take, up to 100 USD each, is bought with the GRAIN of --buyer.",
		Example: "grange notary door --listen 127.0.0.1:8090",
		RunE: func(c *cobra.Command, _ []string) error {
			dir, err := g.folder(dir, "notary-door")
			if err != nil {
				return err
			}
			return g.serving(c, func(ctx context.Context, l *client.Client, log *slog.Logger) error {
				d := notary.Door{Dir: dir, Ledger: l, Log: log}
				var err error
				if d.Buyer, err = g.account(buyer); err != nil {
					return err
				}
				if d.Session, err = local.DeviceKey(filepath.Join(dir, "session.pem")); err != nil {
					return err
				}
				if d.Listen, err = listenOn(c, listen); err != nil {
					return err
				}
				return d.Run(ctx, func() { fmt.Fprintf(c.ErrOrStderr(), "POST http://%s/stamp; Ctrl-C ends it\n", d.Listen.Addr()) })
			})
		},
	}
	f := c.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:8090", "where HTTP listens")
	f.StringVar(&dir, "dir", "", "directory of its key and of what it paid (default: notary-door in --home)")
	f.StringVar(&buyer, "buyer", "operator", "account that pays: a name in --home or a key file")
	return c
}

// folder makes the directory of a role: the one asked for, or one in --home.
func (g *globals) folder(dir, name string) (string, error) {
	if dir == "" {
		dir = filepath.Join(g.home, name)
	}
	return dir, os.MkdirAll(dir, 0o700)
}

// account is the key of an account of --home by name, or that in a file.
func (g *globals) account(name string) (key.Key, error) {
	if filepath.Ext(name) == ".json" {
		k, err := key.Load(name)
		if err != nil {
			return k, explainKey(name, err)
		}
		return k, nil
	}
	all, err := accountsIn(g.home)
	if err != nil {
		return key.Key{}, explainKey("FILE", err)
	}
	k, ok := all[name]
	if !ok {
		return k, cliout.Failf(cliout.NotFound, "", "find account %q in %s: there are %v; or name a key file, as owner.json", name, g.home, slices.Sorted(maps.Keys(all)))
	}
	return k, nil
}
