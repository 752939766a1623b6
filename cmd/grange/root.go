package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node"
	"github.com/grange-network/grange/node/ledgerview"
	"github.com/grange-network/grange/node/local"
)

// globals are the flags every command has.
type globals struct {
	home string
	json bool
	grpc string
}

func newRoot(g *globals) *cobra.Command {
	root := &cobra.Command{
		Use:   "grange",
		Short: "Run and use a network of shared hardware",
		Long: "Grange runs networks whose hardware is owned by the people who run it and paid by the people who use it.\n" +
			"This program is every role: the ledger, the storage providers, the S3 gateway, and the tools to look at them.",
		Example: "grange up --home ~/.grange        # start a network on this machine\n" +
			"grange status                     # is it well?\n" +
			"grange lease list                 # who stores for whom, and what is left to pay",
		Args: cobra.ArbitraryArgs, // so that group answers, not cobra
		RunE: group,
	}
	f := root.PersistentFlags()
	f.StringVar(&g.home, "home", defaultHome(), "directory of the local network ($GRANGE_HOME)")
	f.BoolVar(&g.json, "json", false, "write JSON to standard output")
	f.StringVar(&g.grpc, "grpc", "", "ledger gRPC address host:port (default: from --home)")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return cliout.Fail(cliout.Usage, err, c.CommandPath()+" --help")
	})
	root.AddCommand(newUp(g), newLocal(g), newLocalnet(g), newRole(g), newStatus(g), newTrace(g), newDoctor(g), newDevice(g), newLease(g), newReceipt(g),
		newProof(g), newReward(g), newVerify(g), newSim(g), newAtlas(g), newExplorer(g), newTop(g), newSensing(g), newProvide(g), newChainStub("query", chainTrees["query"]), newChainStub("tx", chainTrees["tx"]), newVersion(g))
	root.AddCommand(newHost(g)...)
	root.AddCommand(newKey(g), newValidator(g), newNotary(g))
	return root
}

func defaultHome() string {
	if h := os.Getenv("GRANGE_HOME"); h != "" {
		return h
	}
	h, err := os.UserHomeDir()
	if err != nil {
		return ".grange"
	}
	return filepath.Join(h, ".grange")
}

// group is what a command that only has subcommands does.
func group(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	err := fmt.Errorf("unknown command %q of %s", args[0], c.CommandPath())
	c.SuggestionsMinimumDistance = 2
	if s := c.SuggestionsFor(args[0]); len(s) > 0 {
		return cliout.Fail(cliout.Usage, err, c.CommandPath()+" "+s[0])
	}
	return cliout.Fail(cliout.Usage, err, c.CommandPath()+" --help")
}

// args checks the number of arguments and names those that are missing.
func args(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, given []string) error {
		switch {
		case len(given) < len(names):
			return cliout.Failf(cliout.Usage, c.CommandPath()+" --help", "%s needs %s", c.CommandPath(), strings.Join(names[len(given):], " and "))
		case len(given) > len(names):
			return cliout.Failf(cliout.Usage, c.CommandPath()+" --help", "%s does not know what to do with %q", c.CommandPath(), given[len(names)])
		}
		return nil
	}
}

// argsOr is args of which the last may be left out.
func argsOr(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, given []string) error {
		return args(names[:max(len(names)-1, min(len(given), len(names)))]...)(c, given)
	}
}

func (g *globals) out(c *cobra.Command) cliout.Out {
	return cliout.Out{W: c.OutOrStdout(), JSON: g.json}
}

// homeFlag is how a command to try names this home.
func (g *globals) homeFlag() string {
	if g.home == defaultHome() {
		return ""
	}
	return " --home " + g.home
}

// view opens the ledger named by --grpc or by the network of --home.
func (g *globals) view() (*ledgerview.View, error) {
	addr := g.grpc
	if addr == "" {
		e, err := local.LoadEndpoints(g.home)
		if err != nil {
			return nil, g.notRunning(err)
		}
		addr = e.GRPC
	}
	return ledgerview.Dial(strings.TrimPrefix(addr, "http://"))
}

func (g *globals) notRunning(err error) error {
	return cliout.Failf(cliout.Unavailable, g.startCommand(), "no network is running at %s (%w)", g.home, err)
}

// classify gives errors of the packages below their exit code; commands that
// know what to try next have wrapped theirs already.
func classify(err error) error {
	var coded *cliout.Error
	if err == nil || errors.As(err, &coded) {
		return err
	}
	for _, c := range []struct {
		is   error
		code int
	}{
		{ledgerview.ErrNotFound, cliout.NotFound}, {node.ErrUnknownRole, cliout.NotFound}, {local.ErrNoNetwork, cliout.Unavailable},
		{node.ErrWrongState, cliout.Refused}, {node.ErrNotRunning, cliout.Unavailable}, {ledgerview.ErrUnavailable, cliout.Unavailable},
	} {
		if errors.Is(err, c.is) {
			return cliout.Fail(c.code, err, "")
		}
	}
	return classifyStatus(err)
}

// try adds what to try next to an error that has no advice yet.
func try(err error, next string) error {
	if err == nil {
		return nil
	}
	var coded *cliout.Error
	if errors.As(classify(err), &coded) && coded.Next == "" {
		return cliout.Fail(coded.Code, err, next)
	}
	return err
}

// classifyStatus gives the ledger's answers to generated queries their code and
// leaves out what gRPC puts in front of them.
func classifyStatus(err error) error {
	st := status.Convert(err)
	plain := errors.New(st.Message())
	switch st.Code() {
	case codes.Unavailable, codes.DeadlineExceeded:
		return cliout.Fail(cliout.Unavailable, plain, "grange status")
	case codes.NotFound:
		return cliout.Fail(cliout.NotFound, plain, "")
	case codes.InvalidArgument:
		return cliout.Fail(cliout.Usage, plain, "")
	}
	return err
}
