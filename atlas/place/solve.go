package place

import (
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"

	"github.com/grange-network/grange/atlas"
)

// ErrTooLarge is returned when a problem has too many plans to look at.
var ErrTooLarge = errors.New("too many plans")

// maxLooked bounds the plans that a search looks at.
const maxLooked = 200_000

// Micro is millionths of a dollar.
type Micro int64

// MarshalJSON writes dollars.
func (m Micro) MarshalJSON() ([]byte, error) { return []byte(m.String()), nil }

// String is the amount in dollars, exactly.
func (m Micro) String() string {
	d, err := atlas.DecimalFromRat(big.NewRat(int64(m), million), 6)
	if err != nil {
		return "0"
	}
	return d.String()
}

// Share is one offer of a plan with the number of replicas on it.
type Share struct {
	Offer    string `json:"offer"`
	Network  string `json:"network"`
	Kind     string `json:"kind"`
	Replicas int    `json:"replicas"`
	Month    Micro  `json:"usd_month"`
}

// Plan is where the replicas run. One of them alone serves the workload.
type Plan struct {
	Shares       []Share        `json:"shares"`
	Replicas     int            `json:"replicas"`
	Month        Micro          `json:"usd_month"`
	Availability *atlas.Decimal `json:"availability_percent"` // null when a node's is unknown
}

// String names the offers of a plan.
func (p Plan) String() string {
	parts := make([]string, len(p.Shares))
	for i, s := range p.Shares {
		parts[i] = fmt.Sprintf("%d × %s", s.Replicas, s.Offer)
	}
	return strings.Join(parts, " + ")
}

// problem is a workload over eligible offers, ready to search.
type problem struct {
	offers  []Offer
	members []member
	month   []Micro
	most    int
	allowed uint64
	target  bool
	budget  Micro
	bounded bool
}

func newProblem(w Workload, offers []Offer, common PPM) *problem {
	p := &problem{offers: slices.Clone(offers), most: w.MaxReplicas, target: w.Target != nil, bounded: w.Budget != nil}
	if p.most == 0 {
		p.most = MaxReplicas
	}
	slices.SortFunc(p.offers, cheaper)
	networks := map[string]int{}
	for _, o := range p.offers {
		if _, ok := networks[o.Network]; !ok {
			networks[o.Network] = len(networks)
		}
		down := one
		if o.Availability != nil {
			down = missing(*o.Availability)
		}
		p.members = append(p.members, newMember(networks[o.Network], down, common))
		p.month = append(p.month, monthly(o.Price, w.Units))
	}
	if p.target {
		p.allowed = missing(*w.Target)
	}
	if p.bounded {
		p.budget = micro(w.Budget.Rat(), false)
	}
	return p
}

// cheaper orders offers by price, then rank, then id.
func cheaper(a, b Offer) int {
	if n := a.Price.Rat().Cmp(b.Price.Rat()); n != 0 {
		return n
	}
	if a.Rank != b.Rank {
		return cmp.Compare(a.Rank, b.Rank)
	}
	return strings.Compare(a.ID, b.ID)
}

// monthly is price × units × 730 hours, rounded up.
func monthly(price atlas.Decimal, units int) Micro {
	r := price.Rat()
	return micro(r.Mul(r, big.NewRat(int64(units)*hoursPerMonth, 1)), true)
}

// tooMuch is what no amount reaches.
const tooMuch = Micro(math.MaxInt64)

// micro counts r dollars, rounded up or down, and stops at tooMuch.
func micro(r *big.Rat, up bool) Micro {
	scaled := new(big.Rat).Mul(r, big.NewRat(million, 1))
	q, rest := new(big.Int).QuoRem(scaled.Num(), scaled.Denom(), new(big.Int))
	if up && rest.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	if !q.IsInt64() {
		return tooMuch
	}
	return Micro(q.Int64())
}

// node is a plan as indexes into the offers, in ascending order.
type node struct {
	picks []int
	month Micro
}

