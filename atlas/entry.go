package atlas

// Vertical is one of the six kinds of resource; empty for horizontal entries.
type Vertical string

// The verticals.
const (
	Compute   Vertical = "compute"
	Storage   Vertical = "storage"
	Wireless  Vertical = "wireless"
	Sensing   Vertical = "sensing"
	Energy    Vertical = "energy"
	Bandwidth Vertical = "bandwidth"
)

// Verticals in the order of the survey.
var Verticals = []Vertical{Compute, Storage, Wireless, Sensing, Energy, Bandwidth}

// Class says whether location matters.
type Class string

// The classes. Horizontal entries have none.
const (
	PRN Class = "PRN" // physical resource network: location matters
	DRN Class = "DRN" // digital resource network: it does not
)

// ClassOf is the class of a vertical.
func ClassOf(v Vertical) Class {
	switch v {
	case Compute, Storage, Bandwidth:
		return DRN
	case Wireless, Sensing, Energy:
		return PRN
	}
	return ""
}

// Stage is how far an entry is.
type Stage string

// The stages.
const (
	Leading        Stage = "leading"
	Emerging       Stage = "emerging"
	Infrastructure Stage = "infrastructure" // horizontal: a chain or a tool
)

// Role is what an entry is.
type Role string

// The roles.
const (
	Network Role = "network"
	Chain   Role = "chain"
	Tool    Role = "tool"
)

// Token is a token of a network.
type Token struct {
	Symbol string `yaml:"symbol" json:"symbol"`
	Note   string `yaml:"note" json:"note,omitempty"`
}

// Protocol says that one of our gateways speaks what this network's clients speak.
type Protocol struct {
	ID   string `yaml:"id" json:"id"` // one of Catalog.Protocols
	Note string `yaml:"note" json:"note,omitempty"`
}

// Ref points outside: Kind is coingecko, defillama, api, repo or doc; Value is
// the id or address there.
type Ref struct {
	Kind  string `yaml:"kind" json:"kind"`
	Value string `yaml:"value" json:"value"`
}

// Requirement is one thing a supplier must fulfil. Exactly one of AtLeast,
// AtMost and OneOf is set. Fact is a field of a profile (package advise).
type Requirement struct {
	Fact    string   `yaml:"fact" json:"fact"`
	AtLeast *Decimal `yaml:"at-least" json:"at_least,omitempty"`
	AtMost  *Decimal `yaml:"at-most" json:"at_most,omitempty"`
	OneOf   []string `yaml:"one-of" json:"one_of,omitempty"`
	Why     string   `yaml:"why" json:"why"`
	Source  string   `yaml:"source" json:"source"`
}

// Resource is something a supplier may own and put to work here.
type Resource struct {
	Asset    string        `yaml:"asset" json:"asset"`
	Fits     []string      `yaml:"fits" json:"fits,omitempty"` // segments for which a source names this network
	Accepts  []string      `yaml:"accepts" json:"accepts"`     // segments it takes at all; empty: all
	Needs    string        `yaml:"needs" json:"needs"`         // what must be owned or done
	Why      string        `yaml:"why" json:"why,omitempty"`   // what speaks for it
	Against  string        `yaml:"against" json:"against,omitempty"`
	Easy     bool          `yaml:"easy" json:"easy,omitempty"` // a source calls it easy or passive
	Pays     []string      `yaml:"pays" json:"pays,omitempty"` // metrics whose claims say what it pays
	Requires []Requirement `yaml:"requires" json:"requires,omitempty"`
	Sources  []string      `yaml:"sources" json:"sources"`
}

// Service is something a buyer gets here.
type Service struct {
	Service string   `yaml:"service" json:"service"`
	Named   bool     `yaml:"named" json:"named,omitempty"` // a source names this network for exactly this need
	Gets    string   `yaml:"gets" json:"gets"`
	Why     string   `yaml:"why" json:"why,omitempty"`
	Against string   `yaml:"against" json:"against,omitempty"`
	Sources []string `yaml:"sources" json:"sources"`
}

// Entry is one network, chain or tool.
type Entry struct {
	ID             string     `yaml:"id" json:"id"`
	Name           string     `yaml:"name" json:"name"`
	Aliases        []string   `yaml:"aliases" json:"aliases"`
	Role           Role       `yaml:"role" json:"role"`
	Vertical       Vertical   `yaml:"vertical" json:"vertical,omitempty"`
	Class          Class      `yaml:"class" json:"class,omitempty"`
	Stage          Stage      `yaml:"stage" json:"stage"`
	Tokens         []Token    `yaml:"tokens" json:"tokens"`
	Chains         []string   `yaml:"chains" json:"chains"` // ids of chain entries; empty: no source says
	Focus          string     `yaml:"focus" json:"focus"`
	Differentiator string     `yaml:"differentiator" json:"differentiator,omitempty"`
	BestFor        []string   `yaml:"best-for" json:"best_for"`
	RevenueModel   string     `yaml:"revenue-model" json:"revenue_model,omitempty"`
	Features       []string   `yaml:"features" json:"features"` // what rules may ask for: tee, s3, kubernetes, ...
	Resources      []Resource `yaml:"resources" json:"resources"`
	Services       []Service  `yaml:"services" json:"services"`
	Protocols      []Protocol `yaml:"protocols" json:"protocols"`
	References     []Ref      `yaml:"references" json:"references"`
	Source         string     `yaml:"source" json:"source"` // of everything above that names none
	Claims         []Claim    `yaml:"claims" json:"claims"`
}

// Horizontal reports whether e serves several verticals.
func (e Entry) Horizontal() bool { return e.Vertical == "" }

// Ref returns the first reference of a kind, or "".
func (e Entry) Ref(kind string) string {
	for _, r := range e.References {
		if r.Kind == kind {
			return r.Value
		}
	}
	return ""
}
