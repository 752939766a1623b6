package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/explorer"
	"github.com/grange-network/grange/explorer/index"
	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/ledger/client"
	"github.com/grange-network/grange/node/local"
	"github.com/grange-network/grange/web"
)

// explorerFlags say which ledger is explored, and into which file.
type explorerFlags struct {
	rpc, path, listen string
	published, data   string
	rate, burst       int
	verbose           bool
}

func newExplorer(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use: "explorer", Short: "Index of a ledger with its API and web app", RunE: group,
		Long:    "grange up runs an explorer of its own; these commands run one beside any node, and look after its index.",
		Example: "grange explorer serve --grpc 127.0.0.1:9090 --rpc 127.0.0.1:26657 --index explorer.db --listen 127.0.0.1:8080\ngrange explorer check --home ~/.grange",
	}
	c.AddCommand(newExplorerServe(g), newExplorerDump(g), newExplorerCheck(g))
	return c
}

func (f *explorerFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.rpc, "rpc", "", "CometBFT RPC address host:port (default: from --home)")
	c.Flags().StringVar(&f.path, "index", "", "index: a file, or postgres://USER@HOST/DATABASE (default: in --home)")
	c.Flags().BoolVar(&f.verbose, "verbose", false, "log more")
}

// dial connects to the ledger of the flags, or of the network of --home.
func (f *explorerFlags) dial(ctx context.Context, g *globals) (*client.Client, error) {
	grpc, rpc := g.grpc, f.rpc
	if grpc == "" || rpc == "" {
		e, err := local.LoadEndpoints(g.home)
		if err != nil {
			return nil, g.notRunning(err)
		}
		if grpc == "" {
			grpc = e.GRPC
		}
		if rpc == "" {
			rpc = e.RPC
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, client.Endpoints{GRPC: grpc, RPC: rpc, Logger: newLogger(os.Stderr, f.verbose)})
	if err != nil {
		return nil, cliout.Fail(cliout.Unavailable, err, "grange status"+g.homeFlag())
	}
	return c, nil
}

// file is the index that serve keeps. A password in a URL would be seen by
// everybody on the machine, and shown in messages.
func (f *explorerFlags) file(g *globals) (string, error) {
	if u, err := url.Parse(f.path); err == nil && u.User != nil {
		if _, has := u.User.Password(); has {
			return "", cliout.Failf(cliout.Usage, "put the password into ~/.pgpass (mode 0600) or PGPASSWORD", "--index postgres://%s@%s has a password in it, which everybody on this machine sees", u.User.Username(), u.Host)
		}
	}
	if f.path != "" {
		return f.path, nil
	}
	return filepath.Join(g.home, "explorer.db"), nil
}

// existing is the index that dump and check read: that of the network of --home,
// unless serve made another there.
func (f *explorerFlags) existing(g *globals) (string, error) {
	path, err := f.file(g)
	if _, e := os.Stat(path); f.path == "" && e != nil {
		return filepath.Join(g.home, "data", "explorer", "index.db"), err
	}
	return path, err
}

func newExplorerServe(g *globals) *cobra.Command {
	var f explorerFlags
	c := &cobra.Command{
		Use: "serve", Short: "Index a ledger and serve its explorer until stopped", Args: args(),
		Example: "grange explorer serve --grpc 127.0.0.1:9090 --rpc 127.0.0.1:26657 --index explorer.db --listen 127.0.0.1:8080\n" +
			"grange explorer serve --grpc 127.0.0.1:9090 --rpc 127.0.0.1:26657 --index 'postgres://explorer@/grange?host=/run/postgresql'\n" +
			"grange explorer serve --grpc 127.0.0.1:9090 --rpc 127.0.0.1:26657 --data http://127.0.0.1:8086",
		RunE: func(c *cobra.Command, _ []string) error {
			path, err := f.file(g)
			if err != nil {
				return err
			}
			if u, err := url.Parse(f.data); f.data != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil) {
				return cliout.Failf(cliout.Usage, "give the data URL of DIR/endpoints.json: "+c.CommandPath()+" --data http://HOST:PORT", "--data %q is not the URL of a data gateway", f.data)
			}
			l, err := net.Listen("tcp", f.listen)
			if err != nil {
				return cliout.Fail(cliout.Unavailable, fmt.Errorf("listen on %s: %w", f.listen, err), c.CommandPath()+" --listen 127.0.0.1:0")
			}
			ledger, err := f.dial(c.Context(), g)
			if err != nil {
				return errors.Join(err, l.Close())
			}
			defer ledger.Close()
			return explorer.Run(c.Context(), explorer.Config{
				Ledger: ledger, Path: path, Listener: l, Published: f.published, Data: f.data, Web: web.Handler(), Rate: f.rate, Burst: f.burst, Log: newLogger(os.Stderr, f.verbose),
			}, func(func() explorer.Status) {
				at := map[string]string{"chain_id": ledger.ChainID(), "explorer": "http://" + l.Addr().String()}
				_ = g.out(c).Emit(at, func(w io.Writer) error {
					return cliout.Pairs(w, [2]string{"chain", at["chain_id"]}, [2]string{"explorer", at["explorer"]}, [2]string{"index", path})
				})
			})
		},
	}
	f.add(c)
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:24780", "address of the API and the web app")
	c.Flags().StringVar(&f.published, "published", "", "directory of a verifier's published epochs, for the evidence behind rewards")
	c.Flags().StringVar(&f.data, "data", "", "URL of the network's data gateway, whose stations, products and bounties are shown")
	c.Flags().IntVar(&f.rate, "rate", 0, "requests a second of one address in the long run (default 50)")
	c.Flags().IntVar(&f.burst, "burst", 0, "requests of one address at once (default 200)")
	return c
}

