package atlas

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestEmbeddedCounts(t *testing.T) {
	c, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, e := range c.Entries {
		n["all"]++
		n[string(e.Role)]++
		n[string(e.Stage)]++
		n[string(e.Class)]++
		n[string(e.Vertical)+" "+string(e.Stage)]++
		if e.Horizontal() {
			n["horizontal"]++
		}
		if e.Role == Network && len(e.Tokens) > 0 {
			n["token"]++
		}
		if e.Stage == Leading && e.RevenueModel != "" {
			n["revenue model"]++
		}
		if e.Stage == Leading && len(e.BestFor) > 0 {
			n["best for"]++
		}
		if e.Stage == Leading && e.Differentiator != "" {
			n["differentiator"]++
		}
		if e.Stage == Leading && len(e.Claims) > 0 {
			n["scale"]++
		}
	}
	for what, want := range map[string]int{
		"all": 45, "network": 36, "chain": 7, "tool": 2, "horizontal": 9,
		"leading": 22, "emerging": 14, "infrastructure": 9, "DRN": 19, "PRN": 17,
		"compute leading": 5, "compute emerging": 3, "storage leading": 4, "storage emerging": 2,
		"wireless leading": 3, "wireless emerging": 2, "sensing leading": 4, "sensing emerging": 3,
		"energy leading": 3, "energy emerging": 2, "bandwidth leading": 3, "bandwidth emerging": 2,
		"token": 18, "revenue model": 20, "best for": 14, "differentiator": 22, "scale": 22,
	} {
		if n[what] != want {
			t.Errorf("%s: %d, want %d", what, n[what], want)
		}
	}
	points := 0
	for _, x := range c.Themes.Challenges {
		points += len(x.Points)
	}
	lines := 0
	for _, s := range c.Screens {
		lines += len(s.Members)
	}
	for _, x := range []struct {
		what      string
		got, want int
	}{
		{"trends", len(c.Themes.Trends), 5}, {"challenges", len(c.Themes.Challenges), 5}, {"points of challenges", points, 15},
		{"where networks are ahead", len(c.Themes.DePINAhead), 5}, {"where clouds are ahead", len(c.Themes.CloudsAhead), 5},
		{"verticals", len(c.Verticals), 6}, {"top list", len(c.Sector.Top), 10}, {"screens", len(c.Screens), 6},
	} {
		if x.got != x.want {
			t.Errorf("%s: %d, want %d", x.what, x.got, x.want)
		}
	}
	if lines < 16 {
		t.Errorf("screens name %d entries", lines)
	}
}

// every claim in the catalogue with the subject it belongs to.
func everyClaim(c *Catalog) map[string][]Claim {
	all := map[string][]Claim{"sector": c.Sector.Claims}
	for _, v := range c.Verticals {
		all["vertical "+string(v.ID)] = v.Claims
	}
	for _, e := range c.Entries {
		all[e.ID] = e.Claims
	}
	for _, n := range c.Incumbents {
		all[n.ID] = n.Claims
	}
	for _, list := range [][]Theme{c.Themes.Trends, c.Themes.Challenges, c.Themes.DePINAhead, c.Themes.CloudsAhead} {
		for _, x := range list {
			all[x.ID] = x.Claims
		}
	}
	return all
}

func TestMissingIsNullNeverZero(t *testing.T) {
	for subject, claims := range everyClaim(Embedded()) {
		for _, c := range claims {
			if p := c.Point(); p != nil && p.Sign() <= 0 {
				t.Errorf("%s: %s is %v: write null with a note instead", subject, c.Metric, p)
			}
			if c.Source == "survey" && c.AsOf == "" {
				t.Errorf("%s: %s of the survey has no date, though the survey states its year", subject, c.Metric)
			}
		}
	}
}

