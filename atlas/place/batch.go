package place

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"

	"github.com/grange-network/grange/atlas"
)

// Batch is work that can be interrupted: it writes checkpoints and goes on from
// the last one.
type Batch struct {
	Workload   Workload `json:"workload"`                 // its availability target is not used
	WorkHours  int      `json:"work_hours"`               // without any interruption
	Checkpoint int      `json:"checkpoint_seconds"`       // to write one
	Repair     int      `json:"repair_minutes"`           // to get a node back; used where an offer gives no MTBF
	Deadline   int      `json:"deadline_hours,omitempty"` // 0: none
}

// BatchPlan is one offer for a batch.
type BatchPlan struct {
	Offer    string         `json:"offer"`
	Network  string         `json:"network"`
	Kind     string         `json:"kind"`
	Cost     Micro          `json:"usd"`
	MTBF     int            `json:"mtbf_hours"` // 0: unknown, and the cost is without any interruption
	Derived  bool           `json:"mtbf_derived"`
	Interval int            `json:"checkpoint_every_seconds"` // 0: none
	Overhead *atlas.Decimal `json:"overhead_percent"`         // null: unknown
	Hours    *atlas.Decimal `json:"expected_hours"`
}

// BatchResult ranks the offers for a batch, the cheapest first; those of which
// nobody knows how often they fail come last.
type BatchResult struct {
	Batch    Batch       `json:"batch"`
	Plans    []BatchPlan `json:"plans"`
	Rejected []Rejected  `json:"rejected"`
}

// Validate says what makes no sense in b.
func (b Batch) Validate() error {
	if b.WorkHours < 1 || b.WorkHours > 1_000_000 || b.Checkpoint < 0 || b.Checkpoint > 86_400 || b.Repair < 0 || b.Repair > 100_000 || b.Deadline < 0 {
		return fmt.Errorf("%w: %d hours of work, checkpoints of %d s, repair in %d min, deadline %d h: out of range", ErrWorkload, b.WorkHours, b.Checkpoint, b.Repair, b.Deadline)
	}
	return b.Workload.Validate()
}

// SolveBatch prices the batch on every eligible offer. A run with checkpoints
// of cost C every t on a node with a mean time between failures M takes
// 1 + C/t + t/(2M) times the work, least at t = √(2CM) (Young 1974, first order).
func SolveBatch(b Batch, offers []Offer) (BatchResult, error) {
	if err := b.Validate(); err != nil {
		return BatchResult{}, err
	}
	if err := checkOffers(offers); err != nil {
		return BatchResult{}, err
	}
	w := b.Workload
	w.Target, w.Budget = nil, nil
	good, rejected := eligible(w, offers)
	out := BatchResult{Batch: b, Plans: []BatchPlan{}, Rejected: rejected}
	slices.SortFunc(good, cheaper)
	for _, o := range good {
		p, why := b.on(o)
		rule := "deadline"
		if why == "" && b.Workload.Budget != nil && p.Cost > micro(b.Workload.Budget.Rat(), false) {
			rule, why = "budget", fmt.Sprintf("costs $%s, the budget is $%s", p.Cost, b.Workload.Budget)
		}
		if why != "" {
			out.Rejected = append(out.Rejected, Rejected{o.ID, rule, why})
			continue
		}
		out.Plans = append(out.Plans, p)
	}
	slices.SortStableFunc(out.Plans, func(x, y BatchPlan) int {
		if (x.Overhead == nil) != (y.Overhead == nil) {
			return map[bool]int{true: 1, false: -1}[x.Overhead == nil]
		}
		return cmp.Compare(x.Cost, y.Cost)
	})
	return out, nil
}

// on prices the batch on one offer; why is set when it misses the deadline.
func (b Batch) on(o Offer) (p BatchPlan, why string) {
	p = BatchPlan{Offer: o.ID, Network: o.Network, Kind: o.Kind}
	p.MTBF, p.Derived = b.mtbf(o)
	factor := big.NewRat(1, 1)
	if p.MTBF > 0 {
		p.Interval = Interval(b.Checkpoint, p.MTBF)
		factor = Overhead(b.Checkpoint, p.Interval, p.MTBF)
	}
	hours := new(big.Rat).Mul(factor, big.NewRat(int64(b.WorkHours), 1))
	cost := new(big.Rat).Mul(o.Price.Rat(), hours)
	p.Cost = micro(cost.Mul(cost, big.NewRat(int64(b.Workload.Units), 1)), true)
	if p.MTBF > 0 {
		p.Overhead = percentOf(new(big.Rat).Sub(factor, big.NewRat(1, 1)))
		if d, err := atlas.DecimalFromRat(hours, 1); err == nil {
			p.Hours = &d
		}
	}
	if p.Cost == tooMuch {
		return p, "costs more than can be counted"
	}
	if b.Deadline > 0 && hours.Cmp(big.NewRat(int64(b.Deadline), 1)) > 0 {
		why = fmt.Sprintf("takes %s hours, the deadline is %d", hours.FloatString(1), b.Deadline)
	}
	return p, why
}

// mtbf is the offer's own, or what its availability and the time to repair
// amount to: repair·a/(1−a), at least an hour. 0 is unknown.
func (b Batch) mtbf(o Offer) (hours int, derived bool) {
	if o.MTBF > 0 {
		return o.MTBF, false
	}
	if o.Availability == nil || b.Repair == 0 {
		return 0, false
	}
	down := missing(*o.Availability)
	if down == 0 {
		return 1_000_000_000, true
	}
	up := new(big.Rat).SetFrac(new(big.Int).SetUint64(one-down), new(big.Int).SetUint64(down))
	up.Mul(up, big.NewRat(int64(b.Repair), 60))
	whole := new(big.Int).Quo(up.Num(), up.Denom())
	if !whole.IsInt64() || whole.Int64() > 1_000_000_000 {
		return 1_000_000_000, true
	}
	return int(max(1, whole.Int64())), true
}

// Interval is the whole number of seconds nearest below √(2·C·M) between
// checkpoints that cost C seconds with M hours between failures; at least one.
func Interval(checkpointSeconds, mtbfHours int) int {
	n := big.NewInt(2 * int64(checkpointSeconds))
	n.Mul(n, big.NewInt(int64(mtbfHours)*3600))
	return int(max(1, n.Sqrt(n).Int64()))
}

// Overhead is 1 + C/t + t/(2M): how many times longer the work takes.
func Overhead(checkpointSeconds, intervalSeconds, mtbfHours int) *big.Rat {
	sum := big.NewRat(1, 1)
	sum.Add(sum, big.NewRat(int64(checkpointSeconds), int64(intervalSeconds)))
	return sum.Add(sum, big.NewRat(int64(intervalSeconds), 2*3600*int64(mtbfHours)))
}
