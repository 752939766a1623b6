package main

import (
	"fmt"
	"io"
	"math/big"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/atlas"
	"github.com/grange-network/grange/atlas/place"
	"github.com/grange-network/grange/internal/cliout"
)

// placeFlags are what every placement takes.
type placeFlags struct {
	w      place.Workload
	price  *atlas.Decimal
	common *atlas.Decimal
	at     string
	offers string
}

func (f *placeFlags) add(c *cobra.Command, service string) {
	c.Flags().StringVar(&f.w.Service, "service", service, "what runs: inference, training, containers, batch, ... (see grange atlas need --help)")
	c.Flags().IntVar(&f.w.Units, "units", 1, "units (GPUs or machines) that a replica needs on one node")
	c.Flags().BoolVar(&f.w.Spread, "spread", false, "they may also be on several nodes")
	c.Flags().StringSliceVar(&f.w.Compliance, "compliance", nil, "certificates the provider must have: soc2, hipaa, fedramp")
	c.Flags().StringVar(&f.w.Region, "region", "", "where data must stay")
	c.Flags().IntVar(&f.w.Latency, "latency", 0, "time within which it must answer, in ms")
	c.Flags().StringVar(&f.w.GPU, "gpu", "", "model of the GPU")
	c.Flags().BoolVar(&f.w.TEE, "tee", false, "trusted execution")
	c.Flags().IntVar(&f.w.WithinDays, "within-days", 0, "days within which it must be usable")
	decimalVar(c, &f.w.Budget, "budget", "most it may cost, in USD a month")
	decimalVar(c, &f.price, "cloud-price", "what you pay a hyperscaler for a unit and hour, in USD")
	c.Flags().StringVar(&f.at, "case", string(place.Middle), "point of the ranges that sources give: pessimistic, middle or optimistic")
	c.Flags().StringVar(&f.offers, "offers", "", "read offers from a JSON file (- is standard input) instead of making them from the atlas")
}

// list is the offers to choose from, for one case.
func (f *placeFlags) list(c *cobra.Command, cat *atlas.Catalog, at place.Case) ([]place.Offer, error) {
	switch {
	case f.offers == "-":
		return place.ParseOffers(c.InOrStdin())
	case f.offers != "":
		r, err := os.Open(f.offers)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return place.ParseOffers(r)
	case f.price == nil:
		return nil, cliout.Failf(cliout.Usage, c.CommandPath()+" --cloud-price 4", "no source gives prices per network: say what you pay now (--cloud-price), or give the offers (--offers)")
	}
	return place.FromAtlas(cat, f.w.Service, *f.price, at)
}

// placedCase is the answer at another point of the ranges.
type placedCase struct {
	Case  place.Case   `json:"case"`
	Plan  *place.Plan  `json:"plan"`
	Saves *place.Micro `json:"saves_usd_month"`
}

type placed struct {
	place.Result
	Case  string       `json:"case,omitempty"`
	Cases []placedCase `json:"cases"`
}

func newAtlasPlace(g *globals) *cobra.Command {
	var f placeFlags
	c := &cobra.Command{
		Use: "place", Short: "Where does a workload run cheapest at the availability it needs?",
		Long: "Finds the cheapest plan over hyperscalers and shared networks: how many replicas reach the target, what the redundancy\n" +
			"and each constraint cost, and the runner-up. No source gives prices per network, so without --offers every shared network\n" +
			"has the sector's range of discount (50–80 %) and availability (97–99.4 %) against the price you give.",
		Example: "grange atlas place --service inference --availability 99.99 --cloud-price 4\n" +
			"grange atlas place --service inference --availability 99.99 --cloud-price 4 --case optimistic --gpu H100 --units 8 --within-days 30\n" +
			"grange atlas place --availability 99.9 --offers offers.json --json\n" +
			"grange atlas place batch --work-hours 200 --checkpoint 60 --cloud-price 4\n" +
			"grange atlas place burst --quota 10 --demand 5,10,30,12 --cloud-price 4",
		Args: args(),
		RunE: func(c *cobra.Command, _ []string) error {
			cat, err := g.atlas()
			if err != nil {
				return err
			}
			out, err := f.place(c, cat)
			if err != nil {
				return atlasError(c, err)
			}
			if err := g.out(c).Emit(out, func(w io.Writer) error { return writePlaced(w, out) }); err != nil {
				return err
			}
			if out.Plan == nil {
				return cliout.Failf(cliout.Refused, "give up one of: "+constraintNames(out), "no plan meets every constraint")
			}
			return nil
		},
	}
	f.add(c, "inference")
	decimalVar(c, &f.w.Target, "availability", "percent of the time at least one replica must work")
	decimalVar(c, &f.common, "common-share", "percent of a network's failures that take all of it down (assumed; default 5)")
	c.Flags().IntVar(&f.w.MaxReplicas, "max-replicas", place.MaxReplicas, "replicas at most")
	c.AddCommand(newAtlasBatch(g), newAtlasBurst(g))
	return c
}

