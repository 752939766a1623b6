package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/internal/ports"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/cluster"
	"github.com/grange-network/grange/node/local"
	"github.com/grange-network/grange/node/verticals"
)

type localnetFlags struct {
	validators    int
	ports         string
	epoch, commit time.Duration
	with          []string
	verbose       bool
}

func newLocalnet(g *globals) *cobra.Command {
	f := new(localnetFlags)
	c := &cobra.Command{
		Use:   "localnet",
		Short: "Start a ledger of several validators on this machine",
		Long: "Start a ledger of several validators on this machine, each a process of its own, on loopback only. Their\n" +
			"connections to each other pass through links that can be cut, healed and delayed while they run. The first\n" +
			"start makes keys and chain in --home; later starts go on. Ctrl-C or SIGTERM stops it cleanly.",
		Example: "grange localnet --validators 4 --home /tmp/four --ports auto\n" +
			"grange localnet --with notary     # three notaries and their door, whose evidence all validators score\n" +
			"grange localnet link cut validator-1 validator-2 --home /tmp/four\n" +
			"grange local kill validator-4 --home /tmp/four\n" +
			"grange local start validator-4 --home /tmp/four",
		Args: args(),
		RunE: func(c *cobra.Command, _ []string) error { return runLocalnet(c, g, f) },
	}
	c.Flags().IntVar(&f.validators, "validators", 0, "number of validators (default 4, fixed by the first start)")
	c.Flags().StringVar(&f.ports, "ports", "", "where to listen: auto (any free ports) or the first port of a block (default 24900, or as chosen before)")
	c.Flags().DurationVar(&f.epoch, "epoch", 0, "length of an epoch (default 15s, fixed by the first start)")
	c.Flags().DurationVar(&f.commit, "commit", 0, "pause between blocks (default 1s, fixed by the first start)")
	c.Flags().StringSliceVar(&f.with, "with", nil, "verticals to have besides storage: "+strings.Join(verticals.Optional(), ", ")+" (fixed by the first start)")
	c.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "log more to HOME/logs")
	c.AddCommand(newLocalnetServe(g), newLocalnetLink(g))
	return c
}

// newLocalnetServe is how localnet starts the process of one role.
func newLocalnetServe(g *globals) *cobra.Command {
	var verbose bool
	c := &cobra.Command{
		Use: "serve NAME", Short: "Serve one role (used by localnet)", Hidden: true, Args: args("the NAME of a role"),
		RunE: func(c *cobra.Command, given []string) error {
			return cluster.Serve(c.Context(), g.home, given[0], newLogger(os.Stderr, verbose))
		},
	}
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "log more")
	return c
}

func runLocalnet(c *cobra.Command, g *globals, f *localnetFlags) error {
	ports, err := local.ParsePorts(f.ports)
	if err != nil {
		return cliout.Fail(cliout.Usage, err, "grange localnet --ports auto")
	}
	logs, err := node.OpenLog(filepath.Join(g.home, "logs", "grange.log"))
	if err != nil {
		return err
	}
	defer logs.Close()
	program, err := os.Executable()
	if err != nil {
		return err
	}
	p := newProgress(c.ErrOrStderr())
	o := cluster.Options{
		Home: g.home, Ports: cluster.PortChoice{Auto: ports.Auto, First: ports.First},
		Validators: f.validators, Epoch: f.epoch, Commit: f.commit, With: f.with,
		Program: []string{program, "localnet", "serve", "--home", g.home},
		Log:     newLogger(logs, f.verbose), OnEvent: p.event,
	}
	if f.verbose {
		o.Program = append(o.Program, "--verbose")
	}
	return localnet(c.Context(), c.OutOrStdout(), g, o, p)
}

func localnet(ctx context.Context, out io.Writer, g *globals, o cluster.Options, p *progress) error {
	p.say("preparing %s", g.home)
	n, err := cluster.Open(ctx, o)
	if err != nil {
		return explainCluster(g, err)
	}
	defer n.Close()
	p.expect(len(n.Roles()))
	if n.Created() {
		p.say("made keys and chain of a new ledger, validators: %d", len(n.Plan().Validators))
	}
	defer context.AfterFunc(ctx, func() { p.say("stopping") })()
	err = n.Run(ctx, func(e cluster.Endpoints) {
		p.done()
		_ = cliout.Out{W: out, JSON: g.json}.Emit(e, func(w io.Writer) error { return writeCluster(w, g, e) })
	})
	p.end()
	if err != nil {
		return cliout.Failf(cliout.Failed, "less "+filepath.Join(g.home, "logs", "grange.log"), "localnet stopped: %w", err)
	}
	p.say("stopped; start again with: grange localnet%s", g.homeFlag())
	return nil
}

// explainCluster says what to do about a home that cannot be opened.
func explainCluster(g *globals, err error) error {
	var held *node.HeldError
	var port *ports.TakenError
	var plan *cluster.PlanError
	switch {
	case errors.As(err, &held):
		return cliout.Failf(cliout.Unavailable, "grange local list"+g.homeFlag(), "a network is running already at %s, process %d", g.home, held.PID)
	case errors.As(err, &port):
		return cliout.Fail(cliout.Unavailable, err, fmt.Sprintf("grange localnet%s --ports auto   (who has it: ss -ltnp 'sport = :%d')", g.homeFlag(), port.Port))
	case errors.As(err, &plan):
		return cliout.Fail(cliout.Refused, err, "grange localnet --home ANOTHER_DIRECTORY")
	}
	return err
}

