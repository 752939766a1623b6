// Command bench measures the storage path beside its bounds, all in one run, and
// prints a table in Markdown. It starts what it measures and stops it again.
//
//	go run ./e2e/bench [-grange bin/grange] [-quick]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
)

func main() {
	grange := flag.String("grange", "bin/grange", "the binary to measure")
	quick := flag.Bool("quick", false, "a tenth of the work, for a first look")
	plain := flag.String("serve-plain", "", "internal: serve versitygw on a plain directory, ADDR=DIR")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *plain != "" {
		addr, dir, _ := strings.Cut(*plain, "=")
		err = servePlain(ctx, addr, dir)
	} else {
		err = run(ctx, *grange, *quick)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// row is one line of the table: ours, the bound, and their ratio.
type row struct {
	what, unit, bound string
	ours, peer        float64
}

func run(ctx context.Context, grange string, quick bool) error {
	rows, err := functions(ctx, quick)
	if err != nil {
		return err
	}
	path, err := wholePath(ctx, grange, quick)
	if err != nil {
		return err
	}
	fmt.Printf("Machine: %s, %d cores, %s, %s.\n\n", cpu(), runtime.NumCPU(), memory(), runtime.Version())
	fmt.Println("| what | ours | bound | ratio | the bound is |")
	fmt.Println("|---|---:|---:|---:|---|")
	for _, r := range append(rows, path...) {
		fmt.Printf("| %s | %s %s | %s %s | %.2f | %s |\n", r.what, human(r.ours), r.unit, human(r.peer), r.unit, r.ours/r.peer, r.bound)
	}
	return nil
}

func human(v float64) string {
	switch {
	case v >= 10_000:
		return fmt.Sprintf("%.0f k", v/1000)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2g", v)
}

func cpu() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for _, line := range strings.Split(string(b), "\n") {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return runtime.GOARCH
}

func memory() string {
	b, _ := os.ReadFile("/proc/meminfo")
	var kib float64
	if _, err := fmt.Sscanf(string(b), "MemTotal: %f kB", &kib); err != nil {
		return "memory unknown"
	}
	return fmt.Sprintf("%.0f GiB", kib/(1<<20))
}

// goBench runs benchmarks of a package and returns their metrics by name.
func goBench(ctx context.Context, pkg, pattern, benchtime string) (map[string]map[string]float64, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", pattern, "-benchtime", benchtime, "-cpu", "1", pkg)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go test -bench %s %s: %w\n%s", pattern, pkg, err, out)
	}
	results := map[string]map[string]float64{}
	for _, line := range strings.Split(string(out), "\n") {
		f := strings.Fields(line)
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		m := map[string]float64{}
		for i := 2; i+1 < len(f); i += 2 {
			var v float64
			if _, err := fmt.Sscanf(f[i], "%g", &v); err == nil {
				m[f[i+1]] = v
			}
		}
		results[strings.TrimPrefix(f[0], "Benchmark")] = m
	}
	return results, nil
}
