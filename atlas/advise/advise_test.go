package advise

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/atlas"
)

var update = flag.Bool("update", false, "rewrite testdata/rules.golden")

func n(s string) Number {
	d, err := atlas.ParseDecimal(s)
	if err != nil {
		panic(err)
	}
	return &d
}

type rule struct {
	name string
	own  *Own
	need *Need
	want []string // in the first three, in any order
}

// rules are the survey's 11 of supply, 12 of demand and 4 of hybrid use, then
// those it lacks.
var rules = []rule{
	{"supply 1: data-centre GPUs", &Own{Asset: "gpu", GPU: "NVIDIA H100", VRAM: n("80")}, nil, []string{"io-net", "akash", "render"}},
	{"supply 2: consumer GPUs", &Own{Asset: "gpu", GPU: "RTX 4090"}, nil, []string{"io-net", "render", "akash"}},
	{"supply 3: gaming machines with idle time", &Own{Asset: "gpu", GPU: "RTX 4070", HoursPerDay: n("8")}, nil, []string{"render", "nosana"}},
	{"supply 4: enterprise storage", &Own{Asset: "storage", Disk: n("500"), Uptime: n("99.9")}, nil, []string{"filecoin"}},
	{"supply 5: consumer disks", &Own{Asset: "storage", Disk: n("4")}, nil, []string{"storj", "sia"}},
	{"supply 6: permanent storage", &Own{Asset: "storage", Segment: "permanent"}, nil, []string{"arweave"}},
	{"supply 7: a place in a city", &Own{Asset: "site", Segment: "urban"}, nil, []string{"helium", "hivemapper"}},
	{"supply 8: a place without coverage", &Own{Asset: "site", Segment: "underserved"}, nil, []string{"pollen-mobile", "world-mobile"}},
	{"supply 9: a place where weather matters", &Own{Asset: "site", Segment: "weather"}, nil, []string{"weatherxm"}},
	{"supply 10: internet at home", &Own{Asset: "bandwidth", Uplink: n("40")}, nil, []string{"grass"}},
	{"supply 11: internet of a business", &Own{Asset: "bandwidth", Uplink: n("1000")}, nil, []string{"theta", "streamr"}},

	{"demand 1: inference in production", nil, &Need{Service: "inference", Prefer: "reliable"}, []string{"io-net"}},
	{"demand 2: experiments and training", nil, &Need{Service: "training", Prefer: "cheap"}, []string{"akash"}},
	{"demand 3: specialised AI services", nil, &Need{Service: "ai-services"}, []string{"bittensor"}},
	{"demand 4: long-term archive", nil, &Need{Service: "archive", Prefer: "reliable"}, []string{"filecoin"}},
	{"demand 5: permanent records", nil, &Need{Service: "permanent-storage"}, []string{"arweave"}},
	{"demand 6: backup over S3", nil, &Need{Service: "object-storage", Features: []string{"s3"}}, []string{"storj"}},
	{"demand 7: maps", nil, &Need{Service: "mapping"}, []string{"hivemapper"}},
	{"demand 8: weather", nil, &Need{Service: "weather"}, []string{"weatherxm"}},
	{"demand 9: air quality", nil, &Need{Service: "air-quality"}, []string{"planetwatch"}},
	{"demand 10: content delivery", nil, &Need{Service: "content-delivery"}, []string{"theta", "fleek"}},
	{"demand 11: streams of data", nil, &Need{Service: "data-streams"}, []string{"streamr"}},
	{"demand 12: sensors on the air", nil, &Need{Service: "iot-connectivity"}, []string{"helium"}},

	{"hybrid 1: mission-critical under compliance", nil, &Need{Service: "mission-critical", Compliance: []string{"soc2", "hipaa"}}, []string{"aws", "gcp", "azure"}},
	{"hybrid 2: cost-sensitive batch work", nil, &Need{Service: "batch", Prefer: "cheap"}, []string{"io-net", "akash"}},
	{"hybrid 3: bursts beyond the own quota", nil, &Need{Service: "burst"}, []string{"io-net", "akash"}},
	{"hybrid 4: niche, measured by sensors", nil, &Need{Service: "weather", Prefer: "cheap"}, []string{"weatherxm"}},

	{"ours: solar panels", &Own{Asset: "energy", Solar: n("8")}, nil, []string{"powerledger", "arkreen"}},
	{"ours: a battery", &Own{Asset: "energy", Battery: n("13.5")}, nil, []string{"react"}},
	{"ours: a microgrid", &Own{Asset: "energy", Segment: "microgrid"}, nil, []string{"powerledger"}},
	{"ours: a power plant", &Own{Asset: "energy", Segment: "plant"}, nil, []string{"wepower", "electron"}},
	{"ours: a car", &Own{Asset: "vehicle"}, nil, []string{"hivemapper", "natix"}},
	{"ours: a phone", &Own{Asset: "phone"}, nil, []string{"natix", "roam"}},
	{"ours: a GNSS station", &Own{Asset: "gnss-station", Uptime: n("99"), Satellites: n("32")}, nil, []string{"geodnet"}},
	{"ours: an air sensor", &Own{Asset: "sensor", Segment: "air"}, nil, []string{"planetwatch"}},
	{"ours: a noise sensor", &Own{Asset: "sensor", Segment: "noise"}, nil, []string{"silencio"}},
	{"ours: a place in India", &Own{Asset: "site", Segment: "underserved", Region: "in"}, nil, []string{"pollen-mobile", "world-mobile", "wifi-dabba"}},
	{"ours: inference under HIPAA", nil, &Need{Service: "inference", Compliance: []string{"hipaa"}}, []string{"aws", "gcp", "azure"}},
	{"ours: inference in an enclave", nil, &Need{Service: "inference", Features: []string{"tee"}}, []string{"io-net"}},
	{"ours: rendering", nil, &Need{Service: "rendering"}, []string{"render"}},
	{"ours: exact positions", nil, &Need{Service: "positioning"}, []string{"geodnet"}},
	{"ours: energy from neighbours", nil, &Need{Service: "p2p-energy"}, []string{"powerledger"}},
	{"ours: flexible power", nil, &Need{Service: "demand-response"}, []string{"react", "electron"}},
	{"ours: green certificates", nil, &Need{Service: "green-certificates"}, []string{"arkreen"}},
	{"ours: web pages from homes", nil, &Need{Service: "web-data"}, []string{"grass"}},
}

