package place

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/grange-network/grange/atlas"
)

func d(s string) *atlas.Decimal {
	v, err := atlas.ParseDecimal(s)
	if err != nil {
		panic(err)
	}
	return &v
}

func offer(id, network, kind, price, availability string) Offer {
	return Offer{ID: id, Network: network, Kind: kind, Price: *d(price), Availability: d(availability), Providers: MaxReplicas}
}

// The figures worked out in the design notes from the survey's ranges.
func TestReplicas(t *testing.T) {
	for _, c := range []struct {
		name         string
		availability string
		target       string
		common       PPM
		want         int
	}{
		{"99.4 % needs two for four nines", "99.4", "99.99", 0, 2},
		{"97 % needs three", "97", "99.99", 0, 3},
		{"one suffices", "99.99", "99.99", 0, 1},
		{"a node that never fails", "100", "99.999999", 0, 1},
		{"99.4 %, common failures just bearable", "99.4", "99.99", 16_000, 3},
		{"99.4 %, common failures above 1.7 %", "99.4", "99.99", 17_000, 0},
		{"97 %, common failures just bearable", "97", "99.99", 3_000, 4},
		{"97 %, common failures above 0.34 %", "97", "99.99", 3_400, 0},
		{"half the time", "50", "99.9", 0, 10},
		{"everything fails together", "99", "99.9", million, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Replicas(*d(c.availability), *d(c.target), c.common); got != c.want {
				t.Errorf("%d replicas, want %d", got, c.want)
			}
		})
	}
}

func TestCommonShareThatIsBearable(t *testing.T) {
	for _, c := range []struct {
		availability string
		least, most  PPM
	}{{"99.4", 16_000, 16_667}, {"97", 3_000, 3_333}} {
		for n := 2; n <= 64; n++ {
			if Replicas(*d(c.availability), *d("99.99"), c.most+10) != 0 {
				t.Fatalf("%s %% reaches four nines with a common share of %d ppm", c.availability, c.most+10)
			}
		}
		if Replicas(*d(c.availability), *d("99.99"), c.least) == 0 {
			t.Errorf("%s %% does not reach four nines with a common share of %d ppm", c.availability, c.least)
		}
	}
}

// exact is unavailability in fractions, by the formula and without rounding.
func exact(replicas []member, offers []Offer, picks []int, common PPM) *big.Rat {
	b := big.NewRat(int64(common), million)
	type sums struct{ common, apart *big.Rat }
	by := map[int]*sums{}
	for i, m := range replicas {
		u := new(big.Rat).Quo(new(big.Rat).Sub(big.NewRat(100, 1), offers[picks[i]].Availability.Rat()), big.NewRat(100, 1))
		s := by[m.network]
		if s == nil {
			s = &sums{new(big.Rat), big.NewRat(1, 1)}
			by[m.network] = s
		}
		shared := new(big.Rat).Mul(u, b)
		if shared.Cmp(s.common) > 0 {
			s.common = shared
		}
		s.apart.Mul(s.apart, new(big.Rat).Sub(u, shared))
	}
	total := big.NewRat(1, 1)
	for _, s := range by {
		total.Mul(total, new(big.Rat).Add(s.common, s.apart))
	}
	return total
}

func genOffers(t *rapid.T) []Offer {
	n := rapid.IntRange(1, 5).Draw(t, "offers")
	var all []Offer
	for i := range n {
		o := Offer{ID: string(rune('a' + i)), Network: rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "network"),
			Kind:      rapid.SampledFrom([]string{"hyperscaler", "shared", "ours"}).Draw(t, "kind"),
			Price:     atlas.DecimalOf(rapid.Int64Range(0, 6).Draw(t, "price")),
			Providers: rapid.IntRange(1, 4).Draw(t, "providers"), Units: rapid.IntRange(0, 3).Draw(t, "free"), Rank: rapid.IntRange(0, 1).Draw(t, "rank"),
			Region: rapid.SampledFrom([]string{"", "*", "eu", "us"}).Draw(t, "region"), TEE: rapid.Bool().Draw(t, "tee")}
		if rapid.IntRange(0, 9).Draw(t, "known") > 0 {
			a := rapid.SampledFrom([]string{"60", "90", "97", "99.4", "99.9", "99.99", "100"}).Draw(t, "availability")
			o.Availability = d(a)
		}
		all = append(all, o)
	}
	return all
}

