package source

import (
	"context"
	"strings"
	"unicode"

	"github.com/grange-network/grange/atlas"
)

// Outcome is how asking one source went.
type Outcome struct {
	Source      string   `json:"source"`
	Values      int      `json:"values"`
	Unknown     []string `json:"unknown_fields,omitempty"`
	Problem     string   `json:"problem,omitempty"`
	Quarantined int      `json:"quarantined"`
}

// Refresh asks every source once, one after the other, and writes what they say
// into the book. A source that fails is an outcome, not an error; the error is
// that of ctx.
func Refresh(ctx context.Context, sources []Source, c *Client, book *Book, cat *atlas.Catalog) ([]Outcome, error) {
	prior := func(subject string) []atlas.Claim {
		if subject == "sector" {
			return cat.Sector.Claims
		}
		if e, ok := cat.Entry(subject); ok {
			return e.Claims
		}
		return nil
	}
	var all []Outcome
	for _, s := range sources {
		out := Outcome{Source: s.Name()}
		found, err := s.Fetch(ctx, c)
		if ctx.Err() != nil {
			return all, ctx.Err()
		}
		if err == nil {
			err = valid(found, cat)
		}
		if err != nil {
			book.Fail(s.Name(), err)
			out.Problem = err.Error()
			c.Log.Warn("source failed, its last values are kept", "source", s.Name(), "error", err)
			all = append(all, out)
			continue
		}
		if len(found.Unknown) > 0 {
			out.Unknown = unique(found.Unknown)
			c.Log.Warn("source answers with fields this program does not know", "source", s.Name(), "fields", out.Unknown)
		}
		book.Apply(s.Name(), found.Observations, c.Now(), prior)
		out.Values = len(found.Observations)
		for _, r := range book.Records() {
			if r.Claim.Source == s.Name() && r.Quarantine != nil {
				out.Quarantined++
				c.Log.Warn("value is in quarantine", "source", s.Name(), "subject", r.Subject, "metric", r.Claim.Metric, "why", r.Quarantine.Why, "seen", r.Quarantine.Seen)
			}
		}
		all = append(all, out)
	}
	return all, nil
}

// valid checks every claim against the catalogue before any is written down.
func valid(found Found, cat *atlas.Catalog) error {
	for _, o := range found.Observations {
		if err := o.Claim.Validate(cat); err != nil {
			return err
		}
	}
	return nil
}

// unique keeps the first 32 different names, short and printable: they come
// from strangers and end up on a terminal.
func unique(all []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, s := range all {
		s = strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return '?'
			}
			return r
		}, s[:min(64, len(s))])
		if !seen[s] && len(out) < 32 {
			seen[s], out = true, append(out, s)
		}
	}
	return out
}