func (r rule) ask(t *testing.T) Advice {
	t.Helper()
	var a Advice
	var err error
	if r.own != nil {
		a, err = FromOwn(atlas.Embedded(), *r.own)
	} else {
		a, err = FromNeed(atlas.Embedded(), *r.need)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestRules(t *testing.T) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			a := r.ask(t)
			var first []string
			for _, x := range a.Ranked[:min(3, len(a.Ranked))] {
				first = append(first, x.ID)
			}
			for _, want := range r.want {
				if !slices.Contains(first, want) {
					t.Errorf("first three are %v, want %s among them", first, want)
				}
			}
		})
	}
}

func TestRulesGolden(t *testing.T) {
	var b bytes.Buffer
	for _, r := range rules {
		a := r.ask(t)
		fmt.Fprintf(&b, "# %s\n", r.name)
		for _, x := range a.Ranked {
			fmt.Fprintf(&b, "%-14s %4d ", x.ID, x.Score)
			for _, term := range x.Terms {
				fmt.Fprintf(&b, " %s=%d", term.Name, term.Points)
			}
			fmt.Fprintln(&b)
		}
		for _, x := range a.Rejected {
			if x.Near {
				fmt.Fprintf(&b, "- %s: %s: %s\n", x.ID, x.Rule, x.Why)
			}
		}
		fmt.Fprintln(&b)
	}
	const path = "testdata/rules.golden"
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("the answers changed: run go test ./atlas/advise -run Golden -update and read the difference")
	}
}