func TestEverySourceAndMetricIsUsed(t *testing.T) {
	c := Embedded()
	sources, metrics := map[string]bool{}, map[string]bool{}
	for _, claims := range everyClaim(c) {
		for _, x := range claims {
			sources[x.Source], metrics[x.Metric] = true, true
		}
	}
	for _, e := range c.Entries {
		for _, r := range e.Resources {
			for _, s := range r.Sources {
				sources[s] = true
			}
			for _, q := range r.Requires {
				sources[q.Source] = true
			}
		}
		for _, s := range e.Services {
			for _, id := range s.Sources {
				sources[id] = true
			}
		}
	}
	// Of this network's own entry, and of package source.
	for _, s := range []string{"repository", "ledger", "coingecko", "defillama", "akash-console", "helium-entities", "spacescope", "depin-ninja"} {
		sources[s] = true
	}
	for _, s := range c.Sources {
		if !sources[s.ID] {
			t.Errorf("source %s is used by nothing", s.ID)
		}
	}
	live := []string{"fdv", "token-price", "supply", "fees", "gpus-active"} // of live adapters only
	for _, m := range c.Metrics {
		if !metrics[m.ID] && !slices.Contains(live, m.ID) {
			t.Errorf("metric %s is used by nothing", m.ID)
		}
	}
}

func TestTopListFollowsMarketCap(t *testing.T) {
	c := Embedded()
	var last *Claim
	for _, r := range c.Sector.Top {
		e, _ := c.Entry(r.Network)
		claim := Shown(e.Claims, "market-cap")
		if claim == nil || claim.AsOf != c.Sector.TopBy {
			t.Fatalf("%s: no market capitalisation as of %s", r.Network, c.Sector.TopBy)
		}
		if last != nil && last.Point().Cmp(claim.Point()) < 0 {
			t.Errorf("place %d, %s, is larger than the place before", r.Place, r.Network)
		}
		last = claim
	}
}

// copyWith is the embedded catalogue with one file changed.
func copyWith(t *testing.T, name string, change func(string) string) fs.FS {
	t.Helper()
	m := fstest.MapFS{}
	for _, dir := range []string{"data", "market"} {
		names, err := fs.Glob(files, dir+"/*.yaml")
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			b, err := fs.ReadFile(files, n)
			if err != nil {
				t.Fatal(err)
			}
			m[n] = &fstest.MapFile{Data: b}
		}
	}
	before := string(m[name].Data)
	after := change(before)
	if after == before {
		t.Fatalf("%s was not changed", name)
	}
	m[name] = &fstest.MapFile{Data: []byte(after)}
	return m
}

func replace(old, with string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, with, 1) }
}

