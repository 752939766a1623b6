package project

import (
	"math"
	"math/big"
	"slices"

	"github.com/grange-network/grange/atlas"
)

// Band is the tenth, the middle and the ninetieth percentile over all runs
// (nearest rank). Null is "no such value in that run": an emission of nothing
// has no coverage, and a network that never breaks even has no month.
type Band struct {
	P10 *atlas.Decimal `json:"p10"`
	P50 *atlas.Decimal `json:"p50"`
	P90 *atlas.Decimal `json:"p90"`
}

// Month is one month of the fan chart.
type Month struct {
	Month      int  `json:"month"`
	Revenue    Band `json:"revenue_usd"`
	Emission   Band `json:"emission_usd"`
	Coverage   Band `json:"coverage"`
	Subsidy    Band `json:"subsidy"` // emission of emission and revenue
	Providers  Band `json:"providers"`
	Used       Band `json:"utilisation"`
	TokenPrice Band `json:"token_usd"`
	Supply     Band `json:"supply_tokens"`
	Treasury   Band `json:"treasury_usd"`
	HHI        Band `json:"hhi"`
}

// Outcome is a month that some runs reach.
type Outcome struct {
	Reached *atlas.Decimal `json:"reached_percent"` // of the runs
	Month   Band           `json:"month"`           // over the runs that reach it; null where none does
}

// Scenario is the result of all runs.
type Scenario struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	About     string         `json:"about"`
	Seed      uint64         `json:"seed"`
	Runs      int            `json:"runs"`
	Months    []Month        `json:"months"`
	BreakEven Outcome        `json:"break_even"`         // first month in which revenue covers emission
	Exhausted Outcome        `json:"exhausted"`          // first month in which the treasury cannot pay what it should
	Formula   *atlas.Decimal `json:"break_even_formula"` // ln(E0/R0)/ln((1+g)/(1−d)), months, without chance or limits; null when never
	Final     Month          `json:"final"`
	Basis     []Basis        `json:"basis"`
	Points    []string       `json:"points"`
	Source    string         `json:"source"`
}

// Run runs the scenario. The same parameters give the same result, byte for byte.
func Run(p Params) (Scenario, error) {
	if err := p.Validate(); err != nil {
		return Scenario{}, err
	}
	runs := make([][]month, p.Runs)
	for n := range runs {
		runs[n] = p.run(p.Seed, n)
	}
	out := Scenario{ID: p.ID, Name: p.Name, About: p.About, Seed: p.Seed, Runs: p.Runs, Basis: p.Basis, Points: p.Points, Source: p.Source}
	for m := range p.Months {
		out.Months = append(out.Months, fan(runs, m))
	}
	out.BreakEven = outcome(runs, func(s month) bool { return s.coverage >= million })
	out.Exhausted = outcome(runs, func(s month) bool { return s.unpaid > 0 })
	out.Final = out.Months[len(out.Months)-1]
	out.Formula = p.formula(runs[0][0])
	return out, nil
}

func fan(runs [][]month, m int) Month {
	over := func(scale int64, get func(month) int64) Band {
		values := make([]int64, len(runs))
		for i, r := range runs {
			values[i] = get(r[m])
		}
		return band(values, scale)
	}
	return Month{
		Month:      m,
		Revenue:    over(million, func(s month) int64 { return s.revenue }),
		Emission:   over(million, func(s month) int64 { return s.emission }),
		Coverage:   over(million, func(s month) int64 { return s.coverage }),
		Subsidy:    over(million, func(s month) int64 { return int64(s.subsidy) }),
		Providers:  over(1, func(s month) int64 { return s.providers }),
		Used:       over(million, func(s month) int64 { return int64(s.used) }),
		TokenPrice: over(million, func(s month) int64 { return s.tokenPrice }),
		Supply:     over(million, func(s month) int64 { return s.supply }),
		Treasury:   over(million, func(s month) int64 { return s.treasury }),
		HHI:        over(1, func(s month) int64 { return s.hhi }),
	}
}

// band takes the percentiles of values counted in 1/scale.
func band(values []int64, scale int64) Band {
	if len(values) == 0 {
		return Band{}
	}
	slices.Sort(values)
	at := func(percent int) *atlas.Decimal {
		i := max(0, (len(values)*percent+99)/100-1) // nearest rank
		if values[i] == math.MaxInt64 {
			return nil
		}
		d, err := atlas.DecimalFromRat(big.NewRat(values[i], scale), 6)
		if err != nil {
			return nil
		}
		return &d
	}
	return Band{at(10), at(50), at(90)}
}

func outcome(runs [][]month, happened func(month) bool) Outcome {
	var first []int64
	for _, r := range runs {
		if i := slices.IndexFunc(r, happened); i >= 0 {
			first = append(first, int64(i))
		}
	}
	reached, err := atlas.DecimalFromRat(big.NewRat(int64(len(first))*100, int64(len(runs))), 1)
	if err != nil {
		return Outcome{}
	}
	return Outcome{&reached, band(first, 1)}
}

// formula is the break-even month if demand grew evenly and only time and the
// token's drift changed the value of the emission.
func (p Params) formula(first month) *atlas.Decimal {
	if first.emission == 0 || first.revenue == 0 {
		return nil
	}
	growth := float64(million+p.Change.Demand) / million * float64(million+p.Change.Price) / million
	decay := math.Exp2(-1/float64(p.Emission.HalfLife)) * float64(million+p.Change.Token) / million
	return BreakEven(float64(first.emission), float64(first.revenue), growth-1, 1-decay)
}
