package main

import (
	"bytes"
	"context"
	"testing"
)

func TestRow(t *testing.T) {
	for _, c := range []struct {
		name string
		row  row
		want string
	}{
		{"more is better", row{what: "w", unit: "/s", ours: 20_500, target: 10_000, bound: 41_000, boundIs: "b"}, "| w | 20.5 k /s | 10.0 k /s | met | 41.0 k /s | 0.50 | b |"},
		{"less is better", row{what: "w", unit: "s", ours: 31, target: 30, less: true}, "| w | 31 s | 30 s | missed |  |  |  |"},
		{"no target", row{what: "w", unit: "MB", ours: 0.1234, bound: 1, boundIs: "b"}, "| w | 0.123 MB |  |  | 1 MB | 0.12 | b |"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.row.String(); got != c.want {
				t.Fatalf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestExtrapolated(t *testing.T) {
	r := row{what: "100.0 k registered devices", unit: "MB", ours: 50, bound: 20, less: true}
	rows := r.extrapolated(100_000)
	if len(rows) != 2 || rows[0] != r || rows[1].ours != 500 || rows[1].bound != 200 || rows[1].target != 700 {
		t.Fatalf("100,000 devices give %v", rows)
	}
	rows = r.extrapolated(1_000_000)
	if len(rows) != 1 || rows[0].ours != 50 || rows[0].target != 700 {
		t.Fatalf("1,000,000 devices give %v", rows)
	}
}

func TestPercentile(t *testing.T) {
	var all []waited
	for i := range 200 {
		all = append(all, waited{blocks: int64(i + 1)})
	}
	if got := percentile99(all, func(w waited) float64 { return float64(w.blocks) }); got != 198 {
		t.Fatalf("p99 of 1 to 200 is %v", got)
	}
	if got := percentile99(all[:1], func(w waited) float64 { return float64(w.blocks) }); got != 1 {
		t.Fatalf("p99 of one is %v", got)
	}
}

func TestOnlyWhatIsAsked(t *testing.T) {
	var out bytes.Buffer
	if err := run(context.Background(), &out, settings{}, "nothing has this name"); err != nil {
		t.Fatal(err)
	}
	if bytes.Count(out.Bytes(), []byte("\n")) != 2 {
		t.Fatalf("want the head of the table alone:\n%s", out.String())
	}
	if err := run(context.Background(), &out, settings{}, "("); err == nil {
		t.Fatal("a malformed pattern was accepted")
	}
}
