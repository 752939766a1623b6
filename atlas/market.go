package atlas

import "slices"

// Source is where facts come from.
type Source struct {
	ID    string `yaml:"id" json:"id"`
	Title string `yaml:"title" json:"title"`
	AsOf  Date   `yaml:"as-of" json:"as_of"`       // of the source itself
	URL   string `yaml:"url" json:"url,omitempty"` // empty: none is known for certain
	Seen  string `yaml:"seen" json:"seen"`         // how it reached us
}

// Metric is something a claim can be about.
type Metric struct {
	ID        string    `yaml:"id" json:"id"`
	Name      string    `yaml:"name" json:"name"`
	Meaning   string    `yaml:"meaning" json:"meaning"`
	Dimension Dimension `yaml:"dimension" json:"dimension"`
	Unit      Unit      `yaml:"unit" json:"unit"` // the unit to show sums and ratios in
}

// ProtocolInfo is something clients speak to our gateways.
type ProtocolInfo struct {
	ID       string   `yaml:"id" json:"id"`
	Name     string   `yaml:"name" json:"name"`
	Vertical Vertical `yaml:"vertical" json:"vertical"`
	Status   string   `yaml:"status" json:"status"` // built or planned
	Try      string   `yaml:"try" json:"try,omitempty"`
}

// Here is how much of what the users of an entry get from it this program gives
// them.
type Here struct {
	Entry string `yaml:"entry" json:"entry"`           // its id
	Does  string `yaml:"does" json:"does"`             // works, part or none
	Gets  string `yaml:"gets" json:"gets,omitempty"`   // what they get; empty if none
	Lacks string `yaml:"lacks" json:"lacks,omitempty"` // what is missing; may be empty if it works
	Try   string `yaml:"try" json:"try,omitempty"`     // a command that shows it; empty if none
}

// VerticalRow is one row of the market table.
type VerticalRow struct {
	ID     Vertical `yaml:"id" json:"id"`
	Name   string   `yaml:"name" json:"name"`
	Class  Class    `yaml:"class" json:"class"`
	About  string   `yaml:"about" json:"about"`
	Claims []Claim  `yaml:"claims" json:"claims"`
}

// Rank is one place in the list of the largest networks.
type Rank struct {
	Place   int    `yaml:"place" json:"place"`
	Network string `yaml:"network" json:"network"`
}

// Sector is what sources say of the field as a whole.
type Sector struct {
	Claims []Claim `yaml:"claims" json:"claims"`
	Top    []Rank  `yaml:"top" json:"top"` // by market capitalisation
	TopBy  Date    `yaml:"top-as-of" json:"top_as_of"`
	TopOf  string  `yaml:"top-source" json:"top_source"`
}

// Theme is a trend or a challenge: a heading with its points.
type Theme struct {
	ID     string   `yaml:"id" json:"id"`
	Title  string   `yaml:"title" json:"title"`
	Points []string `yaml:"points" json:"points"`
	Names  []string `yaml:"names" json:"names,omitempty"` // entries it concerns
	Ours   string   `yaml:"ours" json:"ours,omitempty"`   // what this project does about it
	Source string   `yaml:"source" json:"source"`
	Claims []Claim  `yaml:"claims" json:"claims,omitempty"`
}

// Themes are the trends, the challenges, and where each side is ahead.
type Themes struct {
	Trends      []Theme `yaml:"trends" json:"trends"`
	Challenges  []Theme `yaml:"challenges" json:"challenges"`
	DePINAhead  []Theme `yaml:"depin-ahead" json:"depin_ahead"`
	CloudsAhead []Theme `yaml:"clouds-ahead" json:"clouds_ahead"`
}

// Screen is a named selection of entries with the reason a source gives. It is
// a view for comparing metrics, never advice to buy.
type Screen struct {
	ID      string   `yaml:"id" json:"id"`
	Name    string   `yaml:"name" json:"name"`
	Members []Member `yaml:"members" json:"members"`
	Source  string   `yaml:"source" json:"source"`
}