func constraintNames(p placed) string {
	var names []string
	for _, c := range p.Constraints {
		if c.Without != nil {
			names = append(names, c.Name)
		}
	}
	return fallback(strings.Join(names, ", "), "nothing alone would help")
}

func (f *placeFlags) place(c *cobra.Command, cat *atlas.Catalog) (placed, error) {
	common := place.PPM(50_000)
	if f.common != nil {
		r := new(big.Rat).Mul(f.common.Rat(), big.NewRat(10_000, 1))
		if r.Sign() < 0 || r.Cmp(big.NewRat(1_000_000, 1)) > 0 {
			return placed{}, fmt.Errorf("%w: common share %s %%: want 0 to 100", place.ErrWorkload, f.common)
		}
		common = place.PPM(new(big.Int).Quo(r.Num(), r.Denom()).Int64())
	}
	offers, err := f.list(c, cat, place.Case(f.at))
	if err != nil {
		return placed{}, err
	}
	out := placed{Cases: []placedCase{}}
	if out.Result, err = place.Solve(f.w, offers, common); err != nil || f.offers != "" {
		return out, err
	}
	out.Case = f.at
	for _, at := range place.Cases {
		offers, err := f.list(c, cat, at)
		if err != nil {
			return placed{}, err
		}
		r, err := place.Solve(f.w, offers, common)
		if err != nil {
			return placed{}, err
		}
		out.Cases = append(out.Cases, placedCase{at, r.Plan, r.Saves})
	}
	return out, nil
}

func planText(p *place.Plan) string {
	if p == nil {
		return "none"
	}
	s := p.String() + ", $" + microText(p.Month) + " a month"
	if p.Availability != nil {
		s += ", " + p.Availability.String() + " % available"
	}
	return s
}

// microText is dollars with at most two decimals.
func microText(m place.Micro) string {
	r := big.NewRat(int64(m), 1_000_000)
	return trimZeros(r.FloatString(2))
}

func moneyText(m *place.Micro) string {
	if m == nil {
		return "–"
	}
	return "$" + microText(*m)
}

