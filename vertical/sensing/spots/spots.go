// Package spots shares what moving devices earn for having been somewhere at some
// time: who comes first to a spot in an hour earns it whole, the next owner a half,
// the n-th an n-th part. Devices that travel together, as one phone with several
// accounts does, share what each of them earns.
package spots

import (
	"cmp"
	"slices"

	"github.com/grange-network/grange/vertical"
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

// Share sums what each device earns, in parts per million of visits. The devices
// of an owner are one visitor.
func Share[K comparable](visitors []Visitor, visits []Visit[K]) []uint64 {
	order := slices.Clone(visits)
	slices.SortFunc(order, func(a, b Visit[K]) int {
		return cmp.Or(cmp.Compare(a.At, b.At), slices.Compare(visitors[a.Device].ID[:], visitors[b.Device].ID[:]), cmp.Compare(b.Worth, a.Worth))
	})
	seen := map[K]map[string]bool{}
	out := make([]uint64, len(visitors))
	for _, v := range order {
		owners := seen[v.Spot]
		if owners == nil {
			owners = map[string]bool{}
			seen[v.Spot] = owners
		}
		if owner := visitors[v.Device].Owner; v.Worth > 0 && !owners[owner] {
			out[v.Device] += v.Worth / uint64(1+len(owners))
			owners[owner] = true
		}
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

// Company says who travelled with whom.
type Company struct {
	// Sets join devices that travelled together: they are one witness.
	Sets  copies.Sets
	sizes []uint64
}

// Term is the share that a device has of what it earned.
func (c Company) Term(device int) vertical.Term {
	return vertical.Term{Name: "one of the devices that travel together", Value: 1, Of: c.sizes[device]}
}

// Together finds devices that are in the same places in at least half of the slots
// of the one that was seen less. places has each device's places, each once.
func Together(visitors []Visitor, places [][]Place) Company {
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
	c := Company{copies.NewSets(len(visitors)), make([]uint64, len(visitors))}
	for i := range c.sizes {
		c.sizes[i] = alwaysWith(places[i], in)
	}
	for pair, n := range shared {
		a, b := pair[0], pair[1]
		if n >= leastSlots && 2*n >= min(len(places[a]), len(places[b])) {
			c.Sets.Join(a, b)
			c.sizes[a]++
			c.sizes[b]++
		}
	}
	return c
}

// alwaysWith is how many devices were around one in at least four fifths of its
// slots where that was a crowd, of which pairs tell little; else 1, itself.
func alwaysWith(places []Place, in map[Place][]int) uint64 {
	if len(places) < leastSlots {
		return 1
	}
	around := make([]int, len(places))
	for k, p := range places {
		around[k] = len(in[p])
	}
	slices.Sort(around)
	if n := around[len(around)/5]; n > crowd {
		return uint64(n)
	}
	return 1
}

func reach(n int) int {
	if n > crowd {
		return 1
	}
	return n
}