func writeCluster(w io.Writer, g *globals, e cluster.Endpoints) error {
	t := cliout.NewTable("VALIDATOR", "PID", "RPC", "REST", "GRPC").Right(1)
	for _, v := range e.Validators {
		t.Row(v.Name, v.PID, v.RPC, v.REST, v.GRPC)
	}
	fmt.Fprintf(w, "\n%s\n\n", cliout.ColorsFor(w).Bold("The ledger is ready."))
	if err := t.Write(w); err != nil {
		return err
	}
	if e.Notary != "" {
		fmt.Fprintf(w, "\nNotaries stamp whatever is sent: curl --data-binary hello %s/stamp\n", e.Notary)
	}
	_, err := fmt.Fprintf(w, "\nAn account with GRAIN to spend: %s\n\nTry, in another terminal:\n  grange local list%s\n", cluster.UserKeyPath(g.home), g.homeFlag())
	if n := len(e.Validators); n > 1 && err == nil { // one alone has no link to cut
		_, err = fmt.Fprintf(w, "  grange localnet link cut %s %s%s\n", e.Validators[0].Name, e.Validators[n-1].Name, g.homeFlag())
	}
	return err
}

func newLocalnetLink(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "link",
		Short: "Cut, heal and delay what validators of a running localnet send each other",
		Long: "Cut, heal and delay what validators of a running localnet send each other. Two names mean the two directions\n" +
			"between them, one name means all links of that validator, no name (heal, delay) every link. Nobody is told of\n" +
			"a cut: what was sent waits, and arrives after the link heals if neither end gave the connection up.",
		Example: "grange localnet link cut validator-1 validator-2\n" +
			"grange localnet link cut validator-4            # alone\n" +
			"grange localnet link delay 200ms validator-1 validator-3\n" +
			"grange localnet link heal",
		RunE: group,
	}
	c.AddCommand(newLinkList(g),
		newLinkOrder(g, "cut", "Stop everything between two validators, or around one", 1),
		newLinkOrder(g, "heal", "Undo cut", 0), newLinkDelay(g))
	return c
}

func newLinkList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the links and their state", Args: args(),
		RunE: func(c *cobra.Command, _ []string) error { return g.orderLinks(c, cluster.LinkOrder{}) },
	}
}

func newLinkOrder(g *globals, verb, short string, atLeast int) *cobra.Command {
	var oneWay bool
	c := &cobra.Command{
		Use: verb + " [NAME [NAME]]", Short: short, Example: "grange localnet link " + verb + " validator-1 validator-2",
		Args: cobra.RangeArgs(atLeast, 2),
		RunE: func(c *cobra.Command, given []string) error {
			names := append(given, "", "")
			return g.orderLinks(c, cluster.LinkOrder{Verb: verb, A: names[0], B: names[1], OneWay: oneWay})
		},
	}
	c.Flags().BoolVar(&oneWay, "one-way", false, "only what the first sends to the second")
	return c
}

func newLinkDelay(g *globals) *cobra.Command {
	var oneWay bool
	c := &cobra.Command{
		Use: "delay DURATION [NAME [NAME]]", Short: "Make what validators send each other take time (0s: none)",
		Example: "grange localnet link delay 200ms validator-1 validator-2",
		Args:    cobra.RangeArgs(1, 3),
		RunE: func(c *cobra.Command, given []string) error {
			d, err := time.ParseDuration(given[0])
			if err != nil {
				return cliout.Fail(cliout.Usage, err, c.CommandPath()+" 200ms validator-1 validator-2")
			}
			names := append(given[1:], "", "")
			return g.orderLinks(c, cluster.LinkOrder{Verb: "delay", A: names[0], B: names[1], OneWay: oneWay, DelayMillis: d.Milliseconds()})
		},
	}
	c.Flags().BoolVar(&oneWay, "one-way", false, "only what the first sends to the second")
	return c
}

// orderLinks carries out an order and shows every link.
func (g *globals) orderLinks(c *cobra.Command, o cluster.LinkOrder) error {
	states, err := cluster.OrderLinks(c.Context(), g.home, o)
	var plan *cluster.PlanError
	switch {
	case errors.Is(err, node.ErrNotRunning):
		return cliout.Failf(cliout.Unavailable, "grange localnet"+g.homeFlag(), "no localnet is running at %s", g.home)
	case errors.Is(err, cluster.ErrUnknownValidator):
		return cliout.Fail(cliout.NotFound, err, "grange localnet link list"+g.homeFlag())
	case errors.As(err, &plan):
		return cliout.Fail(cliout.Refused, err, "")
	case err != nil:
		return err
	}
	return g.out(c).Emit(states, func(w io.Writer) error {
		t := cliout.NewTable("FROM", "TO", "STATE", "DELAY").Right(3)
		for _, s := range states {
			state, delay := "open", ""
			if s.Cut {
				state = "cut"
			}
			if s.DelayMillis > 0 {
				delay = (time.Duration(s.DelayMillis) * time.Millisecond).String()
			}
			t.Row(s.From, s.To, state, delay)
		}
		return t.Write(w)
	})
}