// before orders plans: cheaper, then fewer replicas, then the earlier offers.
func (a node) before(b node) bool {
	if a.month != b.month {
		return a.month < b.month
	}
	if len(a.picks) != len(b.picks) {
		return len(a.picks) < len(b.picks)
	}
	return slices.Compare(a.picks, b.picks) < 0
}

type frontier []node

func (f frontier) Len() int           { return len(f) }
func (f frontier) Less(i, j int) bool { return f[i].before(f[j]) }
func (f frontier) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *frontier) Push(x any)        { *f = append(*f, x.(node)) }
func (f *frontier) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

// reaches reports whether the picks are available enough.
func (p *problem) reaches(picks []int) bool {
	if len(picks) == 0 {
		return false
	}
	if !p.target {
		return true
	}
	var held [MaxReplicas]member
	for i, k := range picks {
		held[i] = p.members[k]
	}
	return unavailability(held[:len(picks)]) <= p.allowed
}

// minimal reports whether no smaller part of the picks reaches the target too.
func (p *problem) minimal(picks []int) bool {
	for mask := 1; mask < 1<<len(picks)-1; mask++ {
		var part []int
		for i, k := range picks {
			if mask&(1<<i) != 0 {
				part = append(part, k)
			}
		}
		if p.reaches(part) {
			return false
		}
	}
	return true
}

// best finds up to count minimal plans in order of cost. Best first: offers are
// in order of price, so what a plan is made from (it without its last replica,
// or with the offer before in the last place) costs no more and is looked at
// before it.
func (p *problem) best(count int) ([]node, error) {
	var found []node
	f := &frontier{}
	if len(p.offers) > 0 {
		heap.Push(f, node{[]int{0}, p.month[0]})
	}
	for looked := 0; f.Len() > 0 && len(found) < count; looked++ {
		if looked > maxLooked {
			return nil, fmt.Errorf("place over %d offers with %d replicas: %w", len(p.offers), p.most, ErrTooLarge)
		}
		n := heap.Pop(f).(node)
		if p.bounded && n.month > p.budget {
			return found, nil
		}
		p.beside(f, n)
		if !p.reaches(n.picks) {
			p.below(f, n)
		} else if p.minimal(n.picks) { // what contains a plan that suffices is not minimal
			found = append(found, n)
		}
	}
	return found, nil
}

// beside adds n with the next offer in the last place.
func (p *problem) beside(f *frontier, n node) {
	last := len(n.picks) - 1
	if k := n.picks[last]; k+1 < len(p.offers) {
		picks := slices.Clone(n.picks)
		picks[last] = k + 1
		heap.Push(f, node{picks, n.month - p.month[k] + p.month[k+1]})
	}
}

// below adds n with one replica more, on the first offer that may follow.
func (p *problem) below(f *frontier, n node) {
	if len(n.picks) == p.most {
		return
	}
	k, used := n.picks[len(n.picks)-1], 0
	for _, pick := range n.picks {
		if pick == k {
			used++
		}
	}
	if used >= p.offers[k].Providers {
		k++
	}
	if k < len(p.offers) {
		heap.Push(f, node{append(slices.Clone(n.picks), k), n.month + p.month[k]})
	}
}

func (p *problem) plan(n node) *Plan {
	out := &Plan{Replicas: len(n.picks), Month: n.month}
	known := true
	var held []member
	for _, k := range n.picks {
		o := p.offers[k]
		held = append(held, p.members[k])
		known = known && o.Availability != nil
		if last := len(out.Shares) - 1; last >= 0 && out.Shares[last].Offer == o.ID {
			out.Shares[last].Replicas++
			out.Shares[last].Month += p.month[k]
			continue
		}
		out.Shares = append(out.Shares, Share{o.ID, o.Network, o.Kind, 1, p.month[k]})
	}
	if known {
		a := available(unavailability(held))
		out.Availability = &a
	}
	return out
}
