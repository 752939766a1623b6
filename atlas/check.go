package atlas

import (
	"fmt"
	"math/big"
)

// Verdict is the outcome of a check.
type Verdict string

// The verdicts.
const (
	Agrees      Verdict = "agrees"
	Contradicts Verdict = "contradicts"
	Incomplete  Verdict = "incomplete" // the parts explain less than the whole
	UnitError   Verdict = "unit-error"
	Implies     Verdict = "implies" // neither right nor wrong: what the figures amount to
	Unknown     Verdict = "unknown" // a figure is missing
)

// Figure is one number of a check.
type Figure struct {
	Name  string  `json:"name"`
	Value Decimal `json:"value"`
	Unit  Unit    `json:"unit"`
}

// Check is one piece of arithmetic over the figures of one source.
type Check struct {
	ID       string   `json:"id"`
	Question string   `json:"question"`
	Verdict  Verdict  `json:"verdict"`
	Answer   string   `json:"answer"`
	Figures  []Figure `json:"figures"`
	Source   string   `json:"source"` // whose figures they are
}

// Checks does the arithmetic on the figures of one source: sums, shares, ratios
// and the growth they imply. Nothing in the answers is written by hand.
func (c *Catalog) Checks(source string) []Check {
	k := &checker{c: c, source: source}
	all := []Check{
		k.marketsAgainstCap(), k.shares("market-cap-share"), k.shares("revenue-share"), k.topAgainstCap(), k.topFit(), k.topCompute(),
		k.verticalCaps(), k.gpus(), k.devices(), k.deviceUnits(), k.renderShare(), k.renderOfCompute(),
	}
	for _, p := range k.projections() {
		all = append(all, k.growth(p))
	}
	for i := range all {
		all[i].Source = source
	}
	return all
}

type checker struct {
	c      *Catalog
	source string
}

// figure is the number that the source gives for a metric, in the base unit.
func (k *checker) figure(claims []Claim, metric string) *big.Rat {
	for _, c := range claims {
		if c.Metric == metric && c.Source == k.source {
			return c.Point()
		}
	}
	return nil
}

func (k *checker) sector(metric string) *big.Rat { return k.figure(k.c.Sector.Claims, metric) }

func (k *checker) network(id, metric string) *big.Rat {
	if e, ok := k.c.Entry(id); ok {
		return k.figure(e.Claims, metric)
	}
	return nil
}

func (k *checker) vertical(v Vertical, metric string) *big.Rat {
	if r := k.c.Vertical(v); r != nil {
		return k.figure(r.Claims, metric)
	}
	return nil
}

func sum(all []*big.Rat) *big.Rat {
	total := new(big.Rat)
	for _, r := range all {
		if r == nil {
			return nil
		}
		total.Add(total, r)
	}
	return total
}

func div(a, b *big.Rat) *big.Rat {
	if a == nil || b == nil || b.Sign() == 0 {
		return nil
	}
	return new(big.Rat).Quo(a, b)
}

// check fills in the figures; a missing one makes the verdict unknown.
func (k *checker) check(id, question string, figures []namedFigure, judge func() (Verdict, string)) Check {
	out := Check{ID: id, Question: question}
	for _, f := range figures {
		if f.value == nil {
			out.Verdict, out.Answer = Unknown, "no figure for "+f.name
			return out
		}
		out.Figures = append(out.Figures, Figure{Name: f.name, Value: *precise(f.value), Unit: f.unit})
	}
	out.Verdict, out.Answer = judge()
	return out
}

type namedFigure struct {
	name  string
	value *big.Rat
	unit  Unit
}

func precise(r *big.Rat) *Decimal {
	d, err := DecimalFromRat(r, 4)
	if err != nil {
		return &Decimal{}
	}
	return &d
}

func (k *checker) over(metric string) []*big.Rat {
	var all []*big.Rat
	for _, v := range Verticals {
		all = append(all, k.vertical(v, metric))
	}
	return all
}

func (k *checker) marketsAgainstCap() Check {
	tam, marketCap := sum(k.over("tam")), k.sector("market-cap")
	return k.check("markets-against-cap", "Do the addressable markets reach the market capitalisation?",
		[]namedFigure{{"sum of the verticals' markets", tam, "USD"}, {"market capitalisation", marketCap, "USD"}},
		func() (Verdict, string) {
			if tam.Cmp(marketCap) >= 0 {
				return Agrees, fmt.Sprintf("the markets sum to %s, at least the capitalisation of %s", usd(tam), usd(marketCap))
			}
			return Contradicts, fmt.Sprintf("the markets sum to %s, below the capitalisation of %s: the tokens would be worth more than all that could be sold with them", usd(tam), usd(marketCap))
		})
}