func TestEveryNetworkIsAnswered(t *testing.T) {
	for _, r := range rules {
		a := r.ask(t)
		networks := len(a.Ranked) + len(a.Rejected)
		want := 36
		if r.need != nil {
			want += len(atlas.Embedded().Incumbents)
		}
		if networks != want {
			t.Errorf("%s: %d ranked or rejected, want %d", r.name, networks, want)
		}
		for _, x := range a.Rejected {
			if x.Rule == "" || x.Why == "" {
				t.Errorf("%s: %s is rejected by no rule", r.name, x.ID)
			}
		}
	}
}

func TestFirstFailedRule(t *testing.T) {
	for _, c := range []struct {
		name string
		own  *Own
		need *Need
		id   string
		rule string
		why  string
	}{
		{"asset", &Own{Asset: "gpu"}, nil, "storj", "asset", "pays for no gpu"},
		{"segment", &Own{Asset: "gpu", Segment: "datacenter"}, nil, "nosana", "segment", "takes consumer, gaming, not datacenter"},
		{"requirement", &Own{Asset: "storage", Segment: "enterprise", Disk: n("2")}, nil, "filecoin", "disk-tb", "disk-tb is 2, must be at least 10"},
		{"uptime", &Own{Asset: "site", Segment: "underserved", Uptime: n("90")}, nil, "pollen-mobile", "uptime-percent", "uptime-percent is 90"},
		{"region", &Own{Asset: "site", Segment: "urban", Region: "de"}, nil, "wifi-dabba", "region", "region is de"},
		{"first of two requirements", &Own{Asset: "gnss-station", Uptime: n("10"), Satellites: n("3")}, nil, "geodnet", "uptime-percent", "uptime-percent is 10"},
		{"service", nil, &Need{Service: "weather"}, "aws", "service", "offers no weather"},
		{"compliance", nil, &Need{Service: "inference", Compliance: []string{"soc2"}, Features: []string{"tee"}}, "akash", "compliance", "no source says it is certified for soc2"},
		{"feature", nil, &Need{Service: "inference", Features: []string{"tee"}}, "akash", "feature", "no source says it has tee"},
		{"budget", nil, &Need{Service: "archive", Quantity: n("100"), Budget: n("5")}, "filecoin", "budget", "the budget is $5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := rule{own: c.own, need: c.need}.ask(t)
			i := slices.IndexFunc(a.Rejected, func(r Rejected) bool { return r.ID == c.id })
			if i < 0 {
				t.Fatalf("%s is not rejected", c.id)
			}
			if r := a.Rejected[i]; r.Rule != c.rule || !strings.Contains(r.Why, c.why) {
				t.Errorf("rejected by %s: %s, want %s: %s", r.Rule, r.Why, c.rule, c.why)
			}
		})
	}
}

func find(t *testing.T, a Advice, id string) Answer {
	t.Helper()
	i := slices.IndexFunc(a.Ranked, func(x Answer) bool { return x.ID == id })
	if i < 0 {
		t.Fatalf("%s is not ranked", id)
	}
	return a.Ranked[i]
}

func TestWeights(t *testing.T) {
	for _, all := range [][]Weight{OwnWeights, NeedWeights} {
		total := 0
		for _, w := range all {
			total += w.Weight
		}
		if total != 1000 {
			t.Errorf("weights sum to %d", total)
		}
		// What a source names for the very case comes before everything else.
		if fit := all[0].Weight; fit*750/1000 <= total-fit-1 {
			t.Errorf("a fit is worth %d, the rest %d", fit*750/1000, total-fit)
		}
	}
	for _, r := range rules {
		for _, x := range r.ask(t).Ranked {
			sum := 0
			for _, term := range x.Terms {
				sum += term.Points
				if term.Value < 0 || term.Value > 1000 {
					t.Errorf("%s: %s: term %s is %d", r.name, x.ID, term.Name, term.Value)
				}
			}
			if sum != x.Score {
				t.Errorf("%s: %s: points sum to %d, score is %d", r.name, x.ID, sum, x.Score)
			}
		}
	}
}