func writePlaced(w io.Writer, p placed) error {
	colors := cliout.ColorsFor(w)
	pairs := [][2]string{{"plan", colors.Bold(planText(p.Plan))}}
	if p.OverBudget != nil {
		pairs = append(pairs, [2]string{"without the budget", planText(p.OverBudget)})
	}
	pairs = append(pairs, [2]string{"runner-up", planText(p.RunnerUp)}, [2]string{"one replica", planText(p.Single)},
		[2]string{"redundancy costs", moneyText(p.Redundancy) + " a month"}, [2]string{"cheapest cloud plan", planText(p.Reference)})
	if p.Saves != nil {
		pairs = append(pairs, [2]string{"saves", moneyText(p.Saves) + " a month against it"})
	}
	share := fmt.Sprintf("%s %% of a network's failures are assumed to take all of it down", percentText(p.Common))
	if p.CommonMost != nil && p.Plan.Replicas > 1 {
		share += fmt.Sprintf("; the plan bears up to %s %%", percentText(*p.CommonMost))
	}
	pairs = append(pairs, [2]string{"common failures", share})
	if err := cliout.Pairs(w, pairs...); err != nil {
		return err
	}
	if len(p.Constraints) > 0 {
		fmt.Fprintln(w)
		t := cliout.NewTable("CONSTRAINT", "COSTS A MONTH", "CHEAPEST WITHOUT IT").Right(1)
		for _, c := range p.Constraints {
			t.Row(c.Name, moneyText(c.Saves), planText(c.Without))
		}
		if err := t.Write(w); err != nil {
			return err
		}
	}
	if len(p.Alone) > 0 {
		fmt.Fprintln(w)
		t := cliout.NewTable("OFFER", "KIND", "REPLICAS ALONE", "A MONTH", "AVAILABLE", "DISCOUNT", "BREAK-EVEN").Right(2, 3, 4, 5, 6)
		for _, a := range p.Alone {
			n := "never"
			if a.Replicas > 0 {
				n = fmt.Sprint(a.Replicas)
			}
			available := "–"
			if a.Availability != nil {
				available = a.Availability.String() + " %"
			}
			t.Row(a.Offer, a.Kind, n, moneyText(a.Month), available, figureText(a.Discount, "", " %"), figureText(a.BreakEven, "", " %"))
		}
		if err := t.Write(w); err != nil {
			return err
		}
	}
	if err := writePlaceRejected(w, p.Rejected); err != nil {
		return err
	}
	if len(p.Cases) > 0 {
		fmt.Fprintln(w)
		t := cliout.NewTable("CASE", "PLAN", "SAVES A MONTH").Right(2)
		for _, x := range p.Cases {
			name := string(x.Case)
			if name == p.Case {
				name += " (shown)"
			}
			t.Row(name, planText(x.Plan), moneyText(x.Saves))
		}
		if err := t.Write(w); err != nil {
			return err
		}
	}
	for _, a := range p.Assumed {
		fmt.Fprintf(w, "%s\n", colors.Dim("assumed: "+a))
	}
	return nil
}

func percentText(p place.PPM) string { return trimZeros(big.NewRat(int64(p), 10_000).FloatString(2)) }

func writePlaceRejected(w io.Writer, all []place.Rejected) error {
	if len(all) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	t := cliout.NewTable("REJECTED", "RULE", "WHY")
	for _, r := range all {
		t.Row(r.Offer, r.Rule, r.Why)
	}
	return t.Write(w)
}

func newAtlasBatch(g *globals) *cobra.Command {
	var f placeFlags
	b := place.Batch{}
	c := &cobra.Command{
		Use: "batch", Short: "Where does interruptible work with checkpoints run cheapest?",
		Long:    "Prices work on every eligible offer with the interval between checkpoints that costs least on it: √(2·C·MTBF).",
		Example: "grange atlas place batch --work-hours 200 --checkpoint 60 --cloud-price 4\ngrange atlas place batch --work-hours 1000 --deadline 1100 --offers offers.json --json",
		Args:    args(),
		RunE: func(c *cobra.Command, _ []string) error {
			cat, err := g.atlas()
			if err != nil {
				return err
			}
			offers, err := f.list(c, cat, place.Case(f.at))
			if err != nil {
				return atlasError(c, err)
			}
			b.Workload = f.w
			out, err := place.SolveBatch(b, offers)
			if err != nil {
				return atlasError(c, err)
			}
			if err := g.out(c).Emit(out, func(w io.Writer) error { return writeBatch(w, out) }); err != nil {
				return err
			}
			if len(out.Plans) == 0 {
				return cliout.Failf(cliout.Refused, "give up a constraint, or a later --deadline", "no offer fits the batch")
			}
			return nil
		},
	}
	f.add(c, "batch")
	c.Flags().IntVar(&b.WorkHours, "work-hours", 100, "hours of work without any interruption")
	c.Flags().IntVar(&b.Checkpoint, "checkpoint", 60, "seconds to write a checkpoint")
	c.Flags().IntVar(&b.Repair, "repair", 60, "minutes to get a node back, where an offer gives no time between failures (assumed)")
	c.Flags().IntVar(&b.Deadline, "deadline", 0, "hours after which it must be done; 0: none")
	return c
}

