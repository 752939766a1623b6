package main

import (
	"bytes"
	"context"
	"testing"
)

func TestExtrapolated(t *testing.T) {
	r := row{What: "100.0 k registered devices", Unit: "MB", Ours: 50, Bound: 20, Less: true}
	rows := extrapolated(r, 100_000)
	if len(rows) != 2 || rows[0] != r || rows[1].Ours != 500 || rows[1].Bound != 200 || rows[1].Target != 700 {
		t.Fatalf("100,000 devices give %v", rows)
	}
	rows = extrapolated(r, 1_000_000)
	if len(rows) != 1 || rows[0].Ours != 50 || rows[0].Target != 700 {
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
