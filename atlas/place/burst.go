package place

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/grange-network/grange/atlas"
)

// Burst is demand that goes beyond what is already paid for.
type Burst struct {
	Workload Workload       `json:"workload"`                      // its availability target is not used; Units is ignored
	Quota    int            `json:"quota"`                         // units that are already there
	Demand   []int          `json:"demand"`                        // units wanted in each hour
	Cloud    *atlas.Decimal `json:"cloud_usd_unit_hour,omitempty"` // what a unit costs where the quota is; the cheapest hyperscaler among the offers when nil
}

// MaxHours is the longest demand that is placed: a year.
const MaxHours = 8760

// BurstShare is what one offer carries of the overflow.
type BurstShare struct {
	Offer     string `json:"offer"`
	Network   string `json:"network"`
	Kind      string `json:"kind"`
	UnitHours int64  `json:"unit_hours"`
	Cost      Micro  `json:"usd"`
}

// BurstResult says who carries the overflow.
type BurstResult struct {
	Overflow  int64          `json:"overflow_unit_hours"`
	Uncovered int64          `json:"uncovered_unit_hours"` // nobody has capacity for
	Peak      int            `json:"peak_units"`           // most overflow in one hour
	Shares    []BurstShare   `json:"shares"`
	Cost      Micro          `json:"usd"`
	Reference *Micro         `json:"reference_usd"` // the same overflow on the cheapest hyperscaler
	Standing  *Micro         `json:"standing_usd"`  // renting the peak there for every hour instead
	Within    *bool          `json:"within_budget"` // null without a budget
	Used      *atlas.Decimal `json:"quota_used_percent"`
	Rejected  []Rejected     `json:"rejected"`
}

// SolveBurst fills the own quota first and sends what is left, hour by hour, to
// the cheapest eligible offers up to their capacity (units × providers; an
// offer without a number of units has enough).
func SolveBurst(b Burst, offers []Offer) (BurstResult, error) {
	w := b.Workload
	w.Units, w.Target = 1, nil
	if err := w.Validate(); err != nil {
		return BurstResult{}, err
	}
	if err := checkOffers(offers); err != nil {
		return BurstResult{}, err
	}
	if err := b.validate(); err != nil {
		return BurstResult{}, err
	}
	good, rejected := eligible(w, offers)
	slices.SortFunc(good, cheaper)
	out := BurstResult{Shares: []BurstShare{}, Rejected: rejected}
	hours := b.fill(&out, good)
	for i, o := range good {
		if hours[i] == 0 {
			continue
		}
		s := BurstShare{o.ID, o.Network, o.Kind, hours[i], forHours(o.Price, hours[i])}
		out.Shares, out.Cost = append(out.Shares, s), out.Cost+s.Cost
	}
	b.reference(&out, good)
	if w.Budget != nil {
		within := out.Uncovered == 0 && out.Cost <= micro(w.Budget.Rat(), false)
		out.Within = &within
	}
	return out, nil
}

func (b Burst) validate() error {
	if b.Cloud != nil && (b.Cloud.Sign() < 0 || b.Cloud.Rat().Cmp(big.NewRat(10_000, 1)) > 0) {
		return fmt.Errorf("%w: cloud price %s: want 0 to 10000 USD", ErrWorkload, b.Cloud)
	}
	if b.Quota < 0 || b.Quota > 50_000 || len(b.Demand) == 0 || len(b.Demand) > MaxHours {
		return fmt.Errorf("%w: quota %d over %d hours: want a quota of 0 to 50000 and 1 to %d hours", ErrWorkload, b.Quota, len(b.Demand), MaxHours)
	}
	for h, d := range b.Demand {
		if d < 0 || d > 50_000 {
			return fmt.Errorf("%w: demand %d in hour %d: want 0 to 50000", ErrWorkload, d, h)
		}
	}
	return nil
}

// fill distributes each hour's overflow and returns the unit hours per offer.
func (b Burst) fill(out *BurstResult, good []Offer) []int64 {
	hours := make([]int64, len(good))
	var own int64
	for _, demand := range b.Demand {
		left := max(0, demand-b.Quota)
		own += int64(demand - left)
		out.Overflow += int64(left)
		out.Peak = max(out.Peak, left)
		for i, o := range good {
			take := left
			if o.Units > 0 {
				take = min(left, o.Units*o.Providers)
			}
			hours[i] += int64(take)
			left -= take
		}
		out.Uncovered += int64(left)
	}
	if total := int64(b.Quota) * int64(len(b.Demand)); total > 0 {
		out.Used = percentOf(big.NewRat(own, total))
	}
	return hours
}

// reference prices the overflow, and the peak for all hours, where the quota
// is or on the cheapest hyperscaler.
func (b Burst) reference(out *BurstResult, good []Offer) {
	price := b.Cloud
	for _, o := range good { // by price
		if price == nil && o.Kind == "hyperscaler" {
			price = &o.Price
		}
	}
	if price == nil {
		return
	}
	same, standing := forHours(*price, out.Overflow), forHours(*price, int64(out.Peak)*int64(len(b.Demand)))
	out.Reference, out.Standing = &same, &standing
}

func forHours(price atlas.Decimal, unitHours int64) Micro {
	return micro(new(big.Rat).Mul(price.Rat(), big.NewRat(unitHours, 1)), true)
}
