package gateway

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func TestRankInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 60).Draw(t, "candidates")
		owners := rapid.IntRange(1, 30).Draw(t, "owners")
		size := rapid.Uint64Range(1, 1<<25).Draw(t, "size")
		cands := make([]Candidate, n)
		for i := range cands {
			cands[i] = Candidate{
				Owner:  fmt.Sprint("owner", rapid.IntRange(0, owners-1).Draw(t, "owner")),
				Cost:   rapid.Float64Range(0, 1e12).Draw(t, "cost"),
				Free:   rapid.Uint64Range(0, 1<<40).Draw(t, "free"),
				Health: rapid.SampledFrom([]float64{0, 1e-6, 0.1, 0.5, 1}).Draw(t, "health"),
			}
		}
		taken := map[string]bool{}
		for i := range rapid.IntRange(0, 5).Draw(t, "taken") {
			taken[fmt.Sprint("owner", i)] = true
		}
		seed := rapid.Uint64().Draw(t, "seed")
		order := Rank(rand.New(rand.NewPCG(seed, 1)), cands, size, taken)
		again := Rank(rand.New(rand.NewPCG(seed, 1)), cands, size, taken)
		if fmt.Sprint(order) != fmt.Sprint(again) {
			t.Fatalf("same seed, other order: %v and %v", order, again)
		}
		seen := map[string]bool{}
		for _, i := range order {
			c := cands[i]
			if seen[c.Owner] || taken[c.Owner] {
				t.Fatalf("owner %s chosen twice or although taken", c.Owner)
			}
			if c.Free < size || c.Health <= 0 {
				t.Fatalf("candidate %+v chosen for %d bytes", c, size)
			}
			seen[c.Owner] = true
		}
		for _, c := range cands {
			if c.Free >= size && c.Health > 0 && !taken[c.Owner] && !seen[c.Owner] {
				t.Fatalf("owner %s is usable and was left out", c.Owner)
			}
		}
	})
}

// TestRankPreferences counts first places over many draws.
func TestRankPreferences(t *testing.T) {
	base := Candidate{Owner: "a", Cost: 10, Free: 1 << 40, Health: 1}
	with := func(change func(c *Candidate)) Candidate {
		c := base
		c.Owner = "b"
		change(&c)
		return c
	}
	for name, c := range map[string]struct {
		cands    []Candidate
		low, top float64 // share of draws that owner a wins
	}{
		"equal":             {[]Candidate{base, with(func(*Candidate) {})}, 0.45, 0.55},
		"twice the price":   {[]Candidate{base, with(func(c *Candidate) { c.Cost = 20 })}, 0.75, 0.85},
		"half the health":   {[]Candidate{base, with(func(c *Candidate) { c.Health = 0.5 })}, 0.75, 0.85},
		"nearly full":       {[]Candidate{base, with(func(c *Candidate) { c.Free = 1 << 20 })}, 0.85, 0.93},
		"many devices of b": {[]Candidate{base, with(func(*Candidate) {}), with(func(*Candidate) {}), with(func(*Candidate) {})}, 0.45, 0.55},
		"both free":         {[]Candidate{{Owner: "a", Free: 1 << 40, Health: 1}, {Owner: "b", Free: 1 << 40, Health: 1}}, 0.45, 0.55},
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			const draws = 20_000
			first := 0
			for range draws {
				if c.cands[Rank(rng, c.cands, 1<<20, nil)[0]].Owner == "a" {
					first++
				}
			}
			if share := float64(first) / draws; share < c.low || share > c.top {
				t.Errorf("owner a comes first in %.3f of draws, want %.2f to %.2f", share, c.low, c.top)
			}
		})
	}
}
