package project

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/atlas"
)

func load(t *testing.T, name string) Params {
	t.Helper()
	p, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The digests are of the whole result as JSON: they change when a parameter
// file or the engine does, and never between machines.
func TestSameSeedSameBytes(t *testing.T) {
	for name, want := range map[string]string{
		"base":        "9bf4f976cfc7c8a2",
		"optimistic":  "846f8bb2753514ed",
		"pessimistic": "4f069f31848c72fc",
	} {
		p := load(t, name)
		var digests []string
		for range 2 {
			s, err := Run(p)
			if err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(b)
			digests = append(digests, hex.EncodeToString(sum[:8]))
		}
		if digests[0] != digests[1] || digests[0] != want {
			t.Errorf("%s: %v, want %s", name, digests, want)
		}
		p.Seed++
		other, err := Run(p)
		if err != nil {
			t.Fatal(err)
		}
		p.Seed--
		same, err := Run(p)
		if err != nil || same.Final.Revenue.P90.Rat().Cmp(other.Final.Revenue.P90.Rat()) == 0 {
			t.Errorf("%s: another seed changes nothing (%v)", name, err)
		}
	}
}

func TestBuiltinScenarios(t *testing.T) {
	if got := Builtin(); !slices.Equal(got, []string{"base", "optimistic", "pessimistic"}) {
		t.Fatalf("scenarios %v", got)
	}
	points, results := 0, map[string]Scenario{}
	for _, name := range Builtin() {
		p := load(t, name)
		points += len(p.Points)
		if _, ok := atlas.Embedded().Source(p.Source); !ok || p.ID != name {
			t.Errorf("%s: id %s, source %q", name, p.ID, p.Source)
		}
		for _, b := range p.Basis {
			if _, ok := atlas.Embedded().Source(b.Source); !ok {
				t.Errorf("%s: %s has unknown source %q", name, b.Parameter, b.Source)
			}
		}
		s, err := Run(p)
		if err != nil {
			t.Fatal(err)
		}
		results[name] = s
	}
	if points != 13 {
		t.Errorf("%d points, the source has 13", points)
	}
	revenue := func(n string) *big.Rat { return results[n].Final.Revenue.P50.Rat() }
	if revenue("optimistic").Cmp(revenue("base")) <= 0 || revenue("base").Cmp(revenue("pessimistic")) <= 0 {
		t.Error("the scenarios are not in the order of their names")
	}
	if results["pessimistic"].Final.HHI.P50.Rat().Cmp(results["base"].Final.HHI.P50.Rat()) <= 0 {
		t.Error("fragmentation does not concentrate capacity")
	}
}

// The growth in the parameter files is the growth that the source's figures
// amount to, month by month.
func TestGrowthIsTheSources(t *testing.T) {
	for name, times := range map[string]float64{"base": 2.5, "optimistic": 70} {
		want := (math.Pow(times, 1.0/24) - 1) * million
		if got := float64(load(t, name).Change.Demand); math.Abs(got-want) > 10 {
			t.Errorf("%s: %v ppm a month, want %.0f", name, got, want)
		}
	}
}

func still() Params {
	amount := func(s string) Amount {
		d, err := atlas.ParseDecimal(s)
		if err != nil {
			panic(err)
		}
		return Amount{d}
	}
	return Params{ID: "still", Name: "Still", Months: 24, Runs: 3, Seed: 1,
		Start: Start{Providers: 100, Capacity: 10, Demand: 500, Price: amount("4"), Cost: amount("10"), Capex: amount("180"), TokenPrice: amount("1"),
			Supply: amount("1e6"), Treasury: amount("1000"), LargeShares: []PPM{100_000}},
		Emission: Emission{HalfLife: 24}, Entry: Entry{Payback: 18 * million, MaxJoin: 100_000, MaxLeave: 100_000}}
}

func TestZeroGrowthIsAFixedPoint(t *testing.T) {
	p := still() // 500 × $4 over 100 providers is $20, $10 over cost: 18 months
	for n := range p.Runs {
		months := p.run(p.Seed, n)
		for m, s := range months {
			if s.providers != 100 || s.demand != 500 || s.price != 4_000_000 || s.tokenPrice != million || s.supply != 1e12 || s.treasury != 1e9 || s.hhi != months[0].hhi {
				t.Fatalf("month %d: %+v", m, s)
			}
			if s.coverage != NoCoverage || s.subsidy != 0 || s.payback != 18*million {
				t.Fatalf("month %d: coverage %d, subsidy %d, payback %d", m, s.coverage, s.subsidy, s.payback)
			}
		}
	}
	s, err := Run(p)
	if err != nil {
		t.Fatal(err)
	}
	if s.Final.Coverage.P50 != nil || s.Formula != nil {
		t.Errorf("coverage of no emission is %v, formula %v, want null", s.Final.Coverage.P50, s.Formula)
	}
}

func genParams(t *rapid.T) Params {
	p := still()
	p.Months, p.Runs, p.Seed = rapid.IntRange(1, 40).Draw(t, "months"), rapid.IntRange(1, 4).Draw(t, "runs"), rapid.Uint64().Draw(t, "seed")
	amount := func(name string, most int64) Amount {
		return Amount{atlas.DecimalOf(rapid.Int64Range(0, most).Draw(t, name))}
	}
	ppm := func(name string, low, high int64) PPM { return PPM(rapid.Int64Range(low, high).Draw(t, name)) }
	p.Start.Providers, p.Start.Demand = rapid.Int64Range(1, 1e9).Draw(t, "providers"), rapid.Int64Range(0, 1e12).Draw(t, "demand")
	p.Start.Capacity = rapid.Int64Range(1, 1e6).Draw(t, "capacity")
	p.Start.Price, p.Start.Cost, p.Start.Capex = amount("price", 1e12), amount("cost", 1e12), amount("capex", 1e12)
	p.Start.Supply, p.Start.Treasury, p.Start.Spend = amount("supply", 1e12), amount("treasury", 1e12), amount("spend", 1e12)
	p.Start.TokenPrice = Amount{atlas.DecimalOf(rapid.Int64Range(1, 1e12).Draw(t, "token"))}
	p.Start.LargeShares = []PPM{ppm("first", 0, 500_000), ppm("second", 0, 500_000)}
	p.Emission = Emission{Total: amount("emission", 1e12), HalfLife: rapid.Uint64Range(1, 1e6).Draw(t, "half-life"), Treasury: ppm("to treasury", 0, million)}
	p.Change = Change{ppm("demand growth", -900_000, million), ppm("price growth", -900_000, million), ppm("token growth", -900_000, million),
		ppm("demand spread", 0, million), ppm("token spread", 0, million), ppm("large growth", -900_000, million)}
	p.Take = Take{ppm("take", 0, million), ppm("burn", 0, million)}
	p.Entry = Entry{ppm("payback", 0, 100*million), ppm("join", 0, million), ppm("leave", 0, million)}
	p.Events = []Event{{"blow", rapid.IntRange(0, 40).Draw(t, "month"), ppm("probability", 0, million), ppm("d", 0, 10*million), ppm("p", 0, 10*million), ppm("t", 0, 10*million)}}
	return p
}

func TestInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := genParams(t)
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		supply, _ := p.Start.Supply.Micro()
		total, _ := p.Emission.Total.Micro()
		for n := range p.Runs {
			before, issued := supply, int64(0)
			for m, s := range p.run(p.Seed, n) {
				if s.supply != before-s.burned+s.issued {
					t.Fatalf("month %d: supply %d is not %d − %d burned + %d issued", m, s.supply, before, s.burned, s.issued)
				}
				before, issued = s.supply, issued+s.issued
				for name, v := range map[string]int64{"providers": s.providers - 1, "demand": s.demand, "price": s.price, "token price": s.tokenPrice - 1, "supply": s.supply,
					"treasury": s.treasury, "revenue": s.revenue, "emission": s.emission, "burned": s.burned, "issued": s.issued, "used": int64(s.used), "unused": million - int64(s.used),
					"coverage": s.coverage, "subsidy": int64(s.subsidy), "payback": s.payback, "hhi": s.hhi, "below 10001": 10_000 - s.hhi, "issued of total": total - issued} {
					if v < 0 {
						t.Fatalf("month %d: %s is negative: %d in %+v", m, name, v, s)
					}
				}
				shares := PPM(0)
				for _, share := range s.large {
					if share < 0 {
						t.Fatalf("month %d: a share of %d", m, share)
					}
					shares += share
				}
				if shares > million {
					t.Fatalf("month %d: large shares sum to %d", m, shares)
				}
			}
		}
		a, err := Run(p)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := Run(p)
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		if !bytes.Equal(x, y) {
			t.Fatal("the same parameters gave two results")
		}
	})
}

