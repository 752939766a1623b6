package atlas

import (
	"fmt"
	"slices"
	"strings"
)

// Assets are the kinds of things a supplier may own, with their segments.
var Assets = map[string][]string{
	"gpu":          {"datacenter", "consumer", "gaming"},
	"storage":      {"enterprise", "consumer", "permanent"},
	"site":         {"urban", "suburban", "underserved", "weather"},
	"bandwidth":    {"home", "business"},
	"energy":       {"solar", "battery", "microgrid", "meter", "plant"},
	"vehicle":      {"car", "fleet"},
	"phone":        {"driving", "walking"},
	"gnss-station": {"rooftop"},
	"sensor":       {"weather", "air", "noise"},
}

// Services are the needs a buyer may have.
var Services = []string{
	"inference", "training", "verified-training", "ai-services", "rendering", "gaming", "containers", "batch", "burst", "mission-critical",
	"archive", "permanent-storage", "object-storage", "pinning", "personal-storage",
	"iot-connectivity", "mobile-plan", "wifi-access", "broadband", "connectivity-data",
	"mapping", "weather", "air-quality", "noise", "positioning",
	"p2p-energy", "demand-response", "green-certificates", "energy-purchase",
	"content-delivery", "video", "data-streams", "web-data", "edge-hosting",
}

// validate lists everything that is wrong with c.
func (c *Catalog) validate() []error {
	v := &validator{c: c}
	v.ids()
	for i := range c.Entries {
		v.entry(&c.Entries[i])
	}
	v.entry(&c.Ours)
	for _, m := range c.Metrics {
		dim, ok := m.Unit.Dimension()
		v.check(ok && dim == m.Dimension, "metric %s: unit %q does not measure %q", m.ID, m.Unit, m.Dimension)
		v.check(m.Name != "" && m.Meaning != "", "metric %s: no name or meaning", m.ID)
	}
	for _, s := range c.Sources {
		v.check(s.Title != "" && s.Seen != "", "source %s: no title, or not said how it was seen", s.ID)
	}
	for _, r := range c.Verticals {
		v.check(r.Class == ClassOf(r.ID), "vertical %s: class %q, want %q", r.ID, r.Class, ClassOf(r.ID))
		v.claims("vertical "+string(r.ID), r.Claims)
	}
	v.here()
	v.sector()
	v.themes()
	for _, s := range c.Screens {
		v.source("screen "+s.ID, s.Source)
		for _, m := range s.Members {
			v.known("screen "+s.ID, m.Entry)
		}
	}
	for _, n := range c.Incumbents {
		v.source("incumbent "+n.ID, n.Source)
		v.services("incumbent "+n.ID, n.Services)
		v.claims("incumbent "+n.ID, n.Claims)
	}
	return v.faults
}

type validator struct {
	c      *Catalog
	faults []error
}

func (v *validator) check(ok bool, format string, args ...any) {
	if !ok {
		v.faults = append(v.faults, fmt.Errorf(format, args...))
	}
}

func (v *validator) ids() {
	seen := map[string]string{}
	once := func(kind, id string) {
		v.check(id != "" && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == "", "%s %q: ids are lower case letters, digits and hyphens", kind, id)
		v.check(seen[kind+"/"+id] == "", "%s %s appears twice", kind, id)
		seen[kind+"/"+id] = kind
	}
	names := map[string]string{}
	for _, e := range v.c.Entries {
		once("entry", e.ID)
		for _, n := range append([]string{e.ID, strings.ToLower(e.Name)}, e.Aliases...) {
			v.check(names[n] == "" || names[n] == e.ID, "entries %s and %s are both called %q", names[n], e.ID, n)
			v.check(n == strings.ToLower(n), "entry %s: alias %q is not lower case", e.ID, n)
			names[n] = e.ID
		}
	}
	for _, m := range v.c.Metrics {
		once("metric", m.ID)
	}
	for _, s := range v.c.Sources {
		once("source", s.ID)
	}
	for _, p := range v.c.Protocols {
		once("protocol", p.ID)
		v.check(p.Status == "built" || p.Status == "planned", "protocol %s: status %q is neither built nor planned", p.ID, p.Status)
		v.check(slices.Contains(Verticals, p.Vertical), "protocol %s: unknown vertical %q", p.ID, p.Vertical)
	}
	for _, s := range v.c.Screens {
		once("screen", s.ID)
	}
	for _, n := range v.c.Incumbents {
		once("incumbent", n.ID)
	}
}