func (k *checker) shares(metric string) Check {
	total := sum(k.over(metric))
	return k.check(metric+"-sum", "Do the verticals' shares ("+k.name(metric)+") make a whole?",
		[]namedFigure{{"sum of the shares", percent(total), "%"}},
		func() (Verdict, string) {
			if total.Cmp(big.NewRat(1, 1)) == 0 {
				return Agrees, "they sum to 100 %"
			}
			return Contradicts, fmt.Sprintf("they sum to %s %%", percent(total).FloatString(1))
		})
}

func (k *checker) name(metric string) string {
	if m, ok := k.c.Metric(metric); ok {
		return m.Name
	}
	return metric
}

// top is the sum of the market capitalisations of the top list, of one
// vertical when v is set.
func (k *checker) top(v Vertical) *big.Rat {
	var all []*big.Rat
	for _, r := range k.c.Sector.Top {
		if e, ok := k.c.Entry(r.Network); ok && (v == "" || e.Vertical == v) {
			all = append(all, k.figure(e.Claims, "market-cap"))
		}
	}
	return sum(all)
}

func (k *checker) topAgainstCap() Check {
	top, marketCap := k.top(""), k.sector("market-cap")
	part := div(top, marketCap)
	return k.check("top-against-cap", "How much of the market capitalisation are the largest networks?",
		[]namedFigure{{"sum of the largest", top, "USD"}, {"market capitalisation", marketCap, "USD"}, {"part", percent(part), "%"}},
		func() (Verdict, string) {
			text := fmt.Sprintf("the %d largest hold %s, %s %% of %s", len(k.c.Sector.Top), usd(top), percent(part).FloatString(0), usd(marketCap))
			if part.Cmp(big.NewRat(1, 2)) < 0 {
				return Incomplete, text + "; the rest would be spread over networks that are each smaller than the smallest of them"
			}
			return Agrees, text
		})
}

func (k *checker) topFit() Check {
	top := k.top("")
	var other *Claim
	for i, c := range k.c.Sector.Claims {
		if c.Metric == "market-cap" && c.Source != k.source {
			other = &k.c.Sector.Claims[i]
		}
	}
	if other == nil {
		return Check{ID: "top-fit", Question: "Which total do the largest networks fit?", Verdict: Unknown, Answer: "no other source gives a total"}
	}
	theirs, own := other.Point(), k.sector("market-cap")
	return k.check("top-fit", "Which total do the largest networks fit?",
		[]namedFigure{{"sum of the largest", top, "USD"}, {"total of " + k.source, own, "USD"}, {"total of " + other.Source, theirs, "USD"}},
		func() (Verdict, string) {
			gap := func(a *big.Rat) *big.Rat { return new(big.Rat).Abs(new(big.Rat).Sub(top, a)) }
			if gap(theirs).Cmp(gap(own)) < 0 {
				return Contradicts, fmt.Sprintf("%s lies nearer to the %s of %s than to the source's own %s", usd(top), usd(theirs), other.Source, usd(own))
			}
			return Agrees, fmt.Sprintf("%s lies nearer to the source's own %s", usd(top), usd(own))
		})
}

func (k *checker) topCompute() Check {
	part := div(k.top(Compute), k.top(""))
	share := k.vertical(Compute, "market-cap-share")
	return k.check("top-compute", "Is compute's part of the largest networks its share of the market?",
		[]namedFigure{{"part of the largest", percent(part), "%"}, {"stated share", percent(share), "%"}},
		func() (Verdict, string) {
			text := fmt.Sprintf("compute is %s %% of the largest networks and is given %s %% of the market", percent(part).FloatString(0), percent(share).FloatString(0))
			if new(big.Rat).Abs(new(big.Rat).Sub(part, share)).Cmp(big.NewRat(1, 10)) > 0 {
				return Contradicts, text
			}
			return Agrees, text
		})
}

