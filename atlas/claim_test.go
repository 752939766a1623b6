package atlas

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestDisagreementsOfTheSurvey(t *testing.T) {
	all := map[string]Disagreement{}
	for _, d := range Embedded().Disagreements() {
		all[d.Subject+" "+d.Metric] = d
	}
	for _, c := range []struct {
		name, key   string
		claims      int
		low, high   string // factor at least and at most; empty between texts
		mustMention []string
	}{
		{"sector market capitalisation, $50B against about $10B", "sector market-cap", 2, "5", "5", []string{"survey", "messari-press"}},
		{"sector revenue, $150M a month against $72M a year and $92.6k a day", "sector revenue", 3, "53", "54", []string{"survey", "messari-press", "depin-ninja-guide"}},
		{"projects, 1,170 against 440 and about 250", "sector projects", 3, "4.6", "4.7", []string{"survey", "depinscan-note", "coingecko-blog"}},
		{"Filecoin, 8 EB against 1.706 EiB, and 19.3 EB in 2022", "filecoin capacity", 3, "9.8", "9.9", []string{"survey", "filecoin-api-doc", "spacescope-docs"}},
		{"io.net, 420,000 GPUs against about 12,000", "io-net gpus", 2, "35", "35", []string{"survey", "the-block"}},
		{"Helium's tokens", "helium token-set", 2, "", "", []string{"survey", "hip-138"}},
		{"Render's token", "render token-set", 2, "", "", []string{"survey", "defillama-render"}},
		{"how Gensyn verifies", "gensyn verification", 2, "", "", []string{"survey", "gensyn-verde"}},
		{"DePINScan's own list", "depinscan projects", 2, "2.6", "2.7", []string{"survey", "depinscan-note"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, ok := all[c.key]
			if !ok {
				t.Fatalf("not listed; listed are %d others", len(all))
			}
			delete(all, c.key)
			if len(d.Claims) != c.claims {
				t.Errorf("%d claims, want %d", len(d.Claims), c.claims)
			}
			for _, s := range c.mustMention {
				found := false
				for _, x := range d.Claims {
					found = found || x.Source == s
				}
				if !found {
					t.Errorf("source %s is missing", s)
				}
			}
			if c.low == "" {
				if d.Factor != nil {
					t.Errorf("factor %v between texts", d.Factor)
				}
				return
			}
			low, high := parse(t, c.low).Rat(), parse(t, c.high).Rat()
			if d.Factor == nil || d.Factor.Rat().Cmp(low) < 0 || d.Factor.Rat().Cmp(high) > 0 {
				t.Errorf("factor %v, want %s to %s", d.Factor, c.low, c.high)
			}
		})
	}
	for key := range all {
		t.Errorf("%s disagrees too: name it here", key)
	}
}

