package main

import (
	"fmt"
	"io"
	"math/big"
	"strings"
	"unicode/utf8"

	"github.com/grange-network/grange/atlas"
	"github.com/grange-network/grange/internal/cliout"
)

// amountOf writes a claim for a column: ≥ 420k, $1.8B, 97–99.4 %. Nil is –.
func amountOf(c *atlas.Claim) string {
	switch {
	case c == nil || !c.Known():
		return "–"
	case c.Text != "":
		return c.Text
	case c.Low != nil && c.Low.String() == c.High.String():
		return inUnitText(*c.Low, c.Unit)
	case c.Low != nil:
		low, unit := shortNumber(*c.Low), unitName(c.Unit)
		return unit.before + low + "–" + shortNumber(*c.High) + unit.after
	}
	sign := map[atlas.Bound]string{atlas.AtLeast: "≥ ", atlas.AtMost: "≤ ", atlas.About: "≈ "}[c.Bound]
	return sign + inUnitText(*c.Value, c.Unit) + staleText(c)
}

func staleText(c *atlas.Claim) string {
	if c.Stale {
		return " (stale)"
	}
	return ""
}

func inUnitText(d atlas.Decimal, u atlas.Unit) string {
	if u == "B" { // raw bytes are unreadable
		for _, larger := range []atlas.Unit{"EB", "PB", "TB", "GB"} {
			r, err := u.Convert(d, larger)
			if err != nil || r.Cmp(big.NewRat(1, 1)) < 0 {
				continue
			}
			if v, err := atlas.DecimalFromRat(r, 3); err == nil {
				return shortNumber(v) + " " + string(larger)
			}
		}
	}
	unit := unitName(u)
	return unit.before + shortNumber(d) + unit.after
}

type around struct{ before, after string }

// perUnit is how dollars per something are written.
var perUnit = map[atlas.Unit]string{"USD/h": "/hour", "USD/d": "/day", "USD/wk": "/week", "USD/mo": "/month", "USD/a": "/year",
	"USD/GB": "/GB", "USD/GB.mo": "/GB a month", "USD/TB.mo": "/TB a month", "USD/TiB.mo": "/TiB a month"}

func unitName(u atlas.Unit) around {
	switch {
	case u == "1":
		return around{}
	case u == "x":
		return around{"", "×"}
	case u == "USD":
		return around{"$", ""}
	case perUnit[u] != "":
		return around{"$", perUnit[u]}
	}
	return around{"", " " + string(u)}
}

// shortened keeps about three digits: 1.4B, 420k, 0.0023.
func shortNumber(d atlas.Decimal) string {
	r := d.Rat()
	for _, m := range []struct {
		size int64
		name string
	}{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e4, "k"}} {
		if new(big.Rat).Abs(r).Cmp(big.NewRat(m.size, 1)) >= 0 {
			size := m.size
			if m.name == "k" {
				size = 1000
			}
			return trimZeros(new(big.Rat).Quo(r, big.NewRat(size, 1)).FloatString(2)) + m.name
		}
	}
	places := 2
	for f := new(big.Rat).Abs(r); f.Sign() > 0 && f.Cmp(big.NewRat(1, 10)) < 0 && places < 9; places++ {
		f.Mul(f, big.NewRat(10, 1))
	}
	return trimZeros(r.FloatString(places))
}

func trimZeros(s string) string {
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// number writes an optional figure, – when it is unknown.
func figureText(d *atlas.Decimal, before, after string) string {
	if d == nil {
		return "–"
	}
	return before + shortNumber(*d) + after
}

// wrap breaks text into lines of at most width and indents all but the first.
func wrapText(s string, width, indent int) string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n"+strings.Repeat(" ", indent))
}

func metricName(cat *atlas.Catalog, id string) string {
	if m, ok := cat.Metric(id); ok {
		return m.Name
	}
	return id
}

func claimDate(c atlas.Claim) string { return fallback(string(c.AsOf), "undated") }

// remark is what a claim says besides its figure.
func claimRemark(c atlas.Claim) string {
	switch {
	case c.Method != "" && c.Note != "":
		return c.Method + "; " + c.Note
	default:
		return fallback(c.Method, c.Note)
	}
}

