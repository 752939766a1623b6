// Package benchtable prints measurements beside their targets and bounds, as
// docs/benchmarks.md keeps them.
package benchtable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
)

// Settings are what measurements need to know.
type Settings struct {
	Quick bool // a tenth of the work, for a first look
}

// Of is n, or a tenth of it for a quick look.
func (s Settings) Of(n int) int {
	if s.Quick {
		return max(n/10, 1)
	}
	return n
}

// Row is one line of the table.
type Row struct {
	What, Unit string
	Ours       float64
	Target     float64 // 0 for none
	Less       bool    // less is better
	Bound      float64 // 0 for none
	BoundIs    string
}

// Measurement gives rows; Name selects it.
type Measurement struct {
	Name string
	Run  func(ctx context.Context, s Settings, dir string) ([]Row, error)
}

// Run writes the rows of the measurements whose names match the regular
// expression only, each run in a folder of its own.
func Run(ctx context.Context, out io.Writer, s Settings, only string, all []Measurement) error {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "| what | ours | target | | bound | ratio | the bound is |\n|---|---:|---:|---|---:|---:|---|\n")
	for _, m := range all {
		if !pattern.MatchString(m.Name) {
			continue
		}
		rows, err := m.in(ctx, s)
		for _, r := range rows {
			fmt.Fprintln(out, r)
		}
		if err != nil {
			return fmt.Errorf("measure %s: %w", m.Name, err)
		}
		runtime.GC()
	}
	return nil
}

func (m Measurement) in(ctx context.Context, s Settings) (rows []Row, err error) {
	dir, err := os.MkdirTemp("", "grange-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Fprintf(os.Stderr, "measuring %s\n", m.Name)
	return m.Run(ctx, s, dir)
}

// String is the row in Markdown.
func (r Row) String() string {
	target, met, bound, ratio := "", "", "", ""
	if r.Target != 0 {
		target, met = Human(r.Target)+" "+r.Unit, "met"
		if r.Less && r.Ours > r.Target || !r.Less && r.Ours < r.Target {
			met = "missed"
		}
	}
	if r.Bound != 0 {
		bound, ratio = Human(r.Bound)+" "+r.Unit, fmt.Sprintf("%.2f", r.Ours/r.Bound)
	}
	return fmt.Sprintf("| %s | %s %s | %s | %s | %s | %s | %s |", r.What, Human(r.Ours), r.Unit, target, met, bound, ratio, r.BoundIs)
}

// Human writes a figure with three digits.
func Human(v float64) string {
	switch {
	case v >= 10_000:
		return fmt.Sprintf("%.1f k", v/1000)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