// Member is an entry of a screen.
type Member struct {
	Entry string `yaml:"entry" json:"entry"`
	Why   string `yaml:"why" json:"why,omitempty"`
}

// Incumbent is a centralised provider that networks are compared with. It is
// not an entry of the atlas.
type Incumbent struct {
	ID         string    `yaml:"id" json:"id"`
	Name       string    `yaml:"name" json:"name"`
	Compliance []string  `yaml:"compliance" json:"compliance"`
	Services   []Service `yaml:"services" json:"services"`
	Features   []string  `yaml:"features" json:"features"`
	Source     string    `yaml:"source" json:"source"`
	Claims     []Claim   `yaml:"claims" json:"claims"`
}

// Catalog is everything the atlas knows.
type Catalog struct {
	Entries    []Entry        `json:"entries"` // by id
	Sources    []Source       `json:"sources"`
	Metrics    []Metric       `json:"metrics"`
	Protocols  []ProtocolInfo `json:"protocols"`
	Here       []Here         `json:"here"` // one of each entry, in the order of the survey
	Verticals  []VerticalRow  `json:"verticals"`
	Sector     Sector         `json:"sector"`
	Themes     Themes         `json:"themes"`
	Screens    []Screen       `json:"screens"`
	Incumbents []Incumbent    `json:"incumbents"`
	Ours       Entry          `json:"ours"` // this network; no entry of the atlas, and its claims are the caller's to add

	entry  map[string]*Entry
	metric map[string]*Metric
	source map[string]*Source
}

// Entry finds an entry by id; ok is false when there is none.
func (c *Catalog) Entry(id string) (*Entry, bool) { e, ok := c.entry[id]; return e, ok }

// HereOf finds what an entry's users get from this program.
func (c *Catalog) HereOf(id string) (Here, bool) {
	i := slices.IndexFunc(c.Here, func(h Here) bool { return h.Entry == id })
	if i < 0 {
		return Here{}, false
	}
	return c.Here[i], true
}

// Metric finds a metric by id.
func (c *Catalog) Metric(id string) (*Metric, bool) { m, ok := c.metric[id]; return m, ok }

// Source finds a source by id.
func (c *Catalog) Source(id string) (*Source, bool) { s, ok := c.source[id]; return s, ok }

// Vertical finds the market row of a vertical, or nil.
func (c *Catalog) Vertical(v Vertical) *VerticalRow {
	for i := range c.Verticals {
		if c.Verticals[i].ID == v {
			return &c.Verticals[i]
		}
	}
	return nil
}

// Screen finds a screen by id, or nil.
func (c *Catalog) Screen(id string) *Screen {
	for i := range c.Screens {
		if c.Screens[i].ID == id {
			return &c.Screens[i]
		}
	}
	return nil
}

// Incumbent finds a centralised provider by id, or nil.
func (c *Catalog) Incumbent(id string) *Incumbent {
	for i := range c.Incumbents {
		if c.Incumbents[i].ID == id {
			return &c.Incumbents[i]
		}
	}
	return nil
}

// With returns the catalogue with more claims, by entry id or "sector". The
// claims of c are unchanged, and unknown subjects are left out.
func (c *Catalog) With(more map[string][]Claim) *Catalog {
	out := *c
	out.Entries = slices.Clone(c.Entries)
	for i := range out.Entries {
		if add := more[out.Entries[i].ID]; len(add) > 0 {
			out.Entries[i].Claims = append(slices.Clone(out.Entries[i].Claims), add...)
		}
	}
	out.Sector.Claims = append(slices.Clone(c.Sector.Claims), more["sector"]...)
	out.entry = map[string]*Entry{}
	for i := range out.Entries {
		out.entry[out.Entries[i].ID] = &out.Entries[i]
	}
	return &out
}