func writeEntry(w io.Writer, cat *atlas.Catalog, e *atlas.Entry) error {
	colors := cliout.ColorsFor(w)
	kind := fmt.Sprintf("%s, %s", e.Role, e.Stage)
	if e.Role == atlas.Network {
		kind = fmt.Sprintf("%s network (%s), %s", e.Vertical, e.Class, e.Stage)
	}
	fmt.Fprintf(w, "%s  %s\n\n", colors.Bold(e.Name), kind)
	var tokens []string
	for _, t := range e.Tokens {
		if t.Note != "" {
			tokens = append(tokens, t.Symbol+" ("+t.Note+")")
		} else {
			tokens = append(tokens, t.Symbol)
		}
	}
	pairs := [][2]string{{"id", e.ID}, {"focus", e.Focus}}
	for _, p := range [][2]string{{"stands out by", e.Differentiator}, {"best for", strings.Join(e.BestFor, "; ")}, {"revenue", e.RevenueModel},
		{"tokens", strings.Join(tokens, ", ")}, {"chains", strings.Join(e.Chains, ", ")}, {"features", strings.Join(e.Features, ", ")}} {
		pairs = append(pairs, [2]string{p[0], fallback(p[1], "–")})
	}
	for _, r := range e.Resources {
		pairs = append(pairs, [2]string{"who owns " + r.Asset, "needs " + r.Needs})
	}
	for _, s := range e.Services {
		pairs = append(pairs, [2]string{"who needs " + s.Service, "gets " + s.Gets})
	}
	if h, ok := cat.HereOf(e.ID); ok {
		pairs = append(pairs, [2]string{"here", map[string]string{"works": "works", "part": "works in part", "none": "not yet"}[h.Does]})
		for _, p := range [][2]string{{"here: users get", h.Gets}, {"here: try", h.Try}, {"here: missing", h.Lacks}} {
			if p[1] != "" {
				pairs = append(pairs, p)
			}
		}
	}
	for _, p := range e.Protocols {
		for _, info := range cat.Protocols {
			if info.ID == p.ID {
				pairs = append(pairs, [2]string{"here: " + info.Name, fallback(map[string]string{"built": "runs in this program today", "planned": "planned"}[info.Status], info.Status)})
			}
		}
	}
	for _, r := range e.References {
		pairs = append(pairs, [2]string{r.Kind, r.Value})
	}
	pairs = append(pairs, [2]string{"source", e.Source})
	if err := cliout.Pairs(w, pairs...); err != nil {
		return err
	}
	if len(e.Claims) == 0 {
		_, err := fmt.Fprintln(w, "\nno source gives a figure")
		return err
	}
	fmt.Fprintln(w)
	t := cliout.NewTable("METRIC", "CLAIM", "AS OF", "KIND", "SOURCE", "REMARK").Right(1)
	for _, c := range e.Claims {
		t.Row(metricName(cat, c.Metric), amountOf(&c), claimDate(c), c.Kind, c.Source, claimRemark(c))
	}
	if err := t.Write(w); err != nil {
		return err
	}
	for _, d := range cat.Disagreements() {
		if d.Subject == e.ID {
			fmt.Fprintf(w, "\n%s\n", colors.Yellow("! sources contradict each other on "+metricName(cat, d.Metric)+factorText(d)))
		}
	}
	return nil
}

func factorText(d atlas.Disagreement) string {
	s := ""
	if d.Factor != nil {
		s = " by a factor of " + d.Factor.String()
	}
	if d.Months > 0 {
		s += fmt.Sprintf(", %d months apart", d.Months)
	}
	return s
}

func writeComparison(w io.Writer, cmp atlas.Comparison) error {
	header := []string{""}
	for _, e := range cmp.Entries {
		header = append(header, strings.ToUpper(e.Name))
	}
	t := cliout.NewTable(header...)
	row := func(name string, get func(*atlas.Entry) string) {
		cells := []any{name}
		for _, e := range cmp.Entries {
			cells = append(cells, fallback(get(e), "–"))
		}
		t.Row(cells...)
	}
	row("vertical", func(e *atlas.Entry) string { return string(e.Vertical) })
	row("class", func(e *atlas.Entry) string { return string(e.Class) })
	row("stage", func(e *atlas.Entry) string { return string(e.Stage) })
	row("tokens", func(e *atlas.Entry) string {
		var s []string
		for _, k := range e.Tokens {
			s = append(s, k.Symbol)
		}
		return strings.Join(s, " ")
	})
	row("features", func(e *atlas.Entry) string { return strings.Join(e.Features, ", ") })
	disputed := false
	for _, m := range cmp.Metrics {
		cells := []any{m.Name}
		for i, c := range m.Shown {
			text := amountOf(c)
			if c != nil {
				text += " (" + claimDate(*c) + ", " + string(c.Kind) + ")"
			}
			if m.Disputed[i] {
				text, disputed = text+" !", true
			}
			cells = append(cells, text)
		}
		t.Row(cells...)
	}
	if err := t.Write(w); err != nil {
		return err
	}
	if disputed {
		fmt.Fprintf(w, "\n%s\n", cliout.ColorsFor(w).Dim("! sources contradict each other: grange atlas disagreements"))
	}
	return nil
}

