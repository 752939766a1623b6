package advise

import (
	"math/big"
	"slices"
	"strings"

	"github.com/grange-network/grange/atlas"
)

// Weight is a term of the score and what it counts, in thousandths.
type Weight struct {
	Term   string `json:"term"`
	Weight int    `json:"weight"`
	About  string `json:"about"`
}

// The terms. The fit outweighs all others together, so a network that a source
// names for exactly this case comes before any that it does not.
var (
	OwnWeights = []Weight{
		{"fit", 600, "1000 when a source names it for this very case or region, 250 when it takes it"},
		{"demand", 120, "a third each for revenue of at least $1,000 a month, known utilisation, and known pay"},
		{"stage", 120, "1000 when leading, 400 when emerging"},
		{"size", 100, "digits of its size against the largest of the vertical"},
		{"ease", 60, "1000 when a source calls it easy"},
	}
	NeedWeights = []Weight{
		{"fit", 600, "1000 when a source names it for this very need, 250 when it serves it"},
		{"demand", 120, "a third each for revenue of at least $1,000 a month, known utilisation, and a known price"},
		{"stage", 120, "1000 when leading or an incumbent, 400 when emerging"},
		{"size", 100, "digits of its size against the largest of the vertical"},
		{"preference", 60, "1000 when it has a feature of what is preferred"},
	}
)

// Term is one term of a score: Value in thousandths, Points = Value × weight / 1000.
type Term struct {
	Name   string `json:"name"`
	Value  int    `json:"value"`
	Points int    `json:"points"`
}

// Reason is one sentence for or against, with its sources.
type Reason struct {
	Text    string   `json:"text"`
	Sources []string `json:"sources,omitempty"`
}

// Answer is one eligible network.
type Answer struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Vertical  string        `json:"vertical,omitempty"`
	Incumbent bool          `json:"incumbent,omitempty"`
	Score     int           `json:"score"` // sum of the points, 0 to 1000
	Terms     []Term        `json:"terms"`
	Gets      string        `json:"gets,omitempty"`  // what a buyer gets
	Needs     string        `json:"needs,omitempty"` // what a supplier must own or do
	For       []Reason      `json:"for"`
	Against   []Reason      `json:"against"`
	Numbers   []atlas.Claim `json:"numbers"` // the claims behind the terms
	Income    *Income       `json:"income,omitempty"`
	Cost      *Cost         `json:"cost,omitempty"`
	Speaks    []string      `json:"speaks,omitempty"` // protocols of ours that its clients speak and that run today
}

// Rejected is a network that failed a rule, with the first that it failed.
type Rejected struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Rule string `json:"rule"`
	Why  string `json:"why"`
	Near bool   `json:"near"` // it failed a later rule than the first
}

// Advice is the whole answer.
type Advice struct {
	Own      *Own       `json:"own,omitempty"`
	Need     *Need      `json:"need,omitempty"`
	Segment  string     `json:"segment,omitempty"`
	Notes    []string   `json:"notes"`
	Weights  []Weight   `json:"weights"`
	Ranked   []Answer   `json:"ranked"`
	Rejected []Rejected `json:"rejected"`
	Ours     *Answer    `json:"ours"` // this network by the same rules, beside the ranking; null when it is not eligible
}

func (a *Answer) score(weights []Weight, values map[string]int) {
	for _, w := range weights {
		t := Term{Name: w.Term, Value: values[w.Term], Points: values[w.Term] * w.Weight / 1000}
		a.Terms = append(a.Terms, t)
		a.Score += t.Points
	}
}

func rank(all []Answer) {
	slices.SortFunc(all, func(a, b Answer) int {
		if a.Score != b.Score {
			return b.Score - a.Score
		}
		return strings.Compare(a.ID, b.ID)
	})
}

// sizeMetrics says in which metrics the size of a network is counted.
var sizeMetrics = map[atlas.Vertical][]string{
	atlas.Compute: {"gpus"}, atlas.Storage: {"capacity", "stored"}, atlas.Wireless: {"hotspots"},
	atlas.Sensing: {"stations"}, atlas.Energy: {"devices"}, atlas.Bandwidth: {"nodes"},
}

