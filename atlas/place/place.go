package place

import (
	"math/big"
	"slices"
	"strings"

	"github.com/grange-network/grange/atlas"
)

// ConstraintPrice is what one constraint costs: the price without it.
type ConstraintPrice struct {
	Name    string `json:"name"`
	Without *Plan  `json:"without"` // cheapest plan without this constraint; null: there is still none
	Saves   *Micro `json:"saves_usd_month"`
}

// Alone is what one offer does without the others.
type Alone struct {
	Offer        string         `json:"offer"`
	Kind         string         `json:"kind"`
	Replicas     int            `json:"replicas"` // that reach the target; 0: no number does
	Month        *Micro         `json:"usd_month"`
	BreakEven    *atlas.Decimal `json:"break_even_discount_percent"` // discount at which the replicas cost what the reference does: 1 − 1/n
	Discount     *atlas.Decimal `json:"discount_percent"`            // of one node against the reference
	Availability *atlas.Decimal `json:"availability_percent"`        // of the replicas
}

// Result is the whole answer.
type Result struct {
	Workload    Workload          `json:"workload"`
	Common      PPM               `json:"common_share_ppm"`
	Plan        *Plan             `json:"plan"` // null: none meets every constraint
	RunnerUp    *Plan             `json:"runner_up"`
	Single      *Plan             `json:"single"`                // cheapest one replica, whatever its availability
	Redundancy  *Micro            `json:"redundancy_usd_month"`  // plan less single
	Reference   *Plan             `json:"reference"`             // cheapest hyperscaler plan that meets the constraints
	Saves       *Micro            `json:"saves_usd_month"`       // reference less plan; negative when the plan is dearer
	CommonMost  *PPM              `json:"common_share_most_ppm"` // largest common share at which the plan still reaches the target
	OverBudget  *Plan             `json:"over_budget,omitempty"` // cheapest plan when only the budget stands against it
	Constraints []ConstraintPrice `json:"constraints"`
	Alone       []Alone           `json:"alone"`
	Rejected    []Rejected        `json:"rejected"`
	Sources     []string          `json:"sources"` // of the offers in the plan
	Assumed     []string          `json:"assumed"`
}

// Solve finds the cheapest plan. Common is the share of a network's failures
// that take all of it down. An answer without a plan is no error: it says what
// would have to be given up.
func Solve(w Workload, offers []Offer, common PPM) (Result, error) {
	if err := w.Validate(); err != nil {
		return Result{}, err
	}
	if err := checkOffers(offers); err != nil {
		return Result{}, err
	}
	out := Result{Workload: w, Common: min(common, million), Constraints: []ConstraintPrice{}, Alone: []Alone{}, Sources: []string{}, Assumed: []string{}}
	good, rejected := eligible(w, offers)
	out.Rejected = rejected
	found, p, err := search(w, good, out.Common, 2)
	if err != nil {
		return Result{}, err
	}
	if len(found) > 0 {
		out.Plan = p.plan(found[0])
		out.CommonMost = commonMost(w, p, found[0])
		out.cite(good)
	}
	if len(found) > 1 {
		out.RunnerUp = p.plan(found[1])
	}
	return out, out.compare(w, offers, good)
}

func search(w Workload, good []Offer, common PPM, count int) ([]node, *problem, error) {
	p := newProblem(w, good, common)
	found, err := p.best(count)
	return found, p, err
}

// cheapest is the cheapest plan for w over offers, nil when there is none.
func cheapest(w Workload, offers []Offer, common PPM) (*Plan, error) {
	good, _ := eligible(w, offers)
	found, p, err := search(w, good, common, 1)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return p.plan(found[0]), nil
}

// compare adds what stands beside the plan.
func (r *Result) compare(w Workload, offers, good []Offer) error {
	one := w
	one.Target, one.Budget, one.MaxReplicas = nil, nil, 1
	var err error
	if r.Single, err = cheapest(one, good, r.Common); err != nil {
		return err
	}
	var central []Offer
	for _, o := range good {
		if o.Kind == "hyperscaler" {
			central = append(central, o)
		}
	}
	if r.Reference, err = cheapest(w, central, r.Common); err != nil {
		return err
	}
	if r.Plan != nil {
		r.Redundancy = difference(r.Plan, r.Single)
		r.Saves = difference(r.Reference, r.Plan)
	}
	for _, c := range constraints {
		if !c.asked(w) {
			continue
		}
		less := w
		c.relax(&less)
		without, err := cheapest(less, offers, r.Common)
		if err != nil {
			return err
		}
		if c.name == "budget" && r.Plan == nil {
			r.OverBudget = without
		}
		r.Constraints = append(r.Constraints, ConstraintPrice{c.name, without, difference(r.Plan, without)})
	}
	for _, o := range good {
		r.Alone = append(r.Alone, alone(w, o, r.Reference, r.Common))
	}
	return nil
}

func difference(a, b *Plan) *Micro {
	if a == nil || b == nil {
		return nil
	}
	d := a.Month - b.Month
	return &d
}

func alone(w Workload, o Offer, reference *Plan, common PPM) Alone {
	out := Alone{Offer: o.ID, Kind: o.Kind}
	switch {
	case w.Target == nil:
		out.Replicas = 1
	case o.Availability != nil:
		out.Replicas = Replicas(*o.Availability, *w.Target, common)
	}
	price := monthly(o.Price, w.Units)
	if reference != nil && reference.Month > 0 && o.Kind != "hyperscaler" {
		out.Discount = percentOf(big.NewRat(int64(reference.Month-price), int64(reference.Month)))
	}
	if out.Replicas == 0 {
		return out
	}
	month := price * Micro(out.Replicas)
	out.Month = &month
	if out.Replicas > 1 {
		out.BreakEven = percentOf(big.NewRat(int64(out.Replicas-1), int64(out.Replicas)))
	}
	if o.Availability != nil {
		m := newMember(0, missing(*o.Availability), common)
		a := available(unavailability(slices.Repeat([]member{m}, out.Replicas)))
		out.Availability = &a
	}
	return out
}

func percentOf(r *big.Rat) *atlas.Decimal {
	d, err := atlas.DecimalFromRat(r.Mul(r, big.NewRat(100, 1)), 1)
	if err != nil {
		return nil
	}
	return &d
}

// commonMost is the largest common share at which the plan still reaches the
// target; nil without a target. As long as no node is down half of the time,
// more common failures never help, so the share can be halved in on.
func commonMost(w Workload, p *problem, n node) *PPM {
	if !p.target {
		return nil
	}
	for _, k := range n.picks {
		if p.members[k].down > one/2 {
			return nil
		}
	}
	low, high := PPM(0), PPM(million)
	for low < high {
		mid := (low + high + 1) / 2
		if newProblem(w, p.offers, mid).reaches(n.picks) {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return &low
}

// cite collects the sources and assumptions of the offers in the plan.
func (r *Result) cite(good []Offer) {
	add := func(list *[]string, items []string) {
		for _, s := range items {
			if !slices.Contains(*list, s) {
				*list = append(*list, s)
			}
		}
	}
	for _, s := range r.Plan.Shares {
		for _, o := range good {
			if o.ID == s.Offer {
				add(&r.Sources, o.Sources)
				add(&r.Assumed, o.Assumed)
			}
		}
	}
	slices.SortFunc(r.Sources, strings.Compare)
	slices.SortFunc(r.Assumed, strings.Compare)
}
