package project

import (
	"fmt"
	"math"
	"math/big"
	"slices"

	"github.com/grange-network/grange/atlas"
)

// BreakEven is the number of months until revenue, growing by growth a month,
// covers an emission that falls by decay a month: ln(E/R)/ln((1+g)/(1−d)).
// It is 0 when it already does, and nil when it never will.
func BreakEven(emission, revenue, growth, decay float64) *atlas.Decimal {
	switch pace := (1 + growth) / (1 - decay); {
	case emission <= revenue:
		return &atlas.Decimal{}
	case revenue <= 0 || !(pace > 1) || math.IsInf(pace, 0):
		return nil
	default:
		return float(math.Log(emission/revenue)/math.Log(pace), 1)
	}
}

func float(f float64, places int) *atlas.Decimal {
	r := new(big.Rat).SetFloat64(f)
	if r == nil {
		return nil
	}
	d, err := atlas.DecimalFromRat(r, places)
	if err != nil {
		return nil
	}
	return &d
}

// Dilution is the part of a holding's share that a year of monthly net issuance
// i (of the supply) takes: 1 − (1+i)^−12, in millionths. Burning more than is
// issued makes it negative.
func Dilution(i PPM) PPM {
	base := new(big.Rat).Add(big.NewRat(1, 1), big.NewRat(int64(i), million))
	if base.Sign() <= 0 {
		return 0
	}
	year := big.NewRat(1, 1)
	for range 12 {
		year.Mul(year, base)
	}
	lost := new(big.Rat).Sub(big.NewRat(1, 1), year.Inv(year))
	lost.Mul(lost, big.NewRat(million, 1))
	return PPM(new(big.Int).Quo(lost.Num(), lost.Denom()).Int64())
}

// HHI is the Herfindahl-Hirschman index of parts, 0 to 10000: the sum of the
// squares of their shares in percent. Nil when there is nothing to share.
func HHI(parts []*big.Rat) *atlas.Decimal {
	total := new(big.Rat)
	for _, p := range parts {
		total.Add(total, p)
	}
	if total.Sign() <= 0 {
		return nil
	}
	sum := new(big.Rat)
	for _, p := range parts {
		share := new(big.Rat).Quo(p, total)
		sum.Add(sum, share.Mul(share, share))
	}
	d, err := atlas.DecimalFromRat(sum.Mul(sum, big.NewRat(10_000, 1)), 0)
	if err != nil {
		return nil
	}
	return &d
}

// Top is the share in percent of the n largest parts.
func Top(parts []*big.Rat, n int) *atlas.Decimal {
	total, top := new(big.Rat), new(big.Rat)
	sorted := slices.Clone(parts)
	slices.SortFunc(sorted, func(a, b *big.Rat) int { return b.Cmp(a) })
	for i, p := range sorted {
		total.Add(total, p)
		if i < n {
			top.Add(top, p)
		}
	}
	if total.Sign() <= 0 {
		return nil
	}
	d, err := atlas.DecimalFromRat(top.Mul(top.Quo(top, total), big.NewRat(100, 1)), 1)
	if err != nil {
		return nil
	}
	return &d
}

// TheilSen is the median of the slopes between all pairs of values at equal
// steps (Sen 1968): a trend that one outlier cannot turn. NaN for fewer than two.
func TheilSen(values []float64) float64 {
	var slopes []float64
	for i, a := range values {
		for j := i + 1; j < len(values); j++ {
			slopes = append(slopes, (values[j]-a)/float64(j-i))
		}
	}
	if len(slopes) == 0 {
		return math.NaN()
	}
	slices.Sort(slopes)
	mid := len(slopes) / 2
	if len(slopes)%2 == 1 {
		return slopes[mid]
	}
	return (slopes[mid-1] + slopes[mid]) / 2
}

// Flow is one month of a network's accounts. Nil is unknown.
type Flow struct {
	Month    atlas.Date      `json:"month"`
	Revenue  *atlas.Decimal  `json:"revenue_usd"`
	Emission *atlas.Decimal  `json:"emission_usd"`
	Issued   *atlas.Decimal  `json:"issued_tokens"` // less burned; may be negative
	Supply   *atlas.Decimal  `json:"supply_tokens"`
	Treasury *atlas.Decimal  `json:"treasury_usd"`
	Spend    *atlas.Decimal  `json:"spend_usd"` // of the treasury, net of its income
	Payers   []atlas.Decimal `json:"payers_usd"`
}