func TestBreakEvenInTheEngineIsTheFormula(t *testing.T) {
	p := still()
	p.Months = 60
	p.Emission = Emission{Total: Amount{atlas.DecimalOf(400_000)}, HalfLife: 24}
	p.Change.Demand = 20_000
	p.Start.Demand, p.Start.Capacity = 500_000, 1_000_000
	p.Start.Price = Amount{atlas.DecimalOf(0)}
	p.Start.Price.Decimal, _ = atlas.ParseDecimal("0.004")
	p.Entry = Entry{} // nobody comes or goes
	s, err := Run(p)
	if err != nil {
		t.Fatal(err)
	}
	// E0 = 400000·(1−2^(−1/24)) = 11387, R0 = 2000: ln(5.69)/ln(1.02·2^(1/24)) = 35.7
	if s.Formula == nil || s.Formula.String() != "35.7" {
		t.Fatalf("formula %v", s.Formula)
	}
	if s.BreakEven.Month.P50 == nil || s.BreakEven.Month.P50.String() != "36" {
		t.Errorf("the engine breaks even in month %v", s.BreakEven.Month.P50)
	}
}

func TestRunway(t *testing.T) {
	p := still()
	p.Start.Spend = Amount{atlas.DecimalOf(300)} // of 1000
	s, err := Run(p)
	if err != nil {
		t.Fatal(err)
	}
	if s.Exhausted.Month.P50 == nil || s.Exhausted.Month.P50.String() != "3" || s.Exhausted.Reached.String() != "100" {
		t.Errorf("treasury runs out in %v of %v %%, want month 3", s.Exhausted.Month.P50, s.Exhausted.Reached)
	}
}