func genWorkload(t *rapid.T) Workload {
	w := Workload{Units: rapid.IntRange(1, 3).Draw(t, "units"), MaxReplicas: rapid.IntRange(1, 4).Draw(t, "replicas"),
		Region: rapid.SampledFrom([]string{"", "", "eu"}).Draw(t, "in"), TEE: rapid.IntRange(0, 3).Draw(t, "enclave") == 0}
	if rapid.IntRange(0, 3).Draw(t, "targeted") > 0 {
		w.Target = d(rapid.SampledFrom([]string{"90", "99", "99.9", "99.99", "99.999"}).Draw(t, "target"))
	}
	if rapid.IntRange(0, 2).Draw(t, "limited") == 0 {
		b := atlas.DecimalOf(rapid.Int64Range(0, 20_000).Draw(t, "budget"))
		w.Budget = &b
	}
	return w
}

// brute looks at every multiset of offers and keeps the minimal ones that fit,
// in order of cost.
func brute(w Workload, offers []Offer, common PPM) []*Plan {
	good, _ := eligible(w, offers)
	p := newProblem(w, good, common)
	var fit []node
	var walk func(picks []int, from int)
	walk = func(picks []int, from int) {
		if len(picks) > 0 && p.reaches(picks) {
			month := Micro(0)
			for _, k := range picks {
				month += p.month[k]
			}
			smaller := slices.ContainsFunc(subsets(picks), p.reaches)
			if !smaller && (!p.bounded || month <= p.budget) {
				fit = append(fit, node{slices.Clone(picks), month})
			}
		}
		if len(picks) == p.most {
			return
		}
		for k := from; k < len(p.offers); k++ {
			used := 0
			for _, q := range picks {
				if q == k {
					used++
				}
			}
			if used < p.offers[k].Providers {
				walk(append(slices.Clone(picks), k), k)
			}
		}
	}
	walk(nil, 0)
	slices.SortFunc(fit, func(a, b node) int {
		if a.before(b) {
			return -1
		}
		return 1
	})
	var plans []*Plan
	for _, n := range fit {
		plans = append(plans, p.plan(n))
	}
	return plans
}

// subsets of picks, without the empty and the whole one.
func subsets(picks []int) [][]int {
	all := [][]int{nil}
	for _, k := range picks {
		for _, s := range slices.Clone(all) {
			all = append(all, append(slices.Clone(s), k))
		}
	}
	var proper [][]int
	for _, s := range all {
		if len(s) > 0 && len(s) < len(picks) {
			proper = append(proper, s)
		}
	}
	return proper
}

func TestEqualsBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		offers, w := genOffers(t), genWorkload(t)
		common := PPM(rapid.SampledFrom([]uint32{0, 1000, 50_000, million}).Draw(t, "common"))
		got, err := Solve(w, offers, common)
		if err != nil {
			t.Fatal(err)
		}
		want := brute(w, offers, common)
		same(t, "plan", got.Plan, want, 0)
		same(t, "runner-up", got.RunnerUp, want, 1)
		for _, c := range got.Constraints {
			less := w
			for _, k := range constraints {
				if k.name == c.Name {
					k.relax(&less)
				}
			}
			without := brute(less, offers, common)
			same(t, "without "+c.Name, c.Without, without, 0)
			if got.Plan != nil && c.Saves != nil && *c.Saves < 0 {
				t.Fatalf("without %s the plan is dearer by %s", c.Name, *c.Saves)
			}
		}
	})
}

func same(t *rapid.T, what string, got *Plan, want []*Plan, i int) {
	if len(want) <= i {
		if got != nil {
			t.Fatalf("%s is %s for %s, brute force finds none", what, got, got.Month)
		}
		return
	}
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want[i])
	if !bytes.Equal(a, b) {
		t.Fatalf("%s is %s, brute force finds %s", what, a, b)
	}
}

func TestUnavailabilityIsTheFormula(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var offers []Offer
		for range rapid.IntRange(1, 4).Draw(t, "offers") {
			a := atlas.DecimalOf(rapid.Int64Range(1, 100).Draw(t, "availability"))
			offers = append(offers, Offer{Availability: &a, Network: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "network")})
		}
		slices.SortStableFunc(offers, func(a, b Offer) int { return strings.Compare(a.Network, b.Network) })
		common := PPM(rapid.Uint32Range(0, million).Draw(t, "common"))
		var members []member
		var picks []int
		for i, o := range offers {
			members = append(members, newMember(int(o.Network[0]), missing(*o.Availability), common))
			picks = append(picks, i)
		}
		want := exact(members, offers, picks, common)
		got := new(big.Rat).SetFrac(new(big.Int).SetUint64(unavailability(members)), new(big.Int).SetUint64(one))
		diff := new(big.Rat).Sub(got, want)
		if diff.Sign() < 0 || diff.Cmp(big.NewRat(20, int64(one))) > 0 {
			t.Fatalf("unavailability %s, exact %s: want it above by at most 2e-17", got.FloatString(20), want.FloatString(20))
		}
	})
}

