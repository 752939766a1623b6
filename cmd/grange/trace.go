package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node/local"
	"github.com/grange-network/grange/trace"
)

func newTrace(g *globals) *cobra.Command {
	var last int
	var failed bool
	c := &cobra.Command{
		Use:   "trace [ID]",
		Short: "Show what became of a request, down to its payment on the ledger",
		Long: "Show what became of a request: its parts as a tree with how long each took, at which provider, why what failed\n" +
			"failed, which receipt covers what was read and in which transaction that was settled. ID is the x-amz-request-id\n" +
			"of the S3 answer (32 hex digits, or the first six or more). It reads the files below HOME/traces, so it works\n" +
			"whether the network runs or not. What failed is always kept, of the rest up to 200 requests per second.",
		Example: "grange trace 4bf92f3577b34da6\ngrange trace --last 20\ngrange trace --failed\ngrange trace 4bf92f35 --json | jq .spans",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, given []string) error {
			if len(given) == 0 && last == 0 && !failed {
				return cliout.Failf(cliout.Usage, "grange trace --last 20"+g.homeFlag(), "%s needs the ID of a request, --last or --failed", c.CommandPath())
			}
			if len(given) == 0 {
				return listTraces(c, g, last, failed)
			}
			t, err := awaitTrace(c.Context(), local.TraceDir(g.home), given[0])
			if err != nil {
				return explainTrace(g, err)
			}
			return g.out(c).Emit(t, func(w io.Writer) error { return newTracePrinter(w, g.home).tree(t) })
		},
	}
	c.Flags().IntVar(&last, "last", 0, "list the newest requests, so many (20 with --failed alone)")
	c.Flags().BoolVar(&failed, "failed", false, "list only what failed, duties of the roles among them")
	return c
}

// otlpFlag lets a person name a collector.
func otlpFlag(c *cobra.Command, to *string) {
	c.Flags().StringVar(to, "otlp", "", "URL of a collector that takes traces as OTLP over HTTP, such as http://127.0.0.1:4318 (default $"+trace.OTLPEnv+")")
}

// exportTo names the collector to the recorders of this process and of those
// that it starts.
func exportTo(url string) {
	if url != "" {
		os.Setenv(trace.OTLPEnv, url)
	}
}

func explainTrace(g *globals, err error) error {
	switch {
	case errors.Is(err, trace.ErrNotFound):
		return cliout.Failf(cliout.NotFound, "grange trace --last 20"+g.homeFlag(), "%w: it may be older than what is kept, or one of the many that went well", err)
	case errors.Is(err, trace.ErrNoStore):
		return cliout.Fail(cliout.NotFound, err, "grange up"+g.homeFlag())
	}
	return err
}

// writtenWithin is how long a span may be on its way to disk, with room for a
// busy machine.
const writtenWithin = 2 * time.Second

// awaitTrace loads a trace that may have ended a moment ago.
func awaitTrace(ctx context.Context, root, id string) (t trace.Tree, err error) {
	for until := time.Now().Add(writtenWithin); ; {
		var full string
		if full, err = trace.Expand(root, id); err == nil {
			t, err = trace.Load(root, full)
		}
		if !errors.Is(err, trace.ErrNotFound) || time.Now().After(until) {
			return t, err
		}
		select {
		case <-ctx.Done():
			return t, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func listTraces(c *cobra.Command, g *globals, last int, failed bool) error {
	if last == 0 {
		last = 20
	}
	all, err := trace.List(local.TraceDir(g.home), last, failed)
	if err != nil {
		return explainTrace(g, err)
	}
	if all == nil {
		all = []trace.Summary{}
	}
	return g.out(c).Emit(all, func(w io.Writer) error {
		if len(all) == 0 {
			_, err := fmt.Fprintln(w, "none is kept")
			return err
		}
		p := newTracePrinter(w, g.home)
		t := cliout.NewTable("TRACE", "AT", "ROLE", "TOOK", "WHAT", "TIMES", "WHY IT FAILED").Right(3, 5)
		for _, s := range all {
			t.Row(s.Trace[:16], s.Began().Format("15:04:05.000"), s.Role, took(s.Took()), p.what(s.Span), s.Count, oneLine(s.Why, 100))
		}
		return t.Write(w)
	})
}
