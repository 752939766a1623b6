package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/atlas"
	"github.com/grange-network/grange/atlas/advise"
	"github.com/grange-network/grange/internal/cliout"
)

// decimalFlag is an optional exact number; unset is unknown, not zero.
type decimalFlag struct{ to **atlas.Decimal }

// Set reads a number.
func (f decimalFlag) Set(s string) error {
	d, err := atlas.ParseDecimal(s)
	if err == nil {
		*f.to = &d
	}
	return err
}

// String is the number, or nothing.
func (f decimalFlag) String() string {
	if f.to == nil || *f.to == nil {
		return ""
	}
	return (*f.to).String()
}

// Type names the flag's argument in the help.
func (decimalFlag) Type() string { return "number" }

func decimalVar(c *cobra.Command, to **atlas.Decimal, name, usage string) {
	c.Flags().Var(decimalFlag{to}, name, usage)
}

// shown is how much of an answer a person sees.
type shown struct {
	top int
	all bool
}

func (s *shown) add(c *cobra.Command) {
	c.Flags().IntVar(&s.top, "top", 3, "answers to show in full")
	c.Flags().BoolVar(&s.all, "all", false, "show every answer, and every rejected network with the rule it failed")
}

func newAtlasOwn(g *globals) *cobra.Command {
	var o advise.Own
	var s shown
	var profile string
	var wizard bool
	c := &cobra.Command{
		Use: "own [ASSET]", Short: "What can I do with what I own?",
		Long: "Ranks the networks that pay for what you own, with reasons for and against, the claims behind them, what you may\n" +
			"expect to earn as far as a claim says, and the networks that were rejected with the first rule that failed.\n" +
			"ASSET is one of " + strings.Join(slices.Sorted(maps.Keys(atlas.Assets)), ", ") + ".",
		Example: "grange atlas own gpu --gpu \"NVIDIA H100\"\n" +
			"grange atlas own vehicle --segment fleet --hours 8 --capex 549 --watts 10 --power-price 0.30\n" +
			"grange atlas own storage --disk 100 --uptime 99.9 --json\n" +
			"grange atlas own --wizard\n" +
			"echo '{\"asset\":\"phone\"}' | grange atlas own --profile -",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, given []string) error {
			if err := readProfile(c, profile, func(r io.Reader) (err error) { o, err = advise.ParseOwn(r); return err }); err != nil {
				return atlasError(c, err)
			}
			if len(given) == 1 {
				o.Asset = given[0]
			}
			if wizard {
				if err := askOwn(c, &o); err != nil {
					return err
				}
			}
			cat, err := g.atlas()
			if err != nil {
				return err
			}
			a, err := advise.FromOwn(cat, o)
			if err != nil {
				return atlasError(c, err)
			}
			return g.emitAdvice(c, a, s)
		},
	}
	s.add(c)
	c.Flags().StringVar(&profile, "profile", "", "read the profile from a JSON file (- is standard input)")
	c.Flags().BoolVar(&wizard, "wizard", false, "ask for what matters")
	c.Flags().StringVar(&o.Segment, "segment", "", "which kind of it, when it cannot be seen from the rest")
	c.Flags().StringVar(&o.Region, "region", "", "country or region, lower case (in, de, southeast-asia)")
	c.Flags().StringVar(&o.GPU, "gpu", "", "model of the GPU")
	for _, f := range []struct {
		to          **atlas.Decimal
		name, usage string
	}{
		{&o.VRAM, "vram", "memory of the GPU, in GB"}, {&o.Count, "count", "how many of them"}, {&o.Disk, "disk", "size of the disk, in TB"}, {&o.Uplink, "uplink", "upstream, in Mb/s"},
		{&o.Uptime, "uptime", "percent of the time it is on"}, {&o.HoursPerDay, "hours", "hours a day it is on or driven"}, {&o.Satellites, "satellites", "satellites with a good signal"},
		{&o.Solar, "solar", "solar panels, in kW"}, {&o.Battery, "battery", "battery, in kWh"}, {&o.TrafficMonth, "traffic", "traffic the place would carry, in GB a month"},
		{&o.Capex, "capex", "what the hardware costs, in USD"}, {&o.Watts, "watts", "power it takes, in W"}, {&o.PowerPrice, "power-price", "price of power, in USD per kWh"},
	} {
		decimalVar(c, f.to, f.name, f.usage)
	}
	return c
}

