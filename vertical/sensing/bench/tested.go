package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"github.com/grange-network/grange/internal/benchtable"
)

// tested runs a package's own benchmark and returns the last of each unit that it
// reports. It needs Go and the sources in the working directory.
func tested(ctx context.Context, pkg, name, times string, env ...string) (map[string]float64, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", name, "-benchtime", times, "-timeout", "1h", pkg)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	found := map[string]float64{}
	for line := range bytes.Lines(out) {
		fields := bytes.Fields(line)
		if !bytes.HasPrefix(line, []byte("Benchmark")) || len(fields) < 4 {
			continue
		}
		for i := 2; i+1 < len(fields); i += 2 { // behind the name and the number of times
			if found[string(fields[i+1])], err = strconv.ParseFloat(string(fields[i]), 64); err != nil {
				return nil, fmt.Errorf("%s: %q: %w", cmd, line, err)
			}
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s reports nothing:\n%s", cmd, out)
	}
	return found, nil
}

// queried asks for days of cells in a store of station-years: hourly readings of
// seven variables.
func queried(ctx context.Context, set benchtable.Settings, _ string) ([]benchtable.Row, error) {
	years := set.Of(1000)
	got, err := tested(ctx, "./vertical/sensing/store", "^BenchmarkCellDay$", "1000x", "STATION_YEARS="+strconv.Itoa(years))
	if err != nil {
		return nil, err
	}
	of := fmt.Sprintf("%d station-years, %.1f million rows", years, got["rows"]/1e6)
	return []benchtable.Row{
		{What: "a cell's day out of " + of + ", p99", Unit: "ms", Ours: got["p99-ms"], Target: 50, Less: true},
		{What: "a stored row, of " + of, Unit: "bytes", Ours: got["bytes/row"]},
	}, nil
}

// scored measures what a verifier does with a station in an epoch.
func scored(ctx context.Context, _ benchtable.Settings, _ string) ([]benchtable.Row, error) {
	got, err := tested(ctx, "./vertical/sensing", "^BenchmarkScore$", "3x")
	if err != nil {
		return nil, err
	}
	return []benchtable.Row{
		{What: "30 hours of a WS1000 in an epoch: fetched, checked and weighed", Unit: "CPU-ms", Ours: got["CPU-ms/station"], Less: true, Bound: got["signature-ms/station"], BoundIs: "the signatures of its 1,810 batches alone"},
		{What: "the same in the epochs after it, signatures remembered", Unit: "CPU-ms", Ours: got["next-CPU-ms/station"], Less: true},
		{What: "30 hours of a WS1000 in an epoch: memory of a verifier", Unit: "MB", Ours: got["MB/station"]},
	}, nil
}

// corrected measures how much later than its base wrote it a rover has read an
// epoch.
func corrected(ctx context.Context, set benchtable.Settings, _ string) ([]benchtable.Row, error) {
	rovers := set.Of(5000)
	got, err := tested(ctx, "./vertical/sensing/ntrip", fmt.Sprintf("^BenchmarkRovers$/^%d$", rovers), "10x")
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("NTRIP, %d rovers on %d mounts, an epoch a second each: base's write to rover's read, ", rovers, rovers/50)
	return []benchtable.Row{
		{What: what + "p99", Unit: "ms", Ours: got["ms-p99"], Target: 20, Less: true},
		{What: what + "median", Unit: "ms", Ours: got["ms-p50"]},
	}, nil
}
