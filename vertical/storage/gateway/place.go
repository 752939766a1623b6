package gateway

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// Candidate is a provider that could take a piece.
type Candidate struct {
	Owner  string  // pieces of one segment never share an owner
	Cost   float64 // ucredit for one piece over the planned term, for comparison
	Free   uint64  // bytes it can still take
	Health float64 // 0 (never choose) to 1
}

// Rank orders candidates for pieces of size bytes: at most one per owner, drawn
// without replacement with probability growing with health, low price and free
// space. The first n are the choice for n pieces, the rest the spares in the
// order to try them. It returns indexes into candidates and leaves out those
// without room or with Health 0, and the owners in taken.
//
// An owner weighs as much as its best device, so splitting one machine into
// many offers wins no extra pieces.
func Rank(rng *rand.Rand, candidates []Candidate, size uint64, taken map[string]bool) []int {
	cheapest := math.Inf(1)
	for _, c := range candidates {
		if usable(c, size) && !taken[c.Owner] {
			cheapest = min(cheapest, max(c.Cost, minCost))
		}
	}
	type draw struct {
		index  int
		weight float64
		key    float64
	}
	best := map[string]*draw{}
	order := []*draw{}
	for i, c := range candidates {
		if !usable(c, size) || taken[c.Owner] {
			continue
		}
		w := weight(c, size, cheapest)
		d := best[c.Owner]
		if d == nil {
			d = &draw{index: i, weight: w, key: rng.ExpFloat64()}
			best[c.Owner] = d
			order = append(order, d)
		} else if w > d.weight {
			d.index, d.weight = i, w
		}
	}
	// Efraimidis–Spirakis: exponential variates divided by weights, smallest
	// first, are a weighted sample without replacement.
	slices.SortStableFunc(order, func(a, b *draw) int { return cmp.Compare(a.key/a.weight, b.key/b.weight) })
	out := make([]int, len(order))
	for i, d := range order {
		out[i] = d.index
	}
	return out
}

// minCost keeps free offers comparable: below it all prices count as equal.
const minCost = 1e-9

func usable(c Candidate, size uint64) bool { return c.Health > 0 && c.Free >= size }

// weight is health² × (cheapest/cost)² × a factor that falls below 1 when fewer
// than 64 more pieces fit.
func weight(c Candidate, size uint64, cheapest float64) float64 {
	price := cheapest / max(c.Cost, minCost)
	room := min(1, float64(c.Free)/(64*float64(max(size, 1))))
	return max(c.Health*c.Health*price*price*math.Sqrt(room), 1e-12)
}