func newAtlasNeed(g *globals) *cobra.Command {
	var n advise.Need
	var s shown
	var profile string
	var wizard bool
	c := &cobra.Command{
		Use: "need [SERVICE]", Short: "What should I use for what I need?",
		Long: "Ranks the networks and hyperscalers that offer what you need, with reasons for and against and the claims behind them,\n" +
			"and those that were rejected with the first rule that failed.\nSERVICE is one of " + wrapText(strings.Join(atlas.Services, ", ")+".", 110, 0),
		Example: "grange atlas need inference --feature tee\n" +
			"grange atlas need archive --quantity 100 --budget 300\n" +
			"grange atlas need mission-critical --compliance soc2,hipaa --json\n" +
			"grange atlas need --wizard",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, given []string) error {
			if err := readProfile(c, profile, func(r io.Reader) (err error) { n, err = advise.ParseNeed(r); return err }); err != nil {
				return atlasError(c, err)
			}
			if len(given) == 1 {
				n.Service = given[0]
			}
			if wizard {
				if err := askNeed(c, &n); err != nil {
					return err
				}
			}
			cat, err := g.atlas()
			if err != nil {
				return err
			}
			a, err := advise.FromNeed(cat, n)
			if err != nil {
				return atlasError(c, err)
			}
			return g.emitAdvice(c, a, s)
		},
	}
	s.add(c)
	c.Flags().StringVar(&profile, "profile", "", "read the need from a JSON file (- is standard input)")
	c.Flags().BoolVar(&wizard, "wizard", false, "ask for what matters")
	c.Flags().StringSliceVar(&n.Compliance, "compliance", nil, "certificates it must have: soc2, hipaa, fedramp")
	c.Flags().StringSliceVar(&n.Features, "feature", nil, "what it must have: tee, s3, kubernetes, proofs, encryption, sla, ...")
	c.Flags().StringVar(&n.Region, "region", "", "where data must stay")
	c.Flags().StringVar(&n.Prefer, "prefer", "", "cheap, reliable or easy")
	for _, f := range []struct {
		to          **atlas.Decimal
		name, usage string
	}{
		{&n.Availability, "availability", "percent of the time it must answer"}, {&n.Latency, "latency", "time within which it must answer, in ms"},
		{&n.Quantity, "quantity", "what is to be stored, in TB"}, {&n.Budget, "budget", "most it may cost, in USD a month"},
	} {
		decimalVar(c, f.to, f.name, f.usage)
	}
	return c
}

