package atlas

import (
	"fmt"
	"math/big"
	"strings"
)

// Projection is a market capitalisation somebody expects for a year.
type Projection struct {
	Name      string   `json:"name"`
	Low, High *big.Rat `json:"-"`
	Year      int      `json:"year"`
}

// projections are the expectations for 2028: of entries (quoted research) and
// of the sector.
func (k *checker) projections() []Projection {
	var all []Projection
	collect := func(name string, claims []Claim) {
		for _, c := range claims {
			if low, high := c.Range(); c.Metric == "market-cap-2028" && c.Source == k.source && low != nil && high != nil {
				all = append(all, Projection{Name: name, Low: low, High: high, Year: 2028})
			}
		}
	}
	collect("the base case", k.c.Sector.Claims)
	for _, e := range k.c.Entries {
		collect(e.Name+"'s projection", e.Claims)
	}
	return all
}

func (k *checker) growth(p Projection) Check {
	start := k.sector("market-cap")
	years := p.Year - 2026
	id := "growth-" + strings.ToLower(strings.NewReplacer(" ", "-", "'", "").Replace(p.Name))
	return k.check(id, "What yearly growth does "+p.Name+" for "+fmt.Sprint(p.Year)+" ask for?",
		[]namedFigure{{"from", start, "USD"}, {"to, low", p.Low, "USD"}, {"to, high", p.High, "USD"}},
		func() (Verdict, string) {
			low, high := div(p.Low, start), div(p.High, start)
			times, yearly := low.FloatString(0), YearlyGrowth(low, years).FloatString(0)
			if low.Cmp(high) != 0 {
				times += " to " + high.FloatString(0)
				yearly += " to " + YearlyGrowth(high, years).FloatString(0)
			}
			return Implies, fmt.Sprintf("%s times in %d years: %s %% a year", times, years, yearly)
		})
}

// YearlyGrowth is the growth in percent a year that multiplies by ratio in the
// given number of years: 100·(ratio^(1/years) − 1), to a hundredth of a percent.
func YearlyGrowth(ratio *big.Rat, years int) *big.Rat {
	if ratio.Sign() <= 0 || years < 1 {
		return new(big.Rat)
	}
	const scale = 10_000 // hundredths of a percent
	low, high := big.NewInt(0), new(big.Int).Add(new(big.Int).Quo(new(big.Int).Mul(ratio.Num(), big.NewInt(scale)), ratio.Denom()), big.NewInt(2*scale))
	want := new(big.Rat).Mul(ratio, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(scale), big.NewInt(int64(years)), nil)))
	for new(big.Int).Sub(high, low).Cmp(big.NewInt(1)) > 0 {
		mid := new(big.Int).Rsh(new(big.Int).Add(low, high), 1)
		if new(big.Rat).SetInt(new(big.Int).Exp(mid, big.NewInt(int64(years)), nil)).Cmp(want) <= 0 {
			low = mid
		} else {
			high = mid
		}
	}
	growth := new(big.Rat).SetFrac(low, big.NewInt(scale))
	return percent(growth.Sub(growth, big.NewRat(1, 1)))
}

func percent(r *big.Rat) *big.Rat {
	if r == nil {
		return nil
	}
	return new(big.Rat).Mul(r, big.NewRat(100, 1))
}

// usd writes an amount with its magnitude: $11.19B.
func usd(r *big.Rat) string { return "$" + magnitude(r) }

func count(r *big.Rat) string { return magnitude(r) }

func magnitude(r *big.Rat) string {
	for _, m := range []struct {
		size int64
		name string
	}{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}} {
		if r.Cmp(big.NewRat(m.size, 1)) >= 0 {
			return trimZeros(new(big.Rat).Quo(r, big.NewRat(m.size, 1)).FloatString(2)) + m.name
		}
	}
	return trimZeros(r.FloatString(2))
}

func trimZeros(s string) string {
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
