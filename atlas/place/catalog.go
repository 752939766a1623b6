package place

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/grange-network/grange/atlas"
)

// Case picks a point of the ranges that sources give for shared networks.
type Case string

// The cases.
const (
	Optimistic  Case = "optimistic"  // largest discount, highest availability
	Middle      Case = "middle"      // the middle of both ranges
	Pessimistic Case = "pessimistic" // smallest discount, lowest availability
)

// Cases lists them from the worst to the best.
var Cases = []Case{Pessimistic, Middle, Optimistic}

// FromAtlas makes offers for a service out of the atlas, relative to what the
// caller pays at a hyperscaler. No source gives prices per network, so every
// shared network gets the sector's range of discount and availability; what is
// assumed is said in each offer.
func FromAtlas(c *atlas.Catalog, service string, reference atlas.Decimal, at Case) ([]Offer, error) {
	if !slices.Contains(Cases, at) {
		return nil, fmt.Errorf("%w: case %.20q: want one of %v", ErrOffer, string(at), Cases)
	}
	if !slices.Contains(atlas.Services, service) {
		return nil, fmt.Errorf("%w: service %.40q: want one of %v", ErrOffer, service, atlas.Services)
	}
	discount, availability := atlas.Shown(c.Sector.Claims, "discount"), atlas.Shown(c.Sector.Claims, "availability")
	if discount == nil || availability == nil {
		return nil, fmt.Errorf("%w: offers of %s: the atlas has no discount or availability", ErrOffer, service)
	}
	off, up := pick(*discount, at), pick(*availability, at)
	price := new(big.Rat).Mul(reference.Rat(), new(big.Rat).Sub(big.NewRat(1, 1), off))
	shared, err := atlas.DecimalFromRat(price, 6)
	if err != nil {
		return nil, err
	}
	percent, err := atlas.DecimalFromRat(new(big.Rat).Mul(up, big.NewRat(100, 1)), 6)
	if err != nil {
		return nil, err
	}
	var all []Offer
	for _, i := range c.Incumbents {
		if o, ok := incumbentOffer(i, service, reference); ok {
			all = append(all, o)
		}
	}
	for _, e := range c.Entries {
		i := slices.IndexFunc(e.Services, func(s atlas.Service) bool { return s.Service == service })
		if i < 0 {
			continue
		}
		o := sharedOffer(e, shared, percent, discount.Source)
		o.Rank = rank(e, e.Services[i])
		all = append(all, o)
	}
	return all, checkOffers(all)
}

// pick is the end or the middle of a claim's range, in its base unit.
func pick(c atlas.Claim, at Case) *big.Rat {
	low, high := c.Range()
	switch {
	case at == Pessimistic && low != nil:
		return low
	case at == Optimistic && high != nil:
		return high
	}
	return c.Point()
}

// rank puts a network that a source names for the service first, then leaders.
func rank(e atlas.Entry, s atlas.Service) int {
	switch {
	case s.Named:
		return 0
	case e.Stage == atlas.Leading:
		return 1
	}
	return 2
}

func incumbentOffer(i atlas.Incumbent, service string, price atlas.Decimal) (Offer, bool) {
	if !slices.ContainsFunc(i.Services, func(s atlas.Service) bool { return s.Service == service }) {
		return Offer{}, false
	}
	o := Offer{ID: i.ID, Network: i.ID, Kind: "hyperscaler", Price: price, Providers: 3, Region: "*", Compliance: i.Compliance,
		Sources: []string{i.Source}, Assumed: []string{"every hyperscaler costs what you pay at yours", "a hyperscaler lets you choose the region, and three places in it"}}
	if a := atlas.Shown(i.Claims, "availability"); a != nil {
		o.Availability = a.Value
	}
	if l := atlas.Shown(i.Claims, "lead-time"); l != nil {
		low, _ := l.Range()
		o.LeadDays = int(new(big.Int).Quo(low.Num(), low.Denom()).Int64())
		o.GPUs = []string{"h100"} // the lead time is that of this model
	}
	return o, true
}

func sharedOffer(e atlas.Entry, price, availability atlas.Decimal, source string) Offer {
	o := Offer{ID: e.ID, Network: e.ID, Kind: "shared", Price: price, Availability: &availability, Providers: MaxReplicas, TEE: slices.Contains(e.Features, "tee"),
		Sources: []string{e.Source, source}, Assumed: []string{"price and availability are the sector's range, not this network's own"}}
	for _, r := range e.Resources {
		if r.Asset != "gpu" {
			continue
		}
		if slices.Contains(r.Fits, "datacenter") {
			o.GPUs = append(o.GPUs, "h100", "a100")
		}
		if slices.Contains(r.Fits, "consumer") {
			o.GPUs = append(o.GPUs, "rtx 40")
		}
	}
	slices.Sort(o.Sources)
	o.Sources = slices.Compact(o.Sources)
	return o
}
