package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
)

// peers measures go-ethereum's simulated backend with plain transfers. Its
// licence keeps it out of our binaries: it is a module of its own.
func peers(ctx context.Context, s settings, _ string) ([]row, error) {
	if s.peers == "" {
		return nil, nil
	}
	cmd := exec.CommandContext(ctx, "go", "run", ".", "-n", strconv.Itoa(s.of(20_000)))
	cmd.Dir, cmd.Stderr = s.peers, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		fmt.Fprintf(os.Stderr, "peer left out: run %s (without a network it needs its modules in the cache): %v\n", s.peers, err)
		return nil, ctx.Err()
	}
	var r struct {
		PerCPU        float64 `json:"transfers_per_cpu_second"`
		Verifications float64 `json:"verifications_per_cpu_second"`
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return nil, fmt.Errorf("read what %s measured: %w", s.peers, err)
	}
	return []row{{
		What: "peer: go-ethereum simulated, transfers executed, per CPU-second", Unit: "/s", Ours: r.PerCPU,
		Bound: r.Verifications, BoundIs: "its signatures alone (C library)",
	}}, nil
}