func parse(t *testing.T, s string) Decimal {
	t.Helper()
	d, err := ParseDecimal(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func claim(t *testing.T, value string, bound Bound) Claim {
	v := parse(t, value)
	return Claim{Metric: "nodes", Value: &v, Unit: "1", Bound: bound}
}

func TestContradiction(t *testing.T) {
	low, high := parse(t, "97"), parse(t, "99.4")
	between := Claim{Low: &low, High: &high, Unit: "1"}
	nothing := Claim{Unit: "1", Note: "no count"}
	for _, c := range []struct {
		name string
		a, b Claim
		want bool
	}{
		{"equal", claim(t, "5", Exact), claim(t, "5.0", Exact), false},
		{"different", claim(t, "5", Exact), claim(t, "6", Exact), true},
		{"at least, and more", claim(t, "5", AtLeast), claim(t, "600", Exact), false},
		{"at least, and less", claim(t, "5", AtLeast), claim(t, "4.9", Exact), true},
		{"at most, and less", claim(t, "5", AtMost), claim(t, "4", Exact), false},
		{"at most, and at least more", claim(t, "5", AtMost), claim(t, "6", AtLeast), true},
		{"two open ends", claim(t, "5", AtLeast), claim(t, "9", AtLeast), false},
		{"about, and within a tenth", claim(t, "100", About), claim(t, "91", Exact), false},
		{"about, and beyond a tenth", claim(t, "100", About), claim(t, "89", Exact), true},
		{"inside a range", between, claim(t, "98", Exact), false},
		{"outside a range", between, claim(t, "99.5", Exact), true},
		{"nothing said", nothing, claim(t, "5", Exact), false},
		{"texts", Claim{Text: "a"}, Claim{Text: "b"}, true},
		{"same text", Claim{Text: "a"}, Claim{Text: "a"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if contradicts(c.a, c.b) != c.want || contradicts(c.b, c.a) != c.want {
				t.Errorf("contradicts is not %v both ways", c.want)
			}
		})
	}
}

func TestShown(t *testing.T) {
	c := Embedded()
	for _, x := range []struct{ name, entry, metric, source string }{
		{"observed before survey", "io-net", "gpus", "the-block"},
		{"freshest of two observed", "filecoin", "capacity", "filecoin-api-doc"},
		{"operator before survey", "helium", "token-set", "hip-138"},
		{"only one", "akash", "gpus", "survey"},
	} {
		t.Run(x.name, func(t *testing.T) {
			e, _ := c.Entry(x.entry)
			if got := Shown(e.Claims, x.metric); got == nil || got.Source != x.source {
				t.Errorf("shown %v, want %s", got, x.source)
			}
		})
	}
	e, _ := c.Entry("pollen-mobile")
	if got := Shown(e.Claims, "hotspots"); got != nil {
		t.Errorf("a claim without a figure is shown: %v", got)
	}
	stale := claim(t, "5", Exact)
	stale.Kind, stale.Stale, stale.AsOf = Observed, true, "2026-10-01"
	old := claim(t, "4", Exact)
	old.Kind, old.AsOf = Survey, "2020"
	if got := Shown([]Claim{stale, old}, "nodes"); got == nil || got.Stale {
		t.Errorf("a stale claim is shown before a survey's: %v", got)
	}
}

func TestDates(t *testing.T) {
	for _, c := range []struct {
		date string
		ok   bool
	}{
		{"2026", true}, {"2026-Q2", true}, {"2026-01", true}, {"2024-02-29", true},
		{"2026-Q5", false}, {"2026-13", false}, {"2023-02-29", false}, {"26", false}, {"2026-1", false}, {"", false}, {"2026-01-01T00:00:00Z", false},
	} {
		if _, err := ParseDate(c.date); (err == nil) != c.ok {
			t.Errorf("parse %q: %v", c.date, err)
		}
	}
	for _, c := range []struct {
		name  string
		a, b  Date
		fresh bool
		apart int
	}{
		{"a year against a month in it", "2026", "2026-01", false, 0},
		{"a month against its year", "2026-01", "2026", true, 0},
		{"later year", "2026", "2024-04", true, 20},
		{"unknown", "", "2024", false, 0},
		{"against unknown", "2024", "", true, 0},
		{"the same", "2026-Q2", "2026-Q2", false, 0},
	} {
		if c.a.Fresher(c.b) != c.fresh {
			t.Errorf("%s: fresher is not %v", c.name, c.fresh)
		}
		if got := MonthsApart(c.a, c.b); got != c.apart {
			t.Errorf("%s: %d months apart, want %d", c.name, got, c.apart)
		}
	}
}

func TestUnits(t *testing.T) {
	for _, c := range []struct {
		value, want string
		from, to    Unit
	}{
		{"1", "1.1529215", "EiB", "EB"}, {"72e6", "6000000", "USD/a", "USD/mo"}, {"92645.8", "2817976.4167", "USD/d", "USD/mo"},
		{"100", "434.5238", "USD/wk", "USD/mo"}, {"50", "0.5", "%", "x"}, {"2.5", "2.2737", "USD/TiB.mo", "USD/TB.mo"},
	} {
		got, err := c.from.Convert(parse(t, c.value), c.to)
		if err != nil {
			t.Fatal(err)
		}
		want := parse(t, c.want).Rat()
		if diff := new(big.Rat).Sub(got, want); diff.Abs(diff).Cmp(big.NewRat(1, 1000)) > 0 {
			t.Errorf("%s %s is %s %s, want %s", c.value, c.from, got.FloatString(4), c.to, c.want)
		}
	}
	if _, err := Unit("USD").Convert(parse(t, "1"), "B"); err == nil {
		t.Error("dollars became bytes")
	}
	for _, u := range Units() {
		if _, ok := u.Dimension(); !ok {
			t.Errorf("unit %s measures nothing", u)
		}
	}
}

func TestDecimals(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{"0", "0"}, {"-0", "0"}, {"1170", "1170"}, {"50e9", "50000000000"}, {"2.50", "2.5"}, {"-0.050", "-0.05"}, {"1e-6", "0.000001"},
		{"19307467099059780000", "19307467099059780000"}, {"0.0022781750156353553", "0.0022781750156353553"}, {"+3", "3"}, {".5", ""}, {"5.", ""},
		{"", ""}, {"-", ""}, {"1e", ""}, {"1e99", ""}, {"nan", ""}, {"0x10", ""}, {"99999999999999999999", ""}, {"1_000", ""},
	} {
		d, err := ParseDecimal(c.in)
		if (err == nil) != (c.out != "") {
			t.Errorf("parse %q: %v", c.in, err)
		} else if err == nil && d.String() != c.out {
			t.Errorf("parse %q: %s, want %s", c.in, d, c.out)
		}
	}
}

func TestDecimalRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, err := normal(rapid.Int64().Draw(t, "coef"), rapid.IntRange(-20, 20).Draw(t, "exp"))
		if err != nil {
			t.Skip(err)
		}
		again, err := ParseDecimal(d.String())
		if err != nil || again != d {
			t.Fatalf("%s reads back as %v, %v", d, again, err)
		}
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var third Decimal
		if err := json.Unmarshal(b, &third); err != nil || third != d {
			t.Fatalf("%s in JSON reads back as %v, %v", b, third, err)
		}
	})
}