// Health is what a network's figures say of its sustainability. Nil is unknown.
type Health struct {
	Network  string         `json:"network"`
	Name     string         `json:"name"`
	AsOf     atlas.Date     `json:"as_of"`
	Coverage *atlas.Decimal `json:"coverage"`            // revenue over emission
	Subsidy  *atlas.Decimal `json:"subsidy_percent"`     // emission of emission and revenue
	Dilution *atlas.Decimal `json:"dilution_percent"`    // of a year
	Runway   *atlas.Decimal `json:"runway_months"`       // treasury over what it spends
	Trend    *atlas.Decimal `json:"trend_percent_month"` // Theil-Sen slope of ln coverage over the last six months
	HHI      *atlas.Decimal `json:"payer_hhi"`
	Top5     *atlas.Decimal `json:"payer_top5_percent"`
	Used     *atlas.Decimal `json:"utilisation_percent"`
	PerSales *atlas.Decimal `json:"cap_to_yearly_revenue"` // market capitalisation over twelve months of revenue
	Claims   []atlas.Claim  `json:"claims"`
	Missing  []string       `json:"missing"`
	Notes    []string       `json:"notes"`
}

func quotient(a, b *atlas.Decimal, times int64, places int) *atlas.Decimal {
	if a == nil || b == nil || b.Sign() == 0 {
		return nil
	}
	r := new(big.Rat).Quo(a.Rat(), b.Rat())
	d, err := atlas.DecimalFromRat(r.Mul(r, big.NewRat(times, 1)), places)
	if err != nil {
		return nil
	}
	return &d
}

// Measure computes the health of a network from its monthly accounts, oldest
// first. The last month gives the levels, the last six the trend.
func Measure(network string, flows []Flow) Health {
	h := Health{Network: network, Name: network, Claims: []atlas.Claim{}, Missing: []string{}, Notes: []string{}}
	if len(flows) > 0 {
		last := flows[len(flows)-1]
		h.AsOf = last.Month
		h.Coverage = quotient(last.Revenue, last.Emission, 1, 4)
		h.Subsidy = subsidy(h.Coverage)
		h.Runway = quotient(last.Treasury, last.Spend, 1, 1)
		if i := quotient(last.Issued, last.Supply, million, 0); i != nil {
			h.Dilution = quotient(decimalOf(int64(Dilution(PPM(i.Rat().Num().Int64())))), decimalOf(million), 100, 2)
		}
		var payers []*big.Rat
		for _, p := range last.Payers {
			payers = append(payers, p.Rat())
		}
		h.HHI, h.Top5 = HHI(payers), Top(payers, 5)
		h.Trend = trend(flows)
	}
	h.note()
	return h
}

func decimalOf(n int64) *atlas.Decimal { d := atlas.DecimalOf(n); return &d }

// subsidy is E/(E+R) = 1/(1+coverage), in percent.
func subsidy(coverage *atlas.Decimal) *atlas.Decimal {
	if coverage == nil {
		return nil
	}
	r := new(big.Rat).Add(big.NewRat(1, 1), coverage.Rat())
	d, err := atlas.DecimalFromRat(r.Mul(r.Inv(r), big.NewRat(100, 1)), 1)
	if err != nil {
		return nil
	}
	return &d
}

// trend is the slope of ln(revenue/emission) over the last six months, in
// percent a month; nil when one of them is unknown or not positive.
func trend(flows []Flow) *atlas.Decimal {
	var logs []float64
	for _, f := range flows[max(0, len(flows)-6):] {
		if f.Revenue == nil || f.Emission == nil || f.Revenue.Sign() <= 0 || f.Emission.Sign() <= 0 {
			return nil
		}
		r, _ := new(big.Rat).Quo(f.Revenue.Rat(), f.Emission.Rat()).Float64()
		logs = append(logs, math.Log(r))
	}
	if len(logs) < 2 {
		return nil
	}
	return float(TheilSen(logs)*100, 2)
}