func TestIncome(t *testing.T) {
	car := Own{Asset: "vehicle", Segment: "fleet", Capex: n("549"), Watts: n("10"), PowerPrice: n("0.3"), HoursPerDay: n("8")}
	a, err := FromOwn(atlas.Embedded(), car)
	if err != nil {
		t.Fatal(err)
	}
	in := find(t, a, "hivemapper").Income
	for _, c := range []struct {
		name string
		got  Number
		want string
	}{
		{"gross P10: $100 a week", in.GrossP10, "434.52"}, {"gross P90: $200 a week", in.GrossP90, "869.05"},
		{"power: 10 W × 243.3 h × $0.30", in.Power, "0.73"}, {"net P10", in.NetP10, "433.79"}, {"net P90", in.NetP90, "868.32"},
		{"payback at P90", in.PaybackLow, "0.6"}, {"payback at P10", in.PaybackTop, "1.3"},
	} {
		if c.got == nil || c.got.String() != c.want {
			t.Errorf("%s: %v, want %s", c.name, c.got, c.want)
		}
	}
	if len(in.Claims) != 1 || in.Claims[0].Source != "survey" {
		t.Errorf("claims: %v", in.Claims)
	}
	natix := find(t, a, "natix").Income
	if natix.GrossP10 != nil || natix.NetP10 != nil || natix.PaybackLow != nil || len(natix.Missing) == 0 {
		t.Errorf("income without a claim: %+v", natix)
	}
}

func TestIncomeOfADisk(t *testing.T) {
	a, err := FromOwn(atlas.Embedded(), Own{Asset: "storage", Disk: n("100"), Uptime: n("99.9"), Watts: n("60"), PowerPrice: n("0.25")})
	if err != nil {
		t.Fatal(err)
	}
	in := find(t, a, "filecoin").Income
	// 100 TB at $2.5 per TiB: 100e12/2^40 × 2.5
	if in.Ceiling == nil || in.Ceiling.String() != "227.37" || in.GrossP10 != nil {
		t.Errorf("ceiling %v, gross %v", in.Ceiling, in.GrossP10)
	}
	if in.Power == nil || in.Power.String() != "10.94" {
		t.Errorf("power %v", in.Power)
	}
	if a.Ours == nil || a.Ours.Income.Ceiling != nil {
		t.Errorf("ours has no claim and earns %+v", a.Ours)
	}
}

func TestIncomeNeverPaysBack(t *testing.T) {
	a, err := FromOwn(atlas.Embedded(), Own{Asset: "vehicle", Capex: n("500"), Watts: n("100000"), PowerPrice: n("1")})
	if err != nil {
		t.Fatal(err)
	}
	if in := find(t, a, "hivemapper").Income; !in.Never || in.PaybackLow != nil || in.PaybackTop != nil {
		t.Errorf("%+v", in)
	}
}

func TestIncomeInTokens(t *testing.T) {
	c, o := *atlas.Embedded(), Own{Asset: "gnss-station", Uptime: n("100")}
	a, err := FromOwn(&c, o)
	if err != nil {
		t.Fatal(err)
	}
	in := find(t, a, "geodnet").Income
	if in.Tokens == nil || in.Tokens.String() != "1460" || in.TokenName != "GEOD" || in.Ceiling != nil {
		t.Errorf("%+v", in)
	}
}