func FuzzParseDecimal(f *testing.F) {
	for _, s := range []string{"1", "-1.5e-3", "1e40", "00.100", "9223372036854775808"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDecimal(s)
		if err != nil {
			return
		}
		if again, err := ParseDecimal(d.String()); err != nil || again.Rat().Cmp(d.Rat()) != 0 {
			t.Fatalf("%q is %s, which reads back as %v, %v", s, d, again, err)
		}
	})
}

func TestChecksOfTheSurvey(t *testing.T) {
	got := map[string]Check{}
	for _, k := range Embedded().Checks("survey") {
		got[k.ID] = k
	}
	for _, c := range []struct {
		id      string
		verdict Verdict
		answer  []string
	}{
		{"markets-against-cap", Contradicts, []string{"$39.3B", "$50B"}},
		{"market-cap-share-sum", Agrees, []string{"100 %"}},
		{"revenue-share-sum", Agrees, []string{"100 %"}},
		{"top-against-cap", Incomplete, []string{"$11.19B", "22 %"}},
		{"top-fit", Contradicts, []string{"$10B of messari-press"}},
		{"top-compute", Contradicts, []string{"63 %", "45 %"}},
		{"wireless-cap", Incomplete, []string{"$7.5B", "$1.1B"}},
		{"gpus", Incomplete, []string{"950k of 1.2M"}},
		{"devices", Incomplete, []string{"37.1M of 41.8M"}},
		{"device-units", UnitError, []string{"8 EB"}},
		{"render-of-sector", Implies, []string{"25 %"}},
		{"render-of-compute", Implies, []string{"49 %", "740k"}},
		{"growth-the-base-case", Implies, []string{"2 to 3 times", "41 to 73 %"}},
		{"growth-messaris-projection", Implies, []string{"70 times", "737 %"}},
	} {
		t.Run(c.id, func(t *testing.T) {
			k, ok := got[c.id]
			if !ok || k.Verdict != c.verdict {
				t.Fatalf("verdict %q, want %q", k.Verdict, c.verdict)
			}
			for _, part := range c.answer {
				if !strings.Contains(k.Answer, part) {
					t.Errorf("answer %q lacks %q", k.Answer, part)
				}
			}
		})
	}
	for _, k := range Embedded().Checks("messari-press") {
		if k.ID == "markets-against-cap" && k.Verdict != Unknown {
			t.Errorf("a source without the figures is judged: %v", k)
		}
	}
}