func (k *checker) verticalCaps() Check {
	marketCap, share, top := k.sector("market-cap"), k.vertical(Wireless, "market-cap-share"), k.top(Wireless)
	implied := new(big.Rat)
	if marketCap != nil && share != nil {
		implied.Mul(marketCap, share)
	}
	return k.check("wireless-cap", "Does the leader of wireless fit the vertical's share?",
		[]namedFigure{{"share of the market capitalisation", implied, "USD"}, {"named wireless networks among the largest", top, "USD"}},
		func() (Verdict, string) {
			part := div(top, implied)
			text := fmt.Sprintf("the share amounts to %s, the named leader to %s, %s %% of it", usd(implied), usd(top), percent(part).FloatString(0))
			if part.Cmp(big.NewRat(1, 2)) < 0 {
				return Incomplete, text
			}
			return Agrees, text
		})
}

// namedGPUs is the sum of the fleets that the source gives by name.
func (k *checker) namedGPUs() *big.Rat {
	named := new(big.Rat)
	for _, e := range k.c.Entries {
		if g := k.figure(e.Claims, "gpus"); g != nil {
			named.Add(named, g)
		}
	}
	return named
}

func (k *checker) gpus() Check {
	named, total := k.namedGPUs(), k.vertical(Compute, "gpus")
	return k.check("gpus", "Do the named fleets make up the vertical's GPUs?",
		[]namedFigure{{"named fleets", named, "1"}, {"the vertical", total, "1"}},
		func() (Verdict, string) {
			text := fmt.Sprintf("named fleets sum to %s of %s (%s %%)", count(named), count(total), percent(div(named, total)).FloatString(0))
			if named.Cmp(total) > 0 {
				return Contradicts, text
			}
			return Incomplete, text
		})
}

func (k *checker) devices() Check {
	parts := sum([]*big.Rat{k.vertical(Sensing, "devices"), k.vertical(Compute, "gpus"), k.vertical(Wireless, "devices")})
	total := k.sector("devices")
	return k.check("devices", "Do the verticals make up the sector's devices?",
		[]namedFigure{{"sensors, GPUs and hotspots", parts, "1"}, {"the sector", total, "1"}},
		func() (Verdict, string) {
			text := fmt.Sprintf("the counted verticals sum to %s of %s", count(parts), count(total))
			if parts.Cmp(total) > 0 {
				return Contradicts, text
			}
			rest := new(big.Rat).Sub(total, parts)
			return Incomplete, text + "; " + count(rest) + " devices belong to verticals without a count"
		})
}

// deviceUnits finds verticals whose row of devices holds another dimension.
func (k *checker) deviceUnits() Check {
	out := Check{ID: "device-units", Question: "Does the column of device counts hold counts?", Verdict: Agrees, Answer: "every figure is a count"}
	for _, v := range k.c.Verticals {
		for _, c := range v.Claims {
			dim, _ := c.Unit.Dimension()
			if c.Source != k.source || dim != "data" || c.Value == nil {
				continue
			}
			out.Verdict = UnitError
			out.Answer = fmt.Sprintf("%s is given %s %s, which are bytes and no devices", v.Name, c.Value, c.Unit)
			out.Figures = append(out.Figures, Figure{Name: v.Name, Value: *c.Value, Unit: c.Unit})
		}
	}
	return out
}

func (k *checker) renderShare() Check {
	render, sector := k.network("render", "revenue"), k.sector("revenue")
	part := div(render, sector)
	return k.check("render-of-sector", "How much of the sector's revenue is Render's?",
		[]namedFigure{{"Render, a month", render, "USD/mo"}, {"the sector, a month", sector, "USD/mo"}, {"part", percent(part), "%"}},
		func() (Verdict, string) {
			return Implies, fmt.Sprintf("%s of %s is %s %%", usd(render), usd(sector), percent(part).FloatString(0))
		})
}

func (k *checker) renderOfCompute() Check {
	share := k.vertical(Compute, "revenue-share")
	var compute *big.Rat
	if s := k.sector("revenue"); s != nil && share != nil {
		compute = new(big.Rat).Mul(s, share)
	}
	render := k.network("render", "revenue")
	part := div(render, compute)
	return k.check("render-of-compute", "How much of compute's revenue is Render's?",
		[]namedFigure{{"Render, a month", render, "USD/mo"}, {"compute, a month", compute, "USD/mo"}, {"part", percent(part), "%"}, {"Render's GPUs", k.network("render", "gpus"), "1"}},
		func() (Verdict, string) {
			rest := new(big.Rat).Sub(k.namedGPUs(), k.network("render", "gpus"))
			return Implies, fmt.Sprintf("%s of %s is %s %%; the other named fleets, %s GPUs, would share the rest", usd(render), usd(compute), percent(part).FloatString(0), count(rest))
		})
}