// bits is the number of binary digits of the size of e, with its claim.
func bits(e *atlas.Entry) (int, *atlas.Claim) {
	for _, m := range sizeMetrics[e.Vertical] {
		if c := atlas.Shown(e.Claims, m); c != nil && c.Point() != nil {
			whole := c.Point()
			return whole.Num().BitLen() - whole.Denom().BitLen() + 1, c
		}
	}
	return 0, nil
}

// sizes is the largest number of digits in each vertical.
func sizes(c *atlas.Catalog) map[atlas.Vertical]int {
	most := map[atlas.Vertical]int{}
	for i := range c.Entries {
		n, _ := bits(&c.Entries[i])
		most[c.Entries[i].Vertical] = max(most[c.Entries[i].Vertical], n)
	}
	return most
}

// littleRevenue is what a network must earn in a month, in USD, for its revenue
// to count as demand. The threshold is ours.
var littleRevenue = big.NewRat(1000, 1)

// common fills in the terms that both sides share and the claims behind them.
func (a *Answer) common(e *atlas.Entry, largest map[atlas.Vertical]int, pays []string) map[string]int {
	values := map[string]int{"stage": 400}
	if e.Stage == atlas.Leading {
		values["stage"] = 1000
		a.For = append(a.For, Reason{Text: "counted among the leaders of its vertical", Sources: []string{e.Source}})
	}
	n, size := bits(e)
	if size != nil {
		values["size"] = 1000 * n / max(1, largest[e.Vertical])
		a.number(*size)
	} else {
		a.Against = append(a.Against, Reason{Text: "no source says how large it is"})
	}
	known := false
	for _, group := range [][]string{{"revenue", "fees"}, {"utilisation", "gpus-active"}, pays} {
		for _, m := range group {
			c := atlas.Shown(e.Claims, m)
			if c == nil {
				continue
			}
			a.number(*c)
			known = true
			if m == "revenue" && c.Point() != nil && c.Point().Cmp(littleRevenue) < 0 {
				a.Against = append(a.Against, Reason{Text: "hardly any revenue was seen: $" + c.Point().FloatString(2) + " a month", Sources: []string{c.Source}})
			} else {
				values["demand"] += 334
			}
			break
		}
	}
	values["demand"] = min(1000, values["demand"])
	if !known {
		a.Against = append(a.Against, Reason{Text: "no source says what its customers pay or how much of it is used"})
	}
	return values
}

func (a *Answer) number(c atlas.Claim) {
	if !slices.ContainsFunc(a.Numbers, func(x atlas.Claim) bool { return x.Metric == c.Metric && x.Source == c.Source }) {
		a.Numbers = append(a.Numbers, c)
	}
}

// disputed adds a warning for each number that other claims contradict.
func (a *Answer) disputed(id string, all []atlas.Disagreement) {
	for _, d := range all {
		if d.Subject != id {
			continue
		}
		for _, n := range a.Numbers {
			if n.Metric == d.Metric {
				text := "sources contradict each other on " + d.Metric
				if d.Factor != nil {
					text += " by a factor of " + d.Factor.String()
				}
				a.Against = append(a.Against, Reason{Text: text, Sources: sources(d.Claims)})
			}
		}
	}
}

func sources(claims []atlas.Claim) []string {
	var all []string
	for _, c := range claims {
		if !slices.Contains(all, c.Source) {
			all = append(all, c.Source)
		}
	}
	return all
}

// speaks lists the protocols of e that a gateway of ours speaks today.
func speaks(c *atlas.Catalog, e *atlas.Entry) []string {
	var all []string
	for _, p := range e.Protocols {
		for _, info := range c.Protocols {
			if info.ID == p.ID && info.Status == "built" {
				all = append(all, info.ID)
			}
		}
	}
	return all
}