func TestRedundancyIsPriced(t *testing.T) {
	cloud := offer("cloud", "cloud", "hyperscaler", "4", "99.99")
	for _, c := range []struct {
		name         string
		price        string // of the shared node; the cloud costs 4
		availability string
		plan         string
		breakEven    string
		saves        string // against the cloud
	}{
		{"80 % cheaper, 99.4 %: two replicas save 60 %", "0.8", "99.4", "2 × shared", "50", "1752"},
		{"50 % cheaper, 99.4 %: break-even, the fewer replicas win", "2", "99.4", "1 × cloud", "50", "0"},
		{"80 % cheaper, 97 %: three replicas save 40 %", "0.8", "97", "3 × shared", "66.7", "1168"},
		{"50 % cheaper, 97 %: three replicas would be half dearer", "2", "97", "1 × cloud", "66.7", "0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := Workload{Units: 1, Target: d("99.99")}
			got, err := Solve(w, []Offer{cloud, offer("shared", "net", "shared", c.price, c.availability)}, 0)
			if err != nil {
				t.Fatal(err)
			}
			if got.Plan.String() != c.plan || got.Saves.String() != c.saves {
				t.Errorf("plan %s saves %s, want %s saving %s", got.Plan, got.Saves, c.plan, c.saves)
			}
			if a := got.Alone[1]; a.BreakEven == nil || a.BreakEven.String() != c.breakEven {
				t.Errorf("break-even discount %v, want %s", a.BreakEven, c.breakEven)
			}
		})
	}
}

func TestCommonFailuresForceTwoNetworks(t *testing.T) {
	offers := []Offer{offer("a1", "a", "shared", "1", "99.4"), offer("a2", "a", "shared", "1", "99.4"), offer("b1", "b", "shared", "1.5", "99.4")}
	w := Workload{Units: 1, Target: d("99.99")}
	for _, c := range []struct {
		common PPM
		plan   string
	}{{0, "2 × a1"}, {50_000, "1 × a1 + 1 × b1"}} {
		got, err := Solve(w, offers, c.common)
		if err != nil {
			t.Fatal(err)
		}
		if got.Plan.String() != c.plan {
			t.Errorf("with %d ppm in common: %s, want %s", c.common, got.Plan, c.plan)
		}
	}
	got, err := Solve(w, offers[:2], 50_000)
	if err != nil || got.Plan != nil {
		t.Errorf("one network reaches four nines with 5 %% in common: %v, %v", got.Plan, err)
	}
}

