package main

import (
	"context"
	"fmt"
)

const module = "github.com/grange-network/grange/"

// functions measures single functions on one core, each beside what the library
// beneath it needs at least.
func functions(ctx context.Context, quick bool) ([]row, error) {
	benchtime := "2s"
	if quick {
		benchtime = "200ms"
	}
	receipts, err := goBench(ctx, module+"core/receipt", "^Benchmark(VerifySingle|VerifyBatch1024|Bound1024)$", benchtime)
	if err != nil {
		return nil, err
	}
	rate := func(name string) float64 { return receipts[name]["receipts/s"] }
	rows := []row{
		{"receipts verified in batches of 1024, per core", "/s", "the same signatures straight into curve25519-voi", rate("VerifyBatch1024"), rate("Bound1024")},
		{"receipts verified one by one, per core", "/s", "the same batch bound", rate("VerifySingle"), rate("Bound1024")},
	}
	pieces, err := goBench(ctx, module+"vertical/storage/erasure", "^Benchmark(Encode|Raw)$", benchtime)
	if err != nil {
		return nil, err
	}
	mb := func(name string) float64 { return pieces[name]["MB/s"] }
	// For each byte of user data a 10/20 layout encrypts once, codes once, and
	// seals and hashes twice.
	least := 1 / (1/mb("Raw/gcm") + 1/mb("Raw/rs-10-20") + 2/mb("Raw/ctr") + 2/mb("Raw/blake3"))
	rows = append(rows, row{"encrypt, code 10/20, seal, hash: user data per core", "MB/s", "GCM + klauspost + CTR + BLAKE3 alone, added up", mb("Encode/seal+hash/10-20"), least})
	for _, r := range rows {
		if r.ours == 0 || r.peer == 0 {
			return nil, fmt.Errorf("no figure for %q: its benchmark has moved", r.what)
		}
	}
	return rows, nil
}
