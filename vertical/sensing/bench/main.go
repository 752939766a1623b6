// Command bench measures the sensing vertical beside its bounds and a peer, and
// prints a table in Markdown: signed readings made durable, publishes over MQTT
// beside mosquitto under the same load, the quality of station-days, an epoch of a
// verifier, a day of a cell out of a thousand station-years, and what an NTRIP caster
// adds.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/grange-network/grange/internal/benchtable"
)

var measurements = []benchtable.Measurement{
	{Name: "ingest", Run: ingested},
	{Name: "mqtt", Run: published},
	{Name: "quality", Run: quality},
	{Name: "score", Run: scored},
	{Name: "query", Run: queried},
	{Name: "ntrip", Run: corrected},
}

func main() {
	var s benchtable.Settings
	flag.BoolVar(&s.Quick, "quick", false, "a tenth of the work, for a first look")
	var b broker
	flag.StringVar(&b.kind, "broker", "", "be the broker of a measurement, verified or stored")
	flag.StringVar(&b.dir, "dir", "", "of its log")
	flag.IntVar(&b.devices, "devices", 0, "that may sign in to it")
	only := flag.String("only", "", "measure only what this regular expression matches")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if b.kind != "" {
		if err := b.serve(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "bench: broker:", err)
			os.Exit(1)
		}
		return
	}
	if err := benchtable.Run(ctx, os.Stdout, s, *only, measurements); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
