package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/vertical/sensing/ntrip"
)

func newSensingNTRIP() *cobra.Command {
	var listen, roster string
	c := &cobra.Command{
		Use:   "ntrip",
		Short: "Run an NTRIP caster",
		Long: "Serves RTK corrections: bases push RTCM 3 streams (NTRIP version 1 or 2), rovers pull them from the bases' mount\n" +
			"points or from NEAR, which follows the rover to the nearest base. Who may push and pull is in the roster:\n\n" +
			"  bases:\n    ROOF: {password: ..., lat: 48.14, lon: 11.57}   # place is optional, the base's 1005 tells\n" +
			"  rovers:\n    tractor: {token: ..., seconds: 36000}            # seconds is optional",
		Example: "grange sensing ntrip --roster roster.yaml --listen 127.0.0.1:2101\n" +
			"str2str -in serial://ttyACM0 -out ntrips://:PASSWORD@127.0.0.1:2101/ROOF\n" +
			"str2str -in ntrip://tractor:TOKEN@127.0.0.1:2101/NEAR -p 48.1 11.6 500 -n 1000 -out file://corrections.rtcm3",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if roster == "" {
				return cliout.Failf(cliout.Usage, c.CommandPath()+" --help", "--roster is missing: it says who may push and pull")
			}
			f, err := os.Open(roster)
			if errors.Is(err, os.ErrNotExist) {
				return cliout.Fail(cliout.NotFound, err, c.CommandPath()+" --help")
			} else if err != nil {
				return err
			}
			gate, err := ntrip.ReadRoster(f)
			_ = f.Close()
			if err != nil {
				return cliout.Fail(cliout.Usage, fmt.Errorf("%s: %w", roster, err), c.CommandPath()+" --help")
			}
			l, err := listenOn(c, listen)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			fmt.Fprintf(c.ErrOrStderr(), "NTRIP caster on %s, %d bases and %d rovers in the roster; Ctrl-C ends it\n", l.Addr(), len(gate.Bases), len(gate.Rovers))
			return ntrip.New(ntrip.Config{Gate: gate, Logger: slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))}).Serve(ctx, l)
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:2101", "address to serve on")
	c.Flags().StringVar(&roster, "roster", "", "YAML file of bases and rovers")
	return c
}