func atlasOffers(t *testing.T, service string, at Case) []Offer {
	t.Helper()
	all, err := FromAtlas(atlas.Embedded(), service, *d("4"), at)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func ids(p *Plan) []string {
	var all []string
	for _, s := range p.Shares {
		all = append(all, s.Offer)
	}
	return all
}

// The survey's four rules for hybrid use.
func TestHybridRules(t *testing.T) {
	t.Run("1: mission-critical under compliance goes to hyperscalers", func(t *testing.T) {
		got, err := Solve(Workload{Units: 1, Target: d("99.99"), Compliance: []string{"soc2", "hipaa"}}, atlasOffers(t, "inference", Optimistic), 50_000)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(ids(got.Plan), []string{"aws"}) || got.Plan.Shares[0].Kind != "hyperscaler" {
			t.Errorf("plan %s", got.Plan)
		}
		for _, c := range got.Constraints {
			if c.Name == "compliance" && (c.Saves == nil || *c.Saves <= 0) {
				t.Errorf("compliance costs %v, though shared networks are cheaper", c.Saves)
			}
		}
	})
	t.Run("2: cost-sensitive batch work goes to io.net or Akash", func(t *testing.T) {
		b := Batch{Workload: Workload{Units: 8}, WorkHours: 200, Checkpoint: 60, Repair: 60}
		got, err := SolveBatch(b, atlasOffers(t, "batch", Pessimistic))
		if err != nil {
			t.Fatal(err)
		}
		var first []string
		for _, p := range got.Plans[:3] {
			first = append(first, p.Offer)
		}
		if !slices.Contains(first, "akash") || !slices.Contains(first, "io-net") {
			t.Errorf("first three are %v", first)
		}
	})
	t.Run("3: bursts beyond the quota overflow to shared networks", func(t *testing.T) {
		b := Burst{Quota: 10, Demand: []int{5, 10, 30, 12}}
		got, err := SolveBurst(b, atlasOffers(t, "burst", Middle))
		if err != nil {
			t.Fatal(err)
		}
		if got.Overflow != 22 || got.Uncovered != 0 || got.Peak != 20 || len(got.Shares) != 1 || got.Shares[0].Kind != "shared" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("4: niche needs have no hyperscaler to compare with", func(t *testing.T) {
		for _, service := range []string{"mapping", "iot-connectivity", "weather"} {
			got, err := Solve(Workload{Units: 1}, atlasOffers(t, service, Middle), 0)
			if err != nil {
				t.Fatal(err)
			}
			if got.Plan == nil || got.Plan.Shares[0].Kind != "shared" || got.Reference != nil {
				t.Errorf("%s: plan %v, reference %v", service, got.Plan, got.Reference)
			}
		}
	})
}

func TestFirstRule(t *testing.T) {
	base := Offer{ID: "o", Network: "n", Price: *d("1"), Availability: d("99"), Providers: 1}
	for _, c := range []struct {
		name string
		w    Workload
		o    func(*Offer)
		rule string
	}{
		{"compliance", Workload{Compliance: []string{"soc2"}}, func(*Offer) {}, "compliance"},
		{"region unknown", Workload{Region: "eu"}, func(*Offer) {}, "region"},
		{"region elsewhere", Workload{Region: "eu"}, func(o *Offer) { o.Region = "us" }, "region"},
		{"region chosen", Workload{Region: "eu"}, func(o *Offer) { o.Region = "*" }, ""},
		{"no such GPU", Workload{GPU: "H100"}, func(o *Offer) { o.GPUs = []string{"a100"} }, "gpu"},
		{"GPU in other words", Workload{GPU: "NVIDIA H100 80GB"}, func(o *Offer) { o.GPUs = []string{"h100"} }, ""},
		{"enough in sum, not on one node", Workload{Units: 8}, func(o *Offer) { o.Units, o.Providers = 4, 6 }, "single node"},
		{"may be spread", Workload{Units: 8, Spread: true}, func(o *Offer) { o.Units = 4 }, ""},
		{"no enclave", Workload{TEE: true}, func(*Offer) {}, "tee"},
		{"latency unknown", Workload{Latency: 20}, func(*Offer) {}, "latency"},
		{"too far", Workload{Latency: 20}, func(o *Offer) { o.Latency = 21 }, "latency"},
		{"near", Workload{Latency: 20}, func(o *Offer) { o.Latency = 20 }, ""},
		{"waiting list", Workload{WithinDays: 30}, func(o *Offer) { o.LeadDays = 180 }, "lead time"},
		{"availability unknown", Workload{Target: d("99")}, func(o *Offer) { o.Availability = nil }, "availability"},
		{"two at once, the first is named", Workload{TEE: true, Region: "eu"}, func(*Offer) {}, "region"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, w := base, c.w
			c.o(&o)
			w.Units = max(1, w.Units)
			got, err := Solve(w, []Offer{o}, 0)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case c.rule == "" && got.Plan == nil:
				t.Errorf("no plan: %v", got.Rejected)
			case c.rule != "" && (got.Plan != nil || got.Rejected[0].Rule != c.rule):
				t.Errorf("plan %v, rejected %v, want %s", got.Plan, got.Rejected, c.rule)
			}
		})
	}
}

func TestBudgetSaysWhatWouldDo(t *testing.T) {
	w := Workload{Units: 1, Target: d("99.99"), Budget: d("1000")}
	got, err := Solve(w, []Offer{offer("shared", "net", "shared", "1", "99.4")}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got.Plan != nil || got.OverBudget == nil || got.OverBudget.Month.String() != "1460" {
		t.Errorf("plan %v, over budget %v", got.Plan, got.OverBudget)
	}
	saw := map[string]string{}
	for _, c := range got.Constraints {
		saw[c.Name] = c.Without.String()
	}
	if saw["availability"] != "1 × shared" || saw["budget"] != "2 × shared" {
		t.Errorf("constraints %v", saw)
	}
}

func TestCommonMost(t *testing.T) {
	got, err := Solve(Workload{Units: 1, Target: d("99.99")}, []Offer{offer("shared", "net", "shared", "1", "99.4")}, 0)
	if err != nil {
		t.Fatal(err)
	}
	// b·0.006 + ((1−b)·0.006)² = 0.0001: b = 1.08 %
	if got.CommonMost == nil || *got.CommonMost < 10_700 || *got.CommonMost > 10_850 {
		t.Errorf("common share %v ppm", got.CommonMost)
	}
}

func TestFromAtlas(t *testing.T) {
	for _, c := range []struct {
		at                  Case
		price, availability string
	}{{Pessimistic, "2", "97"}, {Middle, "1.4", "98.2"}, {Optimistic, "0.8", "99.4"}} {
		found := false
		for _, o := range atlasOffers(t, "inference", c.at) {
			if o.ID == "io-net" {
				found = true
				if o.Price.String() != c.price || o.Availability.String() != c.availability || !o.TEE || len(o.Assumed) == 0 {
					t.Errorf("%s: %+v", c.at, o)
				}
			}
		}
		if !found {
			t.Error("io.net is not among the offers")
		}
	}
	got, err := Solve(Workload{Units: 8, GPU: "H100", WithinDays: 30}, atlasOffers(t, "inference", Middle), 0)
	if err != nil || got.Plan == nil || got.Plan.Shares[0].Kind != "shared" {
		t.Errorf("H100 within a month: %v, %v", got.Plan, err)
	}
	if !slices.ContainsFunc(got.Rejected, func(r Rejected) bool { return r.Offer == "aws" && r.Rule == "lead time" }) {
		t.Errorf("AWS's waiting list does not count: %v", got.Rejected)
	}
	for _, bad := range []func() error{
		func() error { _, err := FromAtlas(atlas.Embedded(), "tea", *d("1"), Middle); return err },
		func() error { _, err := FromAtlas(atlas.Embedded(), "inference", *d("1"), "rosy"); return err },
	} {
		if err := bad(); !errors.Is(err, ErrOffer) {
			t.Errorf("got %v", err)
		}
	}
}

func TestRefused(t *testing.T) {
	good := offer("a", "n", "shared", "1", "99")
	many := make([]Offer, MaxOffers+1)
	for _, c := range []struct {
		name   string
		w      Workload
		offers []Offer
	}{
		{"no units", Workload{}, []Offer{good}}, {"target of 100", Workload{Units: 1, Target: d("100")}, []Offer{good}}, {"negative budget", Workload{Units: 1, Budget: d("-1")}, nil},
		{"too many replicas", Workload{Units: 1, MaxReplicas: 7}, nil}, {"twice", Workload{Units: 1}, []Offer{good, good}}, {"too many offers", Workload{Units: 1}, many},
		{"no network", Workload{Units: 1}, []Offer{{ID: "x", Providers: 1}}}, {"availability of 101", Workload{Units: 1}, []Offer{offer("a", "n", "shared", "1", "101")}},
		{"price below zero", Workload{Units: 1}, []Offer{offer("a", "n", "shared", "-1", "99")}}, {"no provider", Workload{Units: 1}, []Offer{{ID: "x", Network: "n"}}},
	} {
		if _, err := Solve(c.w, c.offers, 0); !errors.Is(err, ErrWorkload) && !errors.Is(err, ErrOffer) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, s := range []string{`{}`, `[{"id":"a","colour":1}]`, `[] []`, strings.Repeat(" ", MaxInput+1)} {
		if _, err := ParseOffers(strings.NewReader(s)); err == nil {
			t.Errorf("offers %.30q are accepted", s)
		}
	}
}

func TestTooLarge(t *testing.T) {
	var offers []Offer
	for i := range MaxOffers {
		offers = append(offers, offer(string(rune('A'+i)), string(rune('A'+i)), "shared", "1", "50"))
	}
	if _, err := Solve(Workload{Units: 1, Target: d("99.9999")}, offers, 0); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`[{"id":"a","network":"n","kind":"shared","usd_unit_hour":1.5,"availability_percent":99.4,"providers":3}]`, `{"units":8,"availability_percent":99.99}`)
	f.Fuzz(func(t *testing.T, offers, workload string) {
		all, err := ParseOffers(strings.NewReader(offers))
		if err != nil {
			return
		}
		w, err := ParseWorkload(strings.NewReader(workload))
		if err != nil {
			return
		}
		if _, err := Solve(w, all, 10_000); err != nil && !errors.Is(err, ErrTooLarge) {
			t.Fatal(err)
		}
	})
}