func (h *Health) note() {
	for _, x := range []struct {
		name  string
		value *atlas.Decimal
	}{{"emission beside revenue", h.Coverage}, {"net issuance", h.Dilution}, {"treasury and its spending", h.Runway}, {"six months of both", h.Trend}, {"who pays", h.HHI}} {
		if x.value == nil {
			h.Missing = append(h.Missing, x.name)
		}
	}
}

// FromAtlas measures every network that has a claim to measure it by.
func FromAtlas(c *atlas.Catalog) []Health {
	var all []Health
	for _, e := range c.Entries {
		if h, ok := fromClaims(e); ok && e.Role == atlas.Network {
			all = append(all, h)
		}
	}
	return all
}

// use adds a claim; the figures are as old as the oldest of them, and of no
// known date when one has none.
func (h *Health) use(c atlas.Claim) {
	if len(h.Claims) == 0 || h.AsOf.Fresher(c.AsOf) {
		h.AsOf = c.AsOf
	}
	for _, other := range h.Claims {
		if n := atlas.MonthsApart(other.AsOf, c.AsOf); n >= 6 {
			h.Notes = append(h.Notes, fmt.Sprintf("%s and %s are %d months apart", other.Metric, c.Metric, n))
		}
	}
	h.Claims = append(h.Claims, c)
}

func fromClaims(e atlas.Entry) (Health, bool) {
	h := Health{Network: e.ID, Name: e.Name, Claims: []atlas.Claim{}, Missing: []string{}, Notes: []string{}}
	use := func(metric string, unit atlas.Unit) *atlas.Decimal {
		c := atlas.Shown(e.Claims, metric)
		if c == nil || c.Value == nil {
			return nil
		}
		r, err := c.Unit.Convert(*c.Value, unit)
		if err != nil {
			return nil
		}
		d, err := atlas.DecimalFromRat(r, 6)
		if err != nil {
			return nil
		}
		h.use(*c)
		return &d
	}
	h.Coverage = use("coverage", "x")
	h.Subsidy = subsidy(h.Coverage)
	h.Used = use("utilisation", "%")
	revenue := use("revenue", "USD/a")
	h.PerSales = quotient(use("market-cap", "USD"), revenue, 1, 1)
	h.note()
	return h, h.Coverage != nil || h.Used != nil || revenue != nil
}

// Concentration is how much of something few hold.
type Concentration struct {
	Of   string         `json:"of"`
	HHI  *atlas.Decimal `json:"hhi"`         // 0 to 10000
	Top  *atlas.Decimal `json:"top_percent"` // of the largest
	Name string         `json:"largest"`
}

// SectorConcentration measures the concentration of the market over verticals,
// over the largest networks, and of GPUs over the named fleets.
func SectorConcentration(c *atlas.Catalog) []Concentration {
	verticals := func(metric string) (names []string, parts []*big.Rat) {
		for _, v := range c.Verticals {
			if x := atlas.Shown(v.Claims, metric); x != nil && x.Point() != nil {
				names, parts = append(names, v.Name), append(parts, x.Point())
			}
		}
		return names, parts
	}
	networks := func(metric string) (names []string, parts []*big.Rat) {
		for _, e := range c.Entries {
			if x := atlas.Shown(e.Claims, metric); x != nil && x.Point() != nil {
				names, parts = append(names, e.Name), append(parts, x.Point())
			}
		}
		return names, parts
	}
	var all []Concentration
	for _, x := range []struct {
		of  string
		get func(string) ([]string, []*big.Rat)
		by  string
	}{
		{"market capitalisation over verticals", verticals, "market-cap-share"}, {"revenue over verticals", verticals, "revenue-share"},
		{"market capitalisation over the networks that have a figure", networks, "market-cap"}, {"GPUs over the fleets that have a figure", networks, "gpus"},
	} {
		names, parts := x.get(x.by)
		k := Concentration{Of: x.of, HHI: HHI(parts), Top: Top(parts, 1)}
		for i, p := range parts {
			if slices.IndexFunc(parts, func(q *big.Rat) bool { return q.Cmp(p) > 0 }) < 0 {
				k.Name = names[i]
				break
			}
		}
		all = append(all, k)
	}
	return all
}
