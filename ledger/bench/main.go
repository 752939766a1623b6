package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/pprof"

	"github.com/grange-network/grange/internal/benchtable"
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

type row = benchtable.Row

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
	var all []benchtable.Measurement
	for _, m := range measurements {
		all = append(all, benchtable.Measurement{Name: m.name, Run: func(ctx context.Context, _ benchtable.Settings, dir string) ([]row, error) {
			return m.run(ctx, s, dir)
		}})
	}
	return benchtable.Run(ctx, out, benchtable.Settings{Quick: s.quick}, only, all)
}
