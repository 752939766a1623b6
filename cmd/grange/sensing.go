package main

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/vertical/sensing/weather/qod"
)

func newSensing(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "sensing",
		Short: "Weather stations and other sensors",
		Args:  cobra.ArbitraryArgs,
		RunE:  group,
	}
	c.AddCommand(newSensingQC(g), newSensingNTRIP(), newSensingCaster(g), newSensingBase(g), newSensingGateway(g), newSensingStation(g), newSensingImages(g), newSensingData(g))
	return c
}

func newSensingQC(g *globals) *cobra.Command {
	var station, day string
	c := &cobra.Command{
		Use:   "qc FILE.csv[.gz]",
		Short: "Judge a weather station's day",
		Long: "Checks a day of samples for values out of bounds, jumps, sensors that stand still and missing data,\n" +
			"and scores every hour, variable and the day. FILE has a header line with utc_datetime, temperature,\n" +
			"humidity, wind_speed, wind_direction, pressure, illuminance and precipitation_accumulated; - is standard input.\n" +
			"Samples from 18:00 of the day before are used by the moving windows.",
		Example: "grange sensing qc 2024-06-12.csv.gz --station WS1000\n" +
			"grange sensing qc station.csv --station WS2000 --day 2024-06-12 --json",
		Args: args("FILE"),
		RunE: func(c *cobra.Command, names []string) error {
			st, err := qod.StationNamed(station)
			if err != nil {
				return cliout.Fail(cliout.Usage, err, c.CommandPath()+" --help")
			}
			samples, err := readSamples(c.InOrStdin(), names[0])
			if err != nil {
				return err
			}
			when, err := dayOf(samples, day)
			if err != nil {
				return cliout.Fail(cliout.Usage, err, c.CommandPath()+" --help")
			}
			r, err := qod.Check(st, when, samples)
			if err != nil {
				return err
			}
			report := r.Report()
			return g.out(c).Emit(report, func(w io.Writer) error { return writeQuality(w, r, report) })
		},
	}
	c.Flags().StringVar(&station, "station", "", "station type: WS1000 (a sample each 16 s) or WS2000 (each 180 s)")
	c.Flags().StringVar(&day, "day", "", "day to score, YYYY-MM-DD in UTC (default: the day most samples are of)")
	return c
}

func readSamples(stdin io.Reader, name string) ([]qod.Sample, error) {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if errors.Is(err, os.ErrNotExist) {
			return nil, cliout.Fail(cliout.NotFound, err, "grange sensing qc --help")
		} else if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	b := bufio.NewReader(in)
	in = b
	if magic, err := b.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		in = z
	}
	samples, err := qod.ReadCSV(in)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(samples) == 0 {
		return nil, fmt.Errorf("read %s: no samples behind the header", name)
	}
	return samples, nil
}

// dayOf reads the day asked for, or finds the one most samples are of.
func dayOf(samples []qod.Sample, asked string) (time.Time, error) {
	if asked != "" {
		t, err := time.Parse(time.DateOnly, asked)
		if err != nil {
			return t, fmt.Errorf("--day %q, want YYYY-MM-DD", asked)
		}
		return t, nil
	}
	count := map[time.Time]int{}
	var most time.Time
	for _, s := range samples {
		d := s.Time.Truncate(24 * time.Hour)
		count[d]++
		if count[d] > count[most] || count[d] == count[most] && d.After(most) {
			most = d
		}
	}
	return most, nil
}

func writeQuality(w io.Writer, r *qod.Result, report qod.Report) error {
	fmt.Fprintf(w, "%s, %s: score %.4f (%d of %d samples present)\n\n", r.Station.Name, report.Day, r.Score, r.Present, r.Slots)
	t := cliout.NewTable("variable", "score", "findings (percent of the day)").Right(1)
	for v := range qod.Variable(qod.Variables) {
		var found []string
		for _, f := range report.Annotations[v.String()] {
			found = append(found, fmt.Sprintf("%s %.2f", f.Name, f.Percent))
		}
		t.Row(v, fmt.Sprintf("%.4f", r.Variable[v].Score), strings.Join(found, ", "))
	}
	if err := t.Write(w); err != nil {
		return err
	}
	var bad []string
	for h := range 24 {
		if s := r.Hour(h); s < 100 {
			bad = append(bad, fmt.Sprintf("%02d:00 %.0f %%", h, s))
		}
	}
	if len(bad) > 0 {
		fmt.Fprintf(w, "\nhours below 100 %%: %s\n", strings.Join(bad, ", "))
	}
	return nil
}