func TestYearlyGrowth(t *testing.T) {
	for _, c := range []struct {
		num, den int64
		years    int
		want     string
	}{{2, 1, 2, "41.42"}, {3, 1, 2, "73.20"}, {70, 1, 2, "736.66"}, {1, 1, 5, "0.00"}, {1, 4, 2, "-50.00"}, {8, 1, 3, "100.00"}, {0, 1, 2, "0.00"}} {
		if got := YearlyGrowth(big.NewRat(c.num, c.den), c.years).FloatString(2); got != c.want {
			t.Errorf("growth of %d/%d in %d years: %s, want %s", c.num, c.den, c.years, got, c.want)
		}
	}
}

func TestFind(t *testing.T) {
	c := Embedded()
	for _, x := range []struct{ ask, want, near string }{
		{"io-net", "io-net", ""}, {"IO.NET", "io-net", ""}, {"tao", "bittensor", ""}, {" Storj ", "storj", ""}, {"Helium Mobile", "", ""},
		{"filecoim", "", "filecoin"}, {"bittens", "", "bittensor"}, {"xyzzy", "", ""},
	} {
		e, err := c.Find(x.ask)
		if (err == nil) != (x.want != "") || err == nil && e.ID != x.want {
			t.Errorf("find %q: %v, %v", x.ask, e, err)
		}
		if x.near != "" && (err == nil || !strings.Contains(err.Error(), x.near)) {
			t.Errorf("find %q: %v does not suggest %s", x.ask, err, x.near)
		}
	}
}

func TestList(t *testing.T) {
	c := Embedded()
	for _, x := range []struct {
		name string
		f    Filter
		want int
	}{
		{"all", Filter{}, 45}, {"compute", Filter{Vertical: Compute}, 8}, {"leading PRN", Filter{Class: PRN, Stage: Leading}, 10},
		{"chains", Filter{Role: Chain}, 7}, {"on Solana", Filter{Chain: "solana"}, 5}, {"a screen", Filter{Screen: "ai"}, 3},
		{"text", Filter{Text: "WEATHER"}, 1}, {"nothing", Filter{Vertical: Energy, Text: "kubernetes"}, 0},
	} {
		got, err := c.List(x.f)
		if err != nil || len(got) != x.want {
			t.Errorf("%s: %d entries, %v, want %d", x.name, len(got), err, x.want)
		}
	}
	for _, f := range []Filter{{Vertical: "cheese"}, {Class: "X"}, {Stage: "old"}, {Role: "x"}, {Chain: "messari"}, {Screen: "x"}} {
		if _, err := c.List(f); err == nil || !strings.Contains(err.Error(), "want one of") {
			t.Errorf("filter %+v: %v", f, err)
		}
	}
}

func TestCompare(t *testing.T) {
	c := Embedded()
	var both []*Entry
	for _, id := range []string{"io-net", "storj"} {
		e, _ := c.Entry(id)
		both = append(both, e)
	}
	got, err := c.Compare(both)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range got.Metrics {
		switch m.Metric {
		case "gpus":
			if m.Shown[0] == nil || m.Shown[1] != nil || !m.Disputed[0] || m.Disputed[1] {
				t.Errorf("gpus: %+v", m)
			}
		case "nodes":
			if m.Shown[0] != nil || m.Shown[1] == nil {
				t.Errorf("nodes: %+v", m)
			}
		}
	}
	if _, err := c.Compare(both[:1]); err == nil {
		t.Error("one entry was compared with nothing")
	}
	b, err := json.Marshal(got)
	if err != nil || !strings.Contains(string(b), `"shown":[null,`) {
		t.Errorf("a missing claim is not null in JSON: %v", err)
	}
}
