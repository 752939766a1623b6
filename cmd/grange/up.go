package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/local"
)

// memoryGoal is what the garbage collector aims to stay below when the whole
// network is one process, in bytes; GOMEMLIMIT overrides it.
const memoryGoal = 1100 << 20

type upFlags struct {
	ports     string
	listen    string
	providers int
	processes bool
	epoch     time.Duration
	verbose   bool
	noTopUp   bool
	hold      uint64
	scrub     time.Duration
	with      []string
	demo      string
	otlp      string
}

func newUp(g *globals) *cobra.Command {
	f := new(upFlags)
	c := &cobra.Command{
		Use:   "up",
		Short: "Start a network on this machine",
		Long: "Start a network on this machine: one validator, storage providers with a device key, an owner account and a\n" +
			"data directory each, one S3 gateway, a gateway for observations with a weather station, an explorer and a status\n" +
			"page. The first start makes keys and chain in --home; later\n" +
			"starts go on with the same chain and data. Ctrl-C or SIGTERM stops it cleanly.",
		Example: "grange up\n" +
			"grange up --home /tmp/net --ports auto --providers 20\n" +
			"grange up --home /tmp/demo --ports auto --demo weather\n" +
			"grange up --processes             # every role its own process: kill -9 is real",
		Args: args(),
		RunE: func(c *cobra.Command, _ []string) error { return runUp(c, g, f) },
	}
	c.Flags().StringVar(&f.ports, "ports", "", "where to listen: auto (any free ports) or the first port of a block (default 24700, or as chosen before)")
	c.Flags().StringVar(&f.listen, "listen", "", "IP address to listen on (default 127.0.0.1, fixed until given again; the doors have no TLS)")
	c.Flags().IntVar(&f.providers, "providers", 0, "number of storage providers (default 12, fixed by the first start)")
	c.Flags().BoolVar(&f.processes, "processes", false, "run every role in a process of its own")
	c.Flags().DurationVar(&f.epoch, "epoch", 0, "length of an epoch (default 15s, fixed by the first start)")
	c.Flags().BoolVar(&f.noTopUp, "no-topup", false, "never add to the escrow of a lease: it runs dry, is readable for 4 epochs more, then ends (kept until given again)")
	c.Flags().Uint64Var(&f.hold, "hold-epochs", 0, "epochs of holding 16 MiB that a lease's first escrow pays for (default 48 epochs of 1 GiB, kept until given again)")
	c.Flags().StringSliceVar(&f.with, "with", nil, "verticals to have besides storage and sensing: notary (fixed by the first start)")
	c.Flags().StringVar(&f.demo, "demo", "", "weather: 12 stations replay 30 days of real observations (fixed by the first start)")
	c.Flags().DurationVar(&f.scrub, "scrub", 0, "time in which a provider reads and checks all its pieces once (default 24h, kept until given again)")
	otlpFlag(c, &f.otlp)
	c.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "log more to HOME/logs")
	return c
}

func runUp(c *cobra.Command, g *globals, f *upFlags) error {
	exportTo(f.otlp)
	ports, err := local.ParsePorts(f.ports)
	if err != nil {
		return cliout.Fail(cliout.Usage, err, "grange up --ports auto")
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryGoal)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(75)
	}
	logs, err := node.OpenLog(filepath.Join(g.home, "logs", "grange.log"))
	if err != nil {
		return err
	}
	defer logs.Close()

	p := newProgress(c.ErrOrStderr())
	o := local.Options{
		Home: g.home, Ports: ports, Listen: f.listen, Providers: f.providers, Epoch: f.epoch,
		HoldEpochs: f.hold, Scrub: f.scrub, With: f.with, Demo: f.demo, Log: newLogger(logs, f.verbose), OnEvent: p.event,
	}
	if c.Flags().Changed("no-topup") {
		o.NoTopUp = &f.noTopUp
	}
	if f.processes {
		program, err := os.Executable()
		if err != nil {
			return err
		}
		o.Program = []string{program, "role", "run", "--home", g.home}
		if f.verbose {
			o.Program = append(o.Program, "--verbose")
		}
	}
	return up(c.Context(), c.OutOrStdout(), g, o, p)
}