// readProfile parses a file, or standard input for -, before flags are applied
// to nothing: a profile and flags together would hide which one won.
func readProfile(c *cobra.Command, path string, parse func(io.Reader) error) error {
	if path == "" {
		return nil
	}
	for _, name := range []string{"segment", "gpu", "disk", "uptime", "compliance", "feature", "quantity", "budget", "availability"} {
		if f := c.Flags().Lookup(name); f != nil && f.Changed {
			return fmt.Errorf("%w: --profile and --%s: give one of them", advise.ErrProfile, name)
		}
	}
	if path == "-" {
		return parse(c.InOrStdin())
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return parse(f)
}

// question asks on standard error and reads one line.
type question struct {
	c  *cobra.Command
	in *bufio.Reader
}

func (q question) ask(text, otherwise string) (string, error) {
	if otherwise != "" {
		text += " [" + otherwise + "]"
	}
	fmt.Fprintf(q.c.ErrOrStderr(), "%s: ", text)
	line, err := q.in.ReadString('\n')
	if err != nil && line == "" {
		return "", cliout.Failf(cliout.Usage, q.c.CommandPath()+" --help", "the wizard was left before %q was answered", text)
	}
	return fallback(strings.TrimSpace(line), otherwise), nil
}

func (q question) number(text string, to **atlas.Decimal) error {
	for {
		line, err := q.ask(text+" (empty: unknown)", "")
		if err != nil || line == "" {
			return err
		}
		d, err := atlas.ParseDecimal(line)
		if err == nil {
			*to = &d
			return nil
		}
		fmt.Fprintln(q.c.ErrOrStderr(), "  that is no number")
	}
}

func askOwn(c *cobra.Command, o *advise.Own) error {
	q := question{c, bufio.NewReader(c.InOrStdin())}
	var err error
	if o.Asset == "" {
		if o.Asset, err = q.ask("What do you own? ("+strings.Join(slices.Sorted(maps.Keys(atlas.Assets)), ", ")+")", "storage"); err != nil {
			return err
		}
	}
	switch o.Asset {
	case "gpu":
		if o.GPU, err = q.ask("Which model?", ""); err == nil {
			err = q.number("Hours a day it is free", &o.HoursPerDay)
		}
	case "storage":
		if err = q.number("TB of disk", &o.Disk); err == nil {
			err = q.number("Percent of the time it is on", &o.Uptime)
		}
	case "bandwidth":
		err = q.number("Mb/s upstream", &o.Uplink)
	case "energy":
		if err = q.number("kW of solar panels", &o.Solar); err == nil {
			err = q.number("kWh of battery", &o.Battery)
		}
	case "gnss-station":
		if err = q.number("Percent of the time it is on", &o.Uptime); err == nil {
			err = q.number("Satellites with a good signal", &o.Satellites)
		}
	default:
		if segments := atlas.Assets[o.Asset]; len(segments) > 1 {
			o.Segment, err = q.ask("Which kind? ("+strings.Join(segments, ", ")+")", segments[0])
		}
	}
	for _, n := range []struct {
		text string
		to   **atlas.Decimal
	}{{"What did it cost, in USD", &o.Capex}, {"Watts it takes", &o.Watts}, {"USD per kWh", &o.PowerPrice}} {
		if err == nil {
			err = q.number(n.text, n.to)
		}
	}
	return err
}

func askNeed(c *cobra.Command, n *advise.Need) error {
	q := question{c, bufio.NewReader(c.InOrStdin())}
	var err error
	if n.Service == "" {
		if n.Service, err = q.ask("What do you need? ("+strings.Join(atlas.Services, ", ")+")", "object-storage"); err != nil {
			return err
		}
	}
	certificates, err := q.ask("Certificates it must have ("+strings.Join(advise.Compliances, ", ")+"; empty: none)", "")
	if err != nil {
		return err
	}
	n.Compliance = strings.FieldsFunc(certificates, func(r rune) bool { return r == ',' || r == ' ' })
	if n.Prefer, err = q.ask("What matters most? (cheap, reliable, easy; empty: nothing)", ""); err != nil {
		return err
	}
	if err := q.number("TB to store", &n.Quantity); err != nil {
		return err
	}
	return q.number("USD a month at most", &n.Budget)
}

// emitAdvice writes the answer; no eligible network is an answer too, with the
// code of a rule that says no.
func (g *globals) emitAdvice(c *cobra.Command, a advise.Advice, s shown) error {
	if err := g.out(c).Emit(a, func(w io.Writer) error { return writeAdvice(w, a, s) }); err != nil {
		return err
	}
	if len(a.Ranked) == 0 {
		return cliout.Failf(cliout.Refused, "the same with --all, which shows every rule that failed", "no network passes every rule")
	}
	return nil
}

func writeAdvice(w io.Writer, a advise.Advice, s shown) error {
	colors := cliout.ColorsFor(w)
	for _, n := range a.Notes {
		fmt.Fprintf(w, "%s\n", colors.Dim("note: "+n))
	}
	if len(a.Notes) > 0 {
		fmt.Fprintln(w)
	}
	if len(a.Ranked) > 0 {
		header := []string{"", "NAME", "SCORE"}
		for _, x := range a.Weights {
			header = append(header, fmt.Sprintf("%s/%d", strings.ToUpper(x.Term), x.Weight))
		}
		t := cliout.NewTable(header...).Right(0, 2, 3, 4, 5, 6, 7)
		for i, x := range a.Ranked {
			if i >= s.top+2 && !s.all {
				break
			}
			cells := []any{i + 1, x.Name, x.Score}
			for _, term := range x.Terms {
				cells = append(cells, term.Points)
			}
			t.Row(cells...)
		}
		if err := t.Write(w); err != nil {
			return err
		}
	}
	for i, x := range a.Ranked {
		if i >= s.top && !s.all {
			break
		}
		fmt.Fprintf(w, "\n%s\n", colors.Bold(fmt.Sprintf("%d. %s", i+1, x.Name)))
		writeAnswer(w, x)
	}
	if a.Ours != nil {
		fmt.Fprintf(w, "\n%s %s\n", colors.Bold(a.Ours.Name), colors.Dim("(this network: judged by the same rules, not ranked)"))
		writeAnswer(w, *a.Ours)
	}
	return writeRejected(w, a.Rejected, s.all)
}

func writeAnswer(w io.Writer, x advise.Answer) {
	colors := cliout.ColorsFor(w)
	if x.Needs != "" {
		fmt.Fprintf(w, "   needs  %s\n", wrapText(x.Needs, 100, 10))
	}
	if x.Gets != "" {
		fmt.Fprintf(w, "   gets   %s\n", wrapText(x.Gets, 100, 10))
	}
	for _, r := range x.For {
		fmt.Fprintf(w, "   %s      %s\n", colors.Green("+"), wrapText(reasonText(r), 100, 10))
	}
	for _, r := range x.Against {
		fmt.Fprintf(w, "   %s      %s\n", colors.Red("-"), wrapText(reasonText(r), 100, 10))
	}
	for _, c := range x.Numbers {
		fmt.Fprintf(w, "   %s      %s %s %s\n", colors.Dim("#"), c.Metric, amountOf(&c), colors.Dim("("+claimDate(c)+", "+c.Source+", "+string(c.Kind)+")"))
	}
	if x.Cost != nil {
		fmt.Fprintf(w, "   costs  %s a month (%s; %s)\n", figureText(x.Cost.Month, "$", ""), x.Cost.Basis, x.Cost.Claims[0].Source)
	}
	if x.Income != nil {
		writeIncome(w, x.Income)
	}
	if len(x.Speaks) > 0 {
		fmt.Fprintf(w, "   here   its clients' protocol runs in this program: %s\n", strings.Join(x.Speaks, ", "))
	}
}

func reasonText(r advise.Reason) string {
	if len(r.Sources) == 0 {
		return r.Text
	}
	return r.Text + " (" + strings.Join(r.Sources, ", ") + ")"
}

func writeIncome(w io.Writer, in *advise.Income) {
	line := func(name, text string) { fmt.Fprintf(w, "   %-6s %s\n", name, wrapText(text, 100, 10)) }
	switch {
	case in.GrossP10 != nil:
		text := fmt.Sprintf("%s to %s a month (P10 to P90)", figureText(in.GrossP10, "$", ""), figureText(in.GrossP90, "$", ""))
		if in.NetP10 != nil {
			text += fmt.Sprintf(", less power of %s: %s to %s", figureText(in.Power, "$", ""), figureText(in.NetP10, "$", ""), figureText(in.NetP90, "$", ""))
		}
		switch {
		case in.Never:
			text += "; never pays back"
		case in.PaybackLow != nil && in.PaybackTop != nil:
			text += fmt.Sprintf("; pays back in %s to %s months", in.PaybackLow, in.PaybackTop)
		case in.PaybackLow != nil:
			text += fmt.Sprintf("; pays back in %s months at best, perhaps never", in.PaybackLow)
		}
		line("earns", text)
	case in.Ceiling != nil:
		line("earns", fmt.Sprintf("at most %s a month", figureText(in.Ceiling, "$", "")))
	case in.Tokens != nil:
		line("earns", fmt.Sprintf("at most %s %s a month", shortNumber(*in.Tokens), in.TokenName))
	}
	if in.GrossP10 == nil && in.Power != nil {
		line("power", figureText(in.Power, "$", "")+" a month")
	}
	for _, b := range in.Basis {
		line("basis", b)
	}
	if len(in.Missing) > 0 {
		line("lacks", strings.Join(in.Missing, "; "))
	}
}

func writeRejected(w io.Writer, all []advise.Rejected, everyone bool) error {
	var near []advise.Rejected
	for _, r := range all {
		if r.Near || everyone {
			near = append(near, r)
		}
	}
	if len(near) > 0 {
		fmt.Fprintf(w, "\n%s\n", cliout.ColorsFor(w).Bold("Rejected, with the first rule that failed"))
		t := cliout.NewTable("NAME", "RULE", "WHY")
		for _, r := range near {
			t.Row(r.Name, r.Rule, r.Why)
		}
		if err := t.Write(w); err != nil {
			return err
		}
	}
	if hidden := len(all) - len(near); hidden > 0 {
		fmt.Fprintf(w, "\n%s\n", cliout.ColorsFor(w).Dim(fmt.Sprintf("%d more have nothing to do with it: --all shows them.", hidden)))
	}
	return nil
}
