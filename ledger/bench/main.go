package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/pprof"

	"github.com/grange-network/grange/ledger/server"
)

func main() {
	server.Tune() // as the binary does
	var s settings
	flag.BoolVar(&s.quick, "quick", false, "a tenth of the work, for a first look")
	flag.StringVar(&s.peers, "peers", "tools/bench", "the module that measures peers under other licences; empty to leave them out")
	flag.IntVar(&s.devices, "devices", 100_000, "how many devices to register; 1000000 takes minutes and saves the extrapolation")
	profile := flag.String("cpuprofile", "", "write a profile of the processor here")
	node := flag.String("serve", "", "internal: run one node")
	only := flag.String("only", "", "measure only what this regular expression matches")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err == nil {
			err = pprof.StartCPUProfile(f)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		defer pprof.StopCPUProfile()
	}
	if *node != "" {
		if err := serve(ctx, *node); err != nil {
			fmt.Fprintln(os.Stderr, "bench: node:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(ctx, os.Stdout, s, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings are what measurements need to know.
type settings struct {
	quick   bool
	peers   string
	devices int
}

// of is n, or a tenth of it for a quick look.
func (s settings) of(n int) int {
	if s.quick {
		return max(n/10, 1)
	}
	return n
}

// row is one line of the table.
type row struct {
	what, unit string
	ours       float64
	target     float64 // 0 for none
	less       bool    // less is better
	bound      float64 // 0 for none
	boundIs    string
}

// measurement gives rows; name selects it.
type measurement struct {
	name string
	run  func(ctx context.Context, s settings, dir string) ([]row, error)
}

var measurements = []measurement{
	{"execute", execute},
	{"batches", batches},
	{"receipts", receipts},
	{"claim", claim},
	{"devices", devices},
	{"rpc", rpc},
	{"settle", settle},
	{"four", four},
	{"peers", peers},
}

func run(ctx context.Context, out io.Writer, s settings, only string) error {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "| what | ours | target | | bound | ratio | the bound is |\n|---|---:|---:|---|---:|---:|---|\n")
	for _, m := range measurements {
		if !pattern.MatchString(m.name) {
			continue
		}
		rows, err := m.in(ctx, s)
		for _, r := range rows {
			fmt.Fprintln(out, r)
		}
		if err != nil {
			return fmt.Errorf("measure %s: %w", m.name, err)
		}
		runtime.GC()
	}
	return nil
}

// in runs the measurement in a folder of its own.
func (m measurement) in(ctx context.Context, s settings) (rows []row, err error) {
	dir, err := os.MkdirTemp("", "grange-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Fprintf(os.Stderr, "measuring %s\n", m.name)
	return m.run(ctx, s, dir)
}

// String is the row in Markdown.
func (r row) String() string {
	target, met, bound, ratio := "", "", "", ""
	if r.target != 0 {
		target, met = human(r.target)+" "+r.unit, "met"
		if r.less && r.ours > r.target || !r.less && r.ours < r.target {
			met = "missed"
		}
	}
	if r.bound != 0 {
		bound, ratio = human(r.bound)+" "+r.unit, fmt.Sprintf("%.2f", r.ours/r.bound)
	}
	return fmt.Sprintf("| %s | %s %s | %s | %s | %s | %s | %s |", r.what, human(r.ours), r.unit, target, met, bound, ratio, r.boundIs)
}

func human(v float64) string {
	switch {
	case v >= 10_000:
		return fmt.Sprintf("%.1f k", v/1000)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