func writeDisagreements(w io.Writer, cat *atlas.Catalog, all []atlas.Disagreement) error {
	colors := cliout.ColorsFor(w)
	for i, d := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s%s\n", colors.Bold(d.Name+": "+metricName(cat, d.Metric)), colors.Yellow(factorText(d)))
		t := cliout.NewTable("  CLAIM", "AS OF", "KIND", "SOURCE", "REMARK")
		for _, c := range d.Claims {
			t.Row("  "+amountOf(&c), claimDate(c), c.Kind, c.Source, claimRemark(c))
		}
		if err := t.Write(w); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\n%s\n", colors.Dim(fmt.Sprintf("%d disagreements: metrics for which no number satisfies every source.", len(all))))
	return err
}

func writeMarket(w io.Writer, cat *atlas.Catalog) error {
	colors := cliout.ColorsFor(w)
	t := cliout.NewTable("VERTICAL", "CLASS", "MARKET", "CAP SHARE", "REVENUE SHARE", "DEVICES").Right(2, 3, 4, 5)
	for _, v := range cat.Verticals {
		devices := atlas.Shown(v.Claims, "devices")
		for _, m := range []string{"gpus", "capacity"} {
			if devices == nil {
				devices = atlas.Shown(v.Claims, m)
			}
		}
		t.Row(v.Name, v.Class, amountOf(atlas.Shown(v.Claims, "tam")), amountOf(atlas.Shown(v.Claims, "market-cap-share")), amountOf(atlas.Shown(v.Claims, "revenue-share")), amountOf(devices))
	}
	if err := t.Write(w); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s\n", colors.Bold("The sector"))
	s := cliout.NewTable("METRIC", "CLAIM", "AS OF", "KIND", "SOURCE", "REMARK").Right(1)
	for _, c := range cat.Sector.Claims {
		s.Row(metricName(cat, c.Metric), amountOf(&c), claimDate(c), c.Kind, c.Source, claimRemark(c))
	}
	if err := s.Write(w); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s\n", colors.Bold("Largest by market capitalisation, "+string(cat.Sector.TopBy)+" ("+cat.Sector.TopOf+")"))
	top := cliout.NewTable("", "NETWORK", "VERTICAL", "MARKET CAP").Right(0, 3)
	for _, r := range cat.Sector.Top {
		if e, ok := cat.Entry(r.Network); ok {
			top.Row(r.Place, e.Name, e.Vertical, amountOf(atlas.Shown(e.Claims, "market-cap")))
		}
	}
	if err := top.Write(w); err != nil {
		return err
	}
	for _, part := range []struct {
		title string
		list  []atlas.Theme
	}{{"Trends", cat.Themes.Trends}, {"Challenges", cat.Themes.Challenges}, {"Where networks are ahead", cat.Themes.DePINAhead}, {"Where clouds are ahead", cat.Themes.CloudsAhead}} {
		fmt.Fprintf(w, "\n%s\n", colors.Bold(part.title))
		for _, x := range part.list {
			fmt.Fprintf(w, "  %s\n", x.Title)
			for _, p := range x.Points {
				fmt.Fprintf(w, "    - %s\n", p)
			}
			for _, c := range x.Claims {
				fmt.Fprintf(w, "    - %s: %s (%s, %s)\n", metricName(cat, c.Metric), amountOf(&c), claimDate(c), c.Source)
			}
			if x.Ours != "" {
				fmt.Fprintf(w, "    %s %s\n", colors.Cyan("here:"), x.Ours)
			}
		}
	}
	return nil
}
