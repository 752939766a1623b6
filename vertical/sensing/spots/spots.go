// Package spots shares what moving devices earn for having been somewhere at some
// time: who comes first to a spot in an hour earns it whole, the next one a half,
// the n-th an n-th part. All devices of an owner are one visitor, and so are
// devices that travel together, as one phone with several accounts does.
package spots

import (
	"cmp"
	"slices"

	"github.com/grange-network/grange/vertical/sensing/copies"
)

// Whole is the worth of a perfect visit, in parts per million.
const Whole = 1_000_000

// Visit is one device in one spot and hour.
type Visit[K comparable] struct {
	Spot   K
	Device int
	At     int64  // Unix seconds
	Worth  uint64 // to Whole; a bounty may be more
}

// Visitor is a device's owner and id.
type Visitor struct {
	Owner string
	ID    [32]byte
}

// Share sums what each device earns, in parts per million of visits. together
// says which devices are one.
func Share[K comparable](visitors []Visitor, together copies.Sets, visits []Visit[K]) []uint64 {
	order := slices.Clone(visits)
	slices.SortFunc(order, func(a, b Visit[K]) int {
		return cmp.Or(cmp.Compare(a.At, b.At), slices.Compare(visitors[a.Device].ID[:], visitors[b.Device].ID[:]), cmp.Compare(b.Worth, a.Worth))
	})
	type guests struct {
		owners map[string]bool
		sets   map[int]bool
	}
	seen := map[K]guests{}
	out := make([]uint64, len(visitors))
	for _, v := range order {
		g, known := seen[v.Spot]
		if !known {
			g = guests{map[string]bool{}, map[int]bool{}}
			seen[v.Spot] = g
		}
		owner, set := visitors[v.Device].Owner, together.Find(v.Device)
		if v.Worth == 0 || g.owners[owner] || g.sets[set] {
			continue
		}
		out[v.Device] += v.Worth / uint64(1+len(g.owners))
		g.owners[owner], g.sets[set] = true, true
	}
	return out
}

// Place is where a device was in one slot of time.
type Place struct {
	Slot int64
	Cell uint64
}

// Parameters of Together.
const (
	leastSlots = 10 // in common, of companions
	crowd      = 32 // in one place; beyond it only neighbours by id are compared
)

// Together finds devices that are in the same place in at least four fifths of
// the slots of the one that was seen less. places has each device's places, each
// once; order is the devices by id, so that the result does not depend on theirs.
func Together(visitors []Visitor, places [][]Place) copies.Sets {
	order := make([]int, len(visitors))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return slices.Compare(visitors[a].ID[:], visitors[b].ID[:]) })
	in := map[Place][]int{}
	for _, i := range order {
		for _, p := range places[i] {
			in[p] = append(in[p], i)
		}
	}
	shared := map[[2]int]int{}
	for _, here := range in {
		for k, a := range here {
			for _, b := range here[k+1 : min(len(here), k+1+reach(len(here)))] {
				shared[[2]int{a, b}]++
			}
		}
	}
	sets := copies.NewSets(len(visitors))
	for pair, n := range shared {
		if n >= leastSlots && 5*n >= 4*min(len(places[pair[0]]), len(places[pair[1]])) {
			sets.Join(pair[0], pair[1])
		}
	}
	return sets
}

func reach(n int) int {
	if n > crowd {
		return 1
	}
	return n
}