func TestDeviation(t *testing.T) {
	n, sum, squares := 20_000, 0.0, 0.0
	for i := range n {
		x := float64(deviation(7, uint64(i), 0, 0)) / million
		sum, squares = sum+x, squares+x*x
	}
	mean, variance := sum/float64(n), squares/float64(n)
	if math.Abs(mean) > 0.03 || math.Abs(variance-1) > 0.05 {
		t.Errorf("mean %.3f, variance %.3f", mean, variance)
	}
	hits := 0
	for i := range n {
		if strikes(300_000, 7, uint64(i), 0, 5) {
			hits++
		}
	}
	if share := float64(hits) / float64(n); math.Abs(share-0.3) > 0.02 {
		t.Errorf("30 %% strikes in %.3f", share)
	}
	if strikes(0, 1, 1, 1, 1) || !strikes(million, 1, 1, 1, 1) {
		t.Error("never strikes, or always does not")
	}
}

func TestBreakEven(t *testing.T) {
	for _, c := range []struct {
		e, r, g, d float64
		want       string
	}{{400, 100, 0.05, 0.03, "17.5"}, {100, 100, 0, 0, "0"}, {50, 100, 0, 0, "0"}, {200, 100, 0, 0, ""}, {200, 100, -0.1, 0.05, ""}, {200, 0, 0.1, 0.1, ""}, {200, 100, 0.1, 1, ""}} {
		got := BreakEven(c.e, c.r, c.g, c.d)
		if (got == nil) != (c.want == "") || got != nil && got.String() != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestDilution(t *testing.T) {
	for _, c := range []struct{ monthly, want PPM }{{0, 0}, {10_000, 112_550}, {-10_000, -128_178}, {-million, 0}} {
		if got := Dilution(c.monthly); got < c.want-1 || got > c.want+1 {
			t.Errorf("issuance of %d a month dilutes by %d, want %d", c.monthly, got, c.want)
		}
	}
}

func rats(all ...int64) []*big.Rat {
	var r []*big.Rat
	for _, n := range all {
		r = append(r, big.NewRat(n, 1))
	}
	return r
}

func TestConcentrationMetrics(t *testing.T) {
	for _, c := range []struct {
		parts    []*big.Rat
		hhi, top string
	}{{rats(1), "10000", "100"}, {rats(1, 1, 1, 1), "2500", "25"}, {rats(45, 28, 15, 7, 3, 2), "3096", "45"}, {rats(52, 21, 18, 6, 2, 1), "3510", "52"}} {
		if h, top := HHI(c.parts), Top(c.parts, 1); h.String() != c.hhi || top.String() != c.top {
			t.Errorf("%v: HHI %s, largest %s, want %s and %s", c.parts, h, top, c.hhi, c.top)
		}
	}
	if HHI(nil) != nil || Top(rats(0), 5) != nil {
		t.Error("nothing is concentrated")
	}
	got := SectorConcentration(atlas.Embedded())
	if len(got) != 4 || got[0].HHI.String() != "3096" || got[0].Name != "Compute" || got[1].HHI.String() != "3510" || got[2].Name != "Bittensor" {
		t.Errorf("%+v", got)
	}
}

func TestTheilSen(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []float64
		want   float64
	}{{"a line", []float64{1, 3, 5, 7}, 2}, {"one outlier", []float64{1, 3, 500, 7, 9}, 2}, {"flat", []float64{4, 4, 4}, 0}, {"down", []float64{2, 1}, -1}} {
		if got := TheilSen(c.values); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if !math.IsNaN(TheilSen([]float64{1})) {
		t.Error("one value has a trend")
	}
}

func TestMeasure(t *testing.T) {
	number := func(n int64) *atlas.Decimal { return decimalOf(n) }
	var flows []Flow
	for m := range 8 { // coverage doubles each month
		flows = append(flows, Flow{Month: "2026-01", Revenue: number(100 << m), Emission: number(1600), Issued: number(10), Supply: number(1000),
			Treasury: number(500), Spend: number(50), Payers: []atlas.Decimal{atlas.DecimalOf(75), atlas.DecimalOf(25)}})
	}
	h := Measure("example", flows)
	for _, c := range []struct {
		name string
		got  *atlas.Decimal
		want string
	}{{"coverage", h.Coverage, "8"}, {"subsidy", h.Subsidy, "11.1"}, {"dilution", h.Dilution, "11.26"}, {"runway", h.Runway, "10"}, {"trend: ln 2", h.Trend, "69.31"},
		{"payers", h.HHI, "6250"}, {"five largest", h.Top5, "100"}} {
		if c.got == nil || c.got.String() != c.want {
			t.Errorf("%s: %v, want %s", c.name, c.got, c.want)
		}
	}
	if len(h.Missing) != 0 {
		t.Errorf("missing %v", h.Missing)
	}
	flows[6].Revenue = nil
	if h := Measure("example", flows); h.Trend != nil || !slices.Contains(h.Missing, "six months of both") {
		t.Errorf("a month without revenue has a trend of %v", h.Trend)
	}
	if h := Measure("nothing", nil); h.Coverage != nil || len(h.Missing) != 5 {
		t.Errorf("%+v", h)
	}
}

func TestHealthOfTheField(t *testing.T) {
	all := map[string]Health{}
	for _, h := range FromAtlas(atlas.Embedded()) {
		all[h.Network] = h
	}
	helium := all["helium"]
	if helium.Coverage.String() != "1.48" || helium.Subsidy.String() != "40.3" || helium.AsOf != "" {
		t.Errorf("Helium: %+v", helium)
	}
	if r := all["render"]; r.PerSales.String() != "4.6" || r.Coverage != nil || !slices.Contains(r.Missing, "emission beside revenue") {
		t.Errorf("Render: %+v", r)
	}
	if f := all["filecoin"]; len(f.Notes) == 0 || f.AsOf != "2025-04-19" {
		t.Errorf("Filecoin mixes dates and does not say so: %+v", f)
	}
	if _, ok := all["golem"]; ok {
		t.Error("Golem is measured without a claim")
	}
}

func TestParametersRefused(t *testing.T) {
	b, err := fs.ReadFile(builtin, "params/base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, with string }{
		{"unknown key", "months: 36", "months: 36\nweeks: 3"}, {"no months", "months: 36", "months: 0"}, {"too many runs", "runs: 400", "runs: 9999"},
		{"negative price", "price: 4", "price: -4"}, {"free token", "token-price: 0.10", "token-price: 0"}, {"shares above one", "[80000, 50000, 30000]", "[900000, 200000]"},
		{"take above all", "take: 50000", "take: 2000000"}, {"two documents", "seed: 2026", "seed: 2026\n---\nid: x"}, {"half-life of nothing", "half-life-months: 24", "half-life-months: 0"},
		{"growth beyond bounds", "demand: 38920", "demand: 38920000"}, {"price too large", "price: 4", "price: 1e30"}, {"negative share", "[80000, 50000, 30000]", "[-1]"},
	} {
		if s := strings.Replace(string(b), c.old, c.with, 1); s == string(b) {
			t.Errorf("%s: nothing was changed", c.name)
		} else if _, err := Parse(strings.NewReader(s)); !errors.Is(err, ErrParams) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := Load("rosy"); !errors.Is(err, atlas.ErrNotFound) {
		t.Errorf("unknown scenario: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	b, err := fs.ReadFile(builtin, "params/base.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(b))
	f.Fuzz(func(t *testing.T, s string) {
		p, err := Parse(strings.NewReader(s))
		if err != nil {
			return
		}
		p.Months, p.Runs = min(p.Months, 6), min(p.Runs, 2)
		if _, err := Run(p); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkBase(b *testing.B) {
	p, err := Load("base")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Run(p); err != nil {
			b.Fatal(err)
		}
	}
}