func TestStrict(t *testing.T) {
	for _, c := range []struct {
		name, file string
		change     func(string) string
		want       string
	}{
		{"unknown key", "data/storj.yaml", replace("focus:", "fokus: x\nfocus:"), "field fokus not found"},
		{"unknown key of a claim", "data/storj.yaml", replace("as-of: \"2026\"", "asof: \"2026\""), "field asof not found"},
		{"key twice", "data/storj.yaml", replace("focus:", "focus: a\nfocus:"), "already defined"},
		{"second document", "data/storj.yaml", func(s string) string { return s + "---\nid: x\n" }, "more than one document"},
		{"empty", "data/storj.yaml", func(string) string { return "" }, "empty document"},
		{"too long", "data/storj.yaml", func(s string) string { return s + strings.Repeat("# \n", MaxFile) }, "longer than"},
		{"file named otherwise", "data/storj.yaml", replace("id: storj", "id: storj2"), "is called"},
		{"unknown metric", "data/storj.yaml", replace("metric: nodes", "metric: knots"), `unknown metric "knots"`},
		{"unknown source", "data/storj.yaml", replace("source: storj-site", "source: hearsay"), `unknown source "hearsay"`},
		{"unknown kind", "data/storj.yaml", replace("kind: operator", "kind: rumour"), `unknown kind "rumour"`},
		{"unit of another dimension", "data/storj.yaml", replace("unit: PB", "unit: USD"), `unit "USD" measures "money", want "data"`},
		{"unknown unit", "data/storj.yaml", replace("unit: PB", "unit: YB"), `unit "YB"`},
		{"unknown bound", "data/storj.yaml", replace("bound: at-least", "bound: roughly"), `unknown bound "roughly"`},
		{"quoted number", "data/storj.yaml", replace("value: 16000", `value: "16000"`), "not a decimal number"},
		{"no such day", "data/storj.yaml", replace(`as-of: "2026"`, "as-of: 2026-02-30"), "no such day"},
		{"no figure and no note", "data/pollen-mobile.yaml", func(s string) string { return s[:strings.Index(s, ", note: \"growing")] + "}\n" }, "no figure and no note"},
		{"half a range", "data/hivemapper.yaml", replace("low: 100, ", ""), "a range has both ends"},
		{"range upside down", "data/hivemapper.yaml", replace("low: 100, high: 200", "low: 300, high: 200"), "range from 300 down to 200"},
		{"text as a number", "data/render.yaml", replace("text: RNDR, unit: text", "value: 1, unit: text"), "text in unit"},
		{"unknown vertical", "data/storj.yaml", replace("vertical: storage", "vertical: cheese"), `unknown vertical "cheese"`},
		{"class of another vertical", "data/storj.yaml", replace("class: DRN", "class: PRN"), `class "PRN" in vertical "storage"`},
		{"unknown stage", "data/storj.yaml", replace("stage: leading", "stage: infrastructure"), "stage"},
		{"unknown role", "data/storj.yaml", replace("role: network", "role: cult"), `unknown role "cult"`},
		{"chain that is none", "data/render.yaml", replace("chains: [solana]", "chains: [messari]"), `"messari" is no chain`},
		{"unknown protocol", "data/storj.yaml", replace("{id: s3}", "{id: ftp}"), `unknown protocol "ftp"`},
		{"unknown asset", "data/storj.yaml", replace("asset: storage", "asset: attic"), `unknown asset "attic"`},
		{"unknown segment", "data/storj.yaml", replace("fits: [consumer]", "fits: [huge]"), `no segment "huge"`},
		{"fits what it does not accept", "data/storj.yaml", replace("fits: [consumer]", "fits: [permanent]"), "does not accept"},
		{"unknown service", "data/storj.yaml", replace("service: object-storage", "service: magic"), `unknown service "magic"`},
		{"requirement without a bound", "data/geodnet.yaml", replace("at-least: 27, ", ""), "wants one bound"},
		{"alias of another", "data/storj.yaml", replace("aliases: []", "aliases: [fil]"), "both called"},
		{"plain http reference", "data/fleek.yaml", replace("https://", "http://"), "is not https"},
		{"top list of strangers", "market/sector.yaml", replace("network: theta", "network: atlantis"), `unknown entry "atlantis"`},
		{"place skipped", "market/sector.yaml", replace("place: 2", "place: 3"), "place 3 at position 2"},
		{"theme without source", "market/themes.yaml", replace("source: survey", "source: dream"), `unknown source "dream"`},
		{"screen of strangers", "market/screens.yaml", replace("entry: grass", "entry: gras"), `unknown entry "gras"`},
		{"metric in a wrong unit", "market/metrics.yaml", replace("dimension: data, unit: EiB", "dimension: data, unit: USD"), "does not measure"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(copyWith(t, c.file, c.change))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want something about %q", err, c.want)
			}
		})
	}
}

func FuzzDecodeEntry(f *testing.F) {
	names, err := fs.Glob(files, "data/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, n := range names {
		b, err := fs.ReadFile(files, n)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("claims: [{value: 1e999999999}]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEntry(b)
		if err != nil {
			return
		}
		for _, c := range e.Claims {
			_ = c.Validate(Embedded())
			c.Point()
		}
	})
}
