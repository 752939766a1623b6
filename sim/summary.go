package sim

import (
	"slices"

	"github.com/grange-network/grange/core/money"
)

// Spread is a number over many runs: its percentiles, by nearest rank.
type Spread struct {
	P5  int64 `json:"p5"`
	P25 int64 `json:"p25"`
	P50 int64 `json:"p50"`
	P75 int64 `json:"p75"`
	P95 int64 `json:"p95"`
	Max int64 `json:"max"`
}

// SpreadOf sorts values, which must not be empty, and reads the percentiles.
func SpreadOf(values []int64) Spread {
	v := slices.Clone(values)
	slices.Sort(v)
	rank := func(p int) int64 { return v[max((p*len(v)+99)/100, 1)-1] }
	return Spread{rank(5), rank(25), rank(50), rank(75), rank(95), v[len(v)-1]}
}

// Line is a quantity of a day that is shown: its name, unit and value.
type Line struct {
	Name  string
	Unit  string // usd: ucredit, shown as dollars; bps and ppm: shown as per cent; count
	Value func(Day) int64
}

// Lines are the quantities of every day that tables, files and plots show.
var Lines = []Line{
	{"revenue a day", "usd", func(d Day) int64 { return int64(d.Revenue) }},
	{"emission a day", "usd", func(d Day) int64 { return int64(d.EmissionUSD) }},
	{"emission of revenue", "bps", func(d Day) int64 {
		return int64(mulDiv(d.EmissionUSD, uint64(money.Whole), max(d.Revenue, 1)))
	}},
	{"emission of the schedule", "bps", func(d Day) int64 { return int64(mulDiv(d.Emission, uint64(money.Whole), max(d.Released, 1))) }},
	{"provider income, TB and day", "usd", func(d Day) int64 { return d.Income }},
	{"return in 90 days", "bps", func(d Day) int64 { return d.Return }},
	{"providers", "count", func(d Day) int64 { return int64(d.Providers) }},
	{"capacity held", "bps", func(d Day) int64 {
		return int64(mulDiv(d.HeldTB, uint64(money.Whole), max(d.CapacityTB, 1)))
	}},
	{"price of storage", "ppm", func(d Day) int64 { return int64(d.PriceLevel) }},
	{"price of GRAIN", "usd", func(d Day) int64 { return int64(d.Price) }},
	{"collateral", "bps", func(d Day) int64 { return int64(min(d.Collateral, 10*uint64(money.Whole))) }},
	{"waiting to be redeemed", "usd", func(d Day) int64 { return int64(d.Waiting) }},
	{"supply, millions", "count", func(d Day) int64 { return int64(d.Supply / grainOf / 1_000_000) }},
	{"concentration (HHI)", "bps", func(d Day) int64 { return int64(d.HHI) }},
}

// Figure is a quantity of whole runs: over their last 90 days unless its name
// says otherwise.
type Figure struct {
	Name   string `json:"name"`
	Unit   string `json:"unit"`
	Spread Spread `json:"spread"`
}

// Summary is a scenario over its runs.
type Summary struct {
	Scenario string          `json:"scenario"`
	About    string          `json:"about"`
	Days     int             `json:"days"`
	Runs     int             `json:"runs"`
	First    uint64          `json:"first_seed"`
	Figures  []Figure        `json:"figures"`
	Attacks  []AttackFigures `json:"attacks,omitempty"`
}

// Rounding is a profit, in ucredit, that counts as none: a ten-thousandth of a
// dollar over a whole run.
const Rounding = 100

// AttackFigures is an attack over its runs, in ucredit.
type AttackFigures struct {
	Kind     string `json:"kind"`
	Title    string `json:"title"`
	Volume   Spread `json:"volume_ucredit"`
	Profit   Spread `json:"profit_ucredit"`
	PerMille Spread `json:"profit_per_1000_usd_ucredit"`
	Wins     int    `json:"runs_with_profit"`
	Held     string `json:"held_by,omitempty"`
}

// Summarize reads the percentiles of runs of a scenario, which must not be empty.
func Summarize(s Scenario, results []Result) Summary {
	sum := Summary{Scenario: s.Name, About: s.About, Days: s.Days, Runs: len(results), First: results[0].Seed}
	figure := func(name, unit string, value func(Result) int64) {
		values := make([]int64, len(results))
		for i, r := range results {
			values[i] = value(r)
		}
		sum.Figures = append(sum.Figures, Figure{name, unit, SpreadOf(values)})
	}
	for _, l := range Lines {
		figure(l.Name, l.Unit, func(r Result) int64 { return meanOf(lastDays(r.Days), l.Value) })
	}
	figure("collateral, least of all days", "bps", func(r Result) int64 {
		least := int64(10 * money.Whole)
		for _, d := range r.Days {
			least = min(least, int64(d.Collateral))
		}
		return least
	})
	figure("days with redemption halted", "count", func(r Result) (n int64) {
		for _, d := range r.Days {
			if d.Halted {
				n++
			}
		}
		return n
	})
	figure("emission of revenue, all days", "bps", func(r Result) int64 {
		var revenue, emission uint64
		for _, d := range r.Days {
			revenue, emission = revenue+d.Revenue, emission+d.EmissionUSD
		}
		return int64(mulDiv(emission, uint64(money.Whole), max(revenue, 1)))
	})
	figure("concentration (HHI), greatest of all days", "bps", func(r Result) (most int64) {
		for _, d := range r.Days {
			most = max(most, int64(d.HHI))
		}
		return most
	})
	figure("providers that entered", "count", func(r Result) int64 { return int64(r.Entered) })
	figure("providers that left", "count", func(r Result) int64 { return int64(r.Left) })
	for i := range s.Attackers {
		sum.Attacks = append(sum.Attacks, attackFigures(results, i))
	}
	return sum
}

func attackFigures(results []Result, at int) AttackFigures {
	f := AttackFigures{Kind: results[0].Attacks[at].Kind}
	for _, k := range Attacks {
		if k.Kind == f.Kind {
			f.Title, f.Held = k.Title, k.Held
		}
	}
	var volume, profit, per []int64
	for _, r := range results {
		a := r.Attacks[at]
		volume, profit, per = append(volume, int64(a.Volume)), append(profit, a.Profit), append(per, a.PerMille())
		if a.Profit > Rounding {
			f.Wins++
		}
	}
	f.Volume, f.Profit, f.PerMille = SpreadOf(volume), SpreadOf(profit), SpreadOf(per)
	return f
}

func lastDays(days []Day) []Day { return days[max(len(days)-meanDays, 0):] }

func meanOf(days []Day, value func(Day) int64) int64 {
	var sum int64
	for _, d := range days {
		sum += value(d)
	}
	return sum / int64(max(len(days), 1))
}

// Fan is a quantity of each day over many runs.
func Fan(results []Result, l Line) []Spread {
	fan := make([]Spread, 0, len(results[0].Days))
	values := make([]int64, len(results))
	for day := range results[0].Days {
		for i, r := range results {
			values[i] = l.Value(r.Days[day])
		}
		fan = append(fan, SpreadOf(values))
	}
	return fan
}