func (v *validator) entry(e *Entry) {
	at := "entry " + e.ID
	v.check(e.Name != "" && e.Focus != "", "%s: no name or focus", at)
	switch e.Role {
	case Network:
		v.check(slices.Contains(Verticals, e.Vertical), "%s: unknown vertical %q", at, e.Vertical)
		v.check(e.Stage == Leading || e.Stage == Emerging, "%s: stage %q of a network", at, e.Stage)
	case Chain, Tool:
		v.check(e.Vertical == "", "%s: a %s has no vertical", at, e.Role)
		v.check(e.Stage == Infrastructure, "%s: stage %q of a %s", at, e.Stage, e.Role)
	default:
		v.check(false, "%s: unknown role %q", at, e.Role)
	}
	v.check(e.Class == ClassOf(e.Vertical), "%s: class %q in vertical %q", at, e.Class, e.Vertical)
	v.source(at, e.Source)
	for _, id := range e.Chains {
		chain, ok := v.c.entry[id]
		v.check(ok && chain.Role == Chain, "%s: %q is no chain of the atlas", at, id)
	}
	for _, p := range e.Protocols {
		v.check(slices.ContainsFunc(v.c.Protocols, func(i ProtocolInfo) bool { return i.ID == p.ID }), "%s: unknown protocol %q", at, p.ID)
	}
	for _, r := range e.References {
		v.check(slices.Contains([]string{"coingecko", "defillama", "api", "repo", "doc"}, r.Kind) && r.Value != "", "%s: reference %q to %q", at, r.Kind, r.Value)
		v.check(r.Kind == "coingecko" || r.Kind == "defillama" || strings.HasPrefix(r.Value, "https://"), "%s: reference %q is not https", at, r.Value)
	}
	for _, r := range e.Resources {
		v.resource(at, r)
	}
	v.services(at, e.Services)
	v.claims(at, e.Claims)
}

func (v *validator) resource(at string, r Resource) {
	segments, ok := Assets[r.Asset]
	v.check(ok, "%s: unknown asset %q", at, r.Asset)
	v.check(r.Needs != "", "%s: resource %s does not say what it needs", at, r.Asset)
	for _, s := range append(slices.Clone(r.Fits), r.Accepts...) {
		v.check(slices.Contains(segments, s), "%s: asset %s has no segment %q", at, r.Asset, s)
	}
	for _, s := range r.Fits {
		v.check(len(r.Accepts) == 0 || slices.Contains(r.Accepts, s), "%s: resource %s fits %q but does not accept it", at, r.Asset, s)
	}
	for _, m := range r.Pays {
		v.check(v.c.metric[m] != nil, "%s: resource %s pays unknown metric %q", at, r.Asset, m)
	}
	v.check(len(r.Sources) > 0, "%s: resource %s has no source", at, r.Asset)
	for _, s := range r.Sources {
		v.source(at, s)
	}
	for _, q := range r.Requires {
		n := 0
		for _, set := range []bool{q.AtLeast != nil, q.AtMost != nil, len(q.OneOf) > 0} {
			if set {
				n++
			}
		}
		v.check(n == 1 && q.Fact != "" && q.Why != "", "%s: requirement %q wants one bound and a reason", at, q.Fact)
		v.source(at, q.Source)
	}
}

func (v *validator) services(at string, all []Service) {
	for _, s := range all {
		v.check(slices.Contains(Services, s.Service), "%s: unknown service %q", at, s.Service)
		v.check(s.Gets != "", "%s: service %s does not say what the buyer gets", at, s.Service)
		v.check(len(s.Sources) > 0, "%s: service %s has no source", at, s.Service)
		for _, id := range s.Sources {
			v.source(at, id)
		}
	}
}