func writeBatch(w io.Writer, r place.BatchResult) error {
	t := cliout.NewTable("", "OFFER", "KIND", "COST", "HOURS", "OVERHEAD", "CHECKPOINT EVERY", "HOURS BETWEEN FAILURES").Right(0, 3, 4, 5, 6, 7)
	for i, p := range r.Plans {
		every, mtbf := "–", "–"
		if p.Interval > 0 {
			every = fmt.Sprintf("%d min %02d s", p.Interval/60, p.Interval%60)
		}
		if p.MTBF > 0 {
			mtbf = fmt.Sprint(p.MTBF)
		}
		if p.Derived {
			mtbf += " (derived)"
		}
		least := ""
		if p.Overhead == nil {
			least = "≥ "
		}
		t.Row(i+1, p.Offer, p.Kind, least+"$"+microText(p.Cost), figureText(p.Hours, "", ""), figureText(p.Overhead, "", " %"), every, mtbf)
	}
	if err := t.Write(w); err != nil {
		return err
	}
	return writePlaceRejected(w, r.Rejected)
}

func newAtlasBurst(g *globals) *cobra.Command {
	var f placeFlags
	var b place.Burst
	c := &cobra.Command{
		Use: "burst", Short: "Who carries what goes beyond my quota?",
		Example: "grange atlas place burst --quota 10 --demand 5,10,30,12 --cloud-price 4\ngrange atlas place burst --quota 0 --demand 8,8,8 --offers offers.json --json",
		Args:    args(),
		RunE: func(c *cobra.Command, _ []string) error {
			cat, err := g.atlas()
			if err != nil {
				return err
			}
			offers, err := f.list(c, cat, place.Case(f.at))
			if err != nil {
				return atlasError(c, err)
			}
			b.Workload, b.Cloud = f.w, f.price
			out, err := place.SolveBurst(b, offers)
			if err != nil {
				return atlasError(c, err)
			}
			if err := g.out(c).Emit(out, func(w io.Writer) error { return writeBurst(w, out) }); err != nil {
				return err
			}
			if out.Uncovered > 0 || out.Within != nil && !*out.Within {
				return cliout.Failf(cliout.Refused, "more offers, a larger --quota or a larger --budget", "%d unit hours are not covered, or the budget is exceeded", out.Uncovered)
			}
			return nil
		},
	}
	f.add(c, "burst")
	c.Flags().IntVar(&b.Quota, "quota", 0, "units that are already paid for")
	c.Flags().IntSliceVar(&b.Demand, "demand", nil, "units wanted in each hour: 5,10,30")
	return c
}

func writeBurst(w io.Writer, r place.BurstResult) error {
	pairs := [][2]string{
		{"overflow", fmt.Sprintf("%d unit hours, %d units at the peak", r.Overflow, r.Peak)}, {"own quota used", figureText(r.Used, "", " %")},
		{"costs", "$" + microText(r.Cost)}, {"on the cheapest cloud", moneyText(r.Reference)}, {"the peak rented there all the time", moneyText(r.Standing)},
	}
	if r.Uncovered > 0 {
		pairs = append(pairs, [2]string{"not covered", fmt.Sprintf("%d unit hours", r.Uncovered)})
	}
	if err := cliout.Pairs(w, pairs...); err != nil {
		return err
	}
	fmt.Fprintln(w)
	t := cliout.NewTable("OFFER", "KIND", "UNIT HOURS", "COST").Right(2, 3)
	for _, s := range r.Shares {
		t.Row(s.Offer, s.Kind, s.UnitHours, "$"+microText(s.Cost))
	}
	if err := t.Write(w); err != nil {
		return err
	}
	return writePlaceRejected(w, r.Rejected)
}