func TestOursStandsBeside(t *testing.T) {
	a, err := FromNeed(atlas.Embedded(), Need{Service: "object-storage", Features: []string{"s3"}})
	if err != nil {
		t.Fatal(err)
	}
	if a.Ours == nil || a.Ours.ID != "grange" || !slices.Contains(a.Ours.Speaks, "s3") {
		t.Errorf("ours: %+v", a.Ours)
	}
	for _, x := range a.Ranked {
		if x.ID == "grange" {
			t.Error("this network ranks itself")
		}
	}
	if s := find(t, a, "storj"); !slices.Equal(s.Speaks, []string{"s3"}) {
		t.Errorf("what Storj's clients speak and we too: %v", s.Speaks)
	}
}

func TestDisputedNumbersWarn(t *testing.T) {
	a, err := FromOwn(atlas.Embedded(), Own{Asset: "gpu", GPU: "H100"})
	if err != nil {
		t.Fatal(err)
	}
	x := find(t, a, "io-net")
	if !slices.ContainsFunc(x.Against, func(r Reason) bool {
		return strings.Contains(r.Text, "contradict each other on gpus by a factor of 35")
	}) {
		t.Errorf("against: %v", x.Against)
	}
}

func TestSegments(t *testing.T) {
	for _, c := range []struct {
		own  Own
		want string
	}{
		{Own{Asset: "gpu", GPU: "A100-SXM4-80GB"}, "datacenter"}, {Own{Asset: "gpu", GPU: "NVIDIA L40S"}, "datacenter"}, {Own{Asset: "gpu", GPU: "8 x H100"}, "datacenter"},
		{Own{Asset: "gpu", GPU: "GeForce RTX 5090"}, "consumer"}, {Own{Asset: "gpu"}, ""}, {Own{Asset: "gpu", GPU: "RTX 4080", HoursPerDay: n("24")}, "consumer"},
		{Own{Asset: "storage"}, ""}, {Own{Asset: "storage", Disk: n("10"), Uptime: n("99")}, "enterprise"}, {Own{Asset: "storage", Disk: n("10")}, "consumer"},
		{Own{Asset: "energy"}, ""}, {Own{Asset: "energy", Solar: n("1"), Battery: n("1")}, "battery"}, {Own{Asset: "site"}, ""},
		{Own{Asset: "bandwidth"}, "home"}, {Own{Asset: "storage", Disk: n("1000"), Uptime: n("100"), Segment: "consumer"}, "consumer"},
	} {
		if got, _ := c.own.segment(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.own, got, c.want)
		}
	}
}

