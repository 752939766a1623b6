package advise

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/grange-network/grange/atlas"
)

// Cost is what a buyer would pay in a month, as far as a claim says.
type Cost struct {
	Month  Number        `json:"usd_month"`
	Basis  string        `json:"basis"`
	Claims []atlas.Claim `json:"claims"`
}

// FromNeed ranks the networks of c, and the incumbents, for what a buyer needs.
func FromNeed(c *atlas.Catalog, n Need) (Advice, error) {
	if err := n.Validate(); err != nil {
		return Advice{}, err
	}
	out := Advice{Need: &n, Weights: NeedWeights, Notes: n.notes(c), Ranked: []Answer{}, Rejected: []Rejected{}}
	largest, disputes := sizes(c), c.Disagreements()
	for i := range c.Entries {
		e := &c.Entries[i]
		if e.Role != atlas.Network {
			continue
		}
		if a, rejected := n.judge(c, e, largest, disputes); rejected != nil {
			out.Rejected = append(out.Rejected, *rejected)
		} else {
			out.Ranked = append(out.Ranked, a)
		}
	}
	for _, i := range c.Incumbents {
		if a, rejected := n.incumbent(i); rejected != nil {
			out.Rejected = append(out.Rejected, *rejected)
		} else {
			out.Ranked = append(out.Ranked, a)
		}
	}
	rank(out.Ranked)
	if a, rejected := n.judge(c, &c.Ours, largest, disputes); rejected == nil {
		out.Ours = &a
	}
	return out, nil
}

// notes are the things no network's entry can answer.
func (n Need) notes(c *atlas.Catalog) []string {
	notes := []string{}
	if n.Availability != nil {
		if r := atlas.Shown(c.Sector.Claims, "availability"); r != nil && r.High != nil && n.Availability.Rat().Cmp(r.High.Rat()) > 0 {
			notes = append(notes, fmt.Sprintf("%s %% availability is above what sources give for a single network (%s to %s %%): ask grange atlas place how many replicas reach it and what they cost", n.Availability, r.Low, r.High))
		}
	}
	if n.Latency != nil {
		notes = append(notes, "no claim gives latencies: the limit was not applied; grange atlas place applies it to offers you give")
	}
	if n.Region != "" && len(n.Compliance) == 0 {
		notes = append(notes, "no claim says in which regions a network keeps data: the region was not applied; grange atlas place applies it to offers you give")
	}
	return notes
}

// candidate is what the rules see of an entry or an incumbent.
type candidate struct {
	id, name   string
	services   []atlas.Service
	compliance []string
	features   []string
}

// reject applies the rules in order and returns the first that fails.
func (n Need) reject(x candidate) (*atlas.Service, *Rejected) {
	i := slices.IndexFunc(x.services, func(s atlas.Service) bool { return s.Service == n.Service })
	if i < 0 {
		return nil, &Rejected{x.id, x.name, "service", "offers no " + n.Service, false}
	}
	for _, want := range n.Compliance {
		if !slices.Contains(x.compliance, want) {
			return nil, &Rejected{x.id, x.name, "compliance", "no source says it is certified for " + want, true}
		}
	}
	for _, want := range n.Features {
		if !slices.Contains(x.features, want) {
			return nil, &Rejected{x.id, x.name, "feature", "no source says it has " + want, true}
		}
	}
	return &x.services[i], nil
}

func (n Need) judge(c *atlas.Catalog, e *atlas.Entry, largest map[atlas.Vertical]int, disputes []atlas.Disagreement) (Answer, *Rejected) {
	a := Answer{ID: e.ID, Name: e.Name, Vertical: string(e.Vertical), For: []Reason{}, Against: []Reason{}, Numbers: []atlas.Claim{}}
	s, rejected := n.reject(candidate{e.ID, e.Name, e.Services, nil, e.Features})
	if rejected != nil {
		return a, rejected
	}
	if a.Cost = n.cost(e); a.Cost != nil && n.Budget != nil && a.Cost.Month.Rat().Cmp(n.Budget.Rat()) > 0 {
		return a, &Rejected{e.ID, e.Name, "budget", fmt.Sprintf("costs $%s a month, the budget is $%s", a.Cost.Month, n.Budget), true}
	}
	a.serve(*s)
	a.Speaks = speaks(c, e)
	values := a.common(e, largest, []string{"storage-price", "traffic-price", "message-price", "credit-price", "plan-price"})
	n.fill(&a, *s, e.Features, values)
	a.disputed(e.ID, disputes)
	return a, nil
}

func (n Need) incumbent(i atlas.Incumbent) (Answer, *Rejected) {
	a := Answer{ID: i.ID, Name: i.Name, Incumbent: true, For: []Reason{}, Against: []Reason{}, Numbers: []atlas.Claim{}}
	s, rejected := n.reject(candidate{i.ID, i.Name, i.Services, i.Compliance, i.Features})
	if rejected != nil {
		return a, rejected
	}
	a.serve(*s)
	if len(n.Compliance) > 0 {
		a.For = append(a.For, Reason{"certified for " + strings.Join(n.Compliance, ", "), []string{i.Source}})
	}
	a.Against = append(a.Against, Reason{"one company owns it and sets the price", []string{i.Source}})
	values := map[string]int{"stage": 1000}
	if c := atlas.Shown(i.Claims, "availability"); c != nil {
		a.number(*c)
	}
	if c := atlas.Shown(i.Claims, "lead-time"); c != nil {
		a.number(*c)
		a.Against = append(a.Against, Reason{fmt.Sprintf("%s to %s months of waiting for %s", c.Low, c.High, c.Method), []string{c.Source}})
	}
	n.fill(&a, *s, i.Features, values)
	return a, nil
}

func (a *Answer) serve(s atlas.Service) {
	a.Gets = s.Gets
	if s.Why != "" {
		a.For = append(a.For, Reason{s.Why, s.Sources})
	}
	if s.Against != "" {
		a.Against = append(a.Against, Reason{s.Against, s.Sources})
	}
}

// fill completes the score of a.
func (n Need) fill(a *Answer, s atlas.Service, features []string, values map[string]int) {
	values["fit"] = 250
	if s.Named {
		values["fit"] = 1000
	}
	for _, f := range preferences[n.Prefer] {
		if slices.Contains(features, f) {
			values["preference"] = 1000
			a.For = append(a.For, Reason{Text: "preferred for being " + n.Prefer + ": " + f})
			break
		}
	}
	a.score(NeedWeights, values)
}

// cost is price × quantity, where a claim gives the price.
func (n Need) cost(e *atlas.Entry) *Cost {
	c := atlas.Shown(e.Claims, "storage-price")
	if c == nil || c.Value == nil || n.Quantity == nil {
		return nil
	}
	month := new(big.Rat).Mul(c.Point(), atlas.Unit("TB").Base(*n.Quantity))
	if cents(month) == nil {
		return nil
	}
	return &Cost{Month: cents(month), Basis: "price times quantity", Claims: []atlas.Claim{*c}}
}