func (v *validator) here() {
	seen := map[string]bool{}
	for _, h := range v.c.Here {
		at := "here " + h.Entry
		v.known(at, h.Entry)
		v.check(!seen[h.Entry], "%s appears twice", at)
		seen[h.Entry] = true
		switch h.Does {
		case "works", "part":
			v.check(h.Gets != "" && h.Try != "", "%s: %s, but not what, or not how to see it", at, h.Does)
		case "none":
			v.check(h.Gets == "" && h.Try == "", "%s: none, and yet %q by %q", at, h.Gets, h.Try)
			v.check(!v.built(h.Entry), "%s: none, and yet a protocol of its clients is built", at)
		default:
			v.check(false, "%s: %q is neither works, part nor none", at, h.Does)
		}
		v.check(h.Lacks != "" || h.Does == "works", "%s: does not say what is missing", at)
	}
	for id := range v.c.entry {
		v.check(seen[id], "entry %s: not said what of it works here", id)
	}
}

// built reports whether a protocol of an entry's clients runs in this program.
func (v *validator) built(id string) bool {
	e := v.c.entry[id]
	return e != nil && slices.ContainsFunc(v.c.Protocols, func(i ProtocolInfo) bool {
		return i.Status == "built" && slices.ContainsFunc(e.Protocols, func(p Protocol) bool { return p.ID == i.ID })
	})
}

func (v *validator) sector() {
	s := v.c.Sector
	v.claims("sector", s.Claims)
	v.source("top list", s.TopOf)
	for i, r := range s.Top {
		v.check(r.Place == i+1, "top list: place %d at position %d", r.Place, i+1)
		v.known("top list", r.Network)
	}
}

func (v *validator) themes() {
	t := v.c.Themes
	for _, list := range [][]Theme{t.Trends, t.Challenges, t.DePINAhead, t.CloudsAhead} {
		for _, x := range list {
			at := "theme " + x.ID
			v.check(x.Title != "" && len(x.Points) > 0, "%s: no title or points", at)
			v.source(at, x.Source)
			v.claims(at, x.Claims)
			for _, n := range x.Names {
				v.known(at, n)
			}
		}
	}
}

func (v *validator) known(at, id string) {
	v.check(v.c.entry[id] != nil, "%s: unknown entry %q", at, id)
}

func (v *validator) source(at, id string) {
	v.check(v.c.source[id] != nil, "%s: unknown source %q", at, id)
}

func (v *validator) claims(at string, all []Claim) {
	for _, c := range all {
		if err := c.Validate(v.c); err != nil {
			v.faults = append(v.faults, fmt.Errorf("%s: %w", at, err))
		}
	}
}

// Validate says what is wrong with a claim in the terms of catalogue cat.
func (c Claim) Validate(cat *Catalog) error {
	m := cat.metric[c.Metric]
	switch dim, ok := c.Unit.Dimension(); {
	case m == nil:
		return fmt.Errorf("claim of unknown metric %q", c.Metric)
	case cat.source[c.Source] == nil:
		return fmt.Errorf("claim of %s: unknown source %q", c.Metric, c.Source)
	case kindRank[c.Kind] == 0:
		return fmt.Errorf("claim of %s: unknown kind %q", c.Metric, c.Kind)
	case !ok || dim != m.Dimension:
		return fmt.Errorf("claim of %s: unit %q measures %q, want %q", c.Metric, c.Unit, dim, m.Dimension)
	case c.Bound != Exact && c.Bound != AtLeast && c.Bound != AtMost && c.Bound != About:
		return fmt.Errorf("claim of %s: unknown bound %q", c.Metric, c.Bound)
	case (c.Low == nil) != (c.High == nil) || c.Low != nil && c.Value != nil:
		return fmt.Errorf("claim of %s: a range has both ends and no value", c.Metric)
	case c.Low != nil && c.Low.Rat().Cmp(c.High.Rat()) > 0:
		return fmt.Errorf("claim of %s: range from %s down to %s", c.Metric, c.Low, c.High)
	case (c.Text != "") != (dim == "text"):
		return fmt.Errorf("claim of %s: text in unit %q", c.Metric, c.Unit)
	case !c.Known() && c.Note == "":
		return fmt.Errorf("claim of %s: no figure and no note why", c.Metric)
	case c.Kind == Derived && c.Method == "":
		return fmt.Errorf("claim of %s: derived by no stated method", c.Metric)
	}
	return nil
}