func TestProfilesRefused(t *testing.T) {
	for _, c := range []struct{ name, own, need, want string }{
		{"unknown asset", `{"asset":"boat"}`, "", "want one of bandwidth"},
		{"unknown segment", `{"asset":"gpu","segment":"home"}`, "", "segment"},
		{"unknown field", `{"asset":"gpu","colour":"red"}`, "", "unknown field"},
		{"uptime of 101", `{"asset":"gpu","uptime_percent":101}`, "", "want 0 to 100"},
		{"negative power", `{"asset":"gpu","watts":-1}`, "", "want 0 to"},
		{"two values", `{"asset":"gpu"} {}`, "", "more than one value"},
		{"no JSON", `asset=gpu`, "", "profile"},
		{"too long", `{"asset":"` + strings.Repeat("x", MaxProfile) + `"}`, "", "longer than"},
		{"unknown service", "", `{"service":"tea"}`, "want one of inference"},
		{"unknown certificate", "", `{"service":"inference","compliance":["iso"]}`, "compliance"},
		{"unknown preference", "", `{"service":"inference","prefer":"blue"}`, "prefer"},
		{"availability of 200", "", `{"service":"inference","availability_percent":200}`, "want 0 to 100"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			if c.own != "" {
				_, err = ParseOwn(strings.NewReader(c.own))
			} else {
				_, err = ParseNeed(strings.NewReader(c.need))
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestAnswersAreFunctions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		assets := []string{"gpu", "storage", "site", "bandwidth", "energy", "vehicle", "phone", "gnss-station", "sensor"}
		o := Own{Asset: rapid.SampledFrom(assets).Draw(t, "asset")}
		o.Segment = rapid.SampledFrom(append([]string{""}, atlas.Assets[o.Asset]...)).Draw(t, "segment")
		number := func(name string, most int64) Number {
			if rapid.Bool().Draw(t, "has "+name) {
				d := atlas.DecimalOf(rapid.Int64Range(0, most).Draw(t, name))
				return &d
			}
			return nil
		}
		o.Disk, o.Uptime, o.Uplink, o.Watts = number("disk", 1e9), number("uptime", 100), number("uplink", 1e9), number("watts", 1e9)
		o.PowerPrice, o.Capex, o.TrafficMonth, o.HoursPerDay = number("price", 1e6), number("capex", 1e12), number("traffic", 1e12), number("hours", 24)
		o.Region = rapid.SampledFrom([]string{"", "in", "de"}).Draw(t, "region")
		first, err := FromOwn(atlas.Embedded(), o)
		if err != nil {
			t.Fatal(err)
		}
		second, err := FromOwn(atlas.Embedded(), o)
		if err != nil {
			t.Fatal(err)
		}
		a, errA := json.Marshal(first)
		b, errB := json.Marshal(second)
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Fatal("the same profile was answered twice in different ways")
		}
		for i := 1; i < len(first.Ranked); i++ {
			if first.Ranked[i-1].Score < first.Ranked[i].Score {
				t.Fatalf("rank %d scores less than rank %d", i, i+1)
			}
		}
		for _, x := range first.Ranked {
			if in := x.Income; in.NetP10 != nil && in.NetP10.Rat().Cmp(in.NetP90.Rat()) > 0 {
				t.Fatalf("%s: the band is upside down: %s to %s", x.ID, in.NetP10, in.NetP90)
			}
		}
	})
}

func FuzzParseOwn(f *testing.F) {
	f.Add(`{"asset":"gpu","gpu":"H100","vram_gb":80,"power_usd_kwh":0.12}`)
	f.Add(`{"asset":"storage","disk_tb":1e9}`)
	f.Fuzz(func(t *testing.T, s string) {
		o, err := ParseOwn(strings.NewReader(s))
		if err != nil {
			return
		}
		if _, err := FromOwn(atlas.Embedded(), o); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzParseNeed(f *testing.F) {
	f.Add(`{"service":"archive","quantity_tb":100,"budget_usd_month":300}`)
	f.Fuzz(func(t *testing.T, s string) {
		need, err := ParseNeed(strings.NewReader(s))
		if err != nil {
			return
		}
		if _, err := FromNeed(atlas.Embedded(), need); err != nil {
			t.Fatal(err)
		}
	})
}

// Who has a station, a base, a phone or a camera can earn here, and who looks for
// what they tell finds it here.
func TestOursTakesWhatObserves(t *testing.T) {
	for name, o := range map[string]Own{
		"weather station": {Asset: "sensor", Segment: "weather"}, "air sensor": {Asset: "sensor", Segment: "air"}, "noise sensor": {Asset: "sensor", Segment: "noise"},
		"a sensor": {Asset: "sensor"}, "GNSS base": {Asset: "gnss-station"}, "phone": {Asset: "phone"}, "car": {Asset: "vehicle"},
	} {
		if a, err := FromOwn(atlas.Embedded(), o); err != nil || a.Ours == nil || a.Ours.Needs == "" {
			t.Errorf("%s: ours is %+v: %v", name, a.Ours, err)
		}
	}
	for _, service := range []string{"weather", "air-quality", "noise", "positioning", "connectivity-data", "mapping"} {
		if a, err := FromNeed(atlas.Embedded(), Need{Service: service}); err != nil || a.Ours == nil {
			t.Errorf("%s: ours is %+v: %v", service, a.Ours, err)
		}
	}
}