func up(ctx context.Context, out io.Writer, g *globals, o local.Options, p *progress) error {
	p.say("preparing %s", g.home)
	n, err := local.Open(ctx, o)
	if err != nil {
		return explainOpen(g, err)
	}
	defer n.Close()
	p.expect(len(n.Roles()))
	if n.Created() {
		p.say("made keys, chain and plan of a new network with %d storage providers", len(n.Plan().Providers))
	}
	defer context.AfterFunc(ctx, func() { p.say("stopping") })()
	err = n.Run(ctx, func(e local.Endpoints) {
		p.done()
		if g.json {
			_ = cliout.Out{W: out, JSON: true}.Emit(e, nil)
			return
		}
		welcome(out, g, e)
	})
	p.end()
	if err != nil {
		return cliout.Failf(cliout.Failed, "less "+filepath.Join(g.home, "logs", "grange.log"), "network stopped: %w", err)
	}
	p.say("stopped; start again with: grange up%s", g.homeFlag())
	return nil
}

// explainOpen says what to do about a home that cannot be opened.
func explainOpen(g *globals, err error) error {
	var held *node.HeldError
	var port *local.PortError
	var plan *local.PlanError
	switch {
	case errors.As(err, &held):
		return cliout.Failf(cliout.Unavailable, "grange status"+g.homeFlag(), "a network is running already at %s, process %d", g.home, held.PID)
	case errors.As(err, &port):
		next := fmt.Sprintf("grange up%s --ports auto   (who has it: ss -ltnp 'sport = :%d')", g.homeFlag(), port.Port)
		return cliout.Fail(cliout.Unavailable, err, next)
	case errors.As(err, &plan):
		return cliout.Fail(cliout.Refused, err, "grange up --home ANOTHER_DIRECTORY")
	}
	return err
}

// welcome tells where everything is and what to try.
func welcome(w io.Writer, g *globals, e local.Endpoints) {
	c := cliout.ColorsFor(w)
	fmt.Fprintf(w, "\n%s\n\n", c.Bold("The network is ready."))
	pairs := [][2]string{
		{"explorer", c.Cyan(e.Explorer)},
		{"status page", c.Cyan(e.Status)},
		{"S3", c.Cyan(e.S3.URL)},
		{"S3 region", e.S3.Region},
		{"S3 access key", e.S3.AccessKey},
		{"S3 secret key", e.S3.SecretKey},
	}
	if e.Data != "" { // a network from before there were observations has none
		pairs = append(pairs, [2]string{"observations", e.Data + "  mqtt://" + e.MQTT}, [2]string{"weather console", "reports to " + e.Station})
	}
	if n := e.NTRIP; n != nil {
		pairs = append(pairs, [2]string{"NTRIP", fmt.Sprintf("%s, mount %s or NEAR, user %s, password %s", n.URL, n.Mount, n.RoverUser, n.RoverPassword)})
	}
	_ = cliout.Pairs(w, append(pairs, [2]string{"ledger RPC", e.RPC}, [2]string{"ledger REST", e.REST}, [2]string{"ledger gRPC", e.GRPC})...)
	fmt.Fprintf(w, "\n%s\n", c.Bold("Try, in another terminal:"))
	fmt.Fprintf(w, "  export AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s AWS_DEFAULT_REGION=%s\n", e.S3.AccessKey, e.S3.SecretKey, e.S3.Region)
	fmt.Fprintf(w, "  aws --endpoint-url %s s3 mb s3://first && aws --endpoint-url %s s3 cp --recursive . s3://first/\n", e.S3.URL, e.S3.URL)
	fmt.Fprintf(w, "  %s lease list%s\n", program(), g.homeFlag())
	if e.Station != "" {
		fmt.Fprintf(w, "  curl '%s/weatherstation/updateweatherstation.php?dateutc=now&tempf=68&humidity=50&windspeedmph=5'\n", e.Station)
	}
	fmt.Fprintf(w, "\n%s\n", c.Dim("Ctrl-C stops it. Keys and phrase are in "+filepath.Join(g.home, "keys")+"."))
}

// program is how the reader called this binary, so that what is printed works
// where it is read.
func program() string {
	if strings.ContainsRune(os.Args[0], filepath.Separator) {
		return os.Args[0]
	}
	return "grange"
}

func newLogger(w io.Writer, verbose bool) *slog.Logger {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}