func newExplorerDump(g *globals) *cobra.Command {
	var f explorerFlags
	c := &cobra.Command{
		Use: "dump", Short: "Write every row of an index in order: equal for equal blocks", Args: args(),
		Example: "grange explorer dump --index explorer.db | sha256sum",
		RunE: func(c *cobra.Command, _ []string) error {
			path, err := f.existing(g)
			if err != nil {
				return err
			}
			s, err := index.View(c.Context(), path)
			if err != nil {
				return cliout.Fail(cliout.NotFound, err, "grange explorer serve")
			}
			defer s.Close()
			_, err = s.Dump(c.Context(), c.OutOrStdout())
			return err
		},
	}
	f.add(c)
	return c
}

func newExplorerCheck(g *globals) *cobra.Command {
	var f explorerFlags
	c := &cobra.Command{
		Use: "check", Short: "Build an index anew beside the one there is, and compare them", Args: args(),
		Long:    "Reads every block of the index from the node again into a file of its own, compares the two row by row, and removes it.",
		Example: "grange explorer check --index ~/.grange/data/explorer/index.db",
		RunE: func(c *cobra.Command, _ []string) error {
			path, err := f.existing(g)
			if err != nil {
				return err
			}
			ledger, err := f.dial(c.Context(), g)
			if err != nil {
				return err
			}
			defer ledger.Close()
			r, err := index.Check(c.Context(), path, ledger, newLogger(os.Stderr, f.verbose))
			if err != nil {
				return cliout.Fail(cliout.Failed, err, "stop the explorer, remove "+path+" and start it: it makes the index anew")
			}
			return g.out(c).Emit(r, func(w io.Writer) error {
				return cliout.Pairs(w, [2]string{"blocks", fmt.Sprint(r.Height)}, [2]string{"rows", fmt.Sprint(r.Rows)}, [2]string{"sha256 of the dump", r.Hash}, [2]string{"rebuilt", "equal"})
			})
		},
	}
	f.add(c)
	return c
}
