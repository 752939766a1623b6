package advise

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/grange-network/grange/atlas"
)

// FromOwn ranks the networks of c for what a supplier owns.
func FromOwn(c *atlas.Catalog, o Own) (Advice, error) {
	if err := o.Validate(); err != nil {
		return Advice{}, err
	}
	segment, why := o.segment()
	out := Advice{Own: &o, Segment: segment, Weights: OwnWeights, Notes: []string{}, Ranked: []Answer{}, Rejected: []Rejected{}}
	if why != "" {
		out.Notes = append(out.Notes, why)
	}
	if segment == "" {
		out.Notes = append(out.Notes, "the profile fits every kind of "+o.Asset+": say which ("+strings.Join(atlas.Assets[o.Asset], ", ")+") for a better answer")
	}
	largest, disputes := sizes(c), c.Disagreements()
	for i := range c.Entries {
		e := &c.Entries[i]
		if e.Role != atlas.Network {
			continue
		}
		if a, rejected := o.judge(c, e, segment, largest, disputes); rejected != nil {
			out.Rejected = append(out.Rejected, *rejected)
		} else {
			out.Ranked = append(out.Ranked, a)
		}
	}
	rank(out.Ranked)
	if a, rejected := o.judge(c, &c.Ours, segment, largest, disputes); rejected == nil {
		out.Ours = &a
	}
	return out, nil
}

func (o Own) judge(c *atlas.Catalog, e *atlas.Entry, segment string, largest map[atlas.Vertical]int, disputes []atlas.Disagreement) (Answer, *Rejected) {
	a := Answer{ID: e.ID, Name: e.Name, Vertical: string(e.Vertical), For: []Reason{}, Against: []Reason{}, Numbers: []atlas.Claim{}}
	i := slices.IndexFunc(e.Resources, func(r atlas.Resource) bool { return r.Asset == o.Asset })
	if i < 0 {
		return a, &Rejected{e.ID, e.Name, "asset", "pays for no " + o.Asset, false}
	}
	r := e.Resources[i]
	if segment != "" && len(r.Accepts) > 0 && !slices.Contains(r.Accepts, segment) {
		return a, &Rejected{e.ID, e.Name, "segment", fmt.Sprintf("takes %s, not %s", strings.Join(r.Accepts, ", "), segment), true}
	}
	fit := 250
	if segment != "" && slices.Contains(r.Fits, segment) {
		fit = 1000
	}
	for _, q := range r.Requires {
		verdict, text := o.meets(q)
		switch verdict {
		case no:
			return a, &Rejected{e.ID, e.Name, q.Fact, text + ": " + q.Why, true}
		case unknown:
			a.Against = append(a.Against, Reason{text + ": " + q.Why, []string{q.Source}})
		case yes:
			if q.Fact == "region" { // it is made for this very place
				fit = 1000
			}
			a.For = append(a.For, Reason{text, []string{q.Source}})
		}
	}
	a.Needs, a.Speaks = r.Needs, speaks(c, e)
	if r.Why != "" {
		a.For = append(a.For, Reason{r.Why, r.Sources})
	}
	if r.Against != "" {
		a.Against = append(a.Against, Reason{r.Against, r.Sources})
	}
	values := a.common(e, largest, r.Pays)
	values["fit"] = fit
	if r.Easy {
		values["ease"] = 1000
	}
	a.score(OwnWeights, values)
	a.disputed(e.ID, disputes)
	a.Income = o.income(e, r)
	return a, nil
}

type answerTo int

const (
	yes answerTo = iota
	no
	unknown
)

// meets checks one requirement against the profile; the text says both sides.
func (o Own) meets(q atlas.Requirement) (answerTo, string) {
	if len(q.OneOf) > 0 {
		switch {
		case o.Region == "":
			return unknown, q.Fact + " must be one of " + strings.Join(q.OneOf, ", ") + ", and the profile does not say"
		case !slices.Contains(q.OneOf, o.Region):
			return no, fmt.Sprintf("%s is %s, must be one of %s", q.Fact, o.Region, strings.Join(q.OneOf, ", "))
		}
		return yes, fmt.Sprintf("%s is %s, as asked", q.Fact, o.Region)
	}
	have := o.fact(q.Fact)
	bound, word, good := q.AtLeast, "at least", 1
	if q.AtMost != nil {
		bound, word, good = q.AtMost, "at most", -1
	}
	if have == nil {
		return unknown, fmt.Sprintf("%s must be %s %s, and the profile does not say", q.Fact, word, bound)
	}
	text := fmt.Sprintf("%s is %s, must be %s %s", q.Fact, have, word, bound)
	if have.Rat().Cmp(bound.Rat())*good < 0 {
		return no, text
	}
	return yes, text
}

// hours a month that the machine works: 730 times uptime times the part of the day.
func (o Own) hours() *big.Rat {
	h := big.NewRat(730, 1)
	if o.Uptime != nil {
		h.Mul(h, o.Uptime.Rat()).Quo(h, big.NewRat(100, 1))
	}
	if o.HoursPerDay != nil {
		h.Mul(h, o.HoursPerDay.Rat()).Quo(h, big.NewRat(24, 1))
	}
	return h
}
